"""The filters that a network looks at a slice through first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.report.figures import style

__all__ = ["plot_filters"]

WIDTH = 8.0  # inches
COLUMNS = 16


def plot_filters(weights: NDArray, path: str | Path, title: str, *, limit: int = 128) -> None:
    """Draw the filters of a network's first convolution in rows, as PNG.

    Slices are grey, and a filter's channels all see the same: what acts is their sum. Mid-grey is 0, and each filter is
    scaled by itself.

    Args:
        weights: K C h w.
        path: the file to write.
        title: above the figure.
        limit: how many are drawn at most, those with the largest weights; they keep their order.
    """
    acting = np.asarray(weights, dtype=float).sum(axis=1)  # K h w
    strength = np.sqrt((acting**2).sum(axis=(1, 2)))
    kept = np.sort(np.argsort(-strength, kind="stable")[:limit])
    count, height, width = len(kept), *acting.shape[1:]
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    gap = max(1, round(0.12 * width))
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for place, index in enumerate(kept):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        canvas[top : top + height, left : left + width] = acting[index] / max(np.abs(acting[index]).max(), 1e-12)

    figure = style.new_figure(WIDTH * columns / COLUMNS, WIDTH * columns / COLUMNS * canvas.shape[0] / canvas.shape[1])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, cmap="gray", vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
    style.clean(axes, title=f"{title}\n{_counted(count, len(acting))} of {height} × {width} pixels", grid=None)
    axes.set_axis_off()
    style.save(figure, path)


def _counted(shown: int, count: int) -> str:
    return f"{count} filters" if shown == count else f"the {shown} strongest of {count} filters"
