"""Answers of one class, one a slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri_monai.metrics.bootstrap import Statistics
from brainmri_monai.metrics.slice_table import to_slice_answers
from brainmri_monai.metrics.slices import over_groups, score_slices, slice_statistics, summarise_answers
from brainmri_monai.report.kinds.kind import Kind, Score
from brainmri_monai.report.reading import read_json, read_run
from brainmri_monai.report.slice_page import write_slice_report
from brainmri_monai.report.slices import draw_classes

__all__ = ["SLICES"]

SCORES = {
    "accuracy": Score("accuracy"),
    "balanced_accuracy": Score("balanced accuracy"),
    "macro_f1": Score("macro F1"),
    "roc_auc_macro": Score("ROC AUC, macro"),
    "average_precision_macro": Score("average precision, macro"),
    "ece": Score("expected calibration error"),
    "brier": Score("Brier score"),
    "area_under_risk_coverage": Score("area under risk and coverage"),
    "answered": Score("share answered"),
    "accuracy_answered": Score("accuracy of the answered"),
    "confident_mistakes": Score("confident mistakes"),
    "mean_confidence": Score("mean confidence"),
}


def _statistics(table: pd.DataFrame, metrics: dict[str, Any]) -> tuple[Statistics, int]:
    """Ranking scores are those of each fold, averaged: the outputs of different models do not rank together."""
    folds = table["fold"].to_numpy() if "fold" in table else None
    return over_groups(to_slice_answers(table, _classes(metrics)), slice_statistics, folds)


def _pool(folders: Sequence[Path], table: pd.DataFrame) -> dict[str, Any]:
    each = [read_json(folder / "metrics_test.json") for folder in folders]
    classes = _classes(each[0])
    answers = to_slice_answers(table, classes)
    metrics = score_slices(answers, classes, folds=table["fold"].to_numpy())
    metrics |= summarise_answers(answers, list(table["decision"])) | {"external": False}
    metrics["folds"] = [
        {"fold": number, "slices": one["slices"], "groups": one["groups"], "calibration": one["calibration"]}
        | {name: one["tasks"]["class"][name]["value"] for name in SCORES}
        for number, one in enumerate(each)
    ]
    for note in dict.fromkeys(note for one in each for note in one["notes"]):
        of = [number for number, one in enumerate(each) if note in one["notes"]]
        said = note if len(of) == len(each) else f"fold {', '.join(map(str, of))}: {note}"
        metrics["notes"] += [said] if note not in metrics["notes"] else []
    metrics["notes"].append("ranking scores are averages over the folds; the curves pool all out-of-fold predictions")
    return metrics


def _report(folder: Path) -> Path:
    draw_classes(read_run(folder), folder / "figures")
    return write_slice_report(folder)


def _classes(metrics: dict[str, Any]) -> list[str]:
    return metrics["tasks"]["class"]["classes"]


SLICES = Kind(
    knows=lambda metrics: "class" in metrics.get("tasks", {}),
    truth=lambda table: ["label", "group"],
    scores=lambda table: SCORES,
    statistics=_statistics,
    pool=_pool,
    report=_report,
    unit="groups of slices",
)
