"""How good a classification is, also when some class does not occur."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.calibration import brier_score, expected_calibration_error
from brainmri_monai.metrics.ranking import average_precision, roc_auc

__all__ = ["class_scores", "confusion_matrix", "overall_scores"]


def overall_scores(labels: NDArray, probabilities: NDArray, predictions: NDArray | None = None) -> dict[str, float]:
    """Scores of a classification. Averages are over the classes that occur in ``labels``.

    Args:
        labels: n, indices of the true classes.
        probabilities: n C.
        predictions: n, indices of the predicted classes; the most probable ones when left out.

    Returns:
        ``accuracy, balanced_accuracy, macro_f1, roc_auc_macro, roc_auc_micro, average_precision_macro,
        average_precision_micro, ece, brier``; one-vs-rest where a score is of two classes. NaN where undefined.
    """
    if len(labels) == 0:
        names = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc_macro", "roc_auc_micro")
        names += ("average_precision_macro", "average_precision_micro", "ece", "brier")
        return dict.fromkeys(names, float("nan"))
    predictions = probabilities.argmax(axis=1) if predictions is None else predictions
    present = np.unique(labels)
    truth = labels[:, None] == present  # n P
    chosen = predictions[:, None] == present
    recall = (truth & chosen).sum(axis=0) / truth.sum(axis=0)
    f1 = 2 * (truth & chosen).sum(axis=0) / (truth.sum(axis=0) + chosen.sum(axis=0))
    return {
        "accuracy": float((predictions == labels).mean()),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        **ranking_scores(labels, probabilities),
        "ece": expected_calibration_error(labels, probabilities),
        "brier": brier_score(labels, probabilities),
    }


def ranking_scores(labels: NDArray, probabilities: NDArray) -> dict[str, float]:
    """Those of :func:`overall_scores` that rank the cases, and so are of one model's answers alone."""
    present = np.unique(labels)
    truth, of_present = labels[:, None] == present, probabilities[:, present]
    areas = [roc_auc(t, p) for t, p in zip(truth.T, of_present.T, strict=True)]
    precisions = [average_precision(t, p) for t, p in zip(truth.T, of_present.T, strict=True)]
    several = len(present) > 1  # one-vs-rest needs a rest
    return {
        "roc_auc_macro": float(np.mean(areas)),
        "roc_auc_micro": roc_auc(truth.ravel(), of_present.ravel()) if several else float("nan"),
        "average_precision_macro": float(np.mean(precisions)),
        "average_precision_micro": average_precision(truth.ravel(), of_present.ravel()) if several else float("nan"),
    }


def class_scores(
    labels: NDArray, probabilities: NDArray, predictions: NDArray, classes: list[str]
) -> dict[str, dict[str, float | None]]:
    """Scores of each class against the rest: ``support, precision, recall, f1, roc_auc, average_precision``.

    Args:
        labels, predictions: n, indices of the true and predicted classes.
        probabilities: n C.
        classes: names of the C classes.

    Returns:
        Name → score → value; ``None`` where undefined.
    """
    scores = {}
    for c, name in enumerate(classes):
        truth, chosen = labels == c, predictions == c
        hits, support, taken = int((truth & chosen).sum()), int(truth.sum()), int(chosen.sum())
        scores[name] = {
            "support": support,
            "precision": hits / taken if taken else None,
            "recall": hits / support if support else None,
            "f1": 2 * hits / (support + taken) if support else None,
            "roc_auc": _finite(roc_auc(truth, probabilities[:, c])),
            "average_precision": _finite(average_precision(truth, probabilities[:, c])),
        }
    return scores


def confusion_matrix(labels: NDArray, predictions: NDArray, classes: int) -> NDArray:
    """Counts C C, the true classes as rows."""
    matrix = np.zeros((classes, classes), dtype=int)
    np.add.at(matrix, (labels, predictions), 1)
    return matrix


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
