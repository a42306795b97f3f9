"""Parts of a BraTS data set: all time points of a patient together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.duplicates import connected
from brainmri_monai.data.splits import Split, holdout, kfold, leave_out

__all__ = ["split_cases"]


def split_cases(
    cases: Sequence[Case],
    seed: int,
    folds: int = 5,
    fold: int | None = None,
    site: str | None = None,
    digests: Sequence[Sequence[str]] | None = None,
) -> Split:
    """Split cases by patient, stratified by grade and, within it, by site.

    Patients who share images, as where data sets of two years lie in one folder, are one person.

    Args:
        cases: those with labels.
        seed: decides the shuffle.
        folds: number of folds, when ``fold`` is given.
        fold: which fold of a cross-validation is the test, from 0; one split of 70, 15 and 15 % when left out.
        site: test on all patients of this hospital, instead.
        digests: of each case's files, the images first (see ``data.brats.datalist.case_entry``).

    Returns:
        The ids of the cases in each part.

    Raises:
        BrainMRIError: when there are too few patients, or there is no such fold or site.
    """
    person_of = _persons(cases, digests or [[] for _ in cases])
    examinations: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        examinations[person_of[case.patient]].append(case)
    grade_of = {patient: _told(case.grade for case in own) for patient, own in examinations.items()}
    site_of = {patient: _told(case.site for case in own) for patient, own in examinations.items()}
    strata = {p: (grade_of[p] or "unknown grade", site_of[p] or "unknown site") for p in examinations}
    if site is not None:
        split = leave_out(strata, site_of, site, seed)
    elif fold is not None:
        split = kfold(strata, folds, fold, seed)
    else:
        split = holdout(strata, seed)
    parts = {part: [case.id for p in patients for case in examinations[p]] for part, patients in split.parts.items()}
    same = [f"{other} and {one}" for other, one in person_of.items() if other != one]
    notes = [f"taken for one person, as they share images: {', '.join(same)}"] if same else []
    return Split(parts, split.notes + notes)


def _persons(cases: Sequence[Case], digests: Sequence[Sequence[str]]) -> dict[str, str]:
    """Patient → the first patient of the same person: one who shares two images, or the only one.

    One image alone may be the same of strangers: a modality that is missing and was filled with 0.
    """
    number = {patient: n for n, patient in enumerate(dict.fromkeys(case.patient for case in cases))}
    owners: dict[str, set[int]] = defaultdict(set)
    for case, own in zip(cases, digests, strict=True):
        for digest in own[: len(case.files)]:
            owners[digest].add(number[case.patient])
    shared = Counter(pair for some in owners.values() for pair in combinations(sorted(some), 2))
    enough = 1 if all(len(case.files) == 1 for case in cases) else 2
    pairs = np.array([pair for pair, images in shared.items() if images >= enough], int).reshape(-1, 2)
    person = connected(len(number), pairs[:, 0], pairs[:, 1]).tolist()
    first: dict[int, str] = {}
    return {patient: first.setdefault(person[n], patient) for patient, n in number.items()}


def _told(values: Iterable[str | None]) -> str | None:
    """Give what is known of a patient: what the first examination tells that tells it."""
    return next(filter(None, values), None)
