"""Where a bag's attention lies: all slices of a patient in order, the heaviest enlarged."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["attention_path", "plot_attention"]

WIDTH, MARGIN, GAP = 1200, 8, 8  # pixels
TITLE, CAPTION, NUMBER = 56, 56, 16  # pixels of height for the title, and below an enlarged and a small picture


@dataclass(frozen=True)
class Place:
    """Where the picture of slice ``index`` goes: its upper left corner and its size, in pixels."""

    index: int
    x: int
    y: int
    rows: int
    columns: int


def attention_path(output_dir: str | Path, patient: str) -> Path:
    """Where the attention figure of ``patient`` lies: ``<output_dir>/figures/attention/<patient>.png``.

    What a file name may not hold on some system is written as %XX, so that any text in a manifest is safe.
    """
    name = re.sub(r'[%/\\:*?"<>|\x00-\x1f]', lambda match: f"%{ord(match[0]):02X}", patient)
    return Path(output_dir) / "figures" / "attention" / f"{name}.png"


def plot_attention(slices: np.ndarray, weights: np.ndarray, path: str | Path, title: str, *, top: int = 3) -> None:
    """Draw all slices of a patient in order, each with a bar of its weight, and the heaviest enlarged, as PNG.

    When all weigh the same, as under mean pooling, evenly spread slices are enlarged.

    Args:
        slices: N H W C, uint8, C is 1 or 3.
        weights: N, not negative; bars are relative to the largest. Those that are not finite count as 0.
        path: the file to write.
        title: above the figure.
        top: how many slices are enlarged.
    """
    from matplotlib.patches import Rectangle

    weights = np.nan_to_num(np.asarray(weights, dtype=float), nan=0, posinf=0, neginf=0)
    heaviest = _heaviest(weights, top)
    enlarged, small, height = _layout(len(slices), slices.shape[1:3], heaviest, top)

    canvas = np.full((height, WIDTH, 3), 255, dtype=np.uint8)
    for place in enlarged + small:
        picture = _resize(slices[place.index], place.rows, place.columns)
        canvas[place.y : place.y + place.rows, place.x : place.x + place.columns] = picture
    figure = style.new_figure(WIDTH / style.DPI, height / style.DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, extent=(0, WIDTH, height, 0), interpolation="none")
    axes.set_axis_off()

    def write(x: float, y: float, text: str, **look: object) -> None:
        axes.text(x, y, text, va="center", parse_math=False, **{"color": style.INK} | look)

    def draw(x: float, y: float, columns: float, rows: float, **look: object) -> None:
        axes.add_patch(Rectangle((x, y), columns, rows, **look))

    write(MARGIN, TITLE / 2 - 4, style.shorten(title, 90), fontsize=11, fontweight="bold")
    for place in enlarged:
        caption = f"slice {place.index + 1} · weight {weights[place.index]:.2f}"
        write(place.x, place.y + place.rows + 19, caption, fontsize=9)
    largest = weights.max() or 1.0
    for place in small:
        below, thickness = place.y + place.rows + 4, _bar(place)
        draw(place.x, below, place.columns, thickness, facecolor=style.PALE)
        draw(place.x, below, place.columns * weights[place.index] / largest, thickness, facecolor=style.BLUE)
        if place.index in heaviest:
            frame = {"facecolor": "none", "edgecolor": style.RED, "linewidth": 1.6}
            draw(place.x - 1, place.y - 1, place.columns + 2, place.rows + 2, **frame)
        number = str(place.index + 1)
        write(place.x, below + thickness + 10, number, fontsize=6.5, color=style.GREY)
    style.save(figure, path)


def _heaviest(weights: np.ndarray, top: int) -> list[int]:
    """The slices of the largest weights; evenly spread ones when none is heavier than another."""
    if len(weights) > top and np.allclose(weights, weights[0]):
        return [int((n + 0.5) * len(weights) / top) for n in range(top)]
    return np.argsort(-weights, kind="stable")[:top].tolist()


def _layout(count: int, shape: tuple[int, int], heaviest: list[int], top: int) -> tuple[list[Place], list[Place], int]:
    """The places of the enlarged pictures in a row, those of all pictures in lines below, and the height of it all."""
    inner = WIDTH - 2 * MARGIN
    side = (inner - (max(top, 2) - 1) * 2 * GAP) // max(top, 2)
    rows, columns = _fit(shape, side)
    enlarged = [Place(index, MARGIN + n * (side + 2 * GAP), TITLE, rows, columns) for n, index in enumerate(heaviest)]

    lines = -(-count // max(8, int(np.sqrt(2.6 * count))))  # at least 8 a line; many slices fill about a square
    per_line = -(-count // lines)  # as even as can be
    above = TITLE + rows + CAPTION
    side = min((inner - (per_line - 1) * GAP) // per_line, 180)
    rows, columns = _fit(shape, side)
    small = [Place(n, MARGIN + n % per_line * (side + GAP), above, rows, columns) for n in range(count)]
    pitch = rows + 6 + _bar(small[0]) + NUMBER + GAP
    small = [replace(place, y=above + place.index // per_line * pitch) for place in small]
    return enlarged, small, above + lines * pitch + MARGIN


def _bar(place: Place) -> int:
    """Thickness of a weight's bar."""
    return max(4, place.columns // 14)


def _fit(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """``shape``, scaled so that the longer side is ``side`` pixels."""
    scale = side / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _resize(picture: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """H W C → rows x columns x 3."""
    from PIL import Image

    if picture.shape[-1] == 1:
        picture = picture.repeat(3, axis=-1)
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize((columns, rows), Image.Resampling.LANCZOS))
