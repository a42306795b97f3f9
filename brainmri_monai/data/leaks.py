"""Test patients that a network has seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_text

__all__ = ["refuse_leak"]


def refuse_leak(
    entries: Iterable[Mapping[str, Any]], used: Iterable[Mapping[str, Any]], root: Path, listed: Path
) -> None:
    """Refuse an external test on what a run was trained on.

    Args:
        entries: of the external test, as ``datalist.json`` has them; single slices are of no known patient.
        used: those that the run was trained and validated on.
        root: of the external test.
        listed: a file for the names of the known patients or pictures, one a line, when there are several.

    Raises:
        BrainMRIError: when a patient or an image occurs in both.
    """
    used = list(used)
    patients = {e["patient"] for e in used if "patient" in e}
    images = {digest for e in used for digest in _images(e)}
    known: dict[str, tuple[str, str]] = {}  # patient or picture → what it is, and what the others do likewise
    for e in entries:
        seen = not images.isdisjoint(_images(e))
        if e.get("patient") in patients:
            known[e["patient"]] = ("was among the patients that the network was trained on", "were")
        elif seen and "patient" in e:
            known[e["patient"]] = ("has an image that the network was trained on", "have")
        elif seen:
            known[e["id"]] = ("was among the pictures that the network was trained on", "were")
    listed.unlink(missing_ok=True)  # of an earlier attempt
    if known:
        what = "patients" if "patient" in used[0] else "pictures"
        first, (how, others) = next(iter(known.items()))
        more = f", as {others} {len(known) - 1} more" if len(known) > 1 else ""
        remedy = f"Take such {what} out of --dataset_dir"
        if len(known) > 1:
            write_text(listed, "".join(f"{one}\n" for one in known))
            remedy += f"; {listed} names them all"
        raise BrainMRIError(
            f"{what[:-1]} {first} of {root} {how}{more}: a test on known {what} says nothing.\n{remedy}."
        )


def _images(entry: Mapping[str, Any]) -> list[str]:
    """The digests of the images: a label map, whose digest comes last, may be empty in many patients."""
    return entry["digests"][: len(entry["image"])]
