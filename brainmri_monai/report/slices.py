"""Files of a run on slices → its figures and its page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from brainmri_monai.data.store import ArrayStore
from brainmri_monai.engines.distributed import is_main_process
from brainmri_monai.engines.slices.prediction import members
from brainmri_monai.metrics.slice_table import to_slice_answers
from brainmri_monai.metrics.table import read_table
from brainmri_monai.networks.slice_classifier import SliceClassifier
from brainmri_monai.report.figures import (
    plot_confusion,
    plot_history,
    plot_pr,
    plot_reliability,
    plot_risk_coverage,
    plot_roc,
)
from brainmri_monai.report.reading import RunFiles, is_drawn, read_run
from brainmri_monai.report.slice_maps import draw_filters, draw_mistakes
from brainmri_monai.report.slice_page import write_slice_report

__all__ = ["draw_classes", "report_slices"]


def report_slices(
    folder: str | Path,
    network: SliceClassifier | Sequence[SliceClassifier] = (),
    store: ArrayStore | None = None,
    size: int = 0,
) -> Path | None:
    """Draw what a run on slices has made so far, and write ``report.html``; a page that shows it already stays.

    Args:
        folder: of the run, or of its external test.
        network: with its weights, or the networks of an ensemble; the mistakes are explained with them.
        store: holds the prepared slices.
        size: rows and columns of a prepared slice.

    Returns:
        The path of the page; ``None`` in all processes but the first.
    """
    if not is_main_process():
        return None
    if is_drawn(Path(folder)):
        return Path(folder) / "report.html"
    files = read_run(folder)
    figures = files.folder / "figures"
    if files.history:
        plot_history(files.history, figures / "history.png", best_epoch=files.run.get("best", {}).get("epoch"))
    if files.metrics and files.predictions:
        draw_classes(files, figures)
        networks = members(network)
        if networks and store is not None:
            draw_filters(networks, figures / "filters.png")
            draw_mistakes(files, networks, store, size)
    page = write_slice_report(files.folder)
    print(f"report: {page}")
    return page


def draw_classes(files: RunFiles, figures: Path) -> None:
    """ROC, precision-recall and confusion of the classes, reliability, and risk against coverage."""
    classes = files.metrics["tasks"]["class"]["classes"]
    threshold = files.metrics.get("calibration", {}).get("minimum_confidence")
    answers = to_slice_answers(read_table(files.folder / "test_predictions.csv"), classes)
    labels, probabilities = answers.labels, answers.probabilities
    plot_roc(labels, probabilities, classes, figures / "roc_class.png", "ROC")
    plot_pr(labels, probabilities, classes, figures / "pr_class.png", "Precision and recall")
    plot_confusion(labels, answers.predictions, classes, figures / "cm_class.png", "Confusion matrix")
    plot_reliability(labels, probabilities, figures / "reliability_class.png", "Reliability")
    path = figures / "risk_coverage.png"
    plot_risk_coverage(answers.confidence, answers.correct, path, "Risk and coverage", threshold=threshold)
