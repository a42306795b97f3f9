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

MARGIN, GAP, TOP, NAMES, LINE, BELOW = 0.15, 0.08, 0.42, 0.4, 0.15, 0.36  # inches
SIDE, FEWEST, ACROSS = 1.7, 4, 7  # inches of a picture; columns whose width the title needs; columns at most
NAME = 26  # characters that fit above a picture
ROLLOUT = "attention rollout"


def plot_grad_cam(
    image: NDArray,
    maps: Mapping[str, NDArray],
    path: str | Path,
    title: str,
    *,
    places: Mapping[str, Place] = MappingProxyType({}),
    rollout: NDArray | None = None,
    most: int = 27,
) -> None:
    """Draw the slice, and for each layer the map in its own resolution and the map over the slice, as PNG.

    Args:
        image: H W, from 0 to 1.
        maps: name of the layer → h w, from 0 to 1, in the order of the network (see ``explain.layer_maps``).
        path: the file to write.
        title: above the figure, such as the answer and its probability.
        places: name of a layer → where on the slice its cells lie; a map without is as large as the slice.
        rollout: h w, from 0 to 1, what reaches the answer of a transformer, for any class; drawn last.
        most: layers that are drawn at most: the first, the last, and others evenly between.
    """
    names = list(maps)
    chosen = [names[k] for k in np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int))]
    high = SIDE * image.shape[0] / image.shape[1]
    pictures = {name: maps[name] for name in chosen} | ({} if rollout is None else {ROLLOUT: rollout})
    above = NAMES + LINE * any(len(name) > NAME for name in chosen)
    block = above + 2 * high + GAP
    rows = -(-(len(pictures) + 1) // ACROSS)
    wide = 2 * MARGIN + min(max(len(pictures) + 1, FEWEST), ACROSS) * (SIDE + GAP) - GAP
    total = TOP + rows * block + BELOW
    figure = style.new_figure(wide, total)
    figure.set_facecolor("black")

    def write(x: float, y: float, text: str, **look: object) -> None:
        """Inches from the left and from the top."""
        look = {"color": "white", "va": "center", "parse_math": False} | look
        figure.text(x / wide, 1 - y / total, text, **look)

    write(MARGIN, 0.22, style.shorten(title, int(wide * 11)), fontsize=11, fontweight="bold")
    show(figure, image, (MARGIN, TOP + above, SIDE, high))
    write(MARGIN + SIDE / 2, TOP + above - 0.14, "slice", fontsize=9, ha="center")
    where = "above: each map in\nits own resolution\n\nbelow: the same\nover the slice"
    write(MARGIN + SIDE / 2, TOP + above + 1.5 * high + GAP, where, fontsize=8, ha="center", color=PALE_ON_BLACK)
    for number, (name, picture) in enumerate(pictures.items(), start=1):
        row, column = divmod(number, ACROSS)
        left, top = MARGIN + column * (SIDE + GAP), TOP + row * block + above
        show(figure, heat(picture), (left, top, SIDE, high), smooth=False)
        show(figure, blend(image, picture, places.get(name)), (left, top + high + GAP, SIDE, high))
        size = " × ".join(map(str, picture.shape))
        write(left + SIDE / 2, top - 0.2, _in_two_lines(name), fontsize=8.5, ha="center", va="bottom", linespacing=1.1)
        write(left + SIDE / 2, top - 0.1, size, fontsize=8, ha="center", color=PALE_ON_BLACK)
        if not picture.any():
            nothing = "the same\neverywhere" if name == ROLLOUT else "nothing speaks\nfor the class"
            write(left + SIDE / 2, top + high / 2, nothing, fontsize=8.5, ha="center")
    notes = [f"{len(chosen)} of {len(names)} layers"] if len(chosen) < len(names) else []
    notes += [f"{ROLLOUT}: for any class, from least to most"] if rollout is not None else []
    write(MARGIN, total - 0.16, "; ".join(notes), fontsize=8, color=PALE_ON_BLACK)
    draw_scale(figure, (wide - MARGIN - 1.72, total - 0.21, 1.4, 0.1), "speaks for the class: ")
    style.save(figure, path)


def _in_two_lines(name: str) -> str:
    """The name of a layer, broken after a dot where it is too long; its end tells the layers apart."""
    if len(name) <= NAME:
        return name
    first = name.rfind(".", 0, NAME) + 1 or NAME
    return f"{name[:first]}\n{name[first:] if len(name) - first <= NAME else '…' + name[1 - NAME :]}"
