"""Whether the probabilities of voxels mean what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.calibration import fit_temperature

__all__ = ["BINS", "bin_voxels", "count_undecided", "counts_of", "describe_bins", "error_of_bins", "temperature_of"]

BINS = 10
UNDECIDED = 0.01  # nearer to 0 or 1 a voxel is easy, as nearly all of a brain are, and would outvote the others
LOGITS = np.linspace(np.log(UNDECIDED / (1 - UNDECIDED)), np.log((1 - UNDECIDED) / UNDECIDED), 185)  # edges of bins


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


def count_undecided(probabilities: NDArray, truth: NDArray) -> NDArray:
    """Count the voxels between 1 and 99 % by their logit, which is all that a temperature is fitted on.

    Args:
        probabilities: n of one region, any shape.
        truth: n, boolean.

    Returns:
        2 x 184: of the voxels outside and inside of the region. Such counts of several cases can be added.
    """
    undecided = (probabilities > UNDECIDED) & (probabilities < 1 - UNDECIDED)
    p, inside = probabilities[undecided].astype(float), truth[undecided]
    logits = np.log(p / (1 - p))
    return np.stack([np.histogram(logits[inside == there], LOGITS)[0] for there in (False, True)])


def temperature_of(counts: Sequence[NDArray], most: float) -> float:
    """The temperature of a region.

    Args:
        counts: 2 x 184 of each case, of :func:`count_undecided`.
        most: as how many answers a case counts at most. Neighbouring voxels are far from independent: by their number
            they would outweigh the prior of the temperature, and a large tumour all small ones.
    """
    weights = sum(one * min(1.0, most / max(one.sum(), 1)) for one in counts)
    logits = np.tile((LOGITS[1:] + LOGITS[:-1]) / 2, 2)
    labels = np.repeat([0, 1], len(LOGITS) - 1)
    # a sigmoid of x is the softmax of 0 and x
    return fit_temperature(np.stack([np.zeros_like(logits), logits], axis=1), labels, weights.ravel())
