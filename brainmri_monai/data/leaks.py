"""Test patients that a network has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brainmri_monai.errors import BrainMRIError

__all__ = ["refuse_leak"]


def refuse_leak(entries: Iterable[Mapping[str, Any]], used: Iterable[Mapping[str, Any]], root: Path) -> None:
    """Refuse an external test on what a run was trained on.

    Args:
        entries: of the external test, as ``datalist.json`` has them; single slices are of no known patient.
        used: those that the run was trained and validated on.
        root: of the external test.

    Raises:
        BrainMRIError: when a patient or an image occurs in both.
    """
    used = list(used)
    patients = {e["patient"] for e in used if "patient" in e}
    images = {digest for e in used for digest in _images(e)}
    for e in entries:
        seen = not images.isdisjoint(_images(e))
        if e.get("patient") in patients:
            what = f"patient {e['patient']} of {root} was among the patients that the run was trained on"
        elif seen and "patient" in e:
            what = f"patient {e['patient']} of {root} has an image that the run was trained on"
        elif seen:
            raise BrainMRIError(
                f"{e['id']} of {root} is a picture that the run was trained on: such a test says nothing.\n"
                "Take such pictures out of --dataset_dir."
            )
        else:
            continue
        raise BrainMRIError(f"{what}: a test on known patients says nothing.\nTake such patients out of --dataset_dir.")


def _images(entry: Mapping[str, Any]) -> list[str]:
    """The digests of the images: a label map, whose digest comes last, may be empty in many patients."""
    return entry["digests"][: len(entry["image"])]
