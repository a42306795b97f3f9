"""Tumours of several types and grades: where they grow, their parts, and how they push the brain aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, load_template, smooth_field

__all__ = ["LOOKS", "Lesion", "Look", "draw_lesion", "draw_tumour", "push_aside"]

# Mean volumes in ml, the same for all types: the parts differ in place, arrangement and border, so that a tumour's type
# is not told by an image's overall brightness.
VOLUMES = {"dark": 4.0, "enhancing": 10.0, "swollen": 24.0}


@dataclass(frozen=True)
class Look:
    """What sets one type and grade apart. Each patient deviates from these means.

    ``pattern`` is how the parts lie:
    ``ring``: a necrotic core, an enhancing rim around it, infiltrated tissue around both;
    ``patchy``: calcified or cystic specks and enhancing patches in a mass of tumour;
    ``solid``: an enhancing mass, with a cleft of fluid toward the brain.
    """

    site: str  # deep, cortical or dural
    pattern: str  # ring, patchy or solid
    dark: float  # volume relative to VOLUMES; the mean over the grades of a type is 1
    enhancing: float  # likewise
    swollen: float  # likewise: tumour that does not enhance, and oedema
    tumour: float  # share of the swollen volume that is tumour
    margin: float  # mm, width of the border
    roughness: float  # mm, how far the border leaves an ellipsoid


LOOKS: dict[str, dict[int, Look]] = {
    "astrocytoma": {
        2: Look("deep", "ring", dark=0.3, enhancing=0.3, swollen=0.9, tumour=0.8, margin=3.0, roughness=3.0),
        3: Look("deep", "ring", dark=0.9, enhancing=1.0, swollen=1.0, tumour=0.6, margin=2.5, roughness=4.0),
        4: Look("deep", "ring", dark=1.8, enhancing=1.7, swollen=1.1, tumour=0.3, margin=2.0, roughness=4.0),
    },
    "oligodendroglioma": {
        2: Look("cortical", "patchy", dark=0.6, enhancing=0.5, swollen=0.9, tumour=0.9, margin=0.8, roughness=3.0),
        3: Look("cortical", "patchy", dark=1.4, enhancing=1.5, swollen=1.1, tumour=0.7, margin=0.8, roughness=4.0),
    },
    "meningioma": {
        1: Look("dural", "solid", dark=0.8, enhancing=1.0, swollen=0.6, tumour=0.0, margin=0.4, roughness=0.8),
        2: Look("dural", "solid", dark=1.0, enhancing=1.0, swollen=1.0, tumour=0.0, margin=0.6, roughness=2.5),
        3: Look("dural", "solid", dark=1.2, enhancing=1.0, swollen=1.4, tumour=0.0, margin=1.0, roughness=4.0),
    },
}


@dataclass(frozen=True)
class Lesion:
    """An ellipsoid in the patient's frame: ``centre`` in mm from the grid's middle, ``axes`` of the ellipsoid."""

    centre: np.ndarray  # 3
    radius: float  # mm, of the sphere of the same volume
    shape: np.ndarray  # 3 3, maps an offset from the centre to a distance in mm that is `radius` on the ellipsoid

    def distance(self, grid: Grid) -> np.ndarray:
        """Distance from the centre over the grid, H W D, in mm; it equals ``radius`` on the ellipsoid."""
        offset = [axis - np.float32(c) for axis, c in zip(grid.axes(), self.centre, strict=True)]
        return np.sqrt(sum(sum(np.float32(row[j]) * offset[j] for j in range(3)) ** 2 for row in self.shape))


def draw_lesion(rng: Generator, grid: Grid, coordinates: np.ndarray, look: Look) -> Lesion:
    """Choose place, size and shape. Size and height come from one distribution for all types."""
    radius = 15.0
    height = rng.uniform(-22, 42)
    template = load_template()
    depth, white = template.depth, template.white
    slab = int(template.middle[2] + height)
    if look.site == "deep":
        candidates = (depth[..., slab] > 15) & (white[..., slab] > 0.9)
    elif look.site == "cortical":
        candidates = abs(depth[..., slab] - 0.7 * radius) < 1.5
    else:
        candidates = abs(depth[..., slab] - 0.55 * radius) < 1.5
    site = np.append(rng.choice(np.argwhere(candidates)), slab)
    difference = sum((coordinates[i] - np.float32(site[i])) ** 2 for i in range(3))
    voxel = np.unravel_index(np.argmin(difference), grid.shape)
    centre = np.array([axis.ravel()[i] for axis, i in zip(grid.axes(), voxel, strict=True)])
    directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    stretch = np.exp(rng.normal(0, 0.15, size=3))
    stretch /= np.cbrt(stretch.prod())
    return Lesion(centre, radius, directions / stretch[:, None])


def push_aside(grid: Grid, coordinates: np.ndarray, lesion: Lesion, strength: float = 0.45) -> np.ndarray:
    """Move the brain out of the lesion's way: strongest at its border, nothing beyond three radii."""
    distance = lesion.distance(grid)
    pull = np.float32(strength) * np.exp(-((distance / (1.1 * lesion.radius)) ** 2))
    pushed = coordinates.copy()
    for i, (axis, centre) in enumerate(zip(grid.axes(), lesion.centre, strict=True)):
        pushed[i] -= pull * (axis - np.float32(centre))
    return pushed


def draw_tumour(rng: Generator, grid: Grid, anatomy: Anatomy, lesion: Lesion, look: Look) -> dict[str, np.ndarray]:
    """Grow the tumour from noisy distance fields, each part until it has its volume; oedema prefers white matter.

    Returns:
        The parts by the name of their tissue, H W D each, from 0 to 1. Each lies over those before it.
    """
    from scipy.ndimage import gaussian_filter

    voxel = np.prod(grid.spacing) / 1000  # ml
    brain = anatomy.depth > 0
    volume = {name: mean * getattr(look, name) * np.exp(rng.normal(0, 0.3)) for name, mean in VOLUMES.items()}
    inner = volume["dark"] + volume["enhancing"] if look.pattern != "solid" else volume["enhancing"]
    distance = lesion.distance(grid)
    fine = smooth_field(rng, grid, 4)

    def grow(distance: np.ndarray, within: np.ndarray, volume: float, margin: float) -> np.ndarray:
        """What of ``within`` has the least distance, as much as makes up the volume."""
        return within * _step(_reach(distance[within > 0.5], volume / voxel) - distance, margin)

    outside = distance + look.roughness * (0.7 * smooth_field(rng, grid, 9) + 0.3 * fine)
    core = inner + look.tumour * volume["swollen"]
    outside -= _reach(outside[brain], core / voxel)  # mm beyond the tumour's border
    whole = brain * _step(-outside, look.margin)

    white = gaussian_filter(anatomy.white, [2.5 / step for step in grid.spacing])
    ease = 0.15 + white + 0.2 * np.abs(smooth_field(rng, grid, 7))
    tissue = brain & (anatomy.fluid < 0.5) & (outside > 0)
    swelling = grow(np.maximum(outside, 0) / ease, tissue, (1 - look.tumour) * volume["swollen"], 3)
    oedema = swelling * (1 - anatomy.fluid)

    if look.pattern == "ring":
        dark = grow(distance + 3 * fine, whole, volume["dark"], 1)
        shell = grow(distance + 3 * smooth_field(rng, grid, 5), whole, inner, 1.5)
        return {"oedema": oedema, "glial": whole, "glial enhancing": shell, "necrosis": dark}
    if look.pattern == "patchy":
        dark = grow(smooth_field(rng, grid, 3), whole, volume["dark"], 0.3)
        patches = grow(smooth_field(rng, grid, 5), whole, volume["enhancing"], 0.3)
        return {"oedema": oedema, "glial": whole, "glial enhancing": patches, "calcium": dark}
    cleft = grow(np.maximum(outside, 0), brain & (whole < 0.5), volume["dark"], 0.8)
    return {"oedema": oedema, "fluid": cleft, "meningeal enhancing": whole}


def _reach(distance: np.ndarray, voxels: float) -> np.float32:
    """The distance within which that many voxels lie."""
    count = min(int(voxels), distance.size - 1)
    return np.partition(distance, count)[count]


def _step(value: np.ndarray, width: float) -> np.ndarray:
    """0 below, 1 above zero, with a smooth border of about ``width``."""
    from scipy.special import expit

    return expit(value * np.float32(4 / width))
