"""Cases with label maps, one after the other, and what is true of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from brainmri_monai.data.brats.datalist import CaseList
from brainmri_monai.data.brats.labels import to_portable
from brainmri_monai.data.brats.volumes import read_label
from brainmri_monai.engines.distributed import gather, processes, rank
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.engines.volumes.stream import read_sample

__all__ = ["LabelledVolumes"]


class LabelledVolumes(IterableDataset):
    """The cases of one part of a datalist, read from their files; one that fails is kept aside with its reason.

    Of several processes each takes its share, so that every case is seen once.

    Args:
        datalist: of the run, or of an external test.
        part: ``validation`` or ``test``.
        transform: see :class:`~brainmri_monai.engines.volumes.stream.VolumeStream`.
    """

    def __init__(self, datalist: CaseList, part: str, transform: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.convention = datalist.convention
        self.all = {sample["id"]: sample["image"] for sample in datalist.samples(part)}
        self.cases = dict(list(self.all.items())[rank() :: processes()])
        self.what = {"validation": "calibrating", "test": "testing"}[part]
        self.transform = transform
        self.failed: dict[str, str] = {}
        self.started: dict[str, float] = {}  # id → when its reading began

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.failed.clear()
        bar = progress_bar(len(self.cases), self.what, "cases")
        for case in self.cases.values():
            self.started[case.id] = time.perf_counter()
            try:
                yield read_sample(case, self.transform, self.convention)
            except Exception as error:  # whatever a reader or a transform raises, the next case is another one
                self.failed[case.id] = reason(error)
            bar.update()
        bar.close()

    def truth(self, case: str) -> NDArray:
        """H W D, uint8, the label map of a case in portable values: 1 NCR, 2 ED, 3 ET."""
        return to_portable(read_label(self.cases[case], self.convention), self.convention)

    def all_failed(self) -> dict[str, str]:
        """What failed in all processes: id → reason."""
        return dict(item for some in gather([self.failed]) for item in some.items())
