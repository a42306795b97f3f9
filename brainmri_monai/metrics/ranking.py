"""How well a score ranks positives above negatives.

scikit-learn has these too; a call of its takes a millisecond for its checks, and a bootstrap makes ten thousands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["average_precision", "roc_auc"]


def roc_auc(positive: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties counting half.

    Args:
        positive: n, boolean.
        score: n.

    Returns:
        NaN without a positive or without a negative.
    """
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=float)
    positives, negatives = score[positive], np.sort(score[~positive])
    if not len(positives) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, positives, "left") + np.searchsorted(negatives, positives, "right")
    return float(below.mean() / 2 / len(negatives))


def average_precision(positive: ArrayLike, score: ArrayLike) -> float:
    """Average precision: the precision at each threshold, weighted by the recall that it adds.

    Args:
        positive: n, boolean.
        score: n.

    Returns:
        NaN without a positive, or without a negative, beside whom all scores would be right.
    """
    positive, score = np.asarray(positive, dtype=bool), np.asarray(score, dtype=float)
    positives = int(positive.sum())
    if positives in (0, len(positive)):
        return float("nan")
    order = np.argsort(-score, kind="stable")
    score, hits = score[order], np.cumsum(positive[order])
    last_of_tie = np.append(score[1:] != score[:-1], True)  # equal scores share one threshold
    hits, taken = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float(np.sum(np.diff(hits, prepend=0) / positives * hits / taken))
