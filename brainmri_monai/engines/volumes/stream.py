"""The cases of an inference in 3D, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset

from brainmri_monai.data.brats.cases import Case, CaseSet, find_volumes
from brainmri_monai.data.brats.conventions import MODALITIES, Convention
from brainmri_monai.data.brats.reading import brain_doubts
from brainmri_monai.data.brats.volumes import grid_errors, open_volume, voxel_ml
from brainmri_monai.engines.config import running_parser
from brainmri_monai.engines.options import require_values
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.volumes.results import VolumeResults
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.transforms.volumes import require_answerable

__all__ = ["VolumeStream", "missing_modalities", "read_sample"]


class VolumeStream(IterableDataset):
    """Cases to segment; one that fails is kept aside with its reason, one that is finished is left out.

    Args:
        dataset_dir: a data set, one case's folder, or one 4D file (see ``data.brats.cases.find_volumes``).
        transform: applied to each sample: ``id``; ``image``, the files; ``case``, for readers of ours; and, where the
            files do not give all modalities in order, ``channels``, the channel of each, and one more where it is 0.
        results: knows the finished cases.
        convention: of the label map to be made; found out when left out.
        allow_missing: take cases that lack a modality, whose channel is 0, as well.
        modality_dropout: of the training; where it was 0, the network has seen no case that lacks a modality.
        modalities: that the cases of the training had.

    Raises:
        BrainMRIError: when there is no case, an option has a value that is not allowed, or the results would fall
            among the data.
    """

    def __init__(
        self,
        dataset_dir: str | Path,
        transform: Callable[[dict[str, Any]], dict[str, Any]],
        results: VolumeResults,
        convention: str | None = None,
        allow_missing: bool = False,
        modality_dropout: float = 0.0,
        modalities: Sequence[str] = MODALITIES,
    ) -> None:
        require_values(running_parser())
        if not str(dataset_dir):
            raise BrainMRIError("nothing to segment.\nGive a case's folder or a data set with --dataset_dir.")
        root, folder = Path(dataset_dir).resolve(), results.folder.resolve()
        if root.is_dir() and folder.is_relative_to(root):
            raise BrainMRIError(
                f"the results in {folder} would lie among the data in {root}, and be taken for labels there.\n"
                "Give another folder with --output_dir."
            )
        self.found: CaseSet = find_volumes(dataset_dir, convention, allow_missing, labelled=False)
        self.cases = {case.id: case for case in self.found.cases}
        self.modalities = modalities
        incomplete = sum(bool(missing_modalities(case, modalities)) for case in self.found.cases)
        if incomplete and not modality_dropout:
            print(
                f"warning: {incomplete} of {len(self.cases)} cases lack a modality, and these weights were trained "
                "without --modality_dropout: their answers may be far off"
            )
        self.transform = transform
        self.results = results
        self.failed: dict[str, str] = {
            p.where: f"{p.what}. {p.remedy}" for p in self.found.problems if p.severity == "error"
        }
        self.started: dict[str, float] = {}  # id → when its reading began
        self.finished: dict[str, dict[str, Any]] = {}  # id → its answer in an earlier run
        self.label_convention = "portable"  # set by what writes the label maps

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for case in self.cases.values():
            try:
                answer = self.results.finished(case, self.label_convention)
                if answer is not None:
                    self.finished[case.id] = answer
                    continue
                self.started[case.id] = time.perf_counter()
                yield read_sample(case, self.transform, self.found.convention)
            except Exception as error:  # whatever a reader or a transform raises, the next case is another one
                self.failed[case.id] = reason(error)


def missing_modalities(case: Case, modalities: Sequence[str]) -> list[str]:
    """Which of these a case lacks, and a network sees as 0."""
    return [name for name in modalities if name not in case.modalities]


def read_sample(
    case: Case, transform: Callable[[dict[str, Any]], dict[str, Any]], convention: Convention | None
) -> dict[str, Any]:
    """A case → ``id`` and ``image``, as :class:`VolumeStream` has them; what looks like no brain is told.

    Raises:
        BrainMRIError: when the case cannot be read, or holds what a network has no answer to.
    """
    headers = {file: open_volume(file, case.channels) for file in case.files}
    error = next(grid_errors(headers), None)  # told here, before memory is taken
    if error is not None:
        raise error
    files = [str(file) for file in case.files]
    sample = {"id": case.id, "image": files[0] if len(files) == 1 else files, "case": case}
    if case.modalities != MODALITIES:
        there = case.modalities
        sample["channels"] = [there.index(name) if name in there else len(there) for name in MODALITIES]
    sample = transform(sample)
    sample.pop("channels", None)
    sample.pop("case", None)
    channels = dict(zip(MODALITIES, sample["image"], strict=True))
    require_answerable(channels, case.modalities)
    if convention is None or convention.stripped:
        ml = voxel_ml(sample["image"].affine)
        filled = {name: int((channels[name] != 0).sum()) * ml for name in case.modalities}
        for what, remedy in brain_doubts(filled):
            print(f"warning: {case.id}: {what}. {remedy}", flush=True)
    return sample
