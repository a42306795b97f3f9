"""Files of a run → one page that opens anywhere, offline."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from brainmri_monai.data.splits import PARTS
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_text
from brainmri_monai.report.embed import Picture, embed
from brainmri_monai.report.figures import attention_path, plot_comparison
from brainmri_monai.report.reading import RunFiles, read_json, read_run
from brainmri_monai.report.rendering import interval, render

__all__ = ["write_comparison_report", "write_report"]

TASKS = {
    "type": "Type",
    "grade_end2end": "Grade, end to end",
    "grade_teacher_forced": "Grade, true type given",
    "grade_hard": "Grade, of the predicted type",
}
METRICS = {
    "balanced_accuracy": "Balanced accuracy",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "roc_auc_macro": "ROC AUC, macro",
    "roc_auc_micro": "ROC AUC, micro",
    "average_precision_macro": "Average precision, macro",
    "average_precision_micro": "Average precision, micro",
    "ece": "Expected calibration error",
    "brier": "Brier score",
}


def write_report(output_dir: str | Path, *, mistakes: int = 6, attention_figures: int = 80) -> Path:
    """Write ``report.html`` into the folder of a run or of a cross-validation, from the files that lie there.

    The page holds its pictures and loads nothing. What the run has not made yet is left out with a sentence.

    Args:
        output_dir: the folder with ``run.json``, or with ``metrics_crossval.json`` and ``fold0``.
        mistakes: how many of the wrong answers are shown, wrong types first, and the most confident of them.
        attention_figures: how many attention figures the page holds, wrong answers first.

    Returns:
        The path of the page.

    Raises:
        BrainMRIError: when there is no run, a file is not readable, or the page cannot be written.
    """
    files = read_run(output_dir)
    cases = _cases(files, attention_figures)
    wrong = [case for case in cases if case["verdict"].startswith("wrong")]
    page = render(
        "run.html.j2",
        METRICS=METRICS,
        task_name=_task_name,
        files=files,
        run=files.run,
        metrics=files.metrics,
        tasks=_tasks(files.metrics),
        figures=_figures(files),
        split=_split_table(files.datalist),
        cases=cases,
        mistakes=wrong[:mistakes],
        wrong=Counter(case["verdict"] for case in wrong),
    )
    path = files.folder / "report.html"
    write_text(path, page)
    return path


def write_comparison_report(folder: str | Path) -> Path:
    """Write ``report.html`` and figures into ``folder``, from its ``comparison.json``.

    The figure ``comparison.png`` holds the metrics between 0 and 1, ``comparison_<unit>.png`` those with a unit.

    Returns:
        The path of the page.

    Raises:
        BrainMRIError: when there is no ``comparison.json``, or a file cannot be written.
    """
    folder = Path(folder)
    comparison = read_json(folder / "comparison.json")
    if comparison is None:
        raise BrainMRIError(
            f"expected comparison.json, found none in {folder}\nMake it with: brainmri compare RUN RUN …"
        )
    path = folder / "report.html"
    write_text(path, render("comparison.html.j2", comparison=comparison, figures=_draw_comparison(comparison, folder)))
    return path


def _draw_comparison(comparison: Mapping[str, Any], folder: Path) -> list[Picture]:
    alt = "Each metric of each run with its interval, and the differences to the first run; the table has the numbers"
    pictures = []
    for unit in dict.fromkeys(metric.get("unit", "") for metric in comparison["metrics"]):
        some = [metric for metric in comparison["metrics"] if metric.get("unit", "") == unit]
        path = folder / "figures" / (f"comparison_{unit}.png" if unit else "comparison.png")
        plot_comparison({**comparison, "metrics": some}, path)
        pictures.append(embed(path, f"{alt} (in {unit})" if unit else alt))
    return pictures


def _task_name(task: str) -> str:
    return TASKS.get(task, task.replace("_", " ").capitalize())


def _tasks(metrics: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """The tasks that were evaluated, the usual ones first; a grade's classes are called "grade 2", not "2"."""
    tasks = (metrics or {}).get("tasks", {})
    named = {}
    for task in [name for name in TASKS if name in tasks] + [name for name in tasks if name not in TASKS]:
        result, prefix = tasks[task], "grade " if task.startswith("grade") else ""
        named[task] = result | {
            "classes": [prefix + name for name in result["classes"]],
            "absent": [prefix + name for name in result["absent"]],
            "per_class": {prefix + name: scores for name, scores in result["per_class"].items()},
        }
    return named


def _figures(files: RunFiles) -> dict[str, Picture]:
    """All diagrams in ``figures``, by name without suffix."""
    tasks = _tasks(files.metrics)
    kinds = {"roc": "ROC curves", "pr": "Precision-recall curves", "cm": "Confusion matrix"}
    measures = {"roc": ("roc_auc_macro", "macro AUC"), "pr": ("average_precision_macro", "macro average precision")}
    pictures = {}
    for path in sorted((files.folder / "figures").glob("[!.]*.png")):
        kind, _, task = path.stem.partition("_")
        alt = f"{kinds.get(kind, kind.capitalize())}, {_task_name(task)}" if task else path.stem.capitalize()
        if kind in measures and task in tasks and "folds" not in files.metrics:  # their curves pool what is averaged
            key, name = measures[kind]
            alt += f": {name} {interval(tasks[task].get(key))}"
        if kind == "cm" and task in tasks:
            alt += ": " + ", ".join(_right_of_class(tasks[task]))
        pictures[path.stem] = embed(path, alt)
    return pictures


def _right_of_class(task: Mapping[str, Any]) -> Iterable[str]:
    for index, name in enumerate(task["classes"]):
        row = task["confusion"][index]
        if sum(row):
            yield f"{row[index]} of {sum(row)} {name} right"


def _split_table(datalist: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """One row for each type and grade, with (patients, image files) for each part; a row of totals last."""
    if datalist is None:
        return []
    strata: dict[tuple[str, str], dict[str, list[int]]] = defaultdict(dict)
    for part in PARTS:
        for item in datalist.get(part, []):
            grade = item.get("grade")
            for stratum in ((str(item.get("type") or "–"), "unknown" if grade is None else str(grade)), ("Total", "")):
                cell = strata[stratum].setdefault(part, [0, 0])
                cell[0] += 1
                cell[1] += len(item["image"])
    ordered = sorted(strata, key=lambda stratum: (stratum == ("Total", ""), stratum))
    return [{"type": type_, "grade": grade, **strata[type_, grade]} for type_, grade in ordered]


def _cases(files: RunFiles, attention_figures: int) -> list[dict[str, Any]]:
    """A mapping for each row of the predictions: a wrong type first, then a wrong grade; the most confident first."""
    cases = []
    for row in files.predictions:
        label, grade_label = row.get("label"), row.get("grade_label")
        wrong_type = bool(label) and label != row["pred"]
        wrong_grade = bool(grade_label) and grade_label != row.get("grade_pred")
        cases.append(
            {
                "id": row["id"],
                "folder": files.folder / f"fold{row['fold']}" if row.get("fold") else files.folder,
                "label": _answer(label, grade_label) if label else "unknown",
                "pred": _answer(row["pred"], row.get("grade_pred")),
                "confidence": _float(row.get("confidence")),
                "entropy": _float(row.get("entropy")),
                "decision": row.get("decision"),
                "verdict": "wrong type" if wrong_type else "wrong grade" if wrong_grade else "right" if label else "",
            }
        )
    order = ["wrong type", "wrong grade", "right", ""]
    cases.sort(key=lambda case: (order.index(case["verdict"]), -(case["confidence"] or 0)))
    left = attention_figures
    for number, case in enumerate(cases):
        case["number"] = number  # for links inside the page
        path = attention_path(case.pop("folder"), case["id"])
        if left and path.exists():
            alt = f"Slices of {case['id']} with their attention weights, the heaviest enlarged"
            case["attention"] = embed(path, alt, photo=True)
            left -= 1
    return cases


def _answer(name: str, grade: str | None) -> str:
    return f"{name}, grade {grade}" if grade else name


def _float(text: str | None) -> float | None:
    return float(text) if text else None
