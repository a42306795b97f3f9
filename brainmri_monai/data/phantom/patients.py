"""Patients with a tumour's type and grade, as slices on disk."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from brainmri_monai import __version__
from brainmri_monai.data.phantom.anatomy import Grid, draw_anatomy, draw_coordinates
from brainmri_monai.data.phantom.contrast import draw_vessels, render
from brainmri_monai.data.phantom.tumour import LOOKS, draw_lesion, draw_tumour, push_aside
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import replacing, write_json

__all__ = ["draw_slices", "generate_patients"]

MODALITIES = ("t1", "flair", "t1c")  # red, green and blue, as in the LGG segmentation set


def generate_patients(folder: str | Path, patients: int = 48, seed: int = 0, spacing: float = 1.0) -> None:
    """Write generated patients as ``<type>-g<grade>/<patient>/<slice>.jpg`` (some patients as png).

    Types are equally frequent, and so are the grades of a type. ``dataset.json`` beside them says that the patients
    are generated, and names the slices of each that show tumour.

    Args:
        folder: a new or empty folder.
        patients: how many.
        seed: the same seed gives the same bytes; the first patients do not depend on how many there are.
        spacing: size of a pixel in mm, about; 2 gives small pictures for tests.

    Raises:
        BrainMRIError: when the folder holds something, or ``patients`` is not positive.
    """
    folder = Path(folder)
    if patients < 1:
        raise BrainMRIError(f"expected at least one patient, got {patients}\nChoose for example --patients 48.")
    if folder.exists() and any(folder.iterdir()):
        raise BrainMRIError(
            f"expected a new or empty folder for the generated patients, found files in {folder}\n"
            "Choose another folder or empty it."
        )
    cases = _draw_labels(default_rng(SeedSequence(seed, spawn_key=(0,))), patients)

    def write(index: int) -> dict:
        kind, grade = cases[index]
        name = f"P{index + 1:03d}"
        rng = default_rng(SeedSequence(seed, spawn_key=(1, index)))
        slices, mask = draw_slices(rng, kind, grade, spacing)
        suffix = ".png" if rng.random() < 0.25 else ".jpg"
        names = [f"{k + 1:03d}{suffix}" for k in range(len(slices))]
        for file, picture in zip(names, slices, strict=True):
            _write_picture(folder / f"{kind}-g{grade}" / name / file, picture)
        return {
            "id": name,
            "tumour_slices": [file for file, found in zip(names, mask.any(axis=(1, 2)), strict=True) if found],
        }

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        records = list(pool.map(write, range(patients)))
    write_json(
        folder / "dataset.json",
        {
            "name": "generated patients (brainmri phantom): no real person",
            "version": __version__,
            "seed": seed,
            "patients": records,
        },
    )


def draw_slices(rng: Generator, kind: str, grade: int, spacing: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """One patient.

    Returns:
        N H W 3, uint8, axial slices from below upward, and N H W, boolean, where tumour or oedema is.
    """
    look = LOOKS[kind][grade]
    rows, columns = (int(size / spacing) for size in rng.integers(200, 257, size=2))
    view = rng.uniform(205, 235)
    pixel = view / rows
    columns = max(columns, int(170 / pixel))
    count = int(rng.integers(16, 29))
    grid = Grid((rows, columns, count), (pixel, pixel, 145 / count))
    coordinates = draw_coordinates(rng, grid)
    lesion = draw_lesion(rng, grid, coordinates, look)
    coordinates = push_aside(grid, coordinates, lesion)
    anatomy = draw_anatomy(rng, grid, coordinates)
    tumour = draw_tumour(rng, grid, anatomy, lesion, look)
    vessels = draw_vessels(rng, grid, anatomy)
    channels = []
    for modality in MODALITIES:
        image = render(rng, grid, anatomy, tumour, vessels, modality)
        channels.append(np.clip(255 * image / rng.uniform(1.3, 1.7), 0, 255).astype(np.uint8))
    return np.moveaxis(np.stack(channels, axis=-1), 2, 0), np.moveaxis(sum(tumour.values()) > 0.1, 2, 0)


def _draw_labels(rng: Generator, patients: int) -> list[tuple[str, int]]:
    """Type and grade of each patient, in random order: types are equally frequent, and so are the grades of a type."""
    labels = []
    for i in range(-(-patients // len(LOOKS))):
        labels += [(kind, list(looks)[i % len(looks)]) for kind, looks in LOOKS.items()]
    return [labels[i] for i in rng.permutation(patients)]


def _write_picture(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, quality=92, subsampling=0)
