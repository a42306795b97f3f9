"""From tissues to pictures: the signal of each tissue in each modality, the coil's bias field and the noise."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, smooth_field

__all__ = ["SIGNALS", "draw_vessels", "render"]

# relative to white matter in T1
SIGNALS: dict[str, dict[str, float]] = {
    "t1": {
        **{"white": 1.0, "grey": 0.74, "fluid": 0.26, "oedema": 0.72, "necrosis": 0.40, "calcium": 0.40},
        **{"glial": 0.64, "glial enhancing": 0.64, "meningeal enhancing": 0.70},
    },
    "flair": {
        **{"white": 0.62, "grey": 0.78, "fluid": 0.14, "oedema": 1.08, "necrosis": 0.45, "calcium": 0.35},
        **{"glial": 1.10, "glial enhancing": 1.00, "meningeal enhancing": 0.90},
    },
    "t1c": {
        **{"white": 1.0, "grey": 0.77, "fluid": 0.27, "oedema": 0.73, "necrosis": 0.40, "calcium": 0.40},
        **{"glial": 0.65, "glial enhancing": 1.40, "meningeal enhancing": 1.40, "vessel": 1.45},
    },
}


def draw_vessels(rng: Generator, grid: Grid, anatomy: Anatomy) -> np.ndarray:
    """Vessels in the sulci and choroid plexus in the ventricles, H W D, from 0 to 1."""
    lines = np.exp(-((smooth_field(rng, grid, 5) / rng.uniform(0.08, 0.2)) ** 2)) * (smooth_field(rng, grid, 10) > 0)
    plexus = np.clip(smooth_field(rng, grid, 3) - 0.6, 0, 1)
    return anatomy.fluid * np.where(anatomy.depth < 25, lines, plexus)


def render(
    rng: Generator,
    grid: Grid,
    anatomy: Anatomy,
    tumour: dict[str, np.ndarray],
    vessels: np.ndarray,
    modality: str,
) -> np.ndarray:
    """One modality as a scanner shows it.

    Returns:
        H W D, float32, 0 outside the brain; healthy tissue lies between 0 and about 1.
    """
    signal = {name: np.float32(value * rng.normal(1, 0.04)) for name, value in SIGNALS[modality].items()}
    image = sum(signal[name] * getattr(anatomy, name) for name in ("white", "grey", "fluid"))
    for name, share in {**tumour, "vessel": vessels}.items():
        if name in signal:
            image += share * (signal[name] - image)
    image *= 1 + 0.04 * smooth_field(rng, grid, 3)
    image *= np.exp(rng.uniform(0.03, 0.12) * smooth_field(rng, grid, 70))
    noise = rng.uniform(0.015, 0.04)
    real, imaginary = (noise * rng.standard_normal(grid.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary) * (anatomy.depth > 0)
