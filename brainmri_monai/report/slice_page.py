"""Files of a run on slices → one page that opens anywhere, offline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brainmri_monai.data.slices.shortcuts import SUSPECT
from brainmri_monai.data.splits import PARTS
from brainmri_monai.files import write_text
from brainmri_monai.metrics.selective import tolerated_risk
from brainmri_monai.report.embed import Picture, embed
from brainmri_monai.report.reading import RunFiles, read_run
from brainmri_monai.report.rendering import interval, render

__all__ = ["mistake_path", "surest_mistakes", "write_slice_report", "wrong_answers"]

METRICS = {
    "accuracy": ("Accuracy", 4),
    "balanced_accuracy": ("Balanced accuracy", 4),
    "macro_f1": ("Macro F1", 4),
    "roc_auc_macro": ("ROC AUC, macro", 4),
    "roc_auc_micro": ("ROC AUC, micro", 4),
    "average_precision_macro": ("Average precision, macro", 4),
    "average_precision_micro": ("Average precision, micro", 4),
    "ece": ("Expected calibration error", 4),
    "brier": ("Brier score", 4),
    "mean_confidence": ("Mean confidence", 4),
    "answered": ("Share answered", 4),
    "accuracy_answered": ("Accuracy of the answered", 4),
    "confident_mistakes": ("Confident mistakes: wrong, above 0.95, answered", 5),
    "area_under_risk_coverage": ("Area under risk and coverage", 5),
}
PER_CLASS = {
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "roc_auc": "AUC",
    "average_precision": "AP",
}


def mistake_path(folder: Path, number: int) -> Path:
    """Where the figure of a mistake lies; the surest is number 1."""
    return folder / "figures" / "mistakes" / f"{number:02d}.png"


def wrong_answers(files: RunFiles) -> list[dict[str, str]]:
    """The rows of the test whose class is wrong."""
    return [row for row in files.predictions if row.get("label") and row["label"] != row["pred"]]


def surest_mistakes(files: RunFiles, limit: int) -> list[dict[str, str]]:
    """The rows of so many wrong answers, the surest first; of twins one."""
    entries = [entry for part in PARTS for entry in (files.datalist or {}).get(part, ())]
    twins = {entry["id"]: entry.get("twins", entry["group"]) for entry in entries}
    surest: dict[Any, dict[str, str]] = {}
    for row in sorted(wrong_answers(files), key=lambda row: -float(row["confidence"])):
        surest.setdefault(twins.get(row["id"], row["id"]), row)
    return list(surest.values())[:limit]


def write_slice_report(output_dir: str | Path, *, mistakes: int = 12) -> Path:
    """Write ``report.html`` into the folder of a run on slices or of a cross-validation, from the files there.

    The page holds its pictures and loads nothing. What the run has not made yet is left out with a sentence.

    Args:
        output_dir: the folder with ``run.json``, or with ``metrics_crossval.json`` and ``fold0``.
        mistakes: how many of the wrong answers are shown, the most confident first and of twins one.

    Returns:
        The path of the page.

    Raises:
        BrainMRIError: when there is no run, a file is not readable, or the page cannot be written.
    """
    files = read_run(output_dir)
    page = render(
        "slices.html.j2",
        METRICS=METRICS,
        PER_CLASS=PER_CLASS,
        SUSPECT=SUSPECT,
        tolerated_risk=tolerated_risk,
        files=files,
        run=files.run,
        metrics=files.metrics,
        task=(files.metrics or {}).get("tasks", {}).get("class"),
        figures=_figures(files),
        split=_split_table(files.datalist),
        probe=_probe(files),
        mistakes=_shown(files, surest_mistakes(files, mistakes)),
        wrong=len(wrong_answers(files)),
    )
    path = files.folder / "report.html"
    write_text(path, page)
    return path


def _figures(files: RunFiles) -> dict[str, Picture]:
    """The diagrams in ``figures``, by name without suffix."""
    texts = {
        "history": "Loss, accuracy and mean confidence of training and validation over the epochs",
        "roc_class": "ROC curves, each class against the rest",
        "pr_class": "Precision-recall curves, each class against the rest",
        "cm_class": "Confusion matrix",
        "reliability_class": "Accuracy against confidence, and the slices of each bin",
        "risk_coverage": "Share of wrong answers against the share of answers, those called no brain MRI among them",
        "filters": "Filters of the first convolution",
        "gallery": "Slices with a wrong answer, the surest first",
    }
    task = (files.metrics or {}).get("tasks", {}).get("class")
    if task:
        rows = zip(task["classes"], task["confusion"], strict=True)
        right = [f"{row[c]} of {sum(row)} {name} right" for c, (name, row) in enumerate(rows) if sum(row)]
        texts["cm_class"] += ": " + ", ".join(right)
        texts["reliability_class"] += f"; calibration error {interval(task['ece'], 4)}"
        texts["roc_class"] += f"; macro AUC {interval(task['roc_auc_macro'], 4)}"
    paths = {name: files.folder / "figures" / f"{name}.png" for name in texts}
    photos = ("filters", "gallery")
    return {name: embed(path, texts[name], photo=name in photos) for name, path in paths.items() if path.exists()}


def _shown(files: RunFiles, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the page tells of wrong answers, the surest first; those of a cross-validation are drawn in their fold."""
    shown, drawn = [], Counter[str]()
    for number, row in enumerate(rows, start=1):
        fold = f"fold{row['fold']}" if row.get("fold") else ""
        drawn[fold] += 1
        chances = {name.removeprefix("p_"): float(row[name]) for name in row if name.startswith("p_")}
        case = {**row, "number": number, "confidence": float(row["confidence"]), "p": chances}
        path = mistake_path(files.folder / fold, drawn[fold])
        if path.exists():
            case["picture"] = embed(path, f"{row['id']} and what its layers look at", photo=True)
        shown.append(case)
    return shown


def _split_table(datalist: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row for each class, with (slices, groups) for each part; a row of totals last."""
    if datalist is None:
        return []
    rows = []
    for label in [*datalist["classes"], None]:
        row: dict[str, Any] = {"label": label or "Total"}
        for part in PARTS:
            own = [item for item in datalist.get(part, []) if label in (None, item["label"])]
            row[part] = (len(own), len({item["group"] for item in own}))
        rows.append(row)
    return rows


def _probe(files: RunFiles) -> dict[str, Any] | None:
    """How well each class is told without anatomy, as the training found out."""
    return (files.datalist or {}).get("split", {}).get("probe")
