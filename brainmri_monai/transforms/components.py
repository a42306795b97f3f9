"""Small components of a region, which are mostly noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["drop_small_components"]


def drop_small_components(
    regions: NDArray, minimum_ml: Sequence[float], voxel_ml: float, inner: Sequence[Sequence[int]] | None = None
) -> NDArray:
    """Take out the 26-connected components of each region that are smaller than the region's minimum.

    MONAI's ``RemoveSmallObjects`` needs scikit-image, takes one size for all regions, and looks at the whole volume.

    Args:
        regions: R H W D, boolean; changed in place.
        minimum_ml: R, millilitres; a component of exactly so much stays, and 0 keeps all.
        voxel_ml: volume of a voxel.
        inner: R, the indices of the regions that lie inside each, and lose there what it loses: painted over it, they
            would bring a part of it back.

    Returns:
        The same array.
    """
    from scipy.ndimage import find_objects, label

    inner = inner or [[] for _ in regions]
    for r in sorted(range(len(regions)), key=lambda r: -len(inner[r])):  # the outermost first
        region, minimum = regions[r], minimum_ml[r]
        if minimum <= 0 or not region.any():
            continue
        box = find_objects(region.view(np.uint8))[0]  # far less than the volume
        part = region[box]
        numbered, _ = label(part, structure=np.ones((3, 3, 3)))
        millilitres = np.bincount(numbered.ravel()) * voxel_ml
        small = millilitres < minimum * (1 - 1e-6)
        small[0] = False
        gone = small[numbered]
        for k in (r, *inner[r]):
            regions[k][box][gone] = False
    return regions
