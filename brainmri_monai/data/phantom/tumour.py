"""Tumours of several types and grades: where they grow, their parts, and how they push the brain aside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, load_template, smooth_field

__all__ = ["LOOKS", "VOLUMES", "Lesion", "Look", "draw_lesion", "draw_tumour", "push_aside"]

# Mean volumes in ml of what is dark, of what takes up contrast agent and of what is swollen: the same for all types, so
# that the brightness of an image tells the type as little as its size does. Types differ in arrangement.
VOLUMES = {"dark": 24.0, "enhancing": 28.0, "swollen": 70.0}


@dataclass(frozen=True)
class Look:
    """What sets one type and grade apart. Each patient deviates from these means.

    ``pattern`` says how the parts lie:
    ``ring``, a necrotic core in an enhancing rim, within infiltrated tissue;
    ``patchy``, enhancing patches and calcified specks within a mass of tumour;
    ``solid``, an enhancing mass that fluid surrounds.
    """

    site: str  # deep, cortical or dural
    pattern: str  # ring, patchy or solid
    dark: float  # volume, relative to VOLUMES: about 1 on average over the grades of a type
    enhancing: float  # likewise
    swollen: float  # likewise: oedema, and tumour that does not enhance
    tumour: float  # share of the swollen volume that is tumour
    margin: float  # mm, width of the border
    roughness: float  # mm, how far the border strays from an ellipsoid


LOOKS: dict[str, dict[int, Look]] = {
    "astrocytoma": {
        2: Look("deep", "ring", dark=0.7, enhancing=0.7, swollen=1.0, tumour=0.9, margin=3.5, roughness=3.0),
        3: Look("deep", "ring", dark=1.0, enhancing=1.0, swollen=1.0, tumour=0.6, margin=2.5, roughness=5.0),
        4: Look("deep", "ring", dark=1.3, enhancing=1.3, swollen=1.0, tumour=0.2, margin=1.5, roughness=6.0),
    },
    "oligodendroglioma": {
        2: Look("cortical", "patchy", dark=0.8, enhancing=0.7, swollen=1.0, tumour=0.9, margin=0.8, roughness=3.0),
        3: Look("cortical", "patchy", dark=1.2, enhancing=1.3, swollen=1.0, tumour=0.6, margin=0.8, roughness=6.0),
    },
    # means that differ from 1 make up for partial volumes: sharp borders keep more bright pixels, oedema loses some
    "meningioma": {
        1: Look("dural", "solid", dark=0.6, enhancing=0.92, swollen=0.8, tumour=0.0, margin=0.6, roughness=0.8),
        2: Look("dural", "solid", dark=1.0, enhancing=0.92, swollen=1.2, tumour=0.0, margin=0.8, roughness=3.0),
        3: Look("dural", "solid", dark=1.4, enhancing=0.92, swollen=1.6, tumour=0.0, margin=1.2, roughness=6.0),
    },
}


@dataclass(frozen=True)
class Lesion:
    """Where a patient's tumour grows, and how much of it."""

    centre: np.ndarray  # 3, mm from the middle of the grid
    radius: float  # mm, of a sphere with the tumour's volume, oedema aside
    stretch: np.ndarray  # 3 3, maps an offset from the centre to one whose length is the radius on the ellipsoid
    volumes: dict[str, float]  # ml, with the keys of VOLUMES

    def distance(self, grid: Grid) -> np.ndarray:
        """H W D: how far from the centre in mm, stretched so that it equals ``radius`` on the ellipsoid."""
        offset = [axis - np.float32(middle) for axis, middle in zip(grid.axes(), self.centre, strict=True)]
        return np.sqrt(sum(sum(np.float32(row[j]) * offset[j] for j in range(3)) ** 2 for row in self.stretch))


def draw_lesion(rng: Generator, grid: Grid, coordinates: np.ndarray, look: Look) -> Lesion:
    """Choose place, shape and volumes. The height in the brain comes from one distribution for all types.

    Args:
        coordinates: where each voxel lies in the template, 3 H W D.
    """
    volumes = {part: mean * getattr(look, part) * np.exp(rng.normal(0, 0.4)) for part, mean in VOLUMES.items()}
    inner = volumes["enhancing"] + look.tumour * volumes["swollen"] + (look.pattern != "solid") * volumes["dark"]
    radius = np.cbrt(1000 * inner * 3 / (4 * np.pi))

    template = load_template()
    height = int(template.middle[2] + rng.uniform(-22, 42))
    depth, white = template.depth[..., height], template.white[..., height]
    places = {
        "deep": (depth > 15) & (white > 0.9),
        "cortical": abs(depth - 0.7 * radius) < 1.5,
        "dural": abs(depth - 0.5 * radius) < 1.5,
    }
    site = np.append(rng.choice(np.argwhere(places[look.site])), height)
    nearest = np.argmin(sum((coordinates[i] - np.float32(site[i])) ** 2 for i in range(3)))
    voxel = np.unravel_index(nearest, grid.shape)
    centre = np.array([axis.ravel()[i] for axis, i in zip(grid.axes(), voxel, strict=True)])

    directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    lengths = np.exp(rng.normal(0, 0.15, size=3))
    return Lesion(centre, radius, directions * (np.cbrt(lengths.prod()) / lengths)[:, None], volumes)


def push_aside(grid: Grid, coordinates: np.ndarray, lesion: Lesion) -> np.ndarray:
    """Move the brain out of the lesion's way: most of all at its border, hardly at twice its radius.

    Args:
        coordinates: where each voxel lies in the template, 3 H W D.

    Returns:
        The coordinates after that, 3 H W D.
    """
    pull = 0.45 * np.exp(-((lesion.distance(grid) / np.float32(1.1 * lesion.radius)) ** 2))
    offsets = (axis - np.float32(middle) for axis, middle in zip(grid.axes(), lesion.centre, strict=True))
    return np.stack([line - pull * offset for line, offset in zip(coordinates, offsets, strict=True)])


def draw_tumour(rng: Generator, grid: Grid, anatomy: Anatomy, lesion: Lesion, look: Look) -> dict[str, np.ndarray]:
    """Grow the tumour from noisy distance fields, each part until it has its volume; oedema prefers white matter.

    Returns:
        The parts by the name of their tissue, H W D each, from 0 to 1. Each lies over those before it.
    """
    from scipy.ndimage import gaussian_filter

    def grow(distance: np.ndarray, within: np.ndarray, volume: float, margin: float) -> np.ndarray:
        """The nearest of ``within``, as much as makes up the volume."""
        return within * _step(_reach(distance[within > 0.5], volume, grid) - distance, margin)

    volumes = lesion.volumes
    brain = anatomy.depth > 0
    distance = lesion.distance(grid)
    fine = smooth_field(rng, grid, 4)
    outside = distance + look.roughness * (0.7 * smooth_field(rng, grid, 9) + 0.3 * fine)
    outside -= _reach(outside[brain], 4 / 3 * np.pi * lesion.radius**3 / 1000, grid)  # mm beyond the tumour's border
    mass = brain * _step(-outside, look.margin)

    white = gaussian_filter(anatomy.white, [2.5 / step for step in grid.spacing])
    ease = 0.15 + white + 0.2 * abs(smooth_field(rng, grid, 7))
    passable = brain & (anatomy.fluid < 0.5) & (outside > 0)
    oedema = grow(np.maximum(outside, 0) / ease, passable, (1 - look.tumour) * volumes["swollen"], 3)
    oedema *= 1 - anatomy.fluid

    if look.pattern == "ring":
        rim = grow(distance + 3 * smooth_field(rng, grid, 5), mass, volumes["dark"] + volumes["enhancing"], 0.8)
        core = grow(distance + 3 * fine, mass, volumes["dark"], 0.8)
        return {"oedema": oedema, "tumour": mass, "astrocytic": rim, "necrosis": core}
    if look.pattern == "patchy":
        patches = grow(smooth_field(rng, grid, 7), mass, volumes["enhancing"], 0.3)
        specks = grow(smooth_field(rng, grid, 5), mass * (patches < 0.5), volumes["dark"], 0.3)
        return {"oedema": oedema, "tumour": mass, "oligodendroglial": patches, "calcium": specks}
    fluid = grow(np.maximum(outside, 0), brain & (mass < 0.5), volumes["dark"], 0.8)
    return {"oedema": oedema, "cyst": fluid, "meningeal": mass}


def _reach(distance: np.ndarray, volume: float, grid: Grid) -> np.float32:
    """The distance within which that volume (ml) of voxels lies."""
    count = min(int(1000 * volume / np.prod(grid.spacing)), distance.size - 1)
    return np.partition(distance, count)[count]


def _step(value: np.ndarray, width: float) -> np.ndarray:
    """0 below zero, 1 above, with a smooth border of about ``width``."""
    from scipy.special import expit

    return expit(value * np.float32(4 / width))
