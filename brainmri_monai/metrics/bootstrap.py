"""Intervals that come from drawing the patients anew."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["RESAMPLES", "SEED", "Statistics", "bootstrap", "note_of_few", "paired_bootstrap"]

RESAMPLES, SEED = 1000, 7  # the same throughout, so that a run has one interval in its own report and beside others
FEW = 20  # patients, below which a bootstrap promises more than it knows

Statistics = Callable[[NDArray], dict[str, float]]  # indices of patients → name → value, NaN where undefined


def bootstrap(
    statistics: Statistics, patients: int, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, dict[str, float | None]]:
    """Values with 95 % percentile intervals over patients.

    Args:
        statistics: computes all values on the patients of the indices that it is given.
        patients: how many there are.
        resamples: how often they are drawn, with replacement.
        seed: of the drawing.

    Returns:
        name → ``value``, ``low``, ``high``; ``None`` where undefined, as the interval of one patient is. Draws in which
        a value is undefined do not count towards its interval.
    """
    value = statistics(np.arange(patients))
    low, high = _interval(_draw(statistics, patients, resamples, seed), value)
    return {name: _finite(value=value[name], low=low[name], high=high[name]) for name in value}


def paired_bootstrap(
    first: Statistics, second: Statistics, patients: int, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, dict[str, float | None]]:
    """Differences second - first on the same patients, with 95 % intervals and two-sided p-values.

    Args:
        first, second: compute values of two models on the patients of the indices that they are given.
        patients: how many there are.
        resamples: how often they are drawn, with replacement; both models see the same draws.
        seed: of the drawing.

    Returns:
        name → ``value``, ``low``, ``high``, ``p``: twice the share of draws on the other side of 0, at least
        2 / (resamples + 1). ``None`` where undefined, as all but the value of one patient is.
    """

    def difference(chosen: NDArray) -> dict[str, float]:
        before, after = first(chosen), second(chosen)
        return {name: after[name] - before[name] for name in after}

    value = difference(np.arange(patients))
    draws = _draw(difference, patients, resamples, seed)
    low, high = _interval(draws, value)
    result = {}
    for name in value:
        drawn = draws[name][np.isfinite(draws[name])]
        beyond = min((drawn <= 0).sum(), (drawn >= 0).sum()) + 1
        p = min(1.0, 2 * beyond / (len(drawn) + 1)) if len(drawn) else float("nan")
        result[name] = _finite(value=value[name], low=low[name], high=high[name], p=p)
    return result


def note_of_few(count: int, one: str = "patient", many: str = "patients") -> list[str]:
    """What is to be said of intervals over so many patients, or other units; nothing where they are enough."""
    if count >= FEW:
        return []
    if count == 1:
        return [f"one {one} alone: there are no intervals"]
    return [f"{count} {many} are few: the intervals are rough, and rather too narrow"]


def _draw(statistics: Statistics, patients: int, resamples: int, seed: int) -> dict[str, NDArray]:
    if patients == 1:  # all draws are the same, and tell nothing
        return {name: np.array([np.nan]) for name in statistics(np.zeros(1, dtype=int))}
    random = np.random.default_rng(seed)
    draws = [statistics(random.integers(patients, size=patients)) for _ in range(resamples)]
    return {name: np.array([draw[name] for draw in draws]) for name in draws[0]}


def _interval(draws: dict[str, NDArray], names: dict[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # a value that is undefined throughout
        bounds = {name: np.nanpercentile(draws[name], [2.5, 97.5]) for name in names}
    return {name: b[0] for name, b in bounds.items()}, {name: b[1] for name, b in bounds.items()}


def _finite(**numbers: float) -> dict[str, float | None]:
    return {name: float(number) if np.isfinite(number) else None for name, number in numbers.items()}
