"""A case's largest lesion in three directions, with the outlines of what is true and of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.lesions import components
from brainmri_monai.metrics.regions import foreground_box
from brainmri_monai.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["SHOWN", "plot_case_slices"]

SHOWN = {"WT": "flair", "TC": "t1c", "ET": "t1c", "RC": "t1c", "GTV": "t1c"}
"""Region → the modality in which it is seen best."""

NAMES = {"flair": "FLAIR", "t1c": "T1 after contrast"}
TRUTH, PREDICTION = "#56b4e9", "#f5a800"  # blue and orange: told apart on grey with any common colour vision
BLACK, PALE = "black", "#9aa5b1"
WIDTH, TOP, BELOW, GAP = 7.4, 0.62, 0.42, 0.12  # inches of the figure, its title and its legend; between pictures
MARGIN = 4.0  # mm around the brain
PERCENTILES = (0.5, 99.7)  # black and white: vessels and artefacts are brighter
# direction → axis through which is cut, and whether the picture's rows run toward superior and are to be turned
PLANES = {"axial": (2, False), "coronal": (1, True), "sagittal": (0, True)}
ENDS = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}


def plot_case_slices(
    images: Mapping[str, NDArray],
    truth: Mapping[str, NDArray],
    prediction: Mapping[str, NDArray],
    spacing: Sequence[float],
    path: str | Path,
    title: str,
) -> None:
    """Draw a row for each region, and in it an axial, a coronal and a sagittal slice, as PNG.

    Args:
        images: modality → H W D in LPS, 0 around the brain; those of ``SHOWN``; for one that is 0,
            which is missing, another is shown.
        truth, prediction: region → H W D, boolean.
        spacing: mm along the axes.
        path: the file to write.
        title: above the figure.
    """
    from matplotlib.lines import Line2D

    there = [name for name, image in images.items() if image.any()]
    shown = {region: SHOWN[region] if SHOWN[region] in there or not there else there[0] for region in truth}
    place = _largest_lesion(truth, prediction, images)
    box = _with_margin(
        foreground_box(*(image != 0 for image in images.values())), spacing, next(iter(truth.values())).shape
    )
    sides = [(part.stop - part.start) * mm for part, mm in zip(box, spacing, strict=True)]  # mm
    columns = {"axial": (sides[0], sides[1]), "coronal": (sides[0], sides[2]), "sagittal": (sides[1], sides[2])}
    scale = (WIDTH - 4 * GAP) / sum(width for width, _ in columns.values())  # inches a mm
    row = scale * max(height for _, height in columns.values()) + 2 * GAP
    total = TOP + row * len(truth) + BELOW
    figure = style.new_figure(WIDTH, total)
    figure.set_facecolor(BLACK)

    def write(x: float, y: float, text: str, **look: object) -> None:
        """Inches from the left and from the top."""
        figure.text(x / WIDTH, 1 - y / total, text, va="center", parse_math=False, **{"color": "white"} | look)

    write(0.1, 0.2, style.shorten(title, 80), fontsize=10.5, fontweight="bold")
    left = GAP
    for direction, (width, height) in columns.items():
        axis = PLANES[direction][0]
        inches = scale * width
        where = f"{direction}, slice {place[axis] + 1}"
        write(left + inches / 2, 0.48, where, fontsize=8.5, ha="center", color=PALE)
        for number, region in enumerate(truth):
            used = scale * height
            bottom = total - TOP - row * number - (row + 2 * GAP + used) / 2
            axes = figure.add_axes((left / WIDTH, bottom / total, inches / WIDTH, used / total))
            image = images[shown[region]]
            masks = (truth[region], prediction[region])
            _draw(axes, direction, [_cut(volume, direction, place, box) for volume in (image, *masks)], spacing)
        left += inches + GAP
    for number, region in enumerate(truth):
        write(0.1, TOP + row * number + 0.12, f"{region} on {NAMES[shown[region]]}", fontsize=9, fontweight="bold")
    handles = [Line2D([], [], color=TRUTH, linewidth=2.6), Line2D([], [], color=PREDICTION, linewidth=1.4)]
    figure.legend(
        handles, ["truth", "prediction"], loc="center left", ncols=2, frameon=False, fontsize=9, labelcolor="white",
        bbox_to_anchor=(0, 0.2 / total), borderpad=0, borderaxespad=0.6,
    )  # fmt: skip
    style.save(figure, path)


def _draw(axes: Axes, direction: str, pictures: Sequence[NDArray], spacing: Sequence[float]) -> None:
    """One slice rows x columns, with both outlines."""
    picture, true, found = pictures
    brain = picture[picture != 0]
    low, high = np.percentile(brain, PERCENTILES) if brain.size else (0, 1)
    shown = np.where(picture != 0, (picture - low) / max(high - low, 1e-6), 0).clip(0, 1)
    across, down = (mm for axis, mm in enumerate(spacing) if axis != PLANES[direction][0])
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="bicubic", aspect=down / across)
    axes.set_axis_off()
    for mask, colour, width in ((true, TRUTH, 2.4), (found, PREDICTION, 1.1)):
        if mask.any():
            axes.contour(mask.astype(float), levels=[0.5], colors=[colour], linewidths=width)
    look = {"color": PALE, "transform": axes.transAxes, "fontsize": 8, "va": "center"}
    first, last = ENDS[direction]
    axes.text(0.02, 0.5, first, **look)
    axes.text(0.98, 0.5, last, ha="right", **look)


def _cut(volume: NDArray, direction: str, place: Sequence[int], box: tuple[slice, ...]) -> NDArray:
    """rows x columns: top is anterior or superior, left the patient's right or anterior."""
    axis, upright = PLANES[direction]
    index = tuple(place[a] if a == axis else part for a, part in enumerate(box))
    picture = volume[index].T
    return picture[::-1] if upright else picture


def _largest_lesion(
    truth: Mapping[str, NDArray], prediction: Mapping[str, NDArray], images: Mapping[str, NDArray]
) -> tuple[int, ...]:
    """Where to cut: on each axis the slice with most of the largest true lesion, or found one, or else of the brain.

    Each region counts as much as the others, so that a small one is seen, too.
    """
    masks = next((some for some in (truth, prediction) if any(mask.any() for mask in some.values())), None)
    if masks is None:
        brain = next(iter(images.values())) != 0
        return tuple(int(brain.sum(axis=others).argmax()) for others in ((1, 2), (0, 2), (0, 1)))
    whole = np.logical_or.reduce(list(masks.values()))
    box = foreground_box(whole)
    lesions = components(whole[box])
    largest = lesions == np.bincount(lesions[lesions > 0]).argmax()
    place = []
    for axis, part in enumerate(box):
        others = tuple(a for a in range(3) if a != axis)
        counts = [(mask[box] & largest).sum(axis=others) for mask in masks.values()]
        share = sum(count / max(count.sum(), 1) for count in counts)
        place.append(part.start + int(share.argmax()))
    return tuple(place)


def _with_margin(box: tuple[slice, ...], spacing: Sequence[float], shape: Sequence[int]) -> tuple[slice, ...]:
    steps = [int(np.ceil(MARGIN / mm)) for mm in spacing]
    return tuple(
        slice(max(part.start - step, 0), min(part.stop + step, n))
        for part, step, n in zip(box, steps, shape, strict=True)
    )
