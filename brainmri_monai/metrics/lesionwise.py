"""The BraTS challenge's lesion-wise scores, which differ from year to year.

Three incompatible scores share the name "lesion-wise Dice". ``brats2023`` merges lesions of the truth by dilation and
counts missed and spurious lesions into the mean. ``brats2024`` merges and filters the prediction too, and adds surface
dice. ``brats2025`` matches components one to one and leaves what is missed or spurious to F1. They cannot be compared,
so the name of every score ends in its version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.lesionwise_dilated import Dilated, find_lesions, score_by_dilation
from brainmri_monai.metrics.lesionwise_matched import Matched, score_by_matching
from brainmri_monai.metrics.regions import check_masks, foreground_box

__all__ = ["RULES", "lesionwise_scores"]

SAME = {"NCR": "NETC", "ED": "SNFH"}  # older names of tissues

_OF_2023 = Dilated(dilation=3, minimum=(50, "mm3"))
_OF_2024 = Dilated(dilation=3, minimum=(50, "mm3"), prediction_minimum=(50, "voxels"), surface_dice=(0.5, 1.0))
_MET = replace(_OF_2024, dilation=1, minimum=(2, "mm3"), prediction_minimum=(2, "voxels"), penalty=None)
_POST = replace(_OF_2024, minimum=(20, "voxels"), prediction_minimum=(20, "voxels"), penalty=337.0)
_POST_ET = replace(_POST, minimum=(10, "voxels"), prediction_minimum=(10, "voxels"))

# Version → task → region → rule; "*" stands for the regions that are not named.
RULES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "brats2023": {
        "GLI": {"*": _OF_2023},
        "SSA": {"*": _OF_2023},
        "PED": {"*": _OF_2023},
        "MEN": {"*": replace(_OF_2023, dilation=1)},
        "MET": {"*": replace(_OF_2023, dilation=1, minimum=(2, "mm3"))},
    },
    "brats2024": {
        "GLI-post": {
            "*": _POST,
            "ET": replace(_POST_ET, joined_through=("NETC", "RC")),
            "NETC": replace(_POST, dilation=5, joined_through=("ET", "RC")),
            "RC": replace(_POST, dilation=5, joined_through=("ET", "NETC")),
            # The challenge's code means 5 here too, but asks for a misspelt label.
            "SNFH": replace(_POST, dilation=3, joined_through=("ET", "RC", "NETC")),
        },
        "SSA": {"*": _OF_2024, "ET": replace(_OF_2024, joined_through=("NETC",))},
        "PED": {"*": replace(_OF_2024, dilation=5, minimum=(10, "mm3"), prediction_minimum=(10, "voxels"))},
        # All of 2024 merges and filters predictions; the published script for MEN alone does not.
        "MEN": {"*": replace(_OF_2024, dilation=1)},
        "MEN-RT": {"*": replace(_OF_2024, dilation=1, prediction_minimum=(50, "mm3"), penalty=None, spurious=False)},
        "MET": {"*": _MET, "ET": replace(_MET, joined_through=("NETC",))},
    },
    "brats2025": {
        **{task: {"*": Matched()} for task in ("GLI", "GLI-post", "SSA", "PED", "MEN", "MEN-RT", "GoAT")},
        "MET": {"*": Matched(large=27)},
    },
}


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
    shape, spacing = truth.shape[1:], tuple(float(step) for step in spacing)
    # Lesions whose dilations touch outside this box touch inside it, too.
    box = (slice(None), *foreground_box(prediction.any(axis=0) | truth.any(axis=0)))
    names = [SAME.get(name, name) for name in regions]
    predicted, true = (dict(zip(names, masks[box], strict=True)) for masks in (prediction, truth))
    if version == "brats2025":
        score = score_by_matching
    else:
        score = score_by_dilation
        predicted = find_lesions(predicted, rules, spacing, predicted=True)
        true = find_lesions(true, rules, spacing, predicted=False)
    scores = {}
    for region, name in zip(regions, names, strict=True):
        rule = rules.get(name, rules["*"])
        if rule.penalty is None:
            rule = replace(rule, penalty=math.hypot(*shape))
        row = score(predicted[name], true[name], rule, spacing)
        row = _worst(row, rule.penalty) if missing else row
        scores[region] = {f"{score_name}_{version}": float(value) for score_name, value in row.items()}
    return scores


def _rules(version: str, task: str) -> Mapping[str, Any]:
    if version not in RULES:
        raise BrainMRIError(
            f"expected a version of the lesion-wise scores, found {version!r}.\nName one of {', '.join(RULES)}."
        )
    if task not in RULES[version]:
        raise BrainMRIError(f"expected a task of {version}, found {task!r}.\nName one of {', '.join(RULES[version])}.")
    return RULES[version][task]


def _worst(scores: dict[str, float], penalty: float) -> dict[str, float]:
    """The scores of a case without an answer: 0, or the penalty; the counts stay."""
    return {name: value if "lesions_" in name else penalty if "hd95" in name else 0.0 for name, value in scores.items()}
