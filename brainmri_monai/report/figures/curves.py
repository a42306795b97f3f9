"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainmri_monai.metrics import average_precision, roc_auc
from brainmri_monai.report.figures import style

__all__ = ["Curve", "plot_pr", "plot_roc", "pr_curves", "roc_curves"]


@dataclass(frozen=True)
class Curve:
    """One curve: ``name`` is a class, "macro average" or "micro average"; ``area`` is its AUC or average precision;
    ``prevalence`` is the share of positives, at which a random ranking's precision lies."""

    name: str
    x: np.ndarray
    y: np.ndarray
    area: float
    prevalence: float


def roc_curves(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> list[Curve]:
    """ROC curves of each class that occurs, and after them the macro and the micro average over those classes.

    The macro curve is the mean of the classes' sensitivities at each false positive rate, so that the area below it
    is exactly the mean of the classes' areas. The micro curve pools all decisions "this class or not".

    Args:
        labels: N, index of the true class.
        probabilities: N C.
        classes: C names.

    Returns:
        x: false positive rate, y: sensitivity. Empty when fewer than two classes occur.
    """
    from sklearn.metrics import roc_curve

    def one(positive: np.ndarray, score: np.ndarray, name: str) -> Curve:
        x, y, _ = roc_curve(positive, score)
        return Curve(name, x, y, roc_auc(positive, score), float(positive.mean()))

    return _curves(labels, probabilities, classes, one, _mean_roc)


def pr_curves(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]) -> list[Curve]:
    """As ``roc_curves``; x: recall, ascending, y: precision on the step that ends there.

    The area below the steps is the average precision, and that below the macro steps is the mean over the classes.
    """
    from sklearn.metrics import precision_recall_curve

    def one(positive: np.ndarray, score: np.ndarray, name: str) -> Curve:
        precision, recall, _ = precision_recall_curve(positive, score)
        x, first = np.unique(recall[::-1], return_index=True)  # of several thresholds with one recall, the highest
        y = precision[::-1][first]
        y[0] = y[1]  # scikit-learn starts at (0, 1), which no threshold reaches
        return Curve(name, x, y, average_precision(positive, score), float(positive.mean()))

    return _curves(labels, probabilities, classes, one, _mean_pr)


def plot_roc(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], path: str | Path, title: str
) -> None:
    """Draw the ROC curves of each class against the rest with their macro and micro averages, as PNG.

    Cases with a negative label (unknown) or a probability that is not finite are left out, and counted in the title.

    Args:
        labels: N, index of the true class.
        probabilities: N C.
        classes: C names. Those absent from ``labels`` are named in the legend and left out of the averages.
        path: the file to write.
        title: above the figure.
    """
    _plot(roc_curves, labels, probabilities, classes, path, title, "AUC", "False positive rate", "Sensitivity")


def plot_pr(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], path: str | Path, title: str
) -> None:
    """Draw the precision-recall curves as ``plot_roc`` does; dotted lines mark the precision of a random ranking."""
    _plot(pr_curves, labels, probabilities, classes, path, title, "Average precision", "Recall", "Precision")


def _curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    one: Callable[[np.ndarray, np.ndarray, str], Curve],
    mean: Callable[[list[Curve]], tuple[np.ndarray, np.ndarray]],
) -> list[Curve]:
    present = np.unique(labels)
    if len(present) < 2:
        return []
    positive = labels[:, None] == present  # N P
    curves = [one(positive[:, column], probabilities[:, c], classes[c]) for column, c in enumerate(present)]
    area = float(np.mean([curve.area for curve in curves]))
    macro = Curve("macro average", *mean(curves), area, float(positive.mean()))
    return [*curves, macro, one(positive.ravel(), probabilities[:, present].ravel(), "micro average")]


def _mean_roc(curves: list[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of polylines that rise in steps: at each step both its foot and its head are averaged."""
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    # np.interp takes the last of several points with one x; mirrored, the first
    foot = np.mean([np.interp(-grid, -curve.x[::-1], curve.y[::-1]) for curve in curves], axis=0)
    head = np.mean([np.interp(grid, curve.x, curve.y) for curve in curves], axis=0)
    return np.repeat(grid, 2), np.stack([foot, head], axis=1).ravel()


def _mean_pr(curves: list[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """The mean of step functions, whose value on (x[i-1], x[i]] is y[i]."""
    grid = np.unique(np.concatenate([curve.x for curve in curves]))
    return grid, np.mean([curve.y[np.searchsorted(curve.x, grid)] for curve in curves], axis=0)


def _plot(
    make: Callable[..., list[Curve]],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    path: str | Path,
    title: str,
    measure: str,
    x: str,
    y: str,
) -> None:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    usable = np.isfinite(probabilities).all(axis=1) & (labels >= 0)
    left_out = f", {np.sum(~usable)} left out" if not usable.all() else ""
    labels, probabilities = labels[usable].astype(int), probabilities[usable]
    curves = make(labels, probabilities, classes)

    figure = style.new_figure(4.4, 4.4)
    axes = figure.add_axes((0, 0, 1, 1))
    style.clean(axes, title=f"{title} (n = {len(labels)}{left_out})", x=x, y=y)
    if not curves:
        style.say(axes, _why_none(labels, classes))
        axes.set(xlabel="", ylabel="")
        style.save(figure, path)
        return

    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    precision = make is pr_curves
    if not precision:
        axes.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    average = {"macro average": {"color": style.INK, "linestyle": "solid"}, "micro average": {"color": style.GREY}}
    styles = dict(zip(classes, style.class_styles(len(classes)), strict=True)) | average
    handles, texts = [], []
    for curve in curves:
        look = styles[curve.name] | {"linewidth": 2.2 if curve.name in average else 1.5}
        if precision:
            (line,) = axes.step(curve.x, curve.y, where="pre", **look)
            if curve.name not in average:
                axes.axhline(curve.prevalence, color=look["color"], linewidth=0.9, linestyle=(0, (1, 2)), zorder=1)
        else:
            (line,) = axes.plot(curve.x, curve.y, **look)
        handles.append(line)
        share = f" (prevalence {curve.prevalence:.2f})" if precision and curve.name not in average else ""
        texts.append(f"{style.shorten(curve.name)}  {curve.area:.2f}{share}")
    for name in (name for index, name in enumerate(classes) if index not in labels):
        handles.append(axes.plot([], [], linestyle="none")[0])
        texts.append(f"{style.shorten(name)}  absent")
    style.legend(axes, handles, texts, title=measure)
    style.save(figure, path)


def _why_none(labels: np.ndarray, classes: Sequence[str]) -> str:
    if len(labels) == 0:
        return "No curve: there is no labelled case."
    return f"No curve: all {len(labels)} cases are {classes[labels[0]]}, and a curve needs two classes."
