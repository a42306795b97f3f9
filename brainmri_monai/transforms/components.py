"""Small components of a region, which are mostly noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["drop_small_components"]


def drop_small_components(regions: NDArray, minimum_ml: Sequence[float], voxel_ml: float) -> NDArray:
    """Take out the 26-connected components of each region that are smaller than the region's minimum.

    MONAI's ``RemoveSmallObjects`` needs scikit-image, takes one size for all regions, and looks at the whole volume.

    Args:
        regions: R H W D, boolean; changed in place.
        minimum_ml: R, millilitres; a component of exactly so much stays, and 0 keeps all.
        voxel_ml: volume of a voxel.

    Returns:
        The same array.
    """
    from scipy.ndimage import find_objects, label

    for region, minimum in zip(regions, minimum_ml, strict=True):
        if minimum <= 0 or not region.any():
            continue
        part = region[find_objects(region.view(np.uint8))[0]]  # the box around it: far less than the volume
        numbered, _ = label(part, structure=np.ones((3, 3, 3)))
        millilitres = np.bincount(numbered.ravel()) * voxel_ml
        small = millilitres < minimum * (1 - 1e-6)
        small[0] = False
        part[small[numbered]] = False
    return regions
