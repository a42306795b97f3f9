"""Scores of single slices, some of which may be left unanswered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.bootstrap import RESAMPLES, SEED, Statistics, bootstrap, note_of_few
from brainmri_monai.metrics.classification import class_scores, confusion_matrix, overall_scores, ranking_scores
from brainmri_monai.metrics.selective import COVERAGES, area_under_risk_coverage, risk_coverage

__all__ = ["CONFIDENT", "SliceAnswers", "over_groups", "score_slices", "slice_statistics", "summarise_answers"]

CONFIDENT = 0.95
"""Above this confidence an answer that is wrong is a confident mistake."""

PER_CLASS = ("precision", "recall", "f1", "roc_auc", "average_precision")
RANKING = ("roc_auc", "average_precision")


@dataclass(frozen=True)
class SliceAnswers:
    """Probabilities of n slices beside the truth.

    Args:
        probabilities: n T.
        labels: n, index of the true class.
        answered: n, boolean: the others were left unanswered.
        groups: n, number of the group that a slice belongs to, such as its twins.
    """

    probabilities: NDArray
    labels: NDArray
    answered: NDArray
    groups: NDArray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray) -> SliceAnswers:
        return SliceAnswers(self.probabilities[chosen], self.labels[chosen], self.answered[chosen], self.groups[chosen])

    @property
    def predictions(self) -> NDArray:
        """n, index of the likeliest class, also where it is not answered."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> NDArray:
        """n, probability of the likeliest class."""
        return self.probabilities.max(axis=1)

    @property
    def correct(self) -> NDArray:
        """n, boolean."""
        return self.predictions == self.labels


def slice_statistics(answers: SliceAnswers, folds: NDArray | None = None) -> dict[str, float]:
    """All scores of a classification, and those of leaving slices unanswered.

    Args:
        answers: of n slices.
        folds: n, which model answered. Ranking scores are then those of each fold, averaged: the outputs of different
            models do not rank together.

    Returns:
        Those of :func:`~brainmri_monai.metrics.classification.overall_scores`; ``answered``, the share; the
        ``accuracy_answered`` of these; ``confident_mistakes``, the share of all slices that are wrong, above 0.95
        confidence and answered; ``mean_confidence``, and ``area_under_risk_coverage``. NaN where undefined.
    """
    scores = overall_scores(answers.labels, answers.probabilities)
    correct, confidence, given = answers.correct, answers.confidence, answers.answered
    scores |= {
        "answered": float(given.mean()),
        "accuracy_answered": float(correct[given].mean()) if given.any() else float("nan"),
        "confident_mistakes": float((given & ~correct & (confidence > CONFIDENT)).mean()),
        "mean_confidence": float(confidence.mean()),
        "area_under_risk_coverage": area_under_risk_coverage(confidence, correct),
    }
    if folds is not None:
        parts = [answers[folds == fold] for fold in np.unique(folds)]
        ranking = [
            ranking_scores(part.labels, part.probabilities)
            | {"area_under_risk_coverage": area_under_risk_coverage(part.confidence, part.correct)}
            for part in parts
        ]
        scores |= {name: _mean(one[name] for one in ranking) for name in ranking[0]}
    return scores


def over_groups(
    answers: SliceAnswers,
    statistics: Callable[[SliceAnswers, NDArray | None], dict[str, float]] = slice_statistics,
    folds: NDArray | None = None,
) -> tuple[Statistics, int]:
    """What a bootstrap over groups draws from: the statistics of all slices of some groups; and how many groups."""
    members = [np.flatnonzero(answers.groups == group) for group in np.unique(answers.groups)]

    def of_drawn(drawn: NDArray) -> dict[str, float]:
        chosen = np.concatenate([members[group] for group in drawn])
        return statistics(answers[chosen], None if folds is None else folds[chosen])

    return of_drawn, len(members)


def score_slices(
    answers: SliceAnswers,
    classes: list[str],
    resamples: int = RESAMPLES,
    seed: int = SEED,
    folds: NDArray | None = None,
) -> dict[str, Any]:
    """Everything that ``metrics_test.json`` says of the answers, with 95 % bootstrap intervals over groups.

    Args:
        answers: of the slices of the test.
        classes: names of the T classes.
        resamples, seed: of the bootstrap.
        folds: as in :func:`slice_statistics`.
    """

    def statistics(some: SliceAnswers, own: NDArray | None) -> dict[str, float]:
        return slice_statistics(some, own) | _by_class(some, classes, own)

    of_drawn, groups = over_groups(answers, statistics, folds)
    values = bootstrap(of_drawn, groups, resamples, seed)
    labels, predictions = answers.labels, answers.predictions
    absent = [name for c, name in enumerate(classes) if not (labels == c).any()]
    notes = [f"not among the test slices, and left out of the averages: {', '.join(absent)}"]
    overall = {name: value for name, value in values.items() if "/" not in name}
    per_class: dict[str, dict[str, Any]] = {
        name: {"support": int((labels == c).sum())} for c, name in enumerate(classes)
    }
    for name, value in values.items():
        c, _, score = name.partition("/")
        if score:
            per_class[classes[int(c)]][score] = value if value["value"] is not None else None
    return {
        "slices": len(answers),
        "groups": groups,
        "notes": (notes if absent else []) + note_of_few(groups, "group of slices", "groups of slices"),
        "tasks": {
            "class": {
                "classes": classes,
                "absent": absent,
                "n": len(answers),
                **overall,
                "per_class": per_class,
                "confusion": confusion_matrix(labels, predictions, len(classes)).tolist(),
            }
        },
    }


def summarise_answers(answers: SliceAnswers, decisions: Sequence[str]) -> dict[str, Any]:
    """How often each decision was taken, and points of the curve of risk against coverage, by falling coverage."""
    curve = risk_coverage(answers.confidence, answers.correct)
    at = list(dict.fromkeys(int(np.searchsorted(curve.coverage, share - 1e-9)) for share in COVERAGES))
    points = zip(curve.coverage[at].tolist(), curve.risk[at].tolist(), curve.confidence[at].tolist(), strict=True)
    return {
        "decisions": dict(Counter(decisions).most_common()),
        "risk_coverage": [dict(zip(("coverage", "risk", "confidence"), point, strict=True)) for point in points],
    }


def _by_class(answers: SliceAnswers, classes: list[str], folds: NDArray | None) -> dict[str, float]:
    """``<index of the class>/<score>`` → value."""
    scores = _flat(class_scores(answers.labels, answers.probabilities, answers.predictions, classes), classes)
    if folds is not None:
        by_fold = [_by_class(answers[folds == fold], classes, None) for fold in np.unique(folds)]
        for name in scores:
            if name.endswith(RANKING):
                scores[name] = _mean(fold[name] for fold in by_fold)
    return scores


def _flat(scores: Mapping[str, Mapping[str, float | None]], classes: list[str]) -> dict[str, float]:
    return {
        f"{c}/{score}": float("nan") if scores[name][score] is None else scores[name][score]
        for c, name in enumerate(classes)
        for score in PER_CLASS
    }


def _mean(values: Any) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("nan")
