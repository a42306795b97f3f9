"""Files of a run → its figures, TensorBoard's pictures, and the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from brainmri_monai.data.datalist import Datalist
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.engines.distributed import is_main_process
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.metrics.table import read_table, to_answers
from brainmri_monai.metrics.two_step import GRADES, Answers
from brainmri_monai.report.figures import (
    attention_path,
    plot_attention,
    plot_confusion,
    plot_history,
    plot_pr,
    plot_reliability,
    plot_roc,
)
from brainmri_monai.report.page import write_report
from brainmri_monai.report.reading import is_drawn, read_json
from brainmri_monai.transforms.slices import prepare_slices

__all__ = ["draw_answers", "log_options", "report_run"]

TITLES = {
    "type": "Tumour type",
    "grade_teacher_forced": "Grade, true type given",
    "grade_end2end": "Grade, end to end",
}


def report_run(folder: str | Path, store: ArrayStore, size: int) -> Path | None:
    """Draw what a run has made so far, and write ``report.html``; a page that shows it already stays.

    Args:
        folder: of the run, or of its external test.
        store: holds the prepared slices.
        size: H and W of a prepared slice.

    Returns:
        The path of the page; ``None`` in all processes but the first.
    """
    if not is_main_process():
        return None
    folder = Path(folder)
    if is_drawn(folder):
        return folder / "report.html"
    run, history = read_json(folder / "run.json"), read_json(folder / "history.json")
    if history:
        plot_history(history, folder / "figures/history.png", best_epoch=run.get("best", {}).get("epoch"))
    if (folder / "test_predictions.csv").exists():
        datalist = Datalist.load(folder / "datalist.json")
        answers = to_answers(read_table(folder / "test_predictions.csv"), datalist.types)
        draw_answers(answers, datalist.types, folder / "figures")
        draw_attention(folder, datalist, store, size)
        _log_answers(folder, answers, datalist.types)
    page = write_report(folder)
    print(f"report: {page}")
    return page


def draw_answers(answers: Answers, types: list[str], figures: Path) -> None:
    """ROC, precision-recall and confusion of type and grade, and both reliability diagrams, under the seed's names."""
    tasks = answers.tasks()
    for task, title in TITLES.items():
        labels, probabilities = tasks[task]
        classes = types if task == "type" else [f"grade {grade}" for grade in GRADES]
        plot_roc(labels, probabilities, classes, figures / f"roc_{task}.png", f"ROC: {title}")
        plot_pr(labels, probabilities, classes, figures / f"pr_{task}.png", f"Precision and recall: {title}")
        plot_confusion(labels, probabilities.argmax(axis=1), classes, figures / f"cm_{task}.png", title)
    plot_reliability(*tasks["type"], figures / "reliability_type.png", "Reliability of the type")
    plot_reliability(*tasks["grade_end2end"], figures / "reliability_grade.png", "Reliability of the grade, end to end")


def draw_attention(folder: Path, datalist: Datalist, store: ArrayStore, size: int) -> None:
    """One figure for each test patient: all slices in order with their weights, the heaviest enlarged."""
    weights = read_table(folder / "attention.csv").groupby("id", sort=False)["weight"]
    rows = read_table(folder / "test_predictions.csv").set_index("id")
    files = {sample["id"]: sample["image"] for sample in datalist.samples("test")}
    bar = progress_bar(len(weights), "drawing attention", "patients")
    for patient, column in weights:
        row = rows.loc[patient]
        slices = store.get(files[patient], lambda image: prepare_slices(image, size))
        title = f"{patient}: {row['label']}, predicted {row['pred']} ({row['confidence']:.2f})"
        plot_attention(np.asarray(slices), column.to_numpy(), attention_path(folder, patient), title)
        bar.update()
    bar.close()


def log_options(folder: str | Path) -> None:
    """The options of a run as a TensorBoard text."""
    if not is_main_process():
        return
    options = read_json(Path(folder) / "run.json")["options"]
    table = "\n".join(
        ["| option | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in options.items())]
    )
    with _writer(Path(folder)) as writer:
        writer.add_text("options", table)


def _log_answers(folder: Path, answers: Answers, types: list[str]) -> None:
    """Precision-recall curves of each class, and the attention figures, for TensorBoard."""
    with _writer(folder) as writer:
        for task in TITLES:
            labels, probabilities = answers.tasks()[task]
            for c, name in enumerate(types if task == "type" else GRADES):
                if (labels == c).any():
                    writer.add_pr_curve(f"{task}/{name}", labels == c, probabilities[:, c])
        for picture in sorted((folder / "figures/attention").glob("[!.]*.png")):
            with Image.open(picture) as image:
                writer.add_image(f"attention/{picture.stem}", np.asarray(image.convert("RGB")), dataformats="HWC")


def _writer(folder: Path):
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder / "events")
