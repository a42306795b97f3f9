"""Label maps to tumour regions and back, between conventions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from brainmri_monai.data.brats.conventions import Convention
from brainmri_monai.errors import BrainMRIError

__all__ = ["PORTABLE", "from_portable", "from_regions", "paint", "to_portable", "to_regions"]

PORTABLE = {1: ("NCR", "NET", "CC", "GTV"), 2: ("ED",), 3: ("ET", "GTV"), 4: ("RC",)}
"""The label map that every bundle gives: value → the tissues that it stands for, the most usual one first.

4 occurs only where a network was trained to find resection cavities.
"""

# region → what its voxels are unless a later region covers them
_PAINTED = {
    "WT": ("ED",),
    "TC": PORTABLE[1],
    "NET": ("NET",),
    "CC": ("CC",),
    "ET": ("ET",),
    "RC": ("RC",),
    "GTV": ("GTV", "NCR"),
}
_AS_PORTABLE = Convention("portable", "", {value: tissues[0] for value, tissues in PORTABLE.items()})


def to_regions(label: np.ndarray, convention: Convention) -> np.ndarray:
    """Give the regions of a label map, which overlap.

    Args:
        label: H W D, whole numbers.
        convention: what they mean.

    Returns:
        R H W D, boolean, in the order of ``convention.regions``: TC, WT, ET, and what the set has beside them.

    Raises:
        BrainMRIError: when a value is not one of the convention.
    """
    tables = np.zeros((len(convention.regions), 256), dtype=bool)  # R 256
    for table, values in zip(tables, convention.regions.values(), strict=True):
        table[list(values)] = True
    indices = _checked(label, dict.fromkeys((0, *convention.labels)), str(convention))
    return np.stack([table[indices] for table in tables])  # R H W D


def from_regions(regions: np.ndarray, convention: Convention) -> np.ndarray:
    """Give the label map of regions: the inner ones lie over the outer ones, as ET over TC over WT.

    Args:
        regions: R H W D, boolean, in the order of ``convention.regions``.
        convention: whose values to use.

    Returns:
        H W D, uint8.
    """
    return paint(regions, tuple(convention.regions), convention)


def paint(regions: np.ndarray, names: Sequence[str], convention: Convention | None = None) -> np.ndarray:
    """Give the label map of some regions by name, as :func:`from_regions` does.

    Args:
        regions: R H W D, boolean.
        names: of the R regions.
        convention: whose values to use; those of ``PORTABLE`` when left out.

    Returns:
        H W D, uint8.
    """
    by_name = dict(zip(names, regions, strict=True))
    label = np.zeros(regions.shape[1:], dtype=np.uint8)
    for region, tissues in _PAINTED.items():
        if region in by_name:
            label[by_name[region].astype(bool)] = _value_of(tissues, convention or _AS_PORTABLE)
    return label


def from_portable(label: np.ndarray, convention: Convention) -> np.ndarray:
    """Give a label map in a convention's own values.

    A tissue that the convention does not know becomes background, such as oedema in a set that labels the gross tumour
    volume alone; both kinds of tumour core become that volume.

    Args:
        label: H W D, with the values of ``PORTABLE``.
        convention: whose values to use.

    Returns:
        H W D, uint8.

    Raises:
        BrainMRIError: when a value is not one of ``PORTABLE``.

    Example:
        >>> from_portable(np.array([[[0, 1, 2, 3]]]), find_convention("brats2020"))
        array([[[0, 1, 2, 4]]], dtype=uint8)
    """
    values = {value: _value_of(tissues, convention) for value, tissues in PORTABLE.items()}
    return _translated(label, values, "the portable labels (1 NCR, 2 ED, 3 ET, 4 RC)")


def to_portable(label: np.ndarray, convention: Convention) -> np.ndarray:
    """Give a label map of a convention in the values of ``PORTABLE``; what is not told apart there is NCR.

    Args:
        label: H W D, with the convention's values.
        convention: what they mean.

    Returns:
        H W D, uint8.

    Raises:
        BrainMRIError: when a value is not one of the convention.
    """
    values = {
        value: next(portable for portable, tissues in PORTABLE.items() if tissue in tissues)
        for value, tissue in convention.labels.items()
    }
    return _translated(label, values, str(convention))


def _value_of(tissues: tuple[str, ...], convention: Convention) -> int:
    """Give the convention's value for the first of these tissues that it knows; 0 when it knows none."""
    own = {tissue: value for value, tissue in convention.labels.items()}
    return next((own[tissue] for tissue in tissues if tissue in own), 0)


def _translated(label: np.ndarray, values: dict[int, int], expected: str) -> np.ndarray:
    table = np.zeros(256, dtype=np.uint8)
    table[list(values)] = list(values.values())
    return table[_checked(label, {0: 0, **values}, expected)]


def _checked(label: np.ndarray, allowed: dict[int, object], expected: str) -> np.ndarray:
    """Give the label map as indices of a table, when all its values are known."""
    found = np.unique(label[label != 0]).tolist()  # few voxels have a label: far quicker than to sort them all
    if strange := [value for value in found if value not in allowed]:
        raise BrainMRIError(
            f"expected the label values of {expected}, found {', '.join(f'{value:g}' for value in strange[:5])}.\n"
            "Name the convention of these labels with --convention."
        )
    return label.astype(np.uint8, copy=False)
