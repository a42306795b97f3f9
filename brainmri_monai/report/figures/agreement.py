"""Predicted against true volumes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["plot_agreement"]


def plot_agreement(volumes: Mapping[str, tuple[np.ndarray, np.ndarray]], path: str | Path) -> None:
    """Draw the predicted over the true volume of each case, a panel for each region, as PNG.

    The dotted line is where they agree; the title gives the mean difference.

    Args:
        volumes: region → n true and n predicted volumes in ml.
        path: the file to write.
    """
    figure = style.new_figure(9, 2.6)
    width = 1 / len(volumes)
    for index, ((name, (true, predicted)), look) in enumerate(
        zip(volumes.items(), style.class_styles(len(volumes)), strict=True)
    ):
        axes = figure.add_axes((index * width, 0, width * 0.78, 1))
        y = "Predicted volume (ml)" if index == 0 else ""
        style.clean(axes, title=f"{name}: {_difference(true, predicted)}", x="True volume (ml)", y=y)
        end = max(1e-3, np.max(true, initial=0), np.max(predicted, initial=0)) * 1.06
        axes.plot([0, end], [0, end], color=style.GREY, linewidth=1, linestyle=(0, (1, 2)), zorder=1)
        axes.scatter(true, predicted, s=26, color=look["color"], alpha=0.75, linewidths=0, zorder=3, clip_on=False)
        axes.set(xlim=(0, end), ylim=(0, end), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_major_locator().set_params(nbins=5)
    style.save(figure, path)


def _difference(true: np.ndarray, predicted: np.ndarray) -> str:
    difference = float(np.mean(predicted - true)) if len(true) else 0.0
    return f"{difference:+.1f} ml on average".replace("-", "\N{MINUS SIGN}")
