"""From tissues to pictures: the signal of each tissue in each modality, the coil's bias field and the noise."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, smooth_field
from brainmri_monai.data.phantom.tumour import Tumour

__all__ = ["SIGNALS", "draw_vessels", "render"]

# relative to white matter in T1; "vessel" and "enhancing" are what contrast agent lights up
SIGNALS: dict[str, dict[str, float]] = {
    "t1": {
        "white": 1.0,
        "grey": 0.74,
        "fluid": 0.26,
        "glial": 0.60,
        "meningeal": 0.70,
        "necrosis": 0.38,
        "calcium": 0.45,
        "oedema": 0.72,
    },
    "flair": {
        "white": 0.62,
        "grey": 0.78,
        "fluid": 0.14,
        "glial": 1.12,
        "meningeal": 0.92,
        "necrosis": 0.55,
        "calcium": 0.45,
        "oedema": 1.08,
    },
    "t1c": {
        "white": 1.0,
        "grey": 0.77,
        "fluid": 0.27,
        "glial": 0.62,
        "meningeal": 0.72,
        "necrosis": 0.40,
        "calcium": 0.45,
        "oedema": 0.73,
        "enhancing": 1.40,
        "vessel": 1.45,
    },
}


def draw_vessels(rng: Generator, grid: Grid, anatomy: Anatomy) -> np.ndarray:
    """Vessels in the sulci and choroid plexus in the ventricles, H W D, from 0 to 1."""
    lines = np.exp(-((smooth_field(rng, grid, 5) / 0.12) ** 2)) * (smooth_field(rng, grid, 10) > 0.2)
    plexus = np.clip(smooth_field(rng, grid, 3) - 0.6, 0, 1) * (anatomy.depth > 25)
    near = anatomy.depth < 25
    return anatomy.fluid * np.maximum(lines * near, plexus)


def render(
    rng: Generator, grid: Grid, anatomy: Anatomy, tumour: Tumour, vessels: np.ndarray, tissue: str, modality: str
) -> np.ndarray:
    """One modality as a scanner shows it.

    Returns:
        H W D, float32, 0 outside the brain; healthy tissue lies between 0 and about 1.
    """
    signal = {name: value * rng.normal(1, 0.04) for name, value in SIGNALS[modality].items()}
    image = sum(np.float32(signal[name]) * getattr(anatomy, name) for name in ("white", "grey", "fluid"))
    for name, share in [
        ("oedema", 0.8 * tumour.oedema),
        ("fluid", tumour.cleft),
        (tissue, tumour.living),
        ("enhancing", tumour.enhancing),
        ("calcium", 0.7 * tumour.calcium),
        ("necrosis", tumour.necrosis),
        ("vessel", vessels),
    ]:
        if name in signal:
            image += share * (np.float32(signal[name]) - image)
    image *= 1 + (0.03 + 0.04 * tumour.living) * smooth_field(rng, grid, 3)
    image *= np.exp(rng.uniform(0.03, 0.12) * smooth_field(rng, grid, 70))
    noise = rng.uniform(0.015, 0.04)
    real, imaginary = (noise * rng.standard_normal(grid.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary) * (anatomy.depth > 0)
