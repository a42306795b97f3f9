"""``datalist.json`` of a run on BraTS cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.conventions import Convention, find_convention
from brainmri_monai.data.datalist import Datalist, file_digest, relative

__all__ = ["CaseList", "case_entry"]

_VALUES = {
    "TC": "1: NCR (necrosis and non-enhancing tumour)",
    "WT": "2: ED (oedema)",
    "ET": "3: ET (enhancing tumour)",
    "RC": "4: RC (resection cavity)",
}  # region → what marks it in a label map, unless an inner region lies over it


@dataclass
class CaseList(Datalist):
    """The cases of a run and the part that each belongs to.

    Beside what a :class:`~brainmri_monai.data.datalist.Datalist` has, where ``types`` are the regions that the network
    tells apart, ``layout`` is the name of the labels' convention. Entries have ``id, patient, timepoint, image,
    modalities, label, grade, site, digests``.
    """

    option: ClassVar[str] = "regions"

    @property
    def convention(self) -> Convention:
        """What the label values mean."""
        return find_convention(self.layout)

    @property
    def told(self) -> dict[str, Any]:
        return super().told | {"modalities": list(self.convention.modalities)}

    def samples(self, part: str) -> list[dict[str, Any]]:
        """What a MONAI data set takes: ``id``, and the :class:`~brainmri_monai.data.brats.cases.Case` as ``image``."""
        return [{"id": e["id"], "image": self.case(e)} for e in self.parts[part]]

    def case(self, entry: Mapping[str, Any]) -> Case:
        """The case of an entry, with absolute paths."""
        files = [self.root / file for file in entry["image"]]
        stacked = len(files) == 1 and len(entry["modalities"]) > 1
        return Case(
            id=entry["id"],
            patient=entry["patient"],
            timepoint=entry["timepoint"],
            images={} if stacked else dict(zip(entry["modalities"], files, strict=True)),
            label=self.root / entry["label"] if entry["label"] else None,
            grade=entry["grade"],
            site=entry["site"],
            stacked=files[0] if stacked else None,
            channels=tuple(entry["modalities"]) if stacked else (),
        )

    def describe(self, card: dict[str, Any], options: Mapping[str, Any]) -> None:
        """Put what the network of this run gives, and the label maps made of it hold, into a bundle's metadata."""
        super().describe(card, options)
        values = ", ".join(["0: background", *(value for region, value in _VALUES.items() if region in self.types)])
        card |= {"label_classes": values, "pred_classes": values}


def case_entry(case: Case, root: Path) -> dict[str, Any]:
    """A case as ``datalist.json`` holds it; ``digests`` are of the files' bytes, the label map's last."""
    files = [*case.files, *([case.label] if case.label else [])]
    return {
        "id": case.id,
        "patient": case.patient,
        "timepoint": case.timepoint,
        "image": [relative(file, root) for file in case.files],
        "modalities": list(case.modalities),
        "label": relative(case.label, root) if case.label else None,
        "grade": case.grade,
        "site": case.site,
        "digests": [file_digest(file) for file in files],
    }
