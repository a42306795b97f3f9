"""Lesion-wise scores of ``brats2023`` and ``brats2024``: what is predicted near a lesion is scored against it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.lesions import common_box, components, dilate, grow, join_through, merge_by_dilation
from brainmri_monai.metrics.surfaces import Spacing, Surface, border, surfels

__all__ = ["Dilated", "find_lesions", "score_by_dilation"]

Size = tuple[float, Literal["mm3", "voxels"]]

DIFFERENCES = {"NETC": ("TC", "ET"), "SNFH": ("WT", "TC")}  # tissues that follow from two regions


@dataclass(frozen=True)
class Dilated:
    """Parameters of ``brats2023`` and ``brats2024``.

    Args:
        dilation: steps in the 18-neighbourhood, for merging lesions and for finding what was predicted for one.
        minimum: lesions of the truth at or below it are not scored.
        prediction_minimum: predicted lesions at or below it are dropped, after merging as those of the truth are
            merged. None: the prediction's components are taken as they are.
        penalty: HD95 of a missed or spurious lesion in mm; None: the diagonal of the array, in voxels.
        spurious: whether spurious lesions count into the means.
        joined_through: tissues that join the lesions that touch one lesion of theirs, in this order.
        surface_dice: tolerances in mm.
    """

    dilation: int
    minimum: Size
    prediction_minimum: Size | None = None
    penalty: float | None = 374.0
    spurious: bool = True
    joined_through: tuple[str, ...] = ()
    surface_dice: tuple[float, ...] = ()


def find_lesions(
    masks: Mapping[str, NDArray], rules: Mapping[str, Dilated], spacing: Spacing, *, predicted: bool
) -> dict[str, NDArray]:
    """The lesions of each region, H W D each, numbered from 1, not always without gaps.

    Args:
        masks: region → H W D, boolean.
        rules: region or tissue → its rule; "*" stands for those that are not named.
        spacing: size of a voxel along each axis, in mm.
        predicted: whether this is the prediction, whose small lesions are dropped in 2024.

    Raises:
        BrainMRIError: when lesions are joined through a tissue that is not given.
    """

    @cache
    def merged(name: str) -> NDArray:
        rule, mask = rules.get(name, rules["*"]), _mask(name, masks)
        if predicted and rule.prediction_minimum is None:
            return components(mask)
        lesions = merge_by_dilation(mask, rule.dilation)
        if predicted:
            kept = _above(rule.prediction_minimum, np.bincount(lesions.ravel()), spacing)
            lesions = np.where(kept, np.arange(len(kept), dtype=lesions.dtype), 0)[lesions]
        return lesions

    def joined(name: str) -> NDArray:
        lesions = merged(name)
        for tissue in rules.get(name, rules["*"]).joined_through:
            lesions = join_through(lesions, merged(tissue))
        return lesions

    return {name: joined(name) for name in masks}


def _mask(name: str, masks: Mapping[str, NDArray]) -> NDArray:
    """A region, or a tissue that is the difference of two."""
    if name in masks:
        return masks[name]
    whole, part = DIFFERENCES.get(name, (name, name))
    if whole in masks and part in masks:
        return masks[whole] & ~masks[part]
    raise BrainMRIError(
        f"these scores join lesions that touch one {name}, and {name} is not among the regions {', '.join(masks)}.\n"
        f"Give {name} as well" + (f", or both {whole} and {part}." if name in DIFFERENCES else ".")
    )


def _above(minimum: Size, voxels: NDArray, spacing: Spacing) -> NDArray:
    amount, unit = minimum
    return voxels * (math.prod(spacing) if unit == "mm3" else 1.0) > amount


def score_by_dilation(predicted: NDArray, true: NDArray, rule: Dilated, spacing: Spacing) -> dict[str, float]:
    """Scores of one region.

    Args:
        predicted, true: H W D, numbered lesions; they may be a crop of the volume.
        rule: of the region.
        spacing: size of a voxel along each axis, in mm.
    """
    from scipy.ndimage import find_objects

    answers = _Answers(predicted, spacing)
    worst = [0.0, rule.penalty, *(0.0 for _ in rule.surface_dice)]
    sizes = np.bincount(true.ravel())
    scored = _above(rule.minimum, sizes, spacing)
    near_any, rows, missed = set(), [], 0
    for number, box in enumerate(find_objects(true), start=1):
        if box is None:
            continue
        around = grow(box, rule.dilation)
        near = np.unique(predicted[around][dilate(true[around] == number, rule.dilation)])
        near = tuple(near[near > 0])
        near_any.update(near)  # a lesion too small to be scored still excuses what was predicted for it
        if not scored[number]:
            continue
        if not near:
            missed += 1
            rows.append(worst)
            continue
        mask, start = true[box] == number, tuple(s.start for s in box)
        hits = np.count_nonzero(np.isin(predicted[box][mask], near))
        dice = 2 * hits / (sizes[number] + answers.sizes[list(near)].sum())
        area, answer = surfels(mask, spacing, start), answers.surfels(near)
        hd95 = max(area.percentile_to(answer, 95), answer.percentile_to(area, 95))
        rows.append([dice, hd95, *_surface_dice(border(mask, spacing, start), answers, near, rule.surface_dice)])
    spurious = answers.count - len(near_any)
    rows += [worst] * (spurious if rule.spurious else 0)
    perfect = [1.0, 0.0, *(1.0 for _ in rule.surface_dice)]
    dice, hd95, *surface_dice = np.mean(rows, axis=0) if rows else perfect
    return {
        "lesionwise_dice": dice,
        "lesionwise_hd95": hd95,
        **{f"lesionwise_surface_dice_{t:.1f}mm": s for t, s in zip(rule.surface_dice, surface_dice, strict=True)},
        "lesions_found": int(scored[1:].sum()) - missed,
        "lesions_missed": missed,
        "lesions_spurious": spurious,
    }


class _Answers:
    """A region's predicted lesions, whose surfaces are made once however many lesions they serve."""

    def __init__(self, predicted: NDArray, spacing: Spacing) -> None:
        from scipy.ndimage import find_objects

        self.predicted, self.spacing = predicted, spacing
        self.sizes = np.bincount(predicted.ravel())
        self.boxes = find_objects(predicted)
        self.count = sum(box is not None for box in self.boxes)
        self.surfels = cache(self.surfels)
        self.border = cache(self.border)

    def surfels(self, numbers: tuple[int, ...]) -> Surface:
        return surfels(*self._crop(numbers))

    def border(self, numbers: tuple[int, ...]) -> Surface:
        return border(*self._crop(numbers))

    def _crop(self, numbers: tuple[int, ...]) -> tuple[NDArray, Spacing, tuple[int, ...]]:
        box = common_box(*(self.boxes[number - 1] for number in numbers))
        return np.isin(self.predicted[box], numbers), self.spacing, tuple(s.start for s in box)


def _surface_dice(
    lesion: Surface, answers: _Answers, near: tuple[int, ...], tolerances: Sequence[float]
) -> list[float]:
    """Mean of the shares of both borders that lie within a tolerance of the other one."""
    if not tolerances:
        return []
    answer = answers.border(near)
    return [(lesion.share_within(t, answer) + answer.share_within(t, lesion)) / 2 for t in tolerances]
