"""Slices of a DICOM series."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainmri_monai.data.stack import ImageError, Stack, check_size, reason_of, stack_of_volume

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["is_dicom", "read_dicom"]

_SUFFIXES = (".dcm", ".dicom", ".ima")
_ONE_SERIES = "Leave one series of axial slices in the folder."


def is_dicom(file: Path) -> bool:
    """Tell by the name, or by the mark at byte 128, whether this is a DICOM file."""
    if file.name.lower().endswith(_SUFFIXES):
        return True
    with open(file, "rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def read_dicom(path: Path) -> Stack:
    """Read the slices of the one series that a folder holds, or of one file.

    pydicom reads the headers, because ITK skips a broken file and fills a truncated one with another slice's pixels,
    both in silence; ITK then reads the pixels and the geometry.

    Raises:
        ImageError: when there is no series or more than one, or a file of it is broken.
    """
    import itk

    files = _series(path)
    try:
        image = itk.imread([str(file) for file in files])
        data = itk.array_from_image(image)  # Z Y X, and colours last
    except Exception as error:  # ITK's wrappers raise RuntimeError, TypeError and KeyError
        raise ImageError(path, f"the DICOM series cannot be read: {reason_of(error)}") from error
    affine = np.eye(4)
    affine[:3, :3] = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    affine[:2] *= -1  # DICOM counts toward left and posterior, NIfTI toward right and anterior
    return stack_of_volume(path, data.swapaxes(0, 2), affine, data.dtype)


def _series(path: Path) -> list[Path]:
    """Give the files of the series from bottom to top (or along its normal), after a check of each."""
    files = (
        [path] if path.is_file() else sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    )
    series = defaultdict(list)
    for file in files:
        if is_dicom(file) and (header := _header(file)) is not None:
            series[str(header.get("SeriesInstanceUID"))].append((file, header))
    if len(series) != 1:
        found = "; ".join(
            f"{slices[0][1].get('SeriesDescription', 'no description')!r} of {len(slices)} files"
            for slices in series.values()
        )
        raise ImageError(
            path, f"a folder holds one DICOM series, found {len(series)}{': ' if found else ''}{found}", _ONE_SERIES
        )
    (slices,) = series.values()
    return _sorted(path, slices) if len(slices) > 1 else [slices[0][0]]


def _header(file: Path) -> Dataset | None:
    """Read one file to its end without decoding it; None when it is no image, such as a DICOMDIR."""
    import pydicom
    from pydicom.pixels.utils import get_expected_length

    try:
        header = pydicom.dcmread(file)
        kind = header.file_meta.get("MediaStorageSOPClassUID", "")
    except Exception as error:  # pydicom raises its own errors, EOFError, and ValueError on odd bytes
        raise ImageError(file, f"the DICOM file cannot be read: {reason_of(error)}") from error
    if "PixelData" not in header:
        if "Image Storage" in getattr(kind, "name", ""):
            raise ImageError(file, "the DICOM file ends before its pixels")
        return None
    check_size(file, header.Rows, header.Columns)
    if not header.file_meta.TransferSyntaxUID.is_compressed:
        expected, found = get_expected_length(header), len(header.PixelData)
        if found < expected:
            raise ImageError(file, f"the DICOM file is cut off: {found} of {expected} bytes of pixels")
    del header.PixelData  # only the header is kept: a series may have hundreds of files
    return header


def _sorted(path: Path, slices: list[tuple[Path, Dataset]]) -> list[Path]:
    missing = [file.name for file, header in slices if "ImagePositionPatient" not in header]
    if missing:
        raise ImageError(
            path,
            f"{len(missing)} of {len(slices)} files do not tell their position, such as {missing[0]!r}",
            _ONE_SERIES,
        )
    orientations = np.array([header.ImageOrientationPatient for _, header in slices], dtype=float)
    if np.ptp(orientations, axis=0).max() > 1e-3:
        raise ImageError(path, "the slices of the series are not parallel, as in a localizer", _ONE_SERIES)
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    heights = [float(np.dot(normal, np.array(header.ImagePositionPatient, dtype=float))) for _, header in slices]
    order = np.argsort(heights)
    if np.diff(np.array(heights)[order]).min() < 1e-3:
        raise ImageError(
            path,
            "two slices of the series lie at the same place, as with several echoes or time points",
            _ONE_SERIES,
        )
    return [slices[k][0] for k in order]
