"""Patients with a tumour's type and grade, as slices on disk."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.random import Generator, SeedSequence, default_rng

from brainmri_monai import __version__
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.phantom.anatomy import Grid, draw_anatomy, draw_coordinates, require_drawable
from brainmri_monai.data.phantom.contrast import draw_vessels, render, window
from brainmri_monai.data.phantom.tumour import LOOKS, draw_lesion, draw_tumour, push_aside
from brainmri_monai.files import filling, write_json

__all__ = ["draw_slices", "generate_patients"]

MODALITIES = ("t1", "flair", "t1c")  # red, green and blue, as in the LGG segmentation set
ATYPICAL = 0.1  # share of the patients whose tumour looks like another type's: pictures alone do not settle everything


def generate_patients(folder: str | Path, patients: int = 48, seed: int = 0, spacing: float = 1.0) -> None:
    """Write generated patients as ``<type>-g<grade>/<patient>/<slice>.jpg`` or ``.png``.

    Types are equally frequent, and so are the grades of a type. ``dataset.json`` beside them says that no patient is
    real, and names for each the slices in which it has tumour, and the type that the tumour looks like, which is
    another type in one of ten.

    Args:
        folder: a new or empty folder.
        patients: how many.
        seed: the same seed gives the same bytes, whatever the number of cores.
        spacing: side of a pixel in mm, about; 2 gives pictures of half the size, for tests.

    Raises:
        BrainMRIError: when the folder holds something or cannot be written, or an argument is out of its range.
    """
    from tqdm import tqdm

    require_drawable("patient", patients, seed, spacing)
    labels = _draw_labels(default_rng(SeedSequence(seed, spawn_key=(0,))), patients)

    def write(index: int) -> dict:
        kind, grade = labels[index]
        name = f"S{seed}P{index + 1:03d}"  # patients of two seeds are different people
        rng = default_rng(SeedSequence(seed, spawn_key=(1, index)))
        suffix = ".png" if rng.random() < 0.25 else ".jpg"
        look = rng.choice([other for other in LOOKS if other != kind]) if rng.random() < ATYPICAL else kind
        slices, tumour = draw_slices(rng, look, min(LOOKS[look], key=lambda g: abs(g - grade)), spacing)
        files = [f"{n + 1:03d}{suffix}" for n in range(len(slices))]
        (unfinished / f"{kind}-g{grade}" / name).mkdir(parents=True)
        for file, picture in zip(files, slices, strict=True):
            _write_picture(unfinished / f"{kind}-g{grade}" / name / file, picture)
        shown = [file for file, present in zip(files, tumour.any(axis=(1, 2)), strict=True) if present]
        return {"id": name, "type": kind, "grade": grade, "looks_like": str(look), "tumour_slices": shown}

    with filling(folder) as unfinished:
        with closing(on_all_cores(write, range(patients))) as work:
            records = list(tqdm(work, "generating", patients, unit=" patients", leave=False, disable=None))
        write_json(
            unfinished / "dataset.json",
            {
                "name": "Generated patients; none of them is real",
                "generator": f"brainmri_monai {__version__}",
                "seed": seed,
                "channels": list(MODALITIES),
                "patients": records,
            },
        )


def draw_slices(rng: Generator, kind: str, grade: int, spacing: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Draw one patient.

    Args:
        kind: the tumour's type, a key of ``LOOKS``; ``grade`` is a key below it.
        spacing: side of a pixel in mm, about.

    Returns:
        N H W 3, unsigned bytes, axial slices from below upward, and N H W, boolean, where tumour or oedema is.
    """
    look = LOOKS[kind][grade]
    rows, columns = (int(size / spacing) for size in rng.integers(200, 257, size=2))
    pixel = rng.uniform(205, 225) / rows  # mm; the brain is about 180 mm long and 145 mm wide
    columns = max(columns, int(175 / pixel))
    count = int(rng.integers(16, 29))
    grid = Grid((rows, columns, count), (pixel, pixel, 145 / count))

    coordinates = draw_coordinates(rng, grid)
    lesion = draw_lesion(rng, grid, coordinates, look)
    anatomy = draw_anatomy(rng, grid, push_aside(grid, coordinates, lesion))
    tumour = draw_tumour(rng, grid, anatomy, lesion, look)
    vessels = draw_vessels(rng, grid, anatomy)
    channels = [window(rng, render(rng, grid, anatomy, tumour, vessels, name), name) for name in MODALITIES]
    return np.moveaxis(np.stack(channels, axis=-1), 2, 0), np.moveaxis(sum(tumour.values()) > 0.1, 2, 0)


def _draw_labels(rng: Generator, patients: int) -> list[tuple[str, int]]:
    """Type and grade of each patient, in random order."""
    labels = []
    for i in range(-(-patients // len(LOOKS))):
        labels += [(kind, list(looks)[i % len(looks)]) for kind, looks in LOOKS.items()]
    return [labels[i] for i in rng.permutation(patients)]


def _write_picture(path: Path, picture: np.ndarray) -> None:
    from PIL import Image

    Image.fromarray(picture).save(path, quality=92, subsampling=0)  # its channels are no colours: none is subsampled
