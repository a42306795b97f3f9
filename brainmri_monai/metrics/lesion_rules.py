"""Parameters of the BraTS challenge's lesion-wise scores: version → task → region."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from brainmri_monai.errors import BrainMRIError

__all__ = ["RULES", "Dilated", "Matched", "Rules", "Size", "penalty_of", "rule_of", "rules_of"]

Size = tuple[float, Literal["mm3", "voxels"]]


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


Rules = Mapping[str, Any]  # region → Dilated or Matched; "*" stands for the regions that are not named

_OF_2023 = Dilated(dilation=3, minimum=(50, "mm3"))
_OF_2024 = Dilated(dilation=3, minimum=(50, "mm3"), prediction_minimum=(50, "voxels"), surface_dice=(0.5, 1.0))
_MET = replace(_OF_2024, dilation=1, minimum=(2, "mm3"), prediction_minimum=(2, "voxels"), penalty=None)
_POST = replace(_OF_2024, minimum=(20, "voxels"), prediction_minimum=(20, "voxels"), penalty=337.0)
_POST_ET = replace(_POST, minimum=(10, "voxels"), prediction_minimum=(10, "voxels"))

RULES: Mapping[str, Mapping[str, Rules]] = {
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
        "MEN": {"*": replace(_OF_2024, dilation=1)},
        "MEN-RT": {"*": replace(_OF_2024, dilation=1, prediction_minimum=(50, "mm3"), penalty=None, spurious=False)},
        "MET": {"*": _MET, "ET": replace(_MET, joined_through=("NETC",))},
    },
    "brats2025": {
        **{task: {"*": Matched()} for task in ("GLI", "GLI-post", "SSA", "PED", "MEN", "MEN-RT", "GoAT")},
        "MET": {"*": Matched(large=27)},
    },
}


def rules_of(version: str, task: str) -> Rules:
    """The rules of a task.

    Raises:
        BrainMRIError: when the version is not known, or has no such task.
    """
    if version not in RULES:
        raise BrainMRIError(
            f"expected a version of the lesion-wise scores, found {version!r}.\nName one of {', '.join(RULES)}."
        )
    if task not in RULES[version]:
        raise BrainMRIError(f"expected a task of {version}, found {task!r}.\nName one of {', '.join(RULES[version])}.")
    return RULES[version][task]


def rule_of(rules: Rules, region: str) -> Any:
    """The parameters of a region."""
    return rules.get(region, rules["*"])


def penalty_of(rule: Dilated | Matched, shape: Sequence[int]) -> float:
    """HD95 in mm of a lesion without an answer, in a volume of this shape."""
    return math.hypot(*shape) if rule.penalty is None else rule.penalty
