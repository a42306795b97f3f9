"""The reliability diagram of the voxels of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["plot_region_reliability"]


def plot_region_reliability(
    bins: Mapping[str, Sequence[Mapping[str, Any]]], errors: Mapping[str, float | None], path: str | Path
) -> None:
    """Draw how many of the voxels are in a region against the probability that they were given, as PNG.

    Args:
        bins: region → for each bin of probability ``voxels``, their mean ``probability`` and the ``share`` that is
            in the region, as in ``metrics_test.json``.
        errors: region → expected calibration error.
        path: the file to write.
    """
    figure = style.new_figure(4.8, 5.6)
    upper = figure.add_axes((0, 0.34, 1, 0.66))
    lower = figure.add_axes((0, 0, 1, 0.24))
    style.clean(upper, title="Reliability of the voxels", y="Share in the region")
    style.clean(lower, x="Probability", y="Voxels", grid="y")
    upper.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    for (name, rows), look in zip(bins.items(), style.class_styles(len(bins)), strict=True):
        filled = [row for row in rows if row["voxels"]]
        error = errors.get(name)
        label = name if error is None else f"{name}  ECE {error:.4f}"
        upper.plot(
            [row["probability"] for row in filled], [row["share"] for row in filled], label=label,
            marker="o", markersize=5, linewidth=1.6, clip_on=False, **look,
        )  # fmt: skip
        lower.stairs([max(row["voxels"], 0.8) for row in rows], np.linspace(0, 1, len(rows) + 1), linewidth=1.6, **look)
    upper.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.tick_params(labelbottom=False)
    upper.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=style.INK)
    lower.set(xlim=(0, 1), yscale="log", xticks=np.linspace(0, 1, 6))
    lower.set_ylim(bottom=0.8)
    style.save(figure, path)
