"""Slices of a NIfTI volume."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainmri_monai.data.stack import Doubts, ImageError, Stack, reason_of, stack_of_volume

if TYPE_CHECKING:
    from nibabel import Nifti1Image

__all__ = [
    "MAX_VOXELS",
    "VOLUME_SUFFIXES",
    "has_orientation",
    "is_nifti",
    "open_nifti",
    "orientation_doubts",
    "read_nifti",
    "read_voxels",
]

VOLUME_SUFFIXES = (".nii", ".nii.gz")

MAX_VOXELS = 2**29
"""Voxels that one volume may have: 1024 x 1024 x 512, which takes 2 GB in memory."""

_LOOK = (
    "Convert it again from its DICOM files; in its slices the top must be anterior and the left the patient's right."
)
_GZIP_RATIO = 1032  # DEFLATE cannot compress better


def is_nifti(file: Path) -> bool:
    """Tell by the name whether this is a NIfTI file."""
    return file.name.lower().endswith(VOLUME_SUFFIXES)


def open_nifti(file: Path) -> Nifti1Image:
    """Read the header of a volume, and no voxels.

    Raises:
        ImageError: when it cannot be read, or claims other than numbers, or more of them than the file can hold.
    """
    import nibabel as nib

    try:
        nib.imageglobals.logger.setLevel("ERROR")  # its warnings name no file; what matters, we tell
        image = nib.load(file)
        shape, dtype, axes = image.shape, image.get_data_dtype(), nib.aff2axcodes(image.affine)
    except Exception as error:  # nibabel raises its own errors, and those of gzip, zlib and NumPy
        raise ImageError(file, f"the header of the volume cannot be read: {reason_of(error)}") from error
    _check_header(file, shape, dtype, axes)
    return image


def read_voxels(file: Path, image: Nifti1Image) -> np.ndarray:
    """Read the voxels of an opened volume, up to the checksum at the end of a compressed file.

    Returns:
        In the shape of the file: uint8 when it is so stored and not scaled, else float32.

    Raises:
        ImageError: when the file is cut off or damaged.
    """
    try:
        if _is_compressed(file):
            image = _decompressed(file, image)
        if image.get_data_dtype() == np.uint8 and (image.dataobj.slope, image.dataobj.inter) == (1, 0):
            return np.asarray(image.dataobj)
        return image.get_fdata(dtype=np.float32, caching="unchanged")
    except Exception as error:
        raise ImageError(file, f"the volume cannot be read to its end: {reason_of(error)}") from error


def has_orientation(image: Nifti1Image) -> bool:
    """Tell whether the header says how the volume lies in space."""
    return image.header["sform_code"] != 0 or image.header["qform_code"] != 0


def orientation_doubts(image: Nifti1Image) -> Doubts:
    """Say how a volume is taken to lie in space, where the header does not tell."""
    import nibabel as nib

    if has_orientation(image):
        return ()
    axes = "".join(nib.aff2axcodes(image.affine))
    return ((f"the header gives no orientation; {axes} is assumed", _LOOK),)


def read_nifti(file: Path) -> Stack:
    """Read the slices of a volume of 3 axes, or of 4 with 1 or 3 channels last; one slice may have 2.

    Raises:
        ImageError: when it is not such a volume, is cut off, or its header claims more than the file can hold.
    """
    image = open_nifti(file)
    if len(image.shape) not in (2, 3, 4) or image.shape[3:] not in ((), (1,), (3,)):
        raise ImageError(
            file,
            f"a volume has 3 axes, or 4 with 1 or 3 channels last; this one has the shape {image.shape}",
            "Save one volume a file, without a time axis.",
        )
    voxels = read_voxels(file, image)
    voxels = voxels[..., None] if voxels.ndim == 2 else voxels
    stack = stack_of_volume(file, voxels, image.affine, image.get_data_dtype())
    return replace(stack, doubts=orientation_doubts(image))


def _decompressed(file: Path, image: Nifti1Image) -> Nifti1Image:
    """Read a compressed file to its end, where the checksum is; nibabel stops before it and takes flipped bits."""
    with gzip.open(file) as stream:
        content = stream.read(image.dataobj.offset + math.prod(image.shape) * image.get_data_dtype().itemsize)
        while stream.read(1 << 20):
            pass
    return type(image).from_bytes(content)


def _is_compressed(file: Path) -> bool:
    return file.name.lower().endswith(".gz")


def _check_header(file: Path, shape: tuple[int, ...], dtype: np.dtype, axes: tuple[str | None, ...]) -> None:
    if dtype.kind not in "iuf":
        raise ImageError(
            file, f"a volume holds whole or decimal numbers; this one holds {dtype}", "Save it as int16 or float32."
        )
    if None in axes:
        raise ImageError(
            file, f"the affine gives no direction for every axis: {axes}", "Convert it again from its DICOM files."
        )
    size = file.stat().st_size
    room = size * (_GZIP_RATIO if _is_compressed(file) else 1)
    voxels = math.prod(shape)
    if min(shape) < 1 or voxels > MAX_VOXELS or voxels * dtype.itemsize > room:
        raise ImageError(file, f"the header claims {shape} voxels of {dtype}, in a file of {size} bytes")
