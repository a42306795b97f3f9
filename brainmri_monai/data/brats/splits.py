"""Parts of a BraTS data set: all time points of a patient together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.splits import Split, holdout, kfold, leave_out

__all__ = ["split_cases"]


def split_cases(
    cases: Sequence[Case], seed: int, folds: int = 5, fold: int | None = None, site: str | None = None
) -> Split:
    """Split cases by patient, stratified by grade and, within it, by site.

    Args:
        cases: those with labels.
        seed: decides the shuffle.
        folds: number of folds, when ``fold`` is given.
        fold: which fold of a cross-validation is the test, from 0; one split of 70, 15 and 15 % when left out.
        site: test on all patients of this hospital, instead.

    Returns:
        The ids of the cases in each part.

    Raises:
        BrainMRIError: when there are too few patients, or there is no such fold or site.
    """
    examinations: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        examinations[case.patient].append(case)
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
    return Split(parts, split.notes)


def _told(values: Iterable[str | None]) -> str | None:
    """Give what is known of a patient: what the first examination tells that tells it."""
    return next(filter(None, values), None)
