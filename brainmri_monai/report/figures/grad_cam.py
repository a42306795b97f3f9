"""Grad-CAM of one slice, layer by layer: each map alone and over the slice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.explain.places import Place
from brainmri_monai.report.figures import style
from brainmri_monai.report.figures.heat import PALE_ON_BLACK, blend, draw_scale, heat, show

__all__ = ["plot_grad_cam"]

MARGIN, GAP, TOP, NAMES, BELOW = 0.15, 0.08, 0.42, 0.4, 0.36  # inches
SIDE, FEWEST = 1.7, 3  # inches of a picture; columns whose width the title needs


def plot_grad_cam(
    image: NDArray,
    maps: Mapping[str, NDArray],
    path: str | Path,
    title: str,
    *,
    places: Mapping[str, Place] = MappingProxyType({}),
    columns: int = 6,
) -> None:
    """Draw the slice, and for each layer the map in its own resolution and the map over the slice, as PNG.

    Args:
        image: H W, from 0 to 1.
        maps: name of the layer → h w, from 0 to 1, in the order of the network (see ``explain.layer_maps``).
        path: the file to write.
        title: above the figure, such as the answer and its probability.
        places: name of a layer → where on the slice its cells lie; a map without is as large as the slice.
        columns: layers that are drawn at most: the first, the last, and others evenly between.
    """
    names = list(maps)
    chosen = [names[k] for k in np.unique(np.linspace(0, len(names) - 1, min(columns, len(names))).round().astype(int))]
    high = SIDE * image.shape[0] / image.shape[1]
    wide = 2 * MARGIN + max(len(chosen) + 1, FEWEST) * (SIDE + GAP) - GAP
    total = TOP + NAMES + 2 * high + GAP + BELOW
    figure = style.new_figure(wide, total)
    figure.set_facecolor("black")

    def write(x: float, y: float, text: str, **look: object) -> None:
        """Inches from the left and from the top."""
        figure.text(x / wide, 1 - y / total, text, va="center", parse_math=False, **{"color": "white"} | look)

    write(MARGIN, 0.22, style.shorten(title, int(wide * 11)), fontsize=11, fontweight="bold")
    show(figure, image, (MARGIN, TOP + NAMES, SIDE, high))
    write(MARGIN + SIDE / 2, TOP + NAMES - 0.14, "slice", fontsize=9, ha="center")
    where = "above: each map in\nits own resolution\n\nbelow: the same\nover the slice"
    write(MARGIN + SIDE / 2, TOP + NAMES + 1.5 * high + GAP, where, fontsize=8, ha="center", color=PALE_ON_BLACK)
    for number, name in enumerate(chosen, start=1):
        left, top = MARGIN + number * (SIDE + GAP), TOP + NAMES
        show(figure, heat(maps[name]), (left, top, SIDE, high), smooth=False)
        show(figure, blend(image, maps[name], places.get(name)), (left, top + high + GAP, SIDE, high))
        rows, across = maps[name].shape
        write(left + SIDE / 2, top - 0.3, style.shorten(name, 26), fontsize=8.5, ha="center")
        write(left + SIDE / 2, top - 0.12, f"{rows} × {across}", fontsize=8, ha="center", color=PALE_ON_BLACK)
        if not maps[name].any():
            write(left + SIDE / 2, top + high / 2, "nothing speaks\nfor the class", fontsize=8.5, ha="center")
    if len(chosen) < len(names):
        note = f"{len(chosen)} of {len(names)} layers"
        write(MARGIN, total - 0.16, note, fontsize=8, color=PALE_ON_BLACK)
    draw_scale(figure, (wide - MARGIN - 1.72, total - 0.21, 1.4, 0.1), "speaks for the class: ")
    style.save(figure, path)
