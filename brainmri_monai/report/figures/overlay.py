"""Where a tumour was found: one axial slice with the outlines of its regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.data.brats.conventions import MODALITIES
from brainmri_monai.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_overlay"]

OUTLINES = {
    "whole tumour": ((1, 2, 3), "#56b4e9"),
    "tumour core": ((1, 3), "#f0e442"),
    "enhancing tumour": ((3,), "#ff5c39"),
    "resection cavity": ((4,), "#3ddc97"),
}
"""Region → its values in the portable label map, and a colour that stands out on grey."""

SHOWN = {"FLAIR": "flair", "T1 after contrast": "t1c"}
BLACK, PALE = "black", "#9aa5b1"
WIDTH, TOP, BELOW = 9.0, 0.8, 0.45  # inches of the figure, and of the titles and the legend
PERCENTILES = (0.5, 99.7)  # black and white: vessels and artefacts are brighter


def plot_overlay(
    image: NDArray, image_affine: NDArray, label: NDArray, label_affine: NDArray, path: str | Path, title: str
) -> None:
    """Draw the slice with most tumour, FLAIR and T1 after contrast side by side, as PNG.

    Args:
        image: 4 h w d, in the order of ``MODALITIES``, in LPS, 0 around the brain; top is anterior, left is the
            patient's right. A modality that is missing is 0.
        image_affine: 4 x 4, of the image.
        label: H W D, 1 NCR, 2 ED, 3 ET, 4 RC, on any grid.
        label_affine: 4 x 4, of the label map.
        path: the file to write.
        title: above the figure.
    """
    from matplotlib.lines import Line2D

    across = np.linalg.solve(image_affine, label_affine)  # voxel of the label map → voxel of the image
    depth = _most_tumour(label, across, image)
    outline = _slice_of(label, np.linalg.inv(across), image.shape[1:], depth)  # h w
    millimetres = np.linalg.norm(image_affine[:3, :2], axis=0)
    box = _box(image[..., depth])
    height, width = [(b.stop - b.start) * mm for b, mm in zip(box[::-1], millimetres[::-1], strict=True)]
    rows = (WIDTH / 2) * height / width

    total = TOP + rows + BELOW
    figure = style.new_figure(WIDTH, total)
    figure.set_facecolor(BLACK)

    def write(x: float, inches: float, text: str, **look: object) -> None:
        figure.text(x, 1 - inches / total, text, va="center", parse_math=False, **{"color": "white"} | look)

    write(0.015, 0.2, style.shorten(title, 90), fontsize=11, fontweight="bold")
    for number, (name, modality) in enumerate(SHOWN.items()):
        volume = image[MODALITIES.index(modality)]
        write(number / 2 + 0.25, 0.6, name if volume.any() else f"{name}: missing", fontsize=9, ha="center", color=PALE)
        if volume.any():
            axes = figure.add_axes((number / 2, BELOW / total, 0.5, rows / total))
            _draw_slice(axes, volume[..., depth][box], outline[box], millimetres)
    found = {name: colour for name, (values, colour) in OUTLINES.items() if np.isin(label, values).any()}
    handles = [Line2D([], [], color=colour, linewidth=2) for colour in found.values()]
    figure.legend(
        handles, list(found), loc="center left", ncols=len(OUTLINES), frameon=False, fontsize=9, labelcolor="white",
        bbox_to_anchor=(0, 0.2 / total), borderpad=0, borderaxespad=0.6,
    )  # fmt: skip
    place = (image_affine @ [0, 0, depth, 1])[2]
    note = f"z = {place:.0f} mm" + ("" if "whole tumour" in found else " · no tumour found")
    write(0.985, total - 0.2, note, fontsize=9, ha="right", color=PALE)
    style.save(figure, path)


def _draw_slice(axes: Axes, picture: NDArray, outline: NDArray, millimetres: NDArray) -> None:
    """One modality h w, turned so that the top is anterior, with the outlines."""
    brain = picture[picture != 0]
    low, high = np.percentile(brain, PERCENTILES) if brain.size else (0, 1)
    shown = np.where(picture != 0, (picture - low) / max(high - low, 1e-6), 0).clip(0, 1)
    axes.imshow(shown.T, cmap="gray", vmin=0, vmax=1, interpolation="bicubic", aspect=millimetres[1] / millimetres[0])
    axes.set_axis_off()
    for values, colour in OUTLINES.values():
        inside = np.isin(outline, values)
        if inside.any():
            axes.contour(inside.T.astype(float), levels=[0.5], colors=[colour], linewidths=1.4)
    look = {"color": PALE, "transform": axes.transAxes, "fontsize": 9}
    axes.text(0.02, 0.5, "R", va="center", **look)
    axes.text(0.98, 0.5, "L", va="center", ha="right", **look)


def _most_tumour(label: NDArray, across: NDArray, image: NDArray) -> int:
    """The slice of the image in which most voxels of tumour lie; without tumour, that with most brain."""
    depth = image.shape[3]
    voxels = np.argwhere(label > 0)
    if len(voxels):
        slices = np.rint(voxels @ across[2, :3] + across[2, 3]).astype(int)
        return int(np.bincount(slices.clip(0, depth - 1), minlength=depth).argmax())
    return int((image != 0).any(axis=0).sum(axis=(0, 1)).argmax())


def _slice_of(label: NDArray, back: NDArray, shape: tuple[int, ...], depth: int) -> NDArray:
    """h w, the label at each voxel of a slice of the image; ``back`` leads from its voxels to the label map's."""
    i, j = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    at = np.rint(np.stack([i, j, np.full_like(i, depth)], axis=-1) @ back[:3, :3].T + back[:3, 3]).astype(int)
    inside = ((at >= 0) & (at < label.shape)).all(axis=-1)
    found = np.zeros(shape[:2], dtype=label.dtype)
    found[inside] = label[tuple(at[inside].T)]
    return found


def _box(picture: NDArray, margin: int = 4) -> tuple[slice, slice]:
    """Where the brain lies in a slice C h w."""
    brain = (picture != 0).any(axis=0)
    if not brain.any():
        return slice(0, brain.shape[0]), slice(0, brain.shape[1])
    rows, columns = np.flatnonzero(brain.any(axis=1)), np.flatnonzero(brain.any(axis=0))
    return (
        slice(max(rows[0] - margin, 0), rows[-1] + margin + 1),
        slice(max(columns[0] - margin, 0), columns[-1] + margin + 1),
    )
