"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.metrics import confusion_matrix
from brainmri_monai.report.figures import style
from brainmri_monai.report.figures.usable import usable

__all__ = ["plot_confusion"]


def plot_confusion(
    labels: np.ndarray, predictions: np.ndarray, classes: Sequence[str], path: str | Path, title: str
) -> None:
    """Draw counts, and the share of each true class that they make, as PNG.

    Cases whose label or prediction is negative (unknown) are left out, and counted in the title.

    Args:
        labels: N, index of the true class.
        predictions: N, index of the predicted class.
        classes: C names; one that does not occur keeps its row, without shares.
        path: the file to write.
        title: above the figure.
    """
    import matplotlib

    labels, predictions, n = usable(labels, predictions)
    counts = confusion_matrix(labels, predictions.astype(int), len(classes))
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)

    cell = 0.95 if len(classes) <= 6 else 0.7  # inches
    figure = style.new_figure(cell * len(classes), cell * len(classes))
    axes = figure.add_axes((0, 0, 1, 1))
    style.clean(axes, title=f"{title} ({n})", x="Predicted", y="True", grid=None)
    axes.imshow(shares, cmap=matplotlib.colormaps["Blues"], vmin=0, vmax=1.15)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(classes) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(classes) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    names = [style.shorten(name, 24) for name in classes]
    tilted = max(map(len, names)) > 13 * cell
    tilt = {"rotation": 30, "ha": "right", "rotation_mode": "anchor"} if tilted else {}
    axes.set_xticks(range(len(classes)), names, parse_math=False, **tilt)
    axes.set_yticks(range(len(classes)), names, parse_math=False)
    for row, column in np.ndindex(*counts.shape):
        colour = "white" if shares[row, column] > 0.7 else style.INK
        text = {"ha": "center", "color": colour}
        axes.text(column, row, str(counts[row, column]), va="bottom", fontsize=13, fontweight="bold", **text)
        share = f"{shares[row, column]:.0%}" if totals[row, 0] else "–"
        axes.text(column, row + 0.08, share, va="top", fontsize=8.5, **text)
    style.save(figure, path)
