"""ROC and precision-recall curves, one class against the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainmri_monai.metrics import average_precision, roc_auc
from brainmri_monai.report.figures import style
from brainmri_monai.report.figures.usable import usable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Curve", "plot_pr", "plot_roc", "pr_curves", "roc_curves"]

DOTTED = {"linewidth": 0.9, "linestyle": (0, (1, 2)), "zorder": 1}


@dataclass(frozen=True)
class Curve:
    """One curve: ``name`` is a class, "macro average" or "micro average"; ``area`` is its AUC or average precision;
    ``baseline`` is the precision of a random ranking, which is the class's share of the cases."""

    name: str
    x: np.ndarray
    y: np.ndarray
    area: float
    baseline: float | None = None


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
        return Curve(name, x, y, roc_auc(positive, score))

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
    labels, probabilities, n = usable(labels, probabilities)
    figure = style.new_figure(4.4, 4.4)
    axes = style.clean(figure.add_axes((0, 0, 1, 1)), title=f"{title} ({n})", x="False positive rate", y="Sensitivity")
    if _draw(axes, roc_curves(labels, probabilities, classes), labels, classes, "AUC", "default"):
        axes.plot([0, 1], [0, 1], **DOTTED, color=style.GREY)
    style.save(figure, path)


def plot_pr(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], path: str | Path, title: str
) -> None:
    """Draw the precision-recall curves as ``plot_roc`` does; dotted lines mark the precision of a random ranking."""
    labels, probabilities, n = usable(labels, probabilities)
    figure = style.new_figure(4.4, 4.4)
    axes = style.clean(figure.add_axes((0, 0, 1, 1)), title=f"{title} ({n})", x="Recall", y="Precision")
    _draw(axes, pr_curves(labels, probabilities, classes), labels, classes, "Average precision", "steps-pre")
    style.save(figure, path)


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
    micro = one(positive.ravel(), probabilities[:, present].ravel(), "micro average")
    return [*curves, Curve("macro average", *mean(curves), area), replace(micro, baseline=None)]


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


def _draw(
    axes: Axes, curves: list[Curve], labels: np.ndarray, classes: Sequence[str], measure: str, drawstyle: str
) -> bool:
    """Draw the curves and a legend with their areas; without a curve, say why, and return False."""
    if not curves:
        style.say(axes, _why_none(labels, classes))
        return False
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    looks = dict(zip(classes, style.class_styles(len(classes)), strict=True))
    looks |= {"macro average": {"color": style.INK}, "micro average": {"color": style.GREY}}
    lines, texts = [], []
    for curve in curves:
        width = 1.5 if curve.name in classes else 2.2
        lines += axes.plot(curve.x, curve.y, drawstyle=drawstyle, linewidth=width, **looks[curve.name])
        texts.append(f"{style.shorten(curve.name)}  {curve.area:.2f}")
        if curve.baseline is not None:
            axes.axhline(curve.baseline, **DOTTED, color=looks[curve.name]["color"])
            texts[-1] += f" (prevalence {curve.baseline:.2f})"
    for index, name in enumerate(classes):
        if index not in labels:
            lines += axes.plot([], [], linestyle="none")
            texts.append(f"{style.shorten(name)}  absent")
    style.legend(axes, lines, texts, title=measure)
    return True


def _why_none(labels: np.ndarray, classes: Sequence[str]) -> str:
    if len(labels) == 0:
        return "No curve: there is no labelled case."
    return f"No curve: all {len(labels)} cases are {classes[labels[0]]}, and a curve needs two classes."
