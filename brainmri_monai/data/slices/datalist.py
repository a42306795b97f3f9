"""``datalist.json`` of a run on single slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from brainmri_monai.data.datalist import Datalist

__all__ = ["KEPT_TOGETHER", "NO_PATIENTS", "SliceList"]

NO_PATIENTS = "the set has no patient ids: other slices of a test patient may be in the training"
KEPT_TOGETHER = "what is kept together are twins, slices that are nearly the same picture, also turned or mirrored"


@dataclass
class SliceList(Datalist):
    """The slices of a run and the part that each belongs to.

    Beside what a :class:`~brainmri_monai.data.datalist.Datalist` has, where ``types`` are the classes. Entries have
    ``id, image, label, group, twins, digests``: the group is what the split kept together, twins alone or more; the
    digest is of the pixels.
    """

    option: ClassVar[str] = "classes"

    def samples(self, part: str) -> list[dict[str, Any]]:
        """What an engine takes: ``id``, ``image`` (absolute paths), ``label`` (index of the class) and ``group``."""
        return [
            {
                "id": e["id"],
                "image": [str(self.root / file) for file in e["image"]],
                "label": self.types.index(e["label"]),
                "group": e["group"],
            }
            for e in self.parts[part]
        ]

    @property
    def twins(self) -> dict[str, int]:
        """Id → number of the group of twins."""
        return {e["id"]: e.get("twins", e["group"]) for e in self.entries}  # earlier versions had groups alone

    def twins_of_training(self) -> set[str]:
        """Ids in the test of slices whose twin is in the training or the validation.

        An official test and an external one may have such slices; the split of an external one names them.
        """
        if self.split["method"] == "external":
            return set(self.split.get("twins_of_training", ()))
        twins = self.twins
        known = {twins[e["id"]] for part in ("training", "validation") for e in self.parts[part]}
        return {e["id"] for e in self.parts["test"] if twins[e["id"]] in known}
