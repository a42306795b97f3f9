"""A new brain for each patient: the MNI152 tissue maps, posed and deformed at random.

Everything here is an array over a :class:`Grid`, rows toward posterior, columns toward left, slices toward superior
("PLS"), so that a stack of thick slices and an isotropic volume are drawn by the same functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import Generator

from brainmri_monai.errors import BrainMRIError

__all__ = [
    "Anatomy",
    "Grid",
    "Template",
    "draw_anatomy",
    "draw_coordinates",
    "load_template",
    "require_drawable",
    "smooth_field",
]

FINEST, COARSEST = 1.0, 6.0  # mm


def require_drawable(what: str, count: int, seed: int, spacing: float) -> None:
    """
    Raises:
        BrainMRIError: when so many cases or patients cannot be drawn with this seed and spacing.
    """
    if count < 1:
        raise BrainMRIError(f"expected at least 1 {what}, got {count}\nChoose for example --{what}s 12.")
    if seed < 0:
        raise BrainMRIError(f"expected a seed of 0 or more, got {seed}\nChoose for example --seed 0.")
    if not FINEST <= spacing <= COARSEST:
        raise BrainMRIError(
            f"expected a spacing from {FINEST:g} to {COARSEST:g} mm, got {spacing:g}\nChoose for example --spacing 2."
        )


@dataclass(frozen=True)
class Grid:
    """The voxels that are drawn: ``shape`` H W D and their ``spacing`` in mm; the brain lies in the middle."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    def axes(self) -> list[np.ndarray]:
        """Distance from the middle in mm along rows, columns and slices, shaped to broadcast over H W D."""
        axes = []
        for dimension, (n, step) in enumerate(zip(self.shape, self.spacing, strict=True)):
            axis = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(step)
            axes.append(axis.reshape([-1 if i == dimension else 1 for i in range(3)]).astype(np.float32))
        return axes


@dataclass(frozen=True)
class Template:
    """The MNI152 brain on a 1 mm grid in PLS: tissue maps from 0 to 1, and the depth under the brain's surface in mm.

    ``depth`` is negative outside the brain. ``middle`` is the voxel in the middle of the brain.
    """

    white: np.ndarray
    fluid: np.ndarray
    depth: np.ndarray
    middle: np.ndarray


@dataclass(frozen=True)
class Anatomy:
    """A patient's tissues over a grid, H W D each: fractions from 0 to 1, and the depth under the surface in mm."""

    grey: np.ndarray
    white: np.ndarray
    fluid: np.ndarray
    depth: np.ndarray


@cache
def load_template() -> Template:
    """Read the maps that nilearn ships (ICBM 2009a, nonlinear symmetric, 1 mm); nothing is downloaded.

    Source:
        Fonov et al.: Unbiased average age-appropriate brain templates, NeuroImage 54, 2011.
    """
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template
    from scipy.ndimage import distance_transform_edt, gaussian_filter, zoom

    def load(read) -> np.ndarray:
        data = np.asanyarray(read(resolution=1).dataobj).astype(np.float32)
        return np.ascontiguousarray(data.transpose(1, 0, 2)[::-1, ::-1])  # RAS to PLS

    brain = load(load_mni152_brain_mask)
    # the field of view ends within the brainstem: the brain goes on there, its surface is not there
    padded = np.pad(brain[::2, ::2, ::2], 1, mode="edge") > 0.5
    depth = 2 * (distance_transform_edt(padded) - distance_transform_edt(~padded))[1:-1, 1:-1, 1:-1]
    depth = zoom(depth.astype(np.float32), [n / m for n, m in zip(brain.shape, depth.shape, strict=True)], order=1)
    inside = np.argwhere(brain > 0.5)
    middle = (inside.min(axis=0) + inside.max(axis=0)) / 2
    white = load(load_mni152_wm_template)
    fluid = np.clip(1 - white - load(load_mni152_gm_template), 0, 1) * (brain > 0.5)
    fluid += 1.5 * (fluid - gaussian_filter(fluid, 3, truncate=3))  # brings out the sulci
    fluid = np.where(brain > 0.5, np.clip(fluid, 0, 1), 1)
    return Template(white, fluid, depth, middle.astype(np.float32))


def smooth_field(rng: Generator, grid: Grid, scale: float) -> np.ndarray:
    """A Gaussian random field over the grid with mean 0 and variance 1.

    It is a cubic B-spline over a lattice of white noise, so that its cost hardly depends on ``scale``.

    Args:
        scale: distance of the lattice's nodes in mm; structures are about twice as large.

    Returns:
        H W D, float32.
    """
    axes = [axis.ravel() for axis in grid.axes()]
    field = rng.standard_normal([int(np.ptp(axis) / scale) + 5 for axis in axes], dtype=np.float32)
    for dimension in (2, 1, 0):  # the copies of the last and largest step are contiguous
        position = (axes[dimension] - axes[dimension][0]) / np.float32(scale) + rng.random(dtype=np.float32)
        node = position.astype(int)
        t = position - node
        weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, 3 * (t**2 - t**3 + t) + 1, t**3])
        weights /= np.sqrt((weights**2).sum(axis=0))  # keeps the variance at 1 between the nodes too
        weights = weights.reshape([4] + [-1 if i == dimension else 1 for i in range(3)])
        parts = (field.take(node + k, axis=dimension) for k in range(4))
        total = next(parts)
        total *= weights[0]
        for weight, part in zip(weights[1:], parts, strict=True):
            part *= weight
            total += part
        field = total
    return field


def draw_coordinates(rng: Generator, grid: Grid, size: float = 1.0) -> np.ndarray:
    """Where each voxel of the patient lies in the template: a random pose and size, and a smooth deformation.

    Args:
        size: mean length of brains, relative to that of the template.

    Returns:
        3 H W D, float32, in voxels of the template (1 mm).
    """
    tilt = np.deg2rad(rng.normal(0, [4, 2, 4]))  # about the axes P (roll), L (nod) and S (turn)
    rotation = np.eye(3)
    for axis, angle in enumerate(tilt):
        i, j = [a for a in range(3) if a != axis]
        turn = np.eye(3)
        turn[[i, j, i, j], [i, j, j, i]] = np.cos(angle), np.cos(angle), -np.sin(angle), np.sin(angle)
        rotation = rotation @ turn
    matrix = (rotation / (size * rng.normal(1, 0.03) * rng.normal(1, 0.03, size=3))).astype(np.float32)
    shift = rng.normal(0, [3, 3, 2]) + load_template().middle
    axes = grid.axes()
    coordinates = np.empty((3, *grid.shape), dtype=np.float32)
    for i in range(3):
        coordinates[i] = sum(matrix[i, j] * axes[j] for j in range(3)) + np.float32(shift[i])
        for scale, amplitude in ((45, 3.5), (18, 1.5), (9, 0.6)):
            coordinates[i] += amplitude * smooth_field(rng, grid, scale)
    return coordinates


def draw_anatomy(rng: Generator, grid: Grid, coordinates: np.ndarray) -> Anatomy:
    """Take the tissues at ``coordinates`` and give them the sharp borders and folds of a single person.

    The template is the mean of 152 people, so its cortex is blurred. A power of the probabilities sharpens it, after
    a random field has moved the balance between the tissues and so the folds.
    """
    from scipy.ndimage import map_coordinates

    template = load_template()
    white, fluid, depth = (
        map_coordinates(tissue, coordinates, order=1, mode="nearest", output=np.float32)
        for tissue in (template.white, template.fluid, template.depth)
    )
    grey = np.clip(1 - white - fluid, 0, 1)
    fluid *= np.exp(rng.normal(0.45, 0.2) + 0.4 * smooth_field(rng, grid, 6))  # atrophy, and sulci of one's own
    white *= np.exp(0.25 * smooth_field(rng, grid, 7))
    grey, white, fluid = (tissue**2.5 for tissue in (grey, white, fluid))
    scale = (depth > 0) / (grey + white + fluid + 1e-6)
    return Anatomy(grey * scale, white * scale, fluid * scale, depth)
