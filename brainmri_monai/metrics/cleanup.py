"""Which components of a predicted region are so small that they are noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Components", "best_minimum", "measure_components"]

MINIMA = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # ml; more would take away whole tumours
GAIN = 0.001  # of mean Dice, below which a larger minimum is chance


@dataclass(frozen=True)
class Components:
    """What a region of a case was predicted to be.

    Args:
        volumes: n, the volume of each predicted component in ml.
        hits: n, how much of it lies in the truth.
        truth: volume of the truth.
    """

    volumes: NDArray
    hits: NDArray
    truth: float

    def dice(self, minimum: float) -> float:
        """Dice without the components below so many ml; nothing found where nothing is: 1."""
        kept = self.volumes >= minimum * (1 - 1e-6)
        total = self.volumes[kept].sum() + self.truth
        return float(2 * self.hits[kept].sum() / total) if total else 1.0


def measure_components(prediction: NDArray, truth: NDArray, voxel_ml: float) -> Components:
    """The 26-connected components of a prediction H W D, boolean, beside the truth.

    Args:
        prediction, truth: H W D, boolean.
        voxel_ml: volume of a voxel.
    """
    from scipy.ndimage import find_objects, label

    volumes = hits = np.zeros(0)
    if prediction.any():
        box = find_objects(prediction.view(np.uint8))[0]  # far less than the volume
        numbered, count = label(prediction[box], structure=np.ones((3, 3, 3)))
        volumes = np.bincount(numbered.ravel(), minlength=count + 1)[1:] * voxel_ml
        hits = np.bincount(numbered[truth[box]], minlength=count + 1)[1:] * voxel_ml
    return Components(volumes, hits, np.count_nonzero(truth) * voxel_ml)


def best_minimum(cases: Sequence[Components]) -> float:
    """The volume in ml below which components are best dropped, for the mean Dice over the cases; 0 when none helps.

    Of values that are as good, up to a thousandth, it is the smallest.

    Args:
        cases: one region of each case.
    """
    if not cases:
        return 0.0
    means = np.array([np.mean([case.dice(minimum) for case in cases]) for minimum in MINIMA])
    return MINIMA[int(np.argmax(means >= means.max() - GAIN))]
