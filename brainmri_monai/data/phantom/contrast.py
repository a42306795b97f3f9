"""From tissues to pictures: the signal of each tissue in each modality, the coil's bias field, blur and noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

from brainmri_monai.data.phantom.anatomy import Anatomy, Grid, smooth_field

__all__ = ["SIGNALS", "draw_vessels", "render", "window"]

# Relative to white matter in T1. The enhancing and the dark part of a tumour have the same values in each type, paired
# otherwise over the modalities: where contrast agent gathers, an astrocytoma is bright in FLAIR, a meningioma dark in
# FLAIR, an oligodendroglioma dark in T1. No modality alone, and no mean of one, tells the type.
SIGNALS: dict[str, dict[str, float]] = {
    "t1": {
        **{"white": 1.0, "grey": 0.74, "fluid": 0.26, "oedema": 0.68, "tumour": 0.66},
        **{"astrocytic": 0.92, "meningeal": 0.92, "oligodendroglial": 0.30},
        **{"necrosis": 0.30, "cyst": 0.30, "calcium": 0.92},
    },
    "flair": {
        **{"white": 0.54, "grey": 0.68, "fluid": 0.12, "oedema": 1.04, "tumour": 1.04},
        **{"astrocytic": 1.08, "meningeal": 0.36, "oligodendroglial": 1.08},
        **{"necrosis": 0.36, "cyst": 1.08, "calcium": 0.32},
    },
    "t1c": {
        **{"white": 1.0, "grey": 0.77, "fluid": 0.27, "oedema": 0.70, "tumour": 0.68, "vessel": 1.8},
        **{"astrocytic": 1.75, "meningeal": 1.75, "oligodendroglial": 1.75},
        **{"necrosis": 0.40, "cyst": 0.40, "calcium": 0.42},
    },
}


def draw_vessels(rng: Generator, grid: Grid, anatomy: Anatomy) -> np.ndarray:
    """Vessels in the sulci and choroid plexus in the ventricles, H W D, from 0 to 1."""
    lines = np.exp(-((smooth_field(rng, grid, 5) / rng.uniform(0.05, 0.1)) ** 2)) * (smooth_field(rng, grid, 10) > 0)
    plexus = np.clip(smooth_field(rng, grid, 3) - 0.6, 0, 1)
    return anatomy.fluid * np.where(anatomy.depth < 25, lines, plexus)


def render(
    rng: Generator,
    grid: Grid,
    anatomy: Anatomy,
    tumour: dict[str, np.ndarray],
    vessels: np.ndarray,
    modality: str,
    signals: Mapping[str, Mapping[str, float]] = SIGNALS,
) -> np.ndarray:
    """One modality as a scanner shows it.

    Args:
        anatomy: the healthy tissues.
        tumour: parts by the name of their tissue, each over those before it (see ``tumour.draw_tumour``).
        vessels: what contrast agent lights up, from 0 to 1.
        modality: a key of ``signals``.
        signals: modality → tissue → signal; a part whose tissue is not there does not show.

    Returns:
        H W D, float32, 0 outside the brain; white matter in T1 is about 1.
    """
    from scipy.ndimage import gaussian_filter

    signal = {name: np.float32(value * rng.normal(1, 0.05)) for name, value in signals[modality].items()}
    image = sum(signal[name] * getattr(anatomy, name) for name in ("white", "grey", "fluid"))
    uneven = 1 + 0.08 * smooth_field(rng, grid, 5)
    for name, share in {**tumour, "vessel": vessels}.items():
        if name in signal:
            image += share * (signal[name] * uneven - image)
    image *= 1 + 0.04 * smooth_field(rng, grid, 3)
    image *= np.exp(rng.uniform(0.03, 0.08) * smooth_field(rng, grid, 70))  # the coil's bias field
    image = gaussian_filter(image, [0.5 / grid.spacing[0], 0.5 / grid.spacing[1], 0], truncate=3)
    noise = rng.uniform(0.015, 0.04)
    real, imaginary = (noise * rng.standard_normal(grid.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(image + real, imaginary) * (anatomy.depth > 0)  # Rician: the magnitude of a complex signal


def window(rng: Generator, image: np.ndarray, modality: str) -> np.ndarray:
    """Grey values as bytes, H W D, with brightness and contrast as different as between scanners and readers."""
    top = max(SIGNALS[modality].values()) * rng.uniform(1.0, 1.25)
    return (255 * np.clip(image / np.float32(top), 0, 1) ** np.float32(rng.uniform(0.85, 1.2))).astype(np.uint8)
