"""Where a bag's attention lies: all slices of a patient in order, the heaviest enlarged."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from brainmri_monai.report.figures import style

__all__ = ["attention_path", "plot_attention"]

WIDTH, MARGIN, GAP = 1200, 8, 8  # pixels


def attention_path(output_dir: str | Path, patient: str) -> Path:
    """Where the attention figure of ``patient`` lies: ``<output_dir>/figures/attention/<patient>.png``.

    What a file name may not hold on some system is written as %XX, so that any text in a manifest is safe.
    """
    name = re.sub(r'[%/\\:*?"<>|\x00-\x1f]', lambda match: f"%{ord(match[0]):02X}", patient)
    return Path(output_dir) / "figures" / "attention" / f"{name}.png"


def plot_attention(
    slices: np.ndarray, weights: np.ndarray, path: str | Path, title: str, *, top: int = 3, first_number: int = 0
) -> None:
    """Draw all slices of a patient in order, each with a bar of its weight, and the heaviest enlarged, as PNG.

    Args:
        slices: N H W C, uint8, C is 1 or 3.
        weights: N, not negative; bars are relative to the largest. Those that are not finite count as 0.
        path: the file to write.
        title: above the figure.
        top: how many slices are enlarged.
        first_number: number of the first slice, for the captions.
    """
    weights = np.nan_to_num(np.asarray(weights, dtype=float), nan=0, posinf=0, neginf=0)
    count, (rows, columns) = len(slices), slices.shape[1:3]
    heaviest = np.argsort(-weights, kind="stable")[:top]  # equal weights: in the order of the slices
    rank = {int(index): place + 1 for place, index in enumerate(heaviest)}

    inner = WIDTH - 2 * MARGIN
    large = (inner - (max(top, 2) - 1) * GAP * 2) // max(top, 2)
    lines = -(-count // max(8, int(np.sqrt(count * 2.6))))
    per_row = -(-count // lines)
    small = min((inner - (per_row - 1) * GAP) // per_row, 180)
    large_size, small_size = _fit(rows, columns, large), _fit(rows, columns, small)
    bar, caption = max(4, small // 14), 34
    above = 56 + large_size[0] + caption + 22  # where the grid begins
    step = small_size[0] + bar + 6 + GAP + (16 if small >= 44 else 0)
    height = above + lines * step + MARGIN

    canvas = np.full((height, WIDTH, 3), 255, dtype=np.uint8)
    marks = []  # x, y, height, width of the enlarged, x, y, ...
    for place, index in enumerate(heaviest):
        x, y = MARGIN + place * (large + 2 * GAP), 56
        canvas[y : y + large_size[0], x : x + large_size[1]] = _resize(slices[index], large_size)
        marks.append((x, y, int(index)))
    places = []
    for index in range(count):
        x, y = MARGIN + index % per_row * (small + GAP), above + index // per_row * step
        canvas[y : y + small_size[0], x : x + small_size[1]] = _resize(slices[index], small_size)
        places.append((x, y))

    figure = style.new_figure(WIDTH / style.DPI, height / style.DPI)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, extent=(0, WIDTH, height, 0), interpolation="none")
    axes.set_axis_off()
    write = {"color": style.INK, "parse_math": False}
    axes.text(MARGIN, 24, style.shorten(title, 90), fontsize=11, fontweight="bold", va="center", **write)
    for x, y, index in marks:
        text = f"slice {index + first_number} · weight {weights[index]:.2f}"
        axes.text(x, y + large_size[0] + caption / 2 + 2, text, fontsize=9, va="center", **write)
    scale = weights.max() or 1.0
    for index, (x, y) in enumerate(places):
        below, width = y + small_size[0] + 4, small_size[1]
        axes.add_patch(_box(x, below, width, bar, facecolor=style.PALE))
        axes.add_patch(_box(x, below, width * weights[index] / scale, bar, facecolor=style.BLUE))
        if index in rank:
            axes.add_patch(_box(x - 1, y - 1, width + 2, small_size[0] + 2, facecolor="none", edgecolor=style.RED))
        if small >= 44:
            axes.text(x, below + bar + 10, str(index + first_number), fontsize=6.5, va="center", color=style.GREY)
    axes.set(xlim=(0, WIDTH), ylim=(height, 0))
    style.save(figure, path)


def _fit(rows: int, columns: int, side: int) -> tuple[int, int]:
    """The size of rows x columns, scaled so that the longer side is ``side`` pixels."""
    scale = side / max(rows, columns)
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def _resize(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """H W C → rows x columns x 3."""
    from PIL import Image

    if picture.shape[-1] == 1:
        picture = picture.repeat(3, axis=-1)
    image = Image.fromarray(np.ascontiguousarray(picture))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.LANCZOS))


def _box(x: float, y: float, width: float, height: float, **look: object):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, linewidth=1.6 if "edgecolor" in look else 0, **look)
