"""Whether the probabilities of voxels mean what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "bin_voxels", "counts_of", "describe_bins", "error_of_bins"]

BINS = 10


def bin_voxels(probabilities: NDArray, truth: NDArray) -> NDArray:
    """Count voxels by their probability, in equally wide bins.

    Args:
        probabilities: R N, of each region.
        truth: R N, boolean.

    Returns:
        R 3 BINS: the voxels of each bin, the sum of their probabilities, and how many are true. Such counts of several
        cases can be added.
    """
    rows = []
    for p, t in zip(probabilities, truth, strict=True):
        member = np.minimum((p * BINS).astype(np.int64), BINS - 1)
        rows.append([np.bincount(member, weights, BINS) for weights in (None, p, t)])
    return np.array(rows, dtype=float)


def error_of_bins(counts: NDArray) -> float:
    """Expected calibration error: the mean gap between probability and truth, weighted by the voxels. NaN without any.

    Args:
        counts: 3 BINS, of :func:`bin_voxels`.

    Source:
        Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    voxels, probability, true = counts
    return float(np.abs(true - probability).sum() / voxels.sum()) if voxels.sum() else float("nan")


def describe_bins(counts: NDArray) -> list[dict[str, float | None]]:
    """Of each bin the number of voxels, their mean probability, and the share of them that is true.

    Args:
        counts: 3 BINS, of :func:`bin_voxels`.
    """
    return [
        {"voxels": int(n), "probability": p / n if n else None, "share": t / n if n else None}
        for n, p, t in counts.T.tolist()
    ]


def counts_of(bins: Sequence[Mapping[str, float | None]]) -> NDArray:
    """The counts 3 BINS that :func:`describe_bins` was given."""
    rows = [[one["voxels"], *((one[name] or 0) * one["voxels"] for name in ("probability", "share"))] for one in bins]
    return np.array(rows, dtype=float).T
