"""Whether the probabilities of voxels mean what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.calibration import fit_temperature

__all__ = ["BINS", "bin_voxels", "count_logits", "counts_of", "describe_bins", "error_of_bins", "temperature_of"]

BINS = 10
UNDECIDED = np.log(99)  # with a larger logit a voxel is easy, as nearly all of a brain are; the others are 1 to 99 %
LOGITS = np.linspace(-4 * UNDECIDED, 4 * UNDECIDED, 737)  # edges of bins, of which the outermost take what lies beyond


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


def count_logits(probabilities: NDArray, truth: NDArray) -> NDArray:
    """Count voxels by the logit of their probability, for :func:`temperature_of`.

    Args:
        probabilities: n of one region, any shape.
        truth: n, boolean.

    Returns:
        2 x 736: of the voxels outside and inside of the region. Such counts of several cases can be added.
    """
    with np.errstate(divide="ignore"):  # a probability of 0 or 1 has an infinite one
        logits = np.clip(np.log(probabilities) - np.log1p(-probabilities), LOGITS[0], LOGITS[-1])
    return np.stack([np.histogram(logits[truth == there], LOGITS)[0] for there in (False, True)])


def temperature_of(counts: Sequence[NDArray], most: float) -> float:
    """The temperature of a region.

    In each case the easy voxels, above 99 % or below 1 %, have together no more weight than the undecided ones. By
    their number they would decide alone; without a vote they would be lifted to any probability that suits the others.

    Args:
        counts: 2 x 736 of each case, of :func:`count_logits`.
        most: as how many answers a case counts at most. Neighbouring voxels are far from independent: by their number
            they would outweigh the prior of the temperature, and a large tumour all small ones.
    """
    logits = (LOGITS[1:] + LOGITS[:-1]) / 2
    undecided = np.abs(logits) < UNDECIDED
    weights = np.zeros((2, len(logits)))
    for one in counts:
        hard, easy = one * undecided, one * ~undecided
        voted = hard + easy * min(1.0, hard.sum() / max(easy.sum(), 1))
        weights += voted * min(1.0, most / max(voted.sum(), 1))
    # a sigmoid of x is the softmax of 0 and x
    of_both, labels = np.tile(logits, 2), np.repeat([0, 1], len(logits))
    return fit_temperature(np.stack([np.zeros_like(of_both), of_both], axis=1), labels, weights.ravel())
