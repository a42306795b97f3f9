"""The voxels of a case: its four modalities on one grid, and its label map."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brainmri_monai.data.brats.conventions import MODALITIES, Convention
from brainmri_monai.data.nifti import open_nifti, read_voxels
from brainmri_monai.data.parallel import on_all_cores
from brainmri_monai.data.stack import ImageError, check_finite

if TYPE_CHECKING:
    from nibabel import Nifti1Image

    from brainmri_monai.data.brats.cases import Case

__all__ = [
    "TOLERANCE_MM",
    "grid_errors",
    "label_voxels",
    "open_volume",
    "read_case",
    "read_label",
    "read_modalities",
    "voxel_ml",
]

TOLERANCE_MM = 0.1
"""How far apart two files may put a voxel: programs round the affine on the way, and a voxel is 1 mm."""

_WHOLE = 1e-3  # by which programs that compute with floats miss a whole label value

_ONE_VOLUME = "Save one volume a file, without a time axis."
_ONE_GRID = "Bring all files of the case to one grid: register and resample them to one of them."


def read_case(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Read the modalities of a case, on all cores.

    Sizes and grids are compared by the headers before memory is taken.

    Args:
        case: from :func:`~brainmri_monai.data.brats.cases.find_volumes`.

    Returns:
        4 H W D, float32, in the order of ``MODALITIES`` and the orientation of the files, with the intensities as they
        are stored; one that the case does not have is 0. And the affine, 4 x 4.

    Raises:
        ImageError: when a file cannot be read to its end, is not a volume, claims an absurd size, holds NaN or
            infinite values or nothing but one value, or lies on another grid than the others.
    """
    headers = {file: open_volume(file, case.channels) for file in case.files}
    for error in grid_errors(headers):
        raise error
    first = next(iter(headers.values()))
    image = np.zeros((len(MODALITIES), *first.shape[:3]), dtype=np.float32)

    def read(file: Path) -> None:
        for modality, volume in read_modalities(case, file, headers[file]):
            image[MODALITIES.index(modality)] = volume

    list(on_all_cores(read, case.files))
    return image, first.affine


def read_label(case: Case, convention: Convention | None = None) -> np.ndarray:
    """Read the label map of a case.

    Args:
        case: one that has a label map.
        convention: which values may occur; all when left out.

    Returns:
        H W D, uint8, in the orientation of the file.

    Raises:
        ImageError: when the file cannot be read, lies on another grid than the images, or holds values that are not
            whole, or are not the convention's.
    """
    some = case.files[0]
    headers = {some: open_volume(some, case.channels), case.label: open_volume(case.label)}
    for error in grid_errors(headers):
        raise error
    return label_voxels(case.label, headers[case.label], convention)[0]


def open_volume(file: Path, channels: tuple[str, ...] = ()) -> Nifti1Image:
    """Read the header of a volume, and no voxels.

    Args:
        file: of 3 axes, or of 4 with one channel last.
        channels: what the channels are; then there are 4 axes, with as many channels last.

    Raises:
        ImageError: when it cannot be read, or is not such a volume.
    """
    header = open_nifti(file)
    if channels and header.shape[3:] != (len(channels),):
        raise ImageError(
            file,
            f"expected 4 axes, with the {len(channels)} channels {', '.join(channels)} last; found {header.shape}",
            "Keep all modalities in one 4D file, or each in a file of its own.",
        )
    if not channels and (len(header.shape) < 3 or any(n > 1 for n in header.shape[3:])):
        raise ImageError(file, f"expected a volume of 3 axes, found the shape {header.shape}", _ONE_VOLUME)
    return header


def read_modalities(case: Case, file: Path, header: Nifti1Image) -> Iterator[tuple[str, np.ndarray]]:
    """Read the modalities that a file of a case holds: name, and H W D, float32 or uint8.

    Raises:
        ImageError: when it cannot be read to its end, or has NaN, infinite values, or one value alone beside 0.
    """
    voxels = read_voxels(file, header)
    check_finite(file, voxels)
    names = case.channels or [name for name, own in case.images.items() if own == file]
    for name, volume in zip(names, np.moveaxis(voxels.reshape(*header.shape[:3], -1), 3, 0), strict=True):
        brain = volume[volume != 0]
        if not brain.size or brain.min() == brain.max():
            voxels_of = "every voxel" if brain.size in (0, volume.size) else "every voxel that is not 0"
            what = f"the modality {name} is empty: {voxels_of} is {brain[0] if brain.size else 0:g}"
            raise ImageError(file, what, "Export it again, or leave the case out.")
        yield name, volume


def label_voxels(
    file: Path, header: Nifti1Image, convention: Convention | None = None
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Read an opened label map: H W D, uint8, and the values that occur in it beside 0.

    Raises:
        ImageError: when it cannot be read, or holds values that are not whole, or are not the convention's.
    """
    stored = read_voxels(file, header).reshape(header.shape[:3])
    check_finite(file, stored)
    found = np.unique(stored[stored != 0])  # few voxels have a label: far quicker than to sort them all
    whole = np.round(found)
    strange = found[(np.abs(found - whole) > _WHOLE) | (whole < 0) | (whole > 255)]
    if strange.size:
        examples = ", ".join(f"{value:g}" for value in strange[:3]) + (", ..." if strange.size > 3 else "")
        raise ImageError(
            file,
            f"expected whole label values from 0 to 255, found {examples}",
            "Save the label map as uint8; resample labels by nearest neighbour alone.",
        )
    values = tuple(sorted({*whole.astype(int).tolist()} - {0}))
    if convention is not None and not convention.allows(values):
        raise ImageError(
            file,
            f"expected the label values of {convention}, found {', '.join(map(str, values))}",
            "Name the convention of these labels with --convention, or correct the label map.",
        )
    return (stored if stored.dtype == np.uint8 else np.round(stored).astype(np.uint8)), values


def grid_errors(headers: Mapping[Path, Nifti1Image]) -> Iterator[ImageError]:
    """Find the files whose voxels do not lie where those of the first one do."""
    (first, reference), *others = headers.items()
    for file, header in others:
        if header.shape[:3] != reference.shape[:3]:
            what = f"expected the shape {reference.shape[:3]} of {first.name}, found {header.shape[:3]}"
            yield ImageError(file, what, _ONE_GRID)
        elif (apart := _millimetres_apart(header, reference)) > TOLERANCE_MM:
            what = f"the affine puts voxels up to {apart:.3g} mm from where {first.name} has them"
            yield ImageError(file, what, _ONE_GRID)


def voxel_ml(affine: Any) -> float:
    """Millilitres of a voxel."""
    return float(abs(np.linalg.det(np.asarray(affine, dtype=float)[:3, :3])) / 1000)


def _millimetres_apart(one: Nifti1Image, other: Nifti1Image) -> float:
    """Give how far apart the two affines put a corner of the volume: nothing inside it is farther."""
    corners = np.array([(*corner, 1) for corner in itertools.product(*((0, n - 1) for n in one.shape[:3]))])  # 8 4
    return float(np.linalg.norm((one.affine - other.affine) @ corners.T, axis=0).max())
