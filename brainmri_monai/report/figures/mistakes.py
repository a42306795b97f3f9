"""The slices that were answered wrongly, and what spoke for the wrong answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.report.figures import style
from brainmri_monai.report.figures.heat import PALE_ON_BLACK, blend, draw_scale, show

__all__ = ["Mistake", "plot_mistakes"]

MARGIN, GAP, BETWEEN, TOP, CAPTION = 0.15, 0.05, 0.24, 0.62, 0.72  # inches
SIDE, ACROSS = 1.32, 3  # inches of a picture; pairs in a row
MISTAKEN = "#ff8a5c"


@dataclass(frozen=True)
class Mistake:
    """One slice that was answered wrongly.

    Args:
        id: the slice.
        image: H W, from 0 to 1.
        heat: h w, from 0 to 1, what spoke for the answer.
        said: the class that was answered.
        truth: the class that it has.
        confidence: of the answer.
        decision: whether it was given: ``answered``, ``uncertain`` or ``not_brain_mri``.
    """

    id: str
    image: NDArray
    heat: NDArray
    said: str
    truth: str
    confidence: float
    decision: str = "answered"


def plot_mistakes(mistakes: Sequence[Mistake], path: str | Path, title: str) -> None:
    """Draw a gallery, most confident first: each slice, and beside it the map over it, as PNG.

    Args:
        mistakes: in any order; there may be none.
        path: the file to write.
        title: above the figure.
    """
    shown = sorted(mistakes, key=lambda one: -one.confidence)
    rows = max(-(-len(shown) // ACROSS), 1)
    pair = 2 * SIDE + GAP
    wide = 2 * MARGIN + ACROSS * (pair + BETWEEN) - BETWEEN
    total = TOP + rows * (SIDE + CAPTION) if shown else 1.3
    figure = style.new_figure(wide, total)
    figure.set_facecolor("black")

    def write(x: float, y: float, text: str, **look: object) -> None:
        """Inches from the left and from the top."""
        figure.text(x / wide, 1 - y / total, text, va="center", parse_math=False, **{"color": "white"} | look)

    write(MARGIN, 0.22, style.shorten(title, 70), fontsize=11, fontweight="bold")
    if not shown:
        write(wide / 2, 0.75, "Every slice was given its right class.", fontsize=10, ha="center", color=PALE_ON_BLACK)
        style.save(figure, path)
        return
    write(MARGIN, 0.45, "most confident first, of twins one", fontsize=8.5, color=PALE_ON_BLACK)
    draw_scale(figure, (wide - MARGIN - 1.72, 0.4, 1.4, 0.1), "spoke for the answer: ")
    for number, one in enumerate(shown):
        left = MARGIN + number % ACROSS * (pair + BETWEEN)
        top = TOP + number // ACROSS * (SIDE + CAPTION)
        show(figure, _square(one.image), (left, top, SIDE, SIDE))
        show(figure, _square(blend(one.image, one.heat)), (left + SIDE + GAP, top, SIDE, SIDE))
        said = f"said {style.shorten(one.said, 16)}, {one.confidence:.3f}"
        held = "" if one.decision == "answered" else f" ({one.decision.replace('_', ' ')})"
        write(left, top + SIDE + 0.13, said, fontsize=9, color=PALE_ON_BLACK if held else MISTAKEN)
        write(left + pair, top + SIDE + 0.13, held.strip(), fontsize=8.5, ha="right", color=PALE_ON_BLACK)
        write(left, top + SIDE + 0.31, f"is {style.shorten(one.truth, 24)}", fontsize=9)
        write(left, top + SIDE + 0.47, style.shorten(one.id, 44), fontsize=7, color=PALE_ON_BLACK)
    style.save(figure, path)


def _square(picture: NDArray) -> NDArray:
    """With black at the sides or above and below; H W or H W 3."""
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    rest = ((top, side - height - top), (left, side - width - left)) + ((0, 0),) * (picture.ndim - 2)
    return np.pad(picture, rest)
