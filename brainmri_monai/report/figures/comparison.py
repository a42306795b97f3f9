"""Runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainmri_monai.report.figures import style

__all__ = ["plot_comparison"]


def plot_comparison(comparison: Mapping[str, Any], path: str | Path) -> None:
    """Draw each metric of each run as a dot on its interval and, beside them, the differences to the first run.

    Args:
        comparison: the content of ``comparison.json``; values that are null are left out.
        path: the PNG file to write.
    """
    runs, metrics = comparison["runs"], comparison["metrics"]
    looks = [
        {"color": look["color"], "marker": "osD^vP"[i % 6]} for i, look in enumerate(style.class_styles(len(runs)))
    ]
    lane = 0.7 / len(runs)

    figure = style.new_figure(8, 0.9 + len(metrics) * max(0.45, 0.2 * len(runs)))
    values = style.clean(figure.add_axes((0, 0, 0.5, 1)), title="Value", grid="x")
    differences = style.clean(figure.add_axes((0.56, 0, 0.4, 1)), title="Difference to the first", grid="x")
    handles = {}
    for row, metric in enumerate(metrics):
        for axes, key in ((values, "values"), (differences, "differences")):
            for run, entry in enumerate(metric[key]):
                if not entry or entry.get("value") is None:
                    continue
                y = row + (run - (len(runs) - 1) / 2) * lane
                if entry["low"] is not None:
                    axes.hlines(y, entry["low"], entry["high"], color=looks[run]["color"], linewidth=1.6)
                (dot,) = axes.plot(entry["value"], y, markersize=6, linestyle="none", **looks[run])
                handles.setdefault(run, dot)
    differences.axvline(0, color=style.INK, linewidth=1)
    for axes in (values, differences):
        axes.set_ylim(len(metrics) - 0.5, -0.5)
        axes.set_yticks(range(len(metrics)))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.get_major_locator().set_params(nbins=6)
    values.set_yticklabels([style.shorten(metric["metric"], 40) for metric in metrics], parse_math=False)
    differences.set_yticklabels([])
    names = [style.shorten(runs[run]["name"]) for run in handles]
    style.legend(values, list(handles.values()), names, title="Run")
    style.save(figure, path)
