"""Values that options may have, the same in all bundles."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from brainmri_monai.errors import BrainMRIError

__all__ = ["CHECKED", "WORDS", "check_values"]

WORDS = {
    "precision": ("auto", "bfloat16", "float32"),
    "bag_policy": ("uniform", "first", "center", "random", "all"),
    "groups": ("twins", "clusters"),
    "label_values": ("auto", "portable"),
    "explain": ("none", "gradcam", "gradcam++", "occlusion"),
}
"""Option → the words that it may be."""


def check_values(options: Mapping[str, Any]) -> None:
    """Refuse values that no workflow could work with, before any work is done.

    Args:
        options: name → value. An expression of MONAI's configurations is not looked at, nor an option that is not
            known here, such as a path.

    Raises:
        BrainMRIError: for the first value that is not allowed.
    """
    for name, value in options.items():
        expression = isinstance(value, str) and value.startswith(("$", "@", "%"))
        what, allows = _RULES.get(name, ("", None))
        if allows is not None and not expression and not allows(value):
            found = "not given" if value is None else repr(value)
            remedy = f"Give --{name}." if value is None else f"Give another --{name}, or leave it out."
            raise BrainMRIError(f"--{name} is {found}, and has to be {what}.\n{remedy}")
    if options.get("type_weight") == options.get("grade_weight") == 0:
        raise BrainMRIError("--type_weight and --grade_weight are both 0: nothing is learnt.\nGive one of them.")


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _patch(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 3 and all(_whole(side) and side >= 16 for side in value)


_NUMBERS = {
    "epochs batch_size bag_size patches_per_case divisible mc_samples bootstrap calibration_voxels overfit_patients "
    "overfit_steps": ("a whole number, 1 or more", lambda value: _whole(value) and value >= 1),
    "folds familiar_slices": ("a whole number, 2 or more", lambda value: _whole(value) and value >= 2),
    "patience warmup_epochs seed": ("a whole number, 0 or more", lambda value: _whole(value) and value >= 0),
    "fold": ("a whole number, 0 or more, or none", lambda value: value is None or (_whole(value) and value >= 0)),
    "image_size": ("a whole number of pixels, 32 to 1024", lambda value: _whole(value) and 32 <= value <= 1024),
    "spacing": ("a number of mm, 0.2 to 10", lambda value: _number(value) and 0.2 <= value <= 10),
    "patch_size": ("three whole numbers of voxels, 16 or more each", _patch),
    "lr": ("a number above 0", lambda value: _number(value) and value > 0),
    "weight_decay max_grad_norm type_weight grade_weight mixup": (
        "a number, 0 or more",
        lambda value: _number(value) and value >= 0,
    ),
    "dropout modality_dropout label_smoothing average_decay overlap": (
        "a number from 0 to below 1",
        lambda value: _number(value) and 0 <= value < 1,
    ),
    "tumour_patches": ("a number from 0 to 1", lambda value: _number(value) and 0 <= value <= 1),
    "validation_share test_share risk foreign": (
        "a number between 0 and 1",
        lambda value: _number(value) and 0 < value < 1,
    ),
    "fresh shipped official allow_missing overlay flips uncertainty": (
        "True or False",
        lambda value: isinstance(value, bool),
    ),
}
_RULES = {name: rule for names, rule in _NUMBERS.items() for name in names.split()}
_SCORES = ["epoch", "loss", "accuracy", "f1", "auc", "precision", "ece", "brier", "confidence", "dice"]
_RULES["metric"] = (
    "a score of the validation, such as loss, or epoch",
    lambda value: isinstance(value, str) and any(name in value for name in _SCORES),
)
_RULES["regions"] = (
    "a list of names of regions, each once",
    lambda value: isinstance(value, list) and 0 < len(value) == len({*map(str, value)}),
)
_RULES["pretrained"] = ("a file of published weights: some layers are not trained", lambda value: value is not None)
_RULES |= {name: (f"one of {', '.join(words)}", words.__contains__) for name, words in WORDS.items()}

CHECKED = tuple(_RULES)
"""The options whose values are known here."""
