"""Answers of type and grade, one a patient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from brainmri_monai.metrics.bootstrap import Statistics
from brainmri_monai.metrics.table import read_table, to_answers, write_table
from brainmri_monai.metrics.two_step import Answers, score, statistics
from brainmri_monai.report.drawing import draw_answers
from brainmri_monai.report.kinds.kind import Kind, Score
from brainmri_monai.report.page import write_report
from brainmri_monai.report.reading import read_json

__all__ = ["PATIENTS"]

SCORES = {
    "type_balanced_accuracy": Score("type balanced accuracy"),
    "type_macro_f1": Score("type macro F1"),
    "type_roc_auc_macro": Score("type ROC AUC, macro"),
    "type_ece": Score("type expected calibration error"),
    "grade_end2end_balanced_accuracy": Score("grade balanced accuracy, end to end"),
    "grade_end2end_roc_auc_macro": Score("grade ROC AUC, end to end, macro"),
    "grade_teacher_forced_roc_auc_macro": Score("grade ROC AUC, true type given, macro"),
    "end2end_all_correct": Score("type and grade both correct"),
}


def _statistics(table: pd.DataFrame, metrics: dict[str, Any]) -> tuple[Statistics, int]:
    """Ranking scores are those of each fold, averaged: the outputs of different models do not rank together."""
    answers = to_answers(table, _types(metrics))
    folds = table["fold"].to_numpy() if "fold" in table else None

    def of_chosen(chosen: NDArray) -> dict[str, float]:
        scores = statistics(answers[chosen], None if folds is None else folds[chosen])
        return {name: scores[name] for name in SCORES}

    return of_chosen, len(table)


def _pool(folders: Sequence[Path], table: pd.DataFrame) -> dict[str, Any]:
    each = [read_json(folder / "metrics_test.json") for folder in folders]
    types = _types(each[0])
    metrics = score(to_answers(table, types), types, folds=table["fold"].to_numpy())
    metrics["folds"] = [
        {"fold": fold, "calibration": each[fold].get("calibration"), **_by_task(to_answers(t, types))}
        for fold, t in table.groupby("fold")
    ]
    metrics["notes"].append("ranking scores are averages over the folds; the curves pool all out-of-fold predictions")
    attention = [read_table(folder / "attention.csv") for folder in folders]
    write_table(pd.concat(attention, ignore_index=True), folders[0].parent / "attention.csv")
    return metrics


def _report(folder: Path) -> Path:
    types = _types(read_json(folder / "metrics_crossval.json"))
    draw_answers(to_answers(read_table(folder / "test_predictions.csv"), types), types, folder / "figures")
    return write_report(folder)


def _types(metrics: dict[str, Any]) -> list[str]:
    return metrics["tasks"]["type"]["classes"]


def _by_task(answers: Answers) -> dict[str, dict[str, float | None]]:
    values = statistics(answers)
    return {
        task: {
            name.removeprefix(f"{task}_"): value if value == value else None  # NaN has no JSON
            for name, value in values.items()
            if name.startswith(f"{task}_")
        }
        for task in answers.tasks()
    }


PATIENTS = Kind(
    knows=lambda metrics: "grade_end2end" in metrics.get("tasks", {}),
    truth=lambda table: ["label", "grade_label"],
    scores=lambda table: SCORES,
    statistics=_statistics,
    pool=_pool,
    report=_report,
)
