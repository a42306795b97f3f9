"""Patients who share an image are taken for one person, whom a split does not divide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from brainmri_monai.data.duplicates import connected, fingerprint
from brainmri_monai.data.images import read_slices
from brainmri_monai.data.patients import Patient, relative
from brainmri_monai.data.splits import Split, holdout, kfold, require_classes
from brainmri_monai.errors import BrainMRIError

__all__ = ["contradict", "find_persons", "image_digests", "split_persons"]

_BLANK = bytes(32)


def image_digests(image: str | Path | Sequence[str | Path]) -> np.ndarray:
    """Take the digest of each slice's decoded pixels: equal for a PNG and a BMP of the same picture.

    Args:
        image: see :func:`~brainmri_monai.data.images.read_slices`.

    Returns:
        N 32, unsigned bytes; 0 for a slice with next to nothing on it, which is like that of any other patient.
    """
    marks = map(fingerprint, read_slices(image))
    rows = [_BLANK if mark.thumbnail is None else mark.digest for mark in marks]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, len(_BLANK))


def find_persons(patients: Sequence[Patient], digests: Iterable[np.ndarray], root: Path) -> list[list[Patient]]:
    """Gather the patients who share an image, directly or through others; one who shares none is alone.

    Args:
        patients: with labels.
        digests: of each patient's slices, see :func:`image_digests`.
        root: where paths are seen from in messages.

    Raises:
        BrainMRIError: when patients who share an image have different labels.
    """
    owners: dict[bytes, list[int]] = defaultdict(list)  # digest → patients
    for number, rows in enumerate(digests):
        for digest in {row.tobytes() for row in rows} - {_BLANK}:
            owners[digest].append(number)
    links = [pair for own in owners.values() for pair in pairwise(own)]
    first, second = np.array(links, dtype=int).reshape(-1, 2).T
    persons: dict[int, list[Patient]] = defaultdict(list)
    for patient, number in zip(patients, connected(len(patients), first, second).tolist(), strict=True):
        persons[number].append(patient)
    wrong = next(filter(contradict, persons.values()), None)
    if wrong:
        names = " and ".join(f"{p.id} ({p.type}, grade {p.grade or 'unknown'})" for p in wrong)
        places = (p.image[0].parent if len(p.image) > 1 else p.image[0] for p in wrong)
        raise BrainMRIError(
            f"one scan under different labels: {names} share an image, pixel for pixel\n"
            f"{' and '.join(relative(place, root) for place in places)} in {root}\n"
            f"Keep the one whose label is right; `brainmri check {root}` names the images."
        )
    return list(persons.values())


def contradict(patients: Iterable[Patient]) -> bool:
    """Tell whether patients have different labels; an unknown grade contradicts none."""
    patients = list(patients)
    return len({p.type for p in patients}) > 1 or len({p.grade for p in patients} - {None}) > 1


def split_persons(persons: Sequence[Sequence[Patient]], seed: int, folds: int = 5, fold: int | None = None) -> Split:
    """Split patients by person, stratified by type and, within it, by grade.

    Args:
        persons: each with the patients of one person, see :func:`find_persons`.
        seed: decides the shuffle.
        folds: number of folds, when ``fold`` is given.
        fold: which fold of a cross-validation is the test, from 0; one split of 70, 15 and 15 % when left out.

    Returns:
        The ids of the patients in each part.

    Raises:
        BrainMRIError: when there are too few persons, or there is no such fold.
    """
    members = {own[0].id: [patient.id for patient in own] for own in persons}
    grades = {own[0].id: next((str(p.grade) for p in own if p.grade), "unknown") for own in persons}
    strata = {own[0].id: (own[0].type, grades[own[0].id]) for own in persons}
    require_classes(strata)
    split = holdout(strata, seed) if fold is None else kfold(strata, folds, fold, seed)
    parts = {part: [patient for name in names for patient in members[name]] for part, names in split.parts.items()}
    same = "; ".join(" = ".join(own) for own in members.values() if len(own) > 1)
    notes = [f"patients who share an image, pixel for pixel, were kept together: {same}"] if same else []
    return Split(parts, [*notes, *split.notes])
