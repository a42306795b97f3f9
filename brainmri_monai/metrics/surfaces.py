"""Surfaces of masks, and how far apart they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.spatial import KDTree

__all__ = ["Surface", "border", "surfels"]

Spacing = tuple[float, ...]
Position = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Surface:
    """Points of a surface.

    Args:
        points: n 3, in mm.
        weights: n, how much of the surface each stands for.
    """

    points: NDArray
    weights: NDArray

    @cached_property
    def tree(self) -> KDTree:
        from scipy.spatial import KDTree

        return KDTree(self.points, balanced_tree=False, compact_nodes=False)  # few queries do not repay balancing

    def distances_to(self, other: Surface) -> NDArray:
        """n, from each point to the nearest point of the other surface, in mm."""
        return other.tree.query(self.points)[0]

    def percentile_to(self, other: Surface, percent: float) -> float:
        """The least distance within which so much of the surface lies from the other one, in mm."""
        distances = self.distances_to(other)
        order = np.lexsort((self.weights, distances))
        share = np.cumsum(self.weights[order]) / self.weights.sum()
        return float(distances[order[min(np.searchsorted(share, percent / 100), len(order) - 1)]])

    def share_within(self, tolerance: float, other: Surface) -> float:
        """How much of the surface lies within a tolerance in mm, and not more, of the other one: 0 to 1."""
        limit = tolerance * (1 + 1e-9)  # positions are rounded
        near = np.isfinite(other.tree.query(self.points, distance_upper_bound=np.nextafter(limit, np.inf))[0])
        return float(self.weights[near].sum() / self.weights.sum())


def border(mask: NDArray, spacing: Spacing, start: Position = (0, 0, 0)) -> Surface:
    """The voxels of a mask that have one of their six neighbours outside it.

    Args:
        mask: H W D, boolean. What lies beyond the array is outside.
        spacing: size of a voxel along each axis, in mm.
        start: where the array lies in the volume, in voxels.
    """
    padded = np.pad(mask, 1)
    inside = mask.copy()
    for axis in range(3):
        for shift in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(shift, shift + mask.shape[axis])
            inside &= padded[tuple(window)]
    voxels = np.argwhere(mask & ~inside) + start
    return Surface(voxels * np.array(spacing), np.ones(len(voxels)))


def surfels(mask: NDArray, spacing: Spacing, start: Position = (0, 0, 0)) -> Surface:
    """Surface elements of a mask: corners whose eight voxels are partly inside, weighted by their area in mm².

    Args:
        mask: H W D, boolean. What lies beyond the array is outside.
        spacing: size of a voxel along each axis, in mm.
        start: where the array lies in the volume, in voxels.

    Source:
        Nikolov et al.: Clinically Applicable Segmentation of Head and Neck Anatomy for Radiotherapy, JMIR 2021. The
        challenge's scores of 2023 and 2024 use its surface distances. The areas are MONAI's table.
    """
    areas, kernel = _areas(spacing)
    padded = np.pad(mask, 1).view(np.uint8)
    h, w, d = (size + 1 for size in mask.shape)
    code = np.zeros((h, w, d), np.uint8)
    for i, j, k in np.ndindex(2, 2, 2):
        code += padded[i : i + h, j : j + w, k : k + d] * kernel[i, j, k]
    corners = np.argwhere((code != 0) & (code != 255))
    return Surface((corners + start) * np.array(spacing), areas[code[tuple(corners.T)]])


@lru_cache(maxsize=8)
def _areas(spacing: Spacing) -> tuple[NDArray, NDArray]:
    """256, area of each pattern of eight voxels in mm²; 2 2 2, the bit that each of them sets."""
    import torch
    from monai.metrics.utils import get_code_to_measure_table

    usual = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)  # the table's type; rounded areas move a percentile where shares tie
        areas, kernel = get_code_to_measure_table(spacing)
    finally:
        torch.set_default_dtype(usual)
    return areas.numpy(), kernel.numpy().reshape(2, 2, 2).astype(np.uint8)
