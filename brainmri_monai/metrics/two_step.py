"""Scores of type and grade together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.bootstrap import RESAMPLES, SEED, bootstrap, note_of_few
from brainmri_monai.metrics.classification import class_scores, confusion_matrix, overall_scores

__all__ = ["GRADES", "Answers", "score", "statistics"]

GRADES = ("1", "2", "3", "4")


@dataclass(frozen=True)
class Answers:
    """Joint probabilities of n patients beside the truth.

    Args:
        joint: n T G, P(type, grade).
        type_labels: n, index of the true type.
        grade_labels: n, index of the true grade, or -1 where it is unknown.
    """

    joint: NDArray
    type_labels: NDArray
    grade_labels: NDArray

    def __len__(self) -> int:
        return len(self.joint)

    def __getitem__(self, chosen: NDArray) -> Answers:
        return Answers(self.joint[chosen], self.type_labels[chosen], self.grade_labels[chosen])

    @property
    def types(self) -> NDArray:
        """n T, P(type)."""
        return self.joint.sum(axis=2)

    @property
    def grades(self) -> NDArray:
        """n G, the grade end to end: P(g) = Σ_t P(t) P(g|t)."""
        return self.joint.sum(axis=1)

    def grades_given(self, types: NDArray) -> NDArray:
        """n G, P(g|t) for one type a patient, an index each."""
        chosen = self.joint[np.arange(len(self)), types]
        return chosen / np.maximum(chosen.sum(axis=1, keepdims=True), np.finfo(float).tiny)

    def tasks(self) -> dict[str, tuple[NDArray, NDArray]]:
        """Name of a task → labels and probabilities of the patients whose label is known.

        ``grade_teacher_forced`` is told the true type, ``grade_end2end`` sums over the types, ``grade_hard`` takes the
        predicted type for granted, as the seed pipeline does.
        """
        known = self[self.grade_labels >= 0]
        return {
            "type": (self.type_labels, self.types),
            "grade_teacher_forced": (known.grade_labels, known.grades_given(known.type_labels)),
            "grade_end2end": (known.grade_labels, known.grades),
            "grade_hard": (known.grade_labels, known.grades_given(known.types.argmax(axis=1))),
        }

    def all_correct(self) -> float:
        """Share of patients with type and grade both right, as they are answered: each the likeliest by itself.

        NaN when no grade is known.
        """
        known = self[self.grade_labels >= 0]
        if len(known) == 0:
            return float("nan")
        right_type = known.types.argmax(axis=1) == known.type_labels
        right_grade = known.grades.argmax(axis=1) == known.grade_labels
        return float((right_type & right_grade).mean())


def statistics(answers: Answers, folds: NDArray | None = None) -> dict[str, float]:
    """All scores of all tasks under names such as ``type_roc_auc_macro``, and ``end2end_all_correct``.

    Args:
        answers: of n patients.
        folds: n, which model answered. Ranking scores are then those of each fold, averaged: the outputs of different
            models do not rank together.
    """
    scores = {
        f"{task}_{name}": value
        for task, (labels, probabilities) in answers.tasks().items()
        for name, value in overall_scores(labels, probabilities).items()
    }
    scores["end2end_all_correct"] = answers.all_correct()
    if folds is not None:
        by_fold = [statistics(answers[folds == fold]) for fold in np.unique(folds)]
        for name in scores:
            if "roc_auc" in name or "average_precision" in name:
                values = [fold[name] for fold in by_fold if np.isfinite(fold[name])]
                scores[name] = float(np.mean(values)) if values else float("nan")
    return scores


def score(
    answers: Answers, types: list[str], resamples: int = RESAMPLES, seed: int = SEED, folds: NDArray | None = None
) -> dict[str, Any]:
    """Everything that ``metrics_test.json`` says of the answers, with 95 % bootstrap intervals over patients.

    Args:
        answers: of the patients of the test.
        types: names of the T types.
        resamples, seed: of the bootstrap.
        folds: as in :func:`statistics`.
    """

    def of_chosen(chosen: NDArray) -> dict[str, float]:
        return statistics(answers[chosen], None if folds is None else folds[chosen])

    values = bootstrap(of_chosen, len(answers), resamples, seed)
    tasks, notes = {}, []
    for task, (labels, probabilities) in answers.tasks().items():
        classes = types if task == "type" else list(GRADES)
        predictions = probabilities.argmax(axis=1)
        absent = [name for c, name in enumerate(classes) if not (labels == c).any()]
        prefix = f"{task}_"
        own = folds if folds is None or task == "type" else folds[answers.grade_labels >= 0]
        tasks[task] = {
            "classes": classes,
            "absent": absent,
            "n": len(labels),
            **{name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)},
            "per_class": _per_class(labels, probabilities, classes, own),
            "confusion": confusion_matrix(labels, predictions, len(classes)).tolist(),
        }
        if absent and task in ("type", "grade_end2end"):
            kind = "type" if task == "type" else "grade"
            known = (
                f"is of {kind} {', '.join(absent)}: left out of the averages" if len(labels) else f"has a known {kind}"
            )
            notes.append(f"no test patient {known}")
    notes += note_of_few(len(answers))
    return {
        "patients": len(answers),
        "notes": notes,
        "tasks": tasks,
        "end2end_all_correct": values["end2end_all_correct"],
    }


def _per_class(
    labels: NDArray, probabilities: NDArray, classes: list[str], folds: NDArray | None
) -> dict[str, dict[str, float | None]]:
    """Scores of each class; the ranking ones within each fold, averaged."""
    predictions = probabilities.argmax(axis=1)
    scores = class_scores(labels, probabilities, predictions, classes)
    if folds is not None:
        by_fold = [
            class_scores(labels[chosen], probabilities[chosen], predictions[chosen], classes)
            for chosen in (folds == fold for fold in np.unique(folds))
        ]
        for name in classes:
            for ranking in ("roc_auc", "average_precision"):
                values = [fold[name][ranking] for fold in by_fold if fold[name][ranking] is not None]
                scores[name][ranking] = float(np.mean(values)) if values else None
    return scores
