"""Maps from 0 to 1 as colours, alone and over a slice; and what figures of slices on black have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.explain.maps import enlarge

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from brainmri_monai.explain.places import Place

__all__ = ["PALE_ON_BLACK", "blend", "draw_scale", "heat", "show"]

PALE_ON_BLACK = "#9aa5b1"
COLOURS = "inferno"  # its brightness rises evenly, so that it reads the same in grey and with any colour vision
STRENGTH = 0.75  # of the colours over a slice


def heat(picture: NDArray) -> NDArray:
    """H W → H W 3, from black over red to pale yellow."""
    import matplotlib

    return matplotlib.colormaps[COLOURS](np.clip(picture, 0, 1))[..., :3]


def blend(image: NDArray, picture: NDArray, place: Place | None = None) -> NDArray:
    """A map h w over a slice H W with values in [0, 1] → H W 3; where the map is 0 the slice is as it was."""
    large = enlarge(picture, image.shape, place)
    alpha = STRENGTH * np.sqrt(large)[..., None]
    return image[..., None] * (1 - alpha) + heat(large) * alpha


def show(figure: Figure, picture: NDArray, box: Sequence[float], *, smooth: bool = True) -> None:
    """Place a picture H W or H W 3 with values in [0, 1].

    Args:
        box: left, top, width and height in inches, from the figure's upper left corner.
    """
    wide, high = figure.get_size_inches()
    left, top, width, height = box
    axes = figure.add_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))
    smoothing = "bicubic" if smooth else "nearest"
    axes.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation=smoothing, aspect="auto")
    axes.set_axis_off()


def draw_scale(figure: Figure, box: Sequence[float], words: str) -> None:
    """What the colours mean, as a bar between words; ``box`` as for :func:`show`."""
    left, top, width, height = box
    show(figure, heat(np.linspace(0, 1, 256)[None]), box)
    wide, high = figure.get_size_inches()
    for x, word, align in ((left - 0.06, f"{words} nothing", "right"), (left + width + 0.06, "most", "left")):
        figure.text(
            x / wide, 1 - (top + height / 2) / high, word, fontsize=8, color=PALE_ON_BLACK, ha=align, va="center"
        )
