"""Surfaces of masks, and how far apart they are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["border", "distances", "surfels", "weighted_percentile"]


def border(mask: NDArray, spacing: tuple[float, ...]) -> NDArray:
    """Positions of the voxels of a mask that have one of their six neighbours outside it; n 3, in mm.

    Args:
        mask: H W D, boolean. What lies beyond the array is outside.
        spacing: size of a voxel along each axis, in mm.
    """
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(start, start + mask.shape[axis])
            inside &= padded[tuple(window)]
    return np.argwhere(mask & ~inside) * spacing


def surfels(mask: NDArray, spacing: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """Surface elements of a mask: where the eight voxels around a corner are partly inside.

    Args:
        mask: H W D, boolean. What lies beyond the array is outside.
        spacing: size of a voxel along each axis, in mm.

    Returns:
        n 3, positions of the corners in mm, and n, areas in mm² (MONAI's table of marching cubes).

    Source:
        Nikolov et al.: Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy, 2021: its surface
        distances, which the challenge's scores of 2023 and 2024 are made of.
    """
    areas, kernel = _areas(spacing)
    padded = np.pad(mask, 1).view(np.uint8)
    h, w, d = (size + 1 for size in mask.shape)
    code = np.zeros((h, w, d), np.uint8)
    for i, j, k in np.ndindex(2, 2, 2):
        code += padded[i : i + h, j : j + w, k : k + d] * kernel[i, j, k]
    corners = np.argwhere((code != 0) & (code != 255))
    return corners * spacing, areas[code[tuple(corners.T)]]


@lru_cache(maxsize=8)
def _areas(spacing: tuple[float, ...]) -> tuple[NDArray, NDArray]:
    """256, area of each pattern of eight voxels; 2 2 2, the bit that each of them sets."""
    from monai.metrics.utils import get_code_to_measure_table

    areas, kernel = get_code_to_measure_table(spacing)
    return areas.double().numpy(), kernel.numpy().reshape(2, 2, 2).astype(np.uint8)


def distances(start: NDArray, goal: NDArray) -> NDArray:
    """n, from each of the points ``start`` (n 3) to the nearest of the points ``goal`` (m 3), in their unit."""
    from scipy.spatial import KDTree

    # The trees are made for one query: a balanced one takes longer to build than it saves.
    return KDTree(goal, leafsize=32, balanced_tree=False, compact_nodes=False).query(start)[0]


def weighted_percentile(values: NDArray, weights: NDArray, percent: float) -> float:
    """The least value up to which the values hold ``percent`` of the weight."""
    order = np.lexsort((weights, values))
    share = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(np.searchsorted(share, percent / 100), len(values) - 1)])
