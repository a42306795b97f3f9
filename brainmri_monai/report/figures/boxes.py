"""How scores spread over the cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["plot_boxes"]

TICKS = (0, 2, 5, 10, 20, 50, 100, 200, 300, 400)


def plot_boxes(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    path: str | Path,
    *,
    roots: Sequence[str] = (),
) -> None:
    """Draw a panel for each score, with a box for each group and the single cases as points, as PNG.

    Args:
        scores: title of a panel → name of a group → one value a case. What is not finite is left out.
        path: the file to write.
        roots: titles of panels whose axis goes by the square root, since a few cases lie far from the others.
    """
    figure = style.new_figure(9, 3.6)
    width = 1 / len(scores)
    for index, (title, groups) in enumerate(scores.items()):
        axes = figure.add_axes((index * width, 0, width * 0.84, 1))
        style.clean(axes, title=title, grid="y")
        values = [np.array([v for v in group if np.isfinite(v)], dtype=float) for group in groups.values()]
        if not any(len(some) for some in values):
            style.say(axes, "No case has this score.")
            continue
        places, looks = range(1, len(groups) + 1), style.class_styles(len(groups))
        line = {"color": style.INK, "linewidth": 1.1}
        axes.boxplot(
            values, positions=places, widths=0.5, showfliers=False, patch_artist=True,
            medianprops=line | {"linewidth": 2}, boxprops=line | {"facecolor": style.PALE}, whiskerprops=line,
            capprops=line,
        )  # fmt: skip
        for place, some, look in zip(places, values, looks, strict=True):
            axes.scatter(
                place + _spread(some),
                some,
                s=20,
                color=look["color"],
                alpha=0.75,
                linewidths=0,
                zorder=3,
                clip_on=False,
            )
        axes.set_xlim(0.4, len(groups) + 0.6)
        axes.set_xticks(places, [f"{name}\nn = {len(some)}" for name, some in zip(groups, values, strict=True)])
        top = max(1.0, *(some.max(initial=0) for some in values))
        if title in roots:
            axes.set_yscale("function", functions=(_root, np.square))
            axes.set_yticks([tick for tick in TICKS if tick <= top * 1.1])
            axes.set_ylim(0, top * 1.1)
        else:
            axes.set_ylim(-0.02 * top, 1.02 * top)
    style.save(figure, path)


def _root(values: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(values, 0))


def _spread(values: np.ndarray) -> np.ndarray:
    """Steps to the side, the same for the same values, that keep points from hiding each other."""
    steps = np.zeros(len(values))
    steps[np.argsort(values, kind="stable")] = np.resize([0.0, 0.13, -0.13, 0.065, -0.065], len(values))
    return steps
