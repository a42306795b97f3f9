"""One pass that decodes every file: what is broken is named and left out, what is whole is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from brainmri_monai.data.duplicates import Fingerprint, fingerprint
from brainmri_monai.data.images import depth_errors, read_stack
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.patients import Patient, Problem, relative
from brainmri_monai.data.stack import ImageError

__all__ = ["Reading", "read_patient", "survey"]

_EMPTY = "Nothing to do where the scan reaches beyond the head; else export the slices again."


@dataclass(frozen=True)
class Reading:
    """What decoding one patient's files gave.

    Args:
        patient: with those files alone that can be read; there may be none left.
        problems: why files were left out, and what is odd about the others.
        names: for each slice the file as seen from the root, and in a volume the index of the slice.
        sizes: for each slice, its rows and columns.
        modes: for each file, how it stores a pixel (see :class:`~brainmri_monai.data.stack.Stack`).
        fingerprints: for each slice, what duplicates are found by.
        spacing: millimetres between the rows, columns and slices of a volume.
        axes: the directions of a volume's stored axes, such as "RAS".
    """

    patient: Patient
    problems: list[Problem] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    fingerprints: list[Fingerprint] = field(default_factory=list)
    spacing: tuple[float, float, float] | None = None
    axes: str | None = None


def survey(patients: Sequence[Patient], root: Path) -> Iterator[Reading]:
    """Decode all files of all patients on all cores, and give the readings in the order of the patients.

    The memory needed is that of one file a core.

    Args:
        patients: whose files to read.
        root: where problems are seen from.
    """
    return on_all_cores(lambda patient: read_patient(patient, root), patients)


def read_patient(patient: Patient, root: Path) -> Reading:
    """Decode the files of one patient; what cannot be read, or does not fit, becomes a problem, the others go on."""
    files, problems = [], []
    names, sizes, modes, fingerprints = [], [], [], []
    spacing = axes = None
    for file in patient.image:
        try:
            stack = read_stack(file)
        except ImageError as error:
            problems.append(Problem.of(error, root, patient.id))
            continue
        name = relative(file, root)
        files.append(file)
        modes.append(stack.mode)
        names += [name] if stack.spacing is None else [f"{name} [{k}]" for k in range(len(stack.slices))]
        sizes += [picture.shape[:2] for picture in stack.slices]
        fingerprints += map(fingerprint, stack.slices)
        spacing, axes = stack.spacing, stack.axes
        problems += [Problem("warning", name, what, remedy, patient.id) for what, remedy in stack.doubts]
    if odd := depth_errors(dict(zip(files, modes, strict=True))):
        fitting = [file for file in patient.image if str(file) not in {error.where for error in odd}]
        rest = read_patient(replace(patient, image=tuple(fitting)), root)
        return replace(rest, problems=[Problem.of(error, root, patient.id) for error in odd] + rest.problems)
    empty = [name for name, mark in zip(names, fingerprints, strict=True) if mark.constant]
    if empty:
        what = f"{len(empty)} of {len(names)} slices are empty (a single value)"
        problems.append(Problem("warning", empty[0], what, _EMPTY, patient.id))
    return Reading(replace(patient, image=tuple(files)), problems, names, sizes, modes, fingerprints, spacing, axes)
