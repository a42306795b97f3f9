"""A brain with one glioma or several, in the four modalities of BraTS and as a label map."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.brats.conventions import MODALITIES
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, draw_anatomy, draw_coordinates, smooth_field
from brainmri_monai.data.phantom.contrast import SIGNALS, draw_vessels, render
from brainmri_monai.data.phantom.tumour import Lesion, Look, draw_lesion, draw_tumour, push_aside

__all__ = ["PLANS", "Plan", "draw_case"]


@dataclass(frozen=True)
class Plan:
    """What sets one kind of case apart.

    Args:
        grade: HGG or LGG.
        look: of each lesion; only how its volumes compare counts, since the sum is drawn.
        lesions: how many.
        enhances: whether the tumour takes up contrast agent.
    """

    grade: str
    look: Look
    lesions: int = 1
    enhances: bool = True


_HIGH = Look("deep", "ring", dark=0.7, enhancing=0.8, swollen=1.0, tumour=0.1, margin=1.5, roughness=5.0)
_LOW = Look("deep", "ring", dark=0.3, enhancing=0.3, swollen=1.2, tumour=0.5, margin=2.5, roughness=5.0)

PLANS = (
    Plan("HGG", _HIGH),
    Plan("LGG", _LOW, enhances=False),
    Plan("HGG", replace(_HIGH, dark=0.25, swollen=1.6)),
    Plan("HGG", _HIGH, lesions=3),
    Plan("LGG", replace(_LOW, dark=0.15)),
    Plan("HGG", replace(_HIGH, dark=1.5, enhancing=1.0)),
)
"""The kinds of cases, which take turns."""

_SIGNALS = {
    "t1c": {**SIGNALS["t1c"], "enhancing": 1.6, "gliosis": 0.82},
    "t1": {**SIGNALS["t1"], "enhancing": 0.66, "gliosis": 0.82},
    "t2": {
        **{"white": 0.54, "grey": 0.71, "fluid": 1.5, "oedema": 1.1, "tumour": 1.15},
        **{"necrosis": 1.4, "enhancing": 0.95, "gliosis": 0.85},
    },
    "flair": {**SIGNALS["flair"], "enhancing": 0.88, "gliosis": 0.95},
}

_SIZE = 0.93  # 1.5 l: in the space of BraTS brains are smaller than MNI152's 1.9 l
_TOTAL_ML = (3.0, 70.0, 105.0)  # all lesions together: least, most frequent, most; partial volumes stray by a fifth


def draw_case(rng: Generator, grid: Grid, plan: Plan) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Draw one case.

    Args:
        grid: with room for a brain of about 190 x 155 x 150 mm.
        plan: what kind of case.

    Returns:
        Modality → H W D, int16, 0 outside the brain alone; and the label map, H W D, uint8, with 1 NCR and tumour that
        does not enhance, 2 ED, 3 ET.
    """
    coordinates = draw_coordinates(rng, grid, _SIZE)
    total = np.exp(rng.triangular(*np.log(_TOTAL_ML)))
    shares = rng.dirichlet(np.full(plan.lesions, 3.0))
    lesions = [_scaled(draw_lesion(rng, grid, coordinates, plan.look), share * total) for share in shares]
    for lesion in lesions:
        coordinates = push_aside(grid, coordinates, lesion)
    anatomy = draw_anatomy(rng, grid, coordinates)
    del coordinates
    parts = _grow(rng, grid, anatomy, plan, lesions)
    label = _label(anatomy, parts)
    tissues = {"gliosis": _gliosis(rng, grid, anatomy), **_loosened(rng, grid, parts)}
    vessels = draw_vessels(rng, grid, anatomy)

    generators = dict(zip(MODALITIES, rng.spawn(len(MODALITIES)), strict=True))  # each its own: threads take no turns
    scans = on_all_cores(lambda name: _scan(generators[name], grid, anatomy, tissues, vessels, name), MODALITIES)
    return dict(zip(MODALITIES, scans, strict=True)), label


def _scaled(lesion: Lesion, total: float) -> Lesion:
    """The same lesion, grown or shrunk to ``total`` ml."""
    scale = total / sum(lesion.volumes.values())
    volumes = {part: scale * volume for part, volume in lesion.volumes.items()}
    return replace(lesion, radius=np.cbrt(scale) * lesion.radius, volumes=volumes)


def _grow(rng: Generator, grid: Grid, anatomy: Anatomy, plan: Plan, lesions: list[Lesion]) -> dict[str, np.ndarray]:
    """All lesions by the name of their tissue, H W D each, from 0 to 1; each lies over those before it."""
    parts: dict[str, np.ndarray] = {}
    for lesion in lesions:
        look = replace(plan.look, roughness=min(plan.look.roughness, 0.3 * lesion.radius))  # a small one stays whole
        for tissue, share in draw_tumour(rng, grid, anatomy, lesion, look).items():
            parts[tissue] = np.maximum(parts[tissue], share) if tissue in parts else share
    rim, core = parts.pop("astrocytic"), parts.pop("necrosis")
    return {**parts, **({"enhancing": rim} if plan.enhances else {}), "necrosis": core}


def _label(anatomy: Anatomy, parts: dict[str, np.ndarray]) -> np.ndarray:
    """Give each voxel of the brain the last of the parts that fill half of it."""
    label = np.zeros(anatomy.depth.shape, dtype=np.uint8)
    values = {"oedema": 2, "tumour": 1, "enhancing": 3, "necrosis": 1}
    for tissue, share in parts.items():
        label[(share > 0.5) & (anatomy.depth > 0)] = values[tissue]
    return label


def _gliosis(rng: Generator, grid: Grid, anatomy: Anatomy) -> np.ndarray:
    """What age leaves in white matter, and is no tumour: caps around the ventricles, and specks."""
    from scipy.ndimage import gaussian_filter

    ventricles = anatomy.fluid * (anatomy.depth > 25)
    caps = 2 * gaussian_filter(ventricles, [2.5 / step for step in grid.spacing], truncate=3)
    caps *= rng.uniform(0.3, 1.2) * (1 + 0.5 * smooth_field(rng, grid, 9))
    specks = smooth_field(rng, grid, 4) - rng.uniform(1.8, 2.8)
    return anatomy.white * np.clip(np.maximum(caps, 3 * specks), 0, 1)


def _loosened(rng: Generator, grid: Grid, parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Mix the parts with the brain around them, each case and place otherwise: oedema is seldom all water."""
    uneven = 0.2 * smooth_field(rng, grid, 8)
    return {tissue: share * np.clip(rng.uniform(0.65, 1) + uneven, 0.2, 1) for tissue, share in parts.items()}


def _scan(
    rng: Generator,
    grid: Grid,
    anatomy: Anatomy,
    tissues: dict[str, np.ndarray],
    vessels: np.ndarray,
    modality: str,
) -> np.ndarray:
    """One modality of a scanner with its own coil and scale, resampled from slices of a thickness of its own."""
    from scipy.ndimage import gaussian_filter

    image = render(rng, grid, anatomy, tissues, vessels, modality, _SIGNALS)
    image *= np.exp(rng.uniform(0.04, 0.10) * smooth_field(rng, grid, 60))
    blur = (0.45, 0.45, rng.uniform(0.4, 1.2))
    image = gaussian_filter(image, [width / step for width, step in zip(blur, grid.spacing, strict=True)], truncate=3)
    image *= np.float32(np.exp(rng.normal(np.log(400), 0.6)))
    return np.where(anatomy.depth > 0, np.clip(np.rint(image), 1, 32767), 0).astype(np.int16)
