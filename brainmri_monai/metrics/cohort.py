"""Scores of cases, summarised over a cohort."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.bootstrap import bootstrap
from brainmri_monai.metrics.reliability import error_of_bins

__all__ = ["cohort_error", "summarise"]

Interval = dict[str, float | None]  # value, low, high


def summarise(
    scores: Mapping[str, Sequence[float]], patients: Sequence[str], resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, Interval]]:
    """Mean and median of each score over the cases, with 95 % intervals over the patients.

    Args:
        scores: name → n values, one a case; NaN where undefined, which is left out.
        patients: n, whose case it is: all cases of a patient are drawn together.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        name → ``mean`` and ``median``, each with ``value``, ``low`` and ``high``; ``None`` where undefined.
    """
    names, values = list(scores), np.array(list(scores.values()), dtype=float)  # S n
    cases = _cases_of(patients)

    def statistics(drawn: NDArray) -> dict[str, float]:
        some = values[:, np.concatenate([cases[patient] for patient in drawn])]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice|All-NaN slice")
            means, medians = np.nanmean(some, axis=1), np.nanmedian(some, axis=1)
        pairs = zip(names, means, medians, strict=True)
        return {key: value for name, mean, median in pairs for key, value in ((f"{name} mean", mean), (name, median))}

    found = bootstrap(statistics, len(cases), resamples, seed)
    return {name: {"mean": found[f"{name} mean"], "median": found[name]} for name in names}


def cohort_error(
    counts: NDArray, patients: Sequence[str], names: Sequence[str], resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """The calibration error of the voxels of all cases, with 95 % intervals over the patients.

    Args:
        counts: n R 3 BINS, of ``metrics.reliability.bin_voxels``, for each case.
        patients: n, whose case it is.
        names: of the R regions.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """
    of_patients = np.stack([counts[cases].sum(axis=0) for cases in _cases_of(patients)])  # P R 3 BINS

    def statistics(drawn: NDArray) -> dict[str, float]:
        pooled = of_patients[drawn].sum(axis=0)
        return {name: error_of_bins(pooled[r]) for r, name in enumerate(names)}

    return bootstrap(statistics, len(of_patients), resamples, seed)


def _cases_of(patients: Sequence[str]) -> list[NDArray]:
    """For each patient the numbers of the cases."""
    return [np.flatnonzero(np.array(patients) == patient) for patient in dict.fromkeys(patients)]
