"""Every slice of a data set, read once: prepared pixels in one array, and what was found out about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brainmri_monai.data.patients import Problem
from brainmri_monai.data.slices.folders import Slice, SliceSet
from brainmri_monai.data.slices.survey import probe_readings, usable_slices
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json
from brainmri_monai.transforms.pictures import prepare_picture

__all__ = ["ReadSlices", "picture_store", "read_set"]


def picture_store(folder: str | Path, size: int) -> ArrayStore:
    """The store of prepared slices of a size.

    Its number changes with what is kept: the readers, ``prepare_picture``, the twins or the probe.
    """
    return ArrayStore(folder, recipe=f"pictures 2, {size} px")


@dataclass(frozen=True)
class ReadSlices:
    """The slices of a data set that can be used.

    Args:
        pictures: N H W, unsigned bytes, a memory map.
        items: N slices, in the order of the pictures.
        digests: N, of the pixels as they were decoded.
        twins: N, the number of the group of twins that a slice is in.
        problems: what was left out.
        probe: area under the ROC curve of each class without anatomy, ``together`` and for each group of traits; None
            when there are too few slices.
    """

    pictures: np.ndarray
    items: list[Slice]
    digests: list[str]
    twins: np.ndarray
    problems: list[Problem]
    probe: dict[str, Any] | None

    def entries(self, groups: Sequence[int]) -> list[dict[str, Any]]:
        """The slices as ``datalist.json`` holds them, where each group holds whole groups of twins."""
        return [
            {
                "id": item.id,
                "image": [item.id],
                "label": item.label,
                "group": int(group),
                "twins": int(twins),
                "digests": [digest],
            }
            for item, group, twins, digest in zip(self.items, groups, self.twins, self.digests, strict=True)
        ]

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Which of the pictures are those of the ids."""
        place = {item.id: row for row, item in enumerate(self.items)}
        return np.array([place[name] for name in ids])


def read_set(found: SliceSet, store: ArrayStore, size: int) -> ReadSlices:
    """Decode all files on all cores, find twins, and ask what tells the class without anatomy; or take it from a store.

    Args:
        found: the slices.
        store: keeps the pixels, and in a file beside them what was found.
        size: rows and columns of a prepared slice.

    Raises:
        BrainMRIError: when no slice can be used.
    """
    files = [item.path for item in found.items]
    beside = store.path(files).with_suffix(".json")
    if not (beside.exists() and store.path(files).exists()):
        readings, twins, problems = usable_slices(found, lambda picture: prepare_picture(picture, size))
        if not readings:
            first = next(problem for problem in problems if problem.severity == "error")
            raise BrainMRIError(
                f"no slice in {found.root} can be used; the first reason: {first.where}: {first.what}.\n"
                f"Run `brainmri check {found.root}` for all of them."
            )
        probe = probe_readings(readings, twins)
        store.get(files, lambda _: np.stack([reading.kept for reading in readings]))
        write_json(
            beside,
            {
                "ids": [reading.item.id for reading in readings],
                "digests": [reading.fingerprint.digest.hex()[:16] for reading in readings],
                "twins": twins.group.tolist(),
                "problems": [asdict(problem) for problem in problems if problem not in found.problems],
                "probe": probe and {"together": probe.together, **probe.alone},
            },
        )
    kept = json.loads(beside.read_text(encoding="utf-8"))
    items = {item.id: item for item in found.items}
    return ReadSlices(
        pictures=np.load(store.path(files), mmap_mode="c"),
        items=[items[name] for name in kept["ids"]],
        digests=kept["digests"],
        twins=np.array(kept["twins"]),
        problems=[*found.problems, *(Problem(**problem) for problem in kept["problems"])],
        probe=kept["probe"],
    )
