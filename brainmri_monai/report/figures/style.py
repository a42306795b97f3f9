"""The look that all figures share.

Figures are built as objects, without ``pyplot`` and its global state, so that threads can draw side by side.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brainmri_monai.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BLUE",
    "GREY",
    "INK",
    "PALE",
    "RED",
    "class_styles",
    "clean",
    "legend",
    "new_figure",
    "save",
    "say",
    "shorten",
]

INK, GREY, PALE = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, RED = "#0072b2", "#d55e00"
DPI = 150  # pixels an inch in the files

# Okabe and Ito (2008), told apart with any common colour vision; without its yellow, too faint on white
PALETTE = (BLUE, RED, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("solid", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)))


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of so many inches; ``save`` widens it where a legend or a label needs room."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor="white")


def clean(axes: Axes, *, title: str = "", x: str = "", y: str = "", grid: str | None = "both") -> Axes:
    """Titles, labels and a quiet frame; ``grid`` names the directions of the grid (x, y, both), None for none."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(labelsize=9, color=GREY, labelcolor=INK, length=3)
    axes.set_axisbelow(True)
    if grid:
        axes.grid(axis=grid, color=PALE, linewidth=0.8)
    # names come from users: a $ in one is no formula
    axes.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10, parse_math=False)
    axes.set_xlabel(x, fontsize=9.5, color=INK, parse_math=False)
    axes.set_ylabel(y, fontsize=9.5, color=INK, parse_math=False)
    return axes


def legend(axes: Axes, handles: list, labels: list[str], *, title: str = "") -> None:
    """A legend below ``axes``, where it hides nothing."""
    from matplotlib.transforms import ScaledTranslation

    inches = axes.figure.dpi_scale_trans
    drawn = axes.legend(
        handles, labels, title=title, loc="upper left", bbox_to_anchor=(0, 0), borderaxespad=0, borderpad=0,
        bbox_transform=axes.transAxes + ScaledTranslation(0, -0.6, inches), ncols=1 if len(labels) <= 8 else 2,
        frameon=False, fontsize=9, title_fontsize=9, labelcolor=INK, alignment="left", handlelength=2.2,
    )  # fmt: skip
    drawn.get_title().set(fontweight="bold", color=INK)
    for text in drawn.get_texts():
        text.set_parse_math(False)


def class_styles(count: int) -> list[dict]:
    """``count`` distinct line styles: first by colour, then by dashes as well."""
    return [
        {"color": PALETTE[index % len(PALETTE)], "linestyle": DASHES[index // len(PALETTE) % len(DASHES)]}
        for index in range(count)
    ]


def say(axes: Axes, sentence: str) -> None:
    """Put ``sentence`` in the middle of empty ``axes``: why there is nothing to draw."""
    import textwrap

    axes.set(xticks=[], yticks=[], xlabel="", ylabel="")
    axes.spines[:].set_color(PALE)
    axes.spines[:].set_visible(True)
    text = textwrap.fill(sentence, 40)
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=10, color=INK, parse_math=False
    )


def shorten(name: str, length: int = 32) -> str:
    """``name``, cut with an ellipsis when it is longer than ``length`` characters."""
    name = str(name)
    return name if len(name) <= length else name[: length - 1] + "…"


def save(figure: Figure, path: str | Path) -> None:
    """Write ``figure`` to the PNG file ``path``, atomically; equal figures give equal bytes."""
    with replacing(path) as temporary:
        figure.savefig(
            temporary, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.15, metadata={"Software": None}
        )
