"""Scores of cases, summarised over a cohort."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.bootstrap import RESAMPLES, SEED, Statistics, bootstrap, note_of_few
from brainmri_monai.metrics.reliability import error_of_bins

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["cohort_error", "describe_cases", "means_of_patients", "summarise"]

Interval = dict[str, float | None]  # value, low, high


def summarise(
    scores: Mapping[str, Sequence[float]], patients: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
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
    draw, patients_drawn = _drawing(scores, patients)

    def statistics(drawn: NDArray) -> dict[str, float]:
        some = draw(drawn)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice|All-NaN slice")
            means, medians = np.nanmean(some, axis=1), np.nanmedian(some, axis=1)
        pairs = zip(scores, means, medians, strict=True)
        return {key: value for name, mean, median in pairs for key, value in ((f"{name} mean", mean), (name, median))}

    found = bootstrap(statistics, patients_drawn, resamples, seed)
    return {name: {"mean": found[f"{name} mean"], "median": found[name]} for name in scores}


def means_of_patients(scores: Mapping[str, Sequence[float]], patients: Sequence[str]) -> tuple[Statistics, int]:
    """What a comparison draws from: the mean of each score over all cases of some patients.

    Args:
        scores, patients: as for :func:`summarise`.

    Returns:
        Indices of patients → name → mean, and how many patients there are.
    """
    draw, count = _drawing(scores, patients)

    def statistics(drawn: NDArray) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice")
            return dict(zip(scores, np.nanmean(draw(drawn), axis=1).tolist(), strict=True))

    return statistics, count


def describe_cases(
    table: pd.DataFrame, regions: Sequence[str], failed: Mapping[str, str], resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Any]:
    """What ``metrics_test.json`` says of the scores of a table with a row a case.

    Args:
        table: ``patient``, ``dice_mean``, and ``<score>_<region>`` for each score and region, in lower case.
        regions: their names.
        failed: case that is not in the table → reason.
        resamples, seed: of the bootstrap.
    """
    of_region = {region: f"_{region.lower()}" for region in regions}
    names = [name for name in table if name == "dice_mean" or name.endswith(tuple(of_region.values()))]
    found = summarise({name: table[name] for name in names}, list(table["patient"]), resamples, seed)
    return {
        "patients": table["patient"].nunique(),
        "cases": len(table),
        "regions": list(regions),
        "notes": _notes(table, regions, failed),
        "failed": dict(failed),
        "dice_mean": found["dice_mean"],
        "scores": {
            region: {name.removesuffix(end): found[name] for name in names if name.endswith(end)}
            for region, end in of_region.items()
        },
    }


def cohort_error(
    counts: NDArray, patients: Sequence[str], names: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
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


def _drawing(
    scores: Mapping[str, Sequence[float]], patients: Sequence[str]
) -> tuple[Callable[[NDArray], NDArray], int]:
    """Indices of patients → S n, the scores of their cases; and how many patients there are."""
    values = np.array([np.asarray(column, dtype=float) for column in scores.values()])  # S n
    cases = _cases_of(patients)
    return lambda drawn: values[:, np.concatenate([cases[patient] for patient in drawn])], len(cases)


def _notes(table: pd.DataFrame, regions: Sequence[str], failed: Mapping[str, str]) -> list[str]:
    notes = note_of_few(table["patient"].nunique())
    for region in regions:
        absent = int((table[f"true_volume_ml_{region.lower()}"] == 0).sum())
        if absent:
            notes.append(
                f"{absent} of {len(table)} cases have no {region}: as in the challenge, such a case scores Dice 1 "
                "and HD95 0 where none was predicted, else Dice 0 and as HD95 the diagonal of the volume"
            )
    if table.filter(regex="^lesionwise_dice_brats2025_").isna().any(axis=None):
        notes.append("brats2025 leaves out a case in which a region is neither there nor found")
    if failed:
        notes.append(f"{len(failed)} of {len(table) + len(failed)} cases failed and are not in the scores")
    return notes
