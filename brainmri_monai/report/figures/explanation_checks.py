"""Whether maps show where the network looks: on tumours whose place is known, and when the weights are lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["plot_explanation_checks"]


def plot_explanation_checks(
    gains: Mapping[str, Sequence[float]], correlations: Sequence[Mapping[str, float]], path: str | Path
) -> None:
    """Draw how many times more mass than chance lies on the tumour, and how maps change with the weights, as PNG.

    Args:
        gains: name of a layer or method → for each slice the share of the map's mass on the tumour, divided by the
            tumour's share of the area. What is not finite is left out.
        correlations: for each slice what ``explain.cascading_randomisation`` gives.
        path: the file to write.
    """
    figure = style.new_figure(10.4, 3.9)
    left = figure.add_axes((0, 0, 0.56, 1))
    values = [np.array([v for v in some if np.isfinite(v)]) for some in gains.values()]
    n = max(map(len, values))
    head = f"Mass of the map on the tumour\n{n} generated slices"
    style.clean(left, title=head, y="Times its share of the area", grid="y")
    line = {"color": style.INK, "linewidth": 1.1}
    left.axhline(1, color=style.RED, linewidth=1.2, linestyle=(0, (5, 2)), zorder=1)
    drawn = [np.maximum(some, 0.05) for some in values]
    left.boxplot(
        drawn, widths=0.5, showfliers=False, patch_artist=True, whis=(5, 95),
        medianprops=line | {"linewidth": 2}, boxprops=line | {"facecolor": style.PALE}, whiskerprops=line,
        capprops=line,
    )  # fmt: skip
    for place, (some, at) in enumerate(zip(values, drawn, strict=True), start=1):
        if len(some):
            left.text(place + 0.3, np.median(at), f"{np.median(some):.1f}", fontsize=8.5, color=style.INK, va="center")
    left.set_yscale("log")
    left.set_ylim(0.04, 1.5 * max(some.max(initial=1) for some in values))
    left.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
    left.set_xlim(0.5, len(values) + 0.7)
    left.set_xticks(range(1, len(values) + 1), list(gains))
    left.text(len(values) + 0.68, 1.08, "chance", fontsize=8.5, color=style.RED, ha="right")

    right = figure.add_axes((0.66, 0, 0.34, 1))
    style.clean(
        right, title="Maps as the weights are drawn anew\nfrom the last layer to the first",
        y="Rank correlation with the map before",
    )  # fmt: skip
    layers = list(correlations[0])
    table = np.array([[1.0, *one.values()] for one in correlations])
    places = np.arange(len(layers) + 1)
    low, middle, high = np.nanpercentile(table, [25, 50, 75], axis=0)
    right.fill_between(places, low, high, color=style.BLUE, alpha=0.15, linewidth=0)
    right.plot(places, middle, color=style.BLUE, linewidth=2, marker="o", markersize=4)
    right.axhline(0, color=style.GREY, linewidth=0.9)
    right.set_ylim(min(-0.3, low.min() - 0.05), 1.05)
    right.set_xticks(places, ["none", *layers], rotation=90)
    style.save(figure, path)
