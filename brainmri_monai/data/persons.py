"""Patients who share images are taken for one person, whom a split does not divide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.data.duplicates import MIRRORED_TOO, SIDE, Pairs, connected, fingerprint, near_pairs
from brainmri_monai.data.images import read_slices
from brainmri_monai.data.patients import Patient, relative
from brainmri_monai.data.splits import Split, holdout, kfold, require_classes
from brainmri_monai.errors import BrainMRIError

__all__ = ["contradict", "find_persons", "image_marks", "split_persons"]

_DIGEST = 32  # bytes
_BLANK = bytes(_DIGEST + SIDE * SIDE)


def image_marks(image: str | Path | Sequence[str | Path]) -> np.ndarray:
    """Take what recognises each slice: the digest of its decoded pixels, and its thumbnail.

    Args:
        image: see :func:`~brainmri_monai.data.images.read_slices`.

    Returns:
        N 1056, unsigned bytes: 32 of the digest, which is equal for a PNG and a BMP of the same picture, and 32 x 32 of
        the thumbnail. All are 0 for a slice with next to nothing on it, which is like that of any other patient.
    """
    marks = map(fingerprint, read_slices(image))
    rows = [_BLANK if mark.thumbnail is None else mark.digest + mark.thumbnail.tobytes() for mark in marks]
    return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, len(_BLANK))


def find_persons(patients: Sequence[Patient], marks: Iterable[np.ndarray], root: Path) -> list[list[Patient]]:
    """Gather the patients who share an image, or half of their images nearly or mirrored; others are alone.

    Args:
        patients: with labels.
        marks: of each patient's slices, see :func:`image_marks`.
        root: where paths are seen from in messages.

    Raises:
        BrainMRIError: when patients who share an image pixel for pixel have different labels.
    """
    marks = list(marks)
    owner = np.repeat(np.arange(len(marks)), [len(rows) for rows in marks])
    rows = np.concatenate(marks)
    shown = rows.any(axis=1)
    rows, owner = rows[shown], owner[shown]
    picture = np.unique(rows[:, :_DIGEST], axis=0, return_inverse=True)[1].ravel()
    order = np.argsort(picture, kind="stable")
    copies = np.flatnonzero(np.diff(picture[order]) == 0)
    first, second = owner[order[copies]], owner[order[copies + 1]]
    person = connected(len(patients), first, second)
    _require_one_label(_gathered(patients, person), root)
    near = near_pairs(rows[:, _DIGEST:].reshape(-1, SIDE, SIDE), person[owner], views=MIRRORED_TOO)
    copied = _mostly_copied(near, owner)
    first, second = np.append(first, copied[:, 0]), np.append(second, copied[:, 1])
    return _gathered(patients, connected(len(patients), first, second))


def _mostly_copied(near: Pairs, owner: np.ndarray) -> np.ndarray:
    """Pairs of owners, n 2, one of whom has a near copy of half of his slices or more at the other.

    A single slice may be like that of a stranger, most of all near the crown of registered heads.
    """
    a, b = np.append(near.first, near.second), np.append(near.second, near.first)
    matches = np.unique(np.stack([a, owner[b]], axis=1), axis=0)  # a slice, and an owner who has its copy
    pairs, counts = np.unique(np.stack([owner[matches[:, 0]], matches[:, 1]], axis=1), axis=0, return_counts=True)
    return pairs[2 * counts >= np.bincount(owner)[pairs[:, 0]]]


def _gathered(patients: Sequence[Patient], person: np.ndarray) -> list[list[Patient]]:
    gathered: dict[int, list[Patient]] = defaultdict(list)
    for patient, number in zip(patients, person.tolist(), strict=True):
        gathered[number].append(patient)
    return list(gathered.values())


def _require_one_label(persons: Iterable[list[Patient]], root: Path) -> None:
    wrong = next(filter(contradict, persons), None)
    if wrong:
        names = " and ".join(f"{p.id} ({p.type}, grade {p.grade or 'unknown'})" for p in wrong)
        places = (p.image[0].parent if len(p.image) > 1 else p.image[0] for p in wrong)
        raise BrainMRIError(
            f"one scan under different labels: {names} share an image, pixel for pixel\n"
            f"{' and '.join(relative(place, root) for place in places)} in {root}\n"
            f"Keep the one whose label is right; `brainmri check {root}` names the images."
        )


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
    notes = []
    for own in persons:
        if len(own) > 1:
            labels = " and ".join(dict.fromkeys(f"{p.type} grade {p.grade or 'unknown'}" for p in own))
            doubt = f", under different labels: {labels}" if contradict(own) else ""
            notes.append(f"{' = '.join(p.id for p in own)} share images, and were kept together{doubt}")
    return Split(parts, [*notes, *split.notes])
