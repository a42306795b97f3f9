"""Runs side by side, on the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json
from brainmri_monai.metrics.bootstrap import Statistics, bootstrap, paired_bootstrap
from brainmri_monai.metrics.table import read_table, to_answers
from brainmri_monai.metrics.two_step import statistics
from brainmri_monai.report.page import write_comparison_report
from brainmri_monai.report.reading import read_json

__all__ = ["compare"]

RESAMPLES = 2000
METRICS = {
    "type_balanced_accuracy": "type balanced accuracy",
    "type_macro_f1": "type macro F1",
    "type_roc_auc_macro": "type ROC AUC, macro",
    "type_ece": "type expected calibration error",
    "grade_end2end_balanced_accuracy": "grade balanced accuracy, end to end",
    "grade_end2end_roc_auc_macro": "grade ROC AUC, end to end, macro",
    "grade_teacher_forced_roc_auc_macro": "grade ROC AUC, true type given, macro",
    "end2end_all_correct": "type and grade both correct",
}


def compare(runs: Sequence[str | Path], output_dir: str | Path) -> Path:
    """Write ``comparison.json`` and ``report.html``: each run's scores, and their differences to the first run's.

    Args:
        runs: folders of evaluated runs or cross-validations, two or more, with the same test patients.
        output_dir: where the files go.

    Returns:
        The path of the report.

    Raises:
        BrainMRIError: when a run is not evaluated, or the runs were tested on other patients or labels.
    """
    folders = [Path(run).absolute() for run in runs]
    tables = [read_table(folder / "test_predictions.csv").set_index("id").sort_index() for folder in folders]
    for folder, table in zip(folders, tables, strict=True):
        _require_same(folders[0], tables[0], folder, table)
    scores = [_scores(folder, table) for folder, table in zip(folders, tables, strict=True)]
    patients = len(tables[0])
    values = [bootstrap(s, patients, RESAMPLES) for s in scores]
    differences = [None, *(paired_bootstrap(scores[0], s, patients, RESAMPLES) for s in scores[1:])]
    comparison = {
        "runs": [
            {"name": name, "path": str(folder), "patients": patients}
            for name, folder in zip(_names(folders), folders, strict=True)
        ],
        "metrics": [
            {
                "metric": title,
                "values": [v[name] for v in values],
                "differences": [d and d[name] for d in differences],
            }
            for name, title in METRICS.items()
        ],
        "patients": patients,
        "method": f"paired bootstrap over patients, {RESAMPLES} resamples",
    }
    output_dir = Path(output_dir)
    write_json(output_dir / "comparison.json", comparison)
    page = write_comparison_report(output_dir)
    print(_table(comparison))
    print(f"report: {page}")
    return page


def _require_same(first: Path, expected: pd.DataFrame, folder: Path, table: pd.DataFrame) -> None:
    if list(expected.index) != list(table.index):
        only = sorted(set(expected.index) ^ set(table.index))
        raise BrainMRIError(
            f"{first} and {folder} were tested on different patients: {len(expected)} and {len(table)}, "
            f"such as {', '.join(only[:3])}.\nCompare runs of the same split, or cross-validations of the same data."
        )
    if "grade_label" not in expected or "grade_label" not in table:
        raise BrainMRIError(
            f"compare knows the answers of type and grade, and {first} or {folder} has others.\n"
            "Compare runs of brain_tumor_mil_classification."
        )
    if not expected[["label", "grade_label"]].equals(table[["label", "grade_label"]]):
        raise BrainMRIError(f"{first} and {folder} have different labels.\nEvaluate both on the same data again.")


def _scores(folder: Path, table: pd.DataFrame) -> Statistics:
    metrics = read_json(folder / "metrics_crossval.json") or read_json(folder / "metrics_test.json")
    if metrics is None:
        raise BrainMRIError(f"no metrics_test.json in {folder}.\nEvaluate the run first.")
    answers = to_answers(table, metrics["tasks"]["type"]["classes"])
    folds = table["fold"].to_numpy() if "fold" in table else None

    def chosen_scores(chosen: NDArray) -> dict[str, float]:
        scores = statistics(answers[chosen], None if folds is None else folds[chosen])
        return {name: scores[name] for name in METRICS}

    return chosen_scores


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path that tells the runs apart."""
    names = [folder.name for folder in folders]
    return names if len(set(names)) == len(names) else [f"{folder.parent.name}/{folder.name}" for folder in folders]


def _table(comparison: dict[str, Any]) -> str:
    """The comparison for the terminal: a row a metric, a column a run, and the differences to the first."""
    names = [run["name"] for run in comparison["runs"]]
    rows = []
    for metric in comparison["metrics"]:
        row = {"metric": metric["metric"]}
        for name, value, difference in zip(names, metric["values"], metric["differences"], strict=True):
            row[name] = _interval(value)
            if difference is not None:
                row[f"{name} - {names[0]}"] = _interval(difference)
        rows.append(row)
    return pd.DataFrame(rows).to_string(index=False)


def _interval(entry: dict[str, float | None]) -> str:
    value, low, high = (np.nan if entry[key] is None else entry[key] for key in ("value", "low", "high"))
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"
