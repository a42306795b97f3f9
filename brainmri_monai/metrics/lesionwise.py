"""The BraTS challenge's lesion-wise scores, which differ from year to year.

Three incompatible scores share the name "lesion-wise Dice". ``brats2023`` merges lesions of the truth by dilation and
counts missed and spurious lesions into the mean. ``brats2024`` merges and filters the prediction too, and adds surface
dice. ``brats2025`` matches components one to one and leaves what is missed or spurious to F1. They cannot be compared,
so the name of every score ends in its version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.lesion_rules import RULES, Dilated, Matched, Rules
from brainmri_monai.metrics.lesions import common_box, components, dilate, grow, join_through, merge_by_dilation
from brainmri_monai.metrics.regions import check_masks, foreground_box
from brainmri_monai.metrics.surfaces import border, distances, surfels, weighted_percentile

__all__ = ["lesionwise_scores"]

Spacing = tuple[float, ...]

LEAST_DICE = 1e-6  # of a match in brats2025
SAME = {"NCR": "NETC", "ED": "SNFH"}  # names that other years' regions have
DIFFERENCES = {"NETC": ("TC", "ET"), "SNFH": ("WT", "TC")}


def lesionwise_scores(
    prediction: NDArray | None,
    truth: NDArray,
    spacing: Sequence[float],
    *,
    regions: Sequence[str],
    version: str,
    task: str,
) -> dict[str, dict[str, float]]:
    """Lesion-wise scores of each region by the rules of one year.

    Args:
        prediction: R H W D, boolean; None for a case without an answer: it scores 0 and the penalty throughout.
        truth: R H W D, boolean.
        spacing: size of a voxel along H, W and D, in mm.
        regions: names of the R regions, such as TC, WT, ET, NETC, SNFH, RC, GTV. ET of ``brats2024`` is scored with
            NETC beside it, or TC, from which that follows; all single tissues of GLI-post need each other.
        version: ``brats2023``, ``brats2024`` or ``brats2025``.
        task: GLI, GLI-post, SSA, PED, MEN, MEN-RT, MET or GoAT, where the version has it.

    Returns:
        Region → ``<score>_<version>`` → value, the scores being

        - in each version ``lesionwise_dice``, ``lesionwise_hd95`` in mm, and the counts ``lesions_found``,
          ``lesions_missed``, ``lesions_spurious``;
        - in 2024 also ``lesionwise_surface_dice_0.5mm`` and ``lesionwise_surface_dice_1.0mm``;
        - in 2025 also ``lesionwise_precision``, ``lesionwise_recall``, ``lesionwise_f1``, and for MET the same and the
          counts of ``large_`` and ``small_`` lesions, and ``lesionwise_dice_with_errors`` and ``_hd95_with_errors``:
          the means with 0 and the penalty for each large lesion missed and each lesion that is spurious, which the
          challenge's package ranks by.

        NaN in 2025 where truth and prediction are empty, and where MET has no lesion that is large enough.

    Raises:
        BrainMRIError: for arrays that do not fit, an unknown version or task, or a region that another needs.

    Source:
        The challenge's scoring code of each year; since 2025 the package ``brats-evaluation``.

    Example:
        >>> truth = np.zeros((1, 20, 20, 20), bool)
        >>> truth[0, 2:7, 2:7, 2:7] = True
        >>> scores = lesionwise_scores(truth, truth, (1, 1, 1), regions=["ET"], version="brats2023", task="GLI")
        >>> scores["ET"]["lesionwise_dice_brats2023"]
        1.0
    """
    rules = _rules(version, task)
    missing = prediction is None
    prediction = np.zeros_like(truth) if missing else prediction
    check_masks(prediction, truth, spacing, regions)
    steps = tuple(float(step) for step in spacing)
    box = (slice(None), *foreground_box(prediction.any(axis=0) | truth.any(axis=0)))
    predicted, true = (dict(zip(regions, masks[box], strict=True)) for masks in (prediction, truth))
    if version == "brats2025":
        scores = {name: _matched(predicted[name], true[name], _rule(rules, name), steps) for name in regions}
    else:
        predicted, true = _lesions(predicted, rules, steps, predicted=True), _lesions(true, rules, steps)
        scores = {
            name: _dilated(predicted[name], true[name], _rule(rules, name), steps, truth.shape[1:]) for name in regions
        }
    if missing:
        scores = {name: _worst(each, _rule(rules, name), truth.shape[1:]) for name, each in scores.items()}
    return {name: {f"{score}_{version}": float(v) for score, v in each.items()} for name, each in scores.items()}


def _rules(version: str, task: str) -> Rules:
    if version not in RULES:
        raise BrainMRIError(
            f"no lesion-wise scores of version {version!r}.\nName one of {', '.join(RULES)}: they cannot be compared."
        )
    if task not in RULES[version]:
        raise BrainMRIError(f"{version} has no task {task!r}.\nName one of {', '.join(RULES[version])}.")
    return RULES[version][task]


def _rule(rules: Rules, region: str) -> Any:
    return rules.get(SAME.get(region, region), rules["*"])


def _penalty(rule: Dilated | Matched, shape: Sequence[int]) -> float:
    return math.hypot(*shape) if rule.penalty is None else rule.penalty


def _worst(scores: dict[str, float], rule: Dilated | Matched, shape: Sequence[int]) -> dict[str, float]:
    """What a case without an answer scores; the counts stay."""
    penalty = _penalty(rule, shape)
    return {name: value if "lesions_" in name else penalty if "hd95" in name else 0.0 for name, value in scores.items()}


# brats2023 and brats2024


def _lesions(
    masks: Mapping[str, NDArray], rules: Rules, spacing: Spacing, *, predicted: bool = False
) -> dict[str, NDArray]:
    """Region → H W D, its lesions numbered from 1, not always without gaps."""
    masks = {SAME.get(name, name): mask for name, mask in masks.items()} | dict(masks)

    @cache
    def merged(name: str) -> NDArray:
        rule = _rule(rules, name)
        if predicted and rule.prediction_minimum is None:
            return components(_mask(name, masks))
        lesions = merge_by_dilation(_mask(name, masks), rule.dilation)
        if predicted:
            lesions[~_above(rule.prediction_minimum, np.bincount(lesions.ravel()), spacing)[lesions]] = 0
        return lesions

    def joined(name: str) -> NDArray:
        lesions = merged(name)
        for other in _rule(rules, name).joined_through:
            lesions = join_through(lesions, merged(other))
        return lesions

    return {name: joined(name) for name in masks}


def _mask(name: str, masks: Mapping[str, NDArray]) -> NDArray:
    """A region, or a tissue that is the difference of two regions."""
    if name in masks:
        return masks[name]
    whole, part = DIFFERENCES.get(name, (name, name))
    if whole in masks and part in masks:
        return masks[whole] & ~masks[part]
    raise BrainMRIError(
        f"these rules join lesions through {name}, which is not among the regions {', '.join(masks)}.\n"
        f"Add the region {name}" + (f", or {whole} and {part}." if whole != name else ".")
    )


def _above(minimum: tuple[float, str], voxels: NDArray, spacing: Spacing) -> NDArray:
    amount, unit = minimum
    return voxels * (math.prod(spacing) if unit == "mm3" else 1.0) > amount


def _dilated(
    predicted: NDArray, true: NDArray, rule: Dilated, spacing: Spacing, shape: Sequence[int]
) -> dict[str, float]:
    """Scores of one region; ``predicted`` and ``true`` are its lesions, H W D."""
    from scipy.ndimage import find_objects

    penalty = _penalty(rule, shape)
    boxes, predicted_boxes = find_objects(true), find_objects(predicted)
    scored = _above(rule.minimum, np.bincount(true.ravel(), minlength=1), spacing)
    touched_by_any, missed, rows = np.zeros(len(predicted_boxes) + 1, bool), 0, []
    for number, box in enumerate(boxes, start=1):
        if box is None:
            continue
        wide = grow(box, rule.dilation)
        touched = np.unique(predicted[wide][dilate(true[wide] == number, rule.dilation)])
        touched = touched[touched > 0]
        touched_by_any[touched] = True  # a lesion too small to be scored excuses what was predicted there, too
        if not scored[number]:
            continue
        missed += len(touched) == 0
        if len(touched) == 0:
            rows.append([0.0, penalty, *(0.0 for _ in rule.surface_dice)])
        else:
            both = common_box(box, *(predicted_boxes[t - 1] for t in touched))
            mask, answer = true[both] == number, np.isin(predicted[both], touched)
            rows.append(_pair(answer, mask, rule, spacing))
    spurious = sum(box is not None for box in predicted_boxes) - int(touched_by_any.sum())
    counted = spurious if rule.spurious else 0
    rows += [[0.0, penalty, *(0.0 for _ in rule.surface_dice)]] * counted
    nothing = [1.0, 0.0, *(1.0 for _ in rule.surface_dice)]
    dice, hd95, *surface_dice = np.mean(rows, axis=0) if rows else nothing
    return {
        "lesionwise_dice": dice,
        "lesionwise_hd95": hd95,
        **{f"lesionwise_surface_dice_{t:.1f}mm": s for t, s in zip(rule.surface_dice, surface_dice, strict=True)},
        "lesions_found": scored[1:].sum() - missed,
        "lesions_missed": missed,
        "lesions_spurious": spurious,
    }


def _pair(predicted: NDArray, true: NDArray, rule: Dilated, spacing: Spacing) -> list[float]:
    """Dice, HD95 and surface dice of one lesion and what was predicted for it; both H W D, boolean."""
    sides = [surfels(true, spacing), surfels(predicted, spacing)]
    (true_points, true_areas), (predicted_points, predicted_areas) = sides
    hd95 = max(
        weighted_percentile(distances(true_points, predicted_points), true_areas, 95),
        weighted_percentile(distances(predicted_points, true_points), predicted_areas, 95),
    )
    row = [_dice(predicted, true), hd95]
    if rule.surface_dice:
        true_border, predicted_border = border(true, spacing), border(predicted, spacing)
        there, back = distances(true_border, predicted_border), distances(predicted_border, true_border)
        row += [_surface_dice(there, back, tolerance) for tolerance in rule.surface_dice]
    return row


def _dice(predicted: NDArray, true: NDArray) -> float:
    return 2 * np.count_nonzero(predicted & true) / (np.count_nonzero(predicted) + np.count_nonzero(true))


def _surface_dice(there: NDArray, back: NDArray, tolerance: float) -> float:
    """Mean of the shares of both borders that lie within the tolerance of the other one."""
    return float(np.mean(there <= tolerance) + np.mean(back <= tolerance)) / 2


# brats2025


def _matched(predicted: NDArray, true: NDArray, rule: Matched, spacing: Spacing) -> dict[str, float]:
    """Scores of one region; ``predicted`` and ``true`` are its masks, H W D."""
    from scipy.ndimage import find_objects

    predicted, true = components(predicted), components(true)
    boxes, predicted_boxes = find_objects(true), find_objects(predicted)
    sizes = np.bincount(true.ravel(), minlength=1)[1:]
    pairs, dice = _match(predicted, true)
    found = np.zeros(len(sizes))  # lesion → Dice of its match, or 0
    hd95 = np.full(len(sizes), rule.penalty)
    for (t, p), value in zip(pairs, dice, strict=True):
        both = common_box(boxes[t - 1], predicted_boxes[p - 1])
        borders = border(true[both] == t, spacing), border(predicted[both] == p, spacing)
        there, back = distances(*borders), distances(*borders[::-1])
        found[t - 1], hd95[t - 1] = value, np.percentile(np.concatenate([there, back]), 95)

    spurious = len(predicted_boxes) - len(pairs)
    large = sizes >= (rule.large or 0)
    scored = large & (found > 0)
    undefined = not large.any() and (rule.large is not None or spurious == 0)
    nothing = (math.nan, math.nan) if undefined else (0.0, rule.penalty)
    scores = dict(
        zip(
            ("lesionwise_dice", "lesionwise_hd95"),
            (found[scored].mean(), hd95[scored].mean()) if scored.any() else nothing,
            strict=True,
        )
    )
    scores |= _detection("", int((found > 0).sum()), int((found == 0).sum()), spurious)
    if rule.large is not None:
        errors = np.zeros(spurious), np.full(spurious, rule.penalty)
        for name, values, wrong in zip(("dice", "hd95"), (found, hd95), errors, strict=True):
            mean = np.concatenate([values[large], wrong]).mean() if large.any() else math.nan
            scores[f"lesionwise_{name}_with_errors"] = mean
        for prefix, members in (("large_", large), ("small_", ~large)):
            hits = int((found[members] >= rule.found_at).sum())
            scores |= _detection(prefix, hits, int(members.sum()) - hits, spurious, defined=bool(members.any()))
    return scores


def _match(predicted: NDArray, true: NDArray) -> tuple[list[tuple[int, int]], list[float]]:
    """Pairs (true, predicted) of numbered components, one to one, of the greatest total Dice; and their Dice."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = int(true.max(initial=0)), int(predicted.max(initial=0))
    both = (true > 0) & (predicted > 0)
    hits = np.zeros((rows + 1, columns + 1))
    np.add.at(hits, (true[both], predicted[both]), 1)
    sizes = [np.bincount(labels.ravel(), minlength=1) for labels in (true, predicted)]
    dice = (2 * hits / (sizes[0][:, None] + sizes[1]))[1:, 1:]
    dice[dice <= LEAST_DICE] = -LEAST_DICE  # as no match: any match is better
    pairs = [(t, p) for t, p in zip(*linear_sum_assignment(dice, maximize=True), strict=True) if dice[t, p] > 0]
    return [(int(t) + 1, int(p) + 1) for t, p in pairs], [float(dice[pair]) for pair in pairs]


def _detection(prefix: str, found: int, missed: int, spurious: int, *, defined: bool = True) -> dict[str, float]:
    """Counts, precision, recall and F1; NaN where nothing was to be divided by."""
    scores = {
        "lesions_found": found,
        "lesions_missed": missed,
        "lesions_spurious": spurious,
        "lesionwise_precision": _share(found, found + spurious),
        "lesionwise_recall": _share(found, found + missed),
        "lesionwise_f1": _share(2 * found, 2 * found + missed + spurious),
    }
    return {f"{prefix}{name}": value if defined else math.nan for name, value in scores.items()}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
