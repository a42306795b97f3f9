"""Tumours of several types and grades: where they grow, their parts, and how they push the brain aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, load_template, smooth_field

__all__ = ["LOOKS", "Lesion", "Look", "Tumour", "draw_lesion", "draw_tumour", "push_aside"]


@dataclass(frozen=True)
class Look:
    """What sets one type and grade apart. Lengths in mm; each patient deviates from these means."""

    site: str  # deep, cortical or dural
    tissue: str  # glial or meningeal: its signal is in contrast.SIGNALS
    necrosis: float  # share of the volume, in the middle
    enhancing: float  # share of the living part: 0 none, 1 all of it
    margin: float  # width of the border
    roughness: float  # how far the border leaves an ellipsoid
    oedema: float  # reach in white matter
    calcium: float = 0.0  # share of the living part
    cleft: float = 0.0  # fluid between the tumour and the brain


LOOKS: dict[str, dict[int, Look]] = {
    "astrocytoma": {
        2: Look("deep", "glial", necrosis=0.00, enhancing=0.02, margin=2.5, roughness=4.0, oedema=7),
        3: Look("deep", "glial", necrosis=0.08, enhancing=0.35, margin=2.0, roughness=4.0, oedema=10),
        4: Look("deep", "glial", necrosis=0.40, enhancing=0.85, margin=1.0, roughness=3.0, oedema=15),
    },
    "oligodendroglioma": {
        2: Look("cortical", "glial", necrosis=0.02, enhancing=0.05, margin=0.8, roughness=3.0, oedema=2, calcium=0.15),
        3: Look("cortical", "glial", necrosis=0.10, enhancing=0.40, margin=0.8, roughness=4.0, oedema=6, calcium=0.20),
    },
    "meningioma": {
        1: Look("dural", "meningeal", necrosis=0.00, enhancing=1.0, margin=0.4, roughness=0.8, oedema=2, cleft=1.5),
        2: Look("dural", "meningeal", necrosis=0.04, enhancing=0.95, margin=0.6, roughness=2.5, oedema=8, cleft=1.0),
        3: Look("dural", "meningeal", necrosis=0.15, enhancing=0.9, margin=1.2, roughness=4.0, oedema=14),
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


@dataclass(frozen=True)
class Tumour:
    """The parts of a tumour over a grid, H W D each, from 0 to 1; ``enhancing`` and ``calcium`` are ``living``."""

    living: np.ndarray
    necrosis: np.ndarray
    enhancing: np.ndarray
    calcium: np.ndarray
    cleft: np.ndarray
    oedema: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """H W D, boolean: tumour or oedema."""
        return self.living + self.necrosis + self.oedema > 0.1


def draw_lesion(rng: Generator, grid: Grid, coordinates: np.ndarray, look: Look) -> Lesion:
    """Choose place, size and shape. Size and height come from one distribution for all types."""
    radius = rng.uniform(12, 20)
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


def draw_tumour(rng: Generator, grid: Grid, anatomy: Anatomy, lesion: Lesion, look: Look) -> Tumour:
    """Grow the tumour from a noisy distance field; its oedema reaches furthest along white matter."""
    from scipy.ndimage import gaussian_filter
    from scipy.special import ndtri

    def share(part: float, scale: float) -> np.ndarray:
        """A random patchy map that covers about ``part`` of the grid."""
        part = np.clip(part, 1e-6, 1 - 1e-6)
        return _step(smooth_field(rng, grid, scale) + ndtri(part), 0.25)

    brain = anatomy.depth > 0

    def vary(value: float) -> float:
        return float(value * rng.uniform(0.7, 1.3))

    rough = vary(look.roughness) * (0.7 * smooth_field(rng, grid, 9) + 0.3 * smooth_field(rng, grid, 4))
    outside = lesion.distance(grid) - np.float32(lesion.radius) + rough  # mm beyond the border
    whole = _step(-outside, vary(look.margin)) * brain

    inner = lesion.radius * (1 - np.cbrt(min(vary(look.necrosis), 0.8)))
    dead = _step(-outside - inner + 1.5 * smooth_field(rng, grid, 5), 0.8) if look.necrosis else np.zeros_like(whole)
    necrosis = whole * dead
    living = whole - necrosis
    enhancing = living * share(vary(look.enhancing), 4)
    calcium = living * share(vary(look.calcium), 2) if look.calcium else np.zeros_like(whole)
    cleft = (
        _step(vary(look.cleft) / 2 - abs(outside - look.cleft / 2), 0.5) * brain if look.cleft else np.zeros_like(whole)
    )
    cleft = cleft * (1 - whole)

    sigma = [2.0 / s for s in grid.spacing]
    white = gaussian_filter(anatomy.white, sigma)
    reach = vary(look.oedema) * (0.15 + 1.1 * white + 0.25 * smooth_field(rng, grid, 7))
    oedema = _step(reach - np.maximum(outside, 0), 1.5) * brain * (1 - anatomy.fluid) * (1 - whole) * (1 - cleft)
    return Tumour(living, necrosis, enhancing, calcium, cleft, oedema)


def _step(value: np.ndarray, width: float) -> np.ndarray:
    """0 below, 1 above zero, with a smooth border of ``width``."""
    from scipy.special import expit

    return expit(value / np.float32(width / 2))
