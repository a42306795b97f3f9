"""Kaggle's copy of BraTS 2020 as single slices, ``volume_<n>_slice_<k>.h5``: recognised, and not taken for volumes.

Each file holds ``image`` 240 x 240 x 4, whose order of modalities is documented nowhere, and ``mask`` 240 x 240 x 3;
there is no spacing. The slices of a volume are one patient's: split by slice, they leak.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

from brainmri_monai.errors import BrainMRIError

__all__ = ["holds_slice_files", "refuse_slice_files"]

_NAME = re.compile(r"volume_(\d+)_slice_\d+\.h5", re.IGNORECASE)


def holds_slice_files(root: str | Path) -> bool:
    """Tell by the names, which are enough, whether a file is such a slice or a folder holds some."""
    return bool(_count(Path(root)))


def refuse_slice_files(root: Path) -> None:
    """
    Raises:
        BrainMRIError: when the root holds such slices; says what they are, and what to take instead.
    """
    volumes = _count(root)
    if volumes:
        slices, of = (
            f"{n} {word}{'s' * (n > 1)}" for n, word in ((volumes.total(), "slice"), (len(volumes), "volume"))
        )
        raise BrainMRIError(
            f"{slices} of {of}, Kaggle's form of BraTS 2020: no spacing, and modalities in an order that is documented "
            f"nowhere\n{root}\n"
            "No bundle reads this form. For brats_mri_volume_segmentation get BraTS 2020 as volumes (.nii or .nii.gz)."
        )


def _count(root: Path) -> Counter[str]:
    """The number of a volume → how many of its slices there are."""
    names = [root.name] if root.is_file() else (name for _, _, files in os.walk(root) for name in files)
    return Counter(match[1] for name in names if (match := _NAME.fullmatch(name)))
