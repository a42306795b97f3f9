"""Lesion-wise scores of ``brats2025``: components are matched one to one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.lesions import components
from brainmri_monai.metrics.surfaces import Spacing, border

__all__ = ["Matched", "score_by_matching"]

LEAST_DICE = 1e-6  # of a match


@dataclass(frozen=True)
class Matched:
    """Parameters of ``brats2025``.

    Args:
        penalty: HD95 in mm when nothing matches or the case is missing.
        large: voxels from which on a lesion is scored; a smaller one is only found or not. None: all are scored.
        found_at: Dice from which on a lesion counts as found where sizes are told apart.
    """

    penalty: float = 373.0
    large: int | None = None
    found_at: float = 0.2


def score_by_matching(predicted: NDArray, true: NDArray, rule: Matched, spacing: Spacing) -> dict[str, float]:
    """Scores of one region.

    Args:
        predicted, true: H W D, boolean; they may be a crop of the volume.
        rule: of the task.
        spacing: size of a voxel along each axis, in mm.
    """
    predicted, true = components(predicted), components(true)
    sizes = np.bincount(true.ravel())[1:]
    dice, hd95, matches = _score_matches(predicted, true, rule.penalty, spacing)
    spurious = int(predicted.max()) - matches
    large = sizes >= (rule.large or 0)
    scored = large & (dice > 0)
    if scored.any():
        scores = {"lesionwise_dice": dice[scored].mean(), "lesionwise_hd95": hd95[scored].mean()}
    elif large.any() or (rule.large is None and spurious):
        scores = {"lesionwise_dice": 0.0, "lesionwise_hd95": rule.penalty}
    else:
        scores = {"lesionwise_dice": math.nan, "lesionwise_hd95": math.nan}
    scores |= _detection("", matches, len(sizes) - matches, spurious)
    if rule.large is not None:
        scores |= _by_size(dice, hd95, large, spurious, rule)
    return scores


def _by_size(dice: NDArray, hd95: NDArray, large: NDArray, spurious: int, rule: Matched) -> dict[str, float]:
    """The means that count errors, and how many large and small lesions are found.

    Args:
        dice, hd95: n, of each lesion; 0 and the penalty where it has no match.
        large: n, whether the lesion is large.
        spurious: predicted components without a match, of any size: they count on both sides.
        rule: of the task.
    """
    scores = {}
    for name, values, wrong in (("dice", dice, 0.0), ("hd95", hd95, rule.penalty)):
        mean = np.append(values[large], [wrong] * spurious).mean() if large.any() else math.nan
        scores[f"lesionwise_{name}_with_errors"] = mean
    for prefix, members in (("large_", large), ("small_", ~large)):
        found = int((dice[members] >= rule.found_at).sum())
        detection = _detection(prefix, found, int(members.sum()) - found, spurious, undefined=0.0)
        scores |= detection if members.any() else dict.fromkeys(detection, math.nan)
    return scores


def _score_matches(predicted: NDArray, true: NDArray, penalty: float, spacing: Spacing) -> tuple[NDArray, NDArray, int]:
    """Dice and HD95 of the n components of the truth, 0 and the penalty without a match; the number of matches.

    The matching is that of the greatest total Dice.
    """
    from scipy.ndimage import find_objects
    from scipy.optimize import linear_sum_assignment

    sizes, predicted_sizes = (np.bincount(labels.ravel()) for labels in (true, predicted))
    both = (true > 0) & (predicted > 0)
    pairs, hits = np.unique(np.stack([true[both], predicted[both]]), axis=1, return_counts=True)
    overlap = np.zeros((len(sizes), len(predicted_sizes)))  # Dice of each pair
    overlap[pairs[0], pairs[1]] = 2 * hits / (sizes[pairs[0]] + predicted_sizes[pairs[1]])
    cost = np.where(overlap > LEAST_DICE, 1 - overlap, 1 + LEAST_DICE)  # any match is better than none
    boxes, predicted_boxes = find_objects(true), find_objects(predicted)
    dice, hd95, matches = np.zeros(len(boxes)), np.full(len(boxes), float(penalty)), 0
    for t, p in zip(*linear_sum_assignment(cost[1:, 1:]), strict=True):
        if overlap[t + 1, p + 1] > LEAST_DICE:
            lesion, answer = (
                border(labels[box] == number + 1, spacing, tuple(s.start for s in box))
                for labels, box, number in ((true, boxes[t], t), (predicted, predicted_boxes[p], p))
            )
            dice[t] = overlap[t + 1, p + 1]
            hd95[t] = np.percentile(np.append(lesion.distances_to(answer), answer.distances_to(lesion)), 95)
            matches += 1
    return dice, hd95, matches


def _detection(prefix: str, found: int, missed: int, spurious: int, undefined: float = math.nan) -> dict[str, float]:
    """Counts, precision, recall and F1; the undefined value where there is nothing to divide by."""

    def share(part: int, whole: int) -> float:
        return part / whole if whole else undefined

    return {
        f"{prefix}lesions_found": found,
        f"{prefix}lesions_missed": missed,
        f"{prefix}lesions_spurious": spurious,
        f"{prefix}lesionwise_precision": share(found, found + spurious),
        f"{prefix}lesionwise_recall": share(found, found + missed),
        f"{prefix}lesionwise_f1": share(2 * found, 2 * found + missed + spurious),
    }
