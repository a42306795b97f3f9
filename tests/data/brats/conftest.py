"""Small cases, written in the layouts and under the names of the BraTS data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

BRATS = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS, 1 mm
SHAPE = (12, 11, 10)
WORDS = {
    "before 2023": ("_t1ce", "_t1", "_t2", "_flair", "_seg"),
    "since 2023": ("-t1c", "-t1n", "-t2w", "-t2f", "-seg"),
    "ucsf": ("_T1c", "_T1", "_T2", "_FLAIR", "_tumor_segmentation"),
    "upenn": ("_T1GD", "_T1", "_T2", "_FLAIR", "_segm"),
}


def make_image(seed: int, shape: Sequence[int] = SHAPE) -> np.ndarray:
    """Whole numbers from 1 in the inner voxels, 0 at the border, another ones for each seed."""
    image = np.zeros(shape, dtype=np.int16)
    image[2:-2, 2:-2, 2:-2] = np.random.default_rng(seed).integers(1, 1000, [n - 4 for n in shape[:3]] + [*shape[3:]])
    return image


def make_label(values: Sequence[int], shape: Sequence[int] = SHAPE) -> np.ndarray:
    """A voxel of each value, in the middle, side by side."""
    label = np.zeros(shape, dtype=np.uint8)
    label[4, 4, 3 : 3 + len(values)] = values
    return label


def _save(file: Path, voxels: np.ndarray, affine: np.ndarray = BRATS) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), file)
    return file


@pytest.fixture
def save():
    """Write voxels as a NIfTI file, with its folders; by default 1 mm and LPS, as BraTS is."""
    return _save


@pytest.fixture
def write_case():
    """Write a case of four files, named by one of WORDS, and its label map unless the values are None."""

    def write(folder: Path, values: Sequence[int] | None, words: str = "before 2023", suffix: str = ".nii.gz") -> Path:
        *images, label = WORDS[words]
        seed = sum(folder.name.encode()) * 10
        for number, word in enumerate(images):  # in MODALITIES order: t1c, t1, t2, flair
            _save(folder / f"{folder.name}{word}{suffix}", make_image(seed + number))
        if values is not None:
            _save(folder / f"{folder.name}{label}{suffix}", make_label(values))
        return folder

    return write
