"""How well tumour regions agree as a whole, whatever lesions they consist of."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError

__all__ = ["check_masks", "dice", "foreground_box", "hd95", "region_scores", "sensitivity", "specificity"]


def region_scores(
    prediction: NDArray, truth: NDArray, spacing: Sequence[float], *, regions: Sequence[str]
) -> dict[str, dict[str, float]]:
    """``dice``, ``hd95`` in mm, ``sensitivity`` and ``specificity`` of each region.

    Args:
        prediction, truth: R H W D, boolean.
        spacing: size of a voxel along H, W and D, in mm.
        regions: names of the R regions.

    Raises:
        BrainMRIError: when the arrays are not boolean or not of one shape, or the names do not fit them.
    """
    check_masks(prediction, truth, spacing, regions)
    columns = {
        "dice": dice(prediction, truth),
        "hd95": hd95(prediction, truth, spacing),
        "sensitivity": sensitivity(prediction, truth),
        "specificity": specificity(prediction, truth),
    }
    return {name: {score: float(column[r]) for score, column in columns.items()} for r, name in enumerate(regions)}


def dice(prediction: NDArray, truth: NDArray) -> NDArray:
    """R, 2 |P ∩ T| / (|P| + |T|). Both empty: 1; one of them: 0.

    Args:
        prediction, truth: R H W D, boolean.
    """
    hits, predicted, true = _counts(prediction, truth)
    return _ratio(2 * hits, predicted + true, empty=1.0)


def sensitivity(prediction: NDArray, truth: NDArray) -> NDArray:
    """R, |P ∩ T| / |T|. Both empty: 1; only the truth empty: 0, as the BraTS challenge counts it.

    Args:
        prediction, truth: R H W D, boolean.
    """
    hits, predicted, true = _counts(prediction, truth)
    return _ratio(hits, true, empty=np.where(predicted == 0, 1.0, 0.0))


def specificity(prediction: NDArray, truth: NDArray) -> NDArray:
    """R, the share of the voxels outside T that are outside P. NaN when nothing is outside T.

    Args:
        prediction, truth: R H W D, boolean.
    """
    hits, predicted, true = _counts(prediction, truth)
    outside = math.prod(truth.shape[1:]) - true
    return _ratio(outside - (predicted - hits), outside, empty=np.nan)


def hd95(prediction: NDArray, truth: NDArray, spacing: Sequence[float]) -> NDArray:
    """R, the 95th percentile of the Hausdorff distance in mm, by MONAI on the box of each region.

    Both empty: 0. One of them: the diagonal of the volume (373.1 mm for 240x240x155 voxels of 1 mm), which no
    distance exceeds.

    Args:
        prediction, truth: R H W D, boolean.
        spacing: size of a voxel along H, W and D, in mm.
    """
    diagonal = math.hypot(*(size * step for size, step in zip(truth.shape[1:], spacing, strict=True)))
    return np.array([_hd95(p, t, spacing, diagonal) for p, t in zip(prediction, truth, strict=True)])


def _hd95(prediction: NDArray, truth: NDArray, spacing: Sequence[float], diagonal: float) -> float:
    import torch
    from monai.metrics import compute_hausdorff_distance

    if not prediction.any() or not truth.any():
        return diagonal if prediction.any() or truth.any() else 0.0
    box = foreground_box(prediction, truth)
    pair = [torch.from_numpy(mask[box][None, None]) for mask in (prediction, truth)]  # 1 1 H W D
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*always_return_as_numpy")  # MONAI 1.6 uses what it has deprecated itself
        distance = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=list(spacing))
    return float(distance)


def foreground_box(*masks: NDArray) -> tuple[slice, ...]:
    """The smallest box that holds the foreground of all masks of one shape; a single voxel when they are empty."""
    box = []
    for axis in range(masks[0].ndim):
        others = tuple(a for a in range(masks[0].ndim) if a != axis)
        filled = np.flatnonzero(np.any([mask.any(axis=others) for mask in masks], axis=0))
        box.append(slice(filled[0], filled[-1] + 1) if len(filled) else slice(0, 1))
    return tuple(box)


def check_masks(prediction: NDArray, truth: NDArray, spacing: Sequence[float], regions: Sequence[str]) -> None:
    """Refuses what cannot be scored.

    Raises:
        BrainMRIError: when the arrays are not boolean R H W D of one shape, R is not the number of the regions, or the
            spacing is not three positive numbers.
    """
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if mask.dtype != bool or mask.ndim != 4 or len(mask) != len(regions):
            raise BrainMRIError(
                f"expected boolean masks R H W D of {len(regions)} regions ({', '.join(regions)}), "
                f"found {mask.dtype} of shape {mask.shape} in the {name}.\nTurn the label map into regions first."
            )
    if prediction.shape != truth.shape:
        raise BrainMRIError(
            f"expected prediction and truth of one shape, found {prediction.shape[1:]} and {truth.shape[1:]}.\n"
            "Put the prediction back on the grid of the truth."
        )
    if len(spacing) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing):
        raise BrainMRIError(
            f"expected a spacing of three positive numbers in mm, found {tuple(spacing)}.\nCheck the volume's header."
        )


def _counts(prediction: NDArray, truth: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """R each: voxels in both, in the prediction, in the truth."""
    pairs = list(zip(prediction, truth, strict=True))
    both, predicted, true = zip(
        *((np.count_nonzero(p & t), np.count_nonzero(p), np.count_nonzero(t)) for p, t in pairs), strict=True
    )
    return np.array(both), np.array(predicted), np.array(true)


def _ratio(part: NDArray, whole: NDArray, empty: float | NDArray) -> NDArray:
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)
