"""Slices of a DICOM series."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainmri_monai.data.stack import Doubts, ImageError, Stack, check_size, reason_of, stack_of_volume

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

    files, doubts = _series(path)
    try:
        itk.ProcessObject.SetGlobalWarningDisplay(False)  # what ITK would print, the doubts say
        image = itk.imread([str(file) for file in files])
        data = itk.array_from_image(image)  # Z Y X, and colours last
    except Exception as error:  # ITK's wrappers raise RuntimeError, TypeError and KeyError
        raise ImageError(path, f"the DICOM series cannot be read: {reason_of(error)}") from error
    affine = np.eye(4)
    affine[:3, :3] = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    affine[:2] *= -1  # DICOM counts toward left and posterior, NIfTI toward right and anterior
    return replace(stack_of_volume(path, data.swapaxes(0, 2), affine, data.dtype), doubts=doubts)


def _series(path: Path) -> tuple[list[Path], Doubts]:
    """Find the files of the series, in the order of their places, and check that each is whole."""
    candidates = [path] if path.is_file() else [file for file in sorted(path.iterdir()) if file.is_file()]
    series: dict[str, dict[Path, Dataset]] = defaultdict(dict)
    for file in candidates:
        if not file.name.startswith(".") and is_dicom(file) and (header := _header(file)):
            series[str(header.get("SeriesInstanceUID"))][file] = header
    if len(series) != 1:
        described = [
            f"{next(iter(headers.values())).get('SeriesDescription', 'no description')!r} of {len(headers)} files"
            for headers in series.values()
        ]
        what = f"a folder holds one DICOM series, found {len(series)}: {'; '.join(described)}"
        raise ImageError(path, what.removesuffix(": "), _ONE_SERIES)
    (headers,) = series.values()
    return (list(headers), ()) if len(headers) == 1 else _in_order(path, headers)


def _header(file: Path) -> Dataset | None:
    """Read one file to its end without decoding it; None when it is no image, such as a DICOMDIR."""
    import pydicom
    from pydicom.pixels.utils import get_expected_length

    try:
        header = pydicom.dcmread(file)
        kind = header.file_meta.get("MediaStorageSOPClassUID")
        if "PixelData" not in header:
            if kind is None or "Image Storage" in kind.name:
                raise ImageError(file, "the DICOM file ends before its pixels")
            return None
        check_size(file, header.Rows, header.Columns)
        expected, found = get_expected_length(header), len(header.PixelData)
        if found < expected and not header.file_meta.TransferSyntaxUID.is_compressed:
            raise ImageError(file, f"the DICOM file is cut off: {found} of {expected} bytes of pixels")
        del header.PixelData  # only the header is kept: a series may have hundreds of files
    except ImageError:
        raise
    except Exception as error:  # pydicom raises its own errors, and EOFError, AttributeError, ValueError on odd bytes
        raise ImageError(file, f"the DICOM file cannot be read: {reason_of(error)}") from error
    return header


def _in_order(path: Path, headers: dict[Path, Dataset]) -> tuple[list[Path], Doubts]:
    """Sort the files of a series by their place along its normal."""
    try:
        positions = np.array([header.ImagePositionPatient for header in headers.values()], dtype=float)
        orientations = np.array([header.ImageOrientationPatient for header in headers.values()], dtype=float)
    except (AttributeError, ValueError, TypeError) as error:
        what = f"a file of the series does not tell where its slice lies: {reason_of(error)}"
        raise ImageError(path, what, _ONE_SERIES) from error
    if np.ptp(orientations, axis=0).max() > 1e-3:
        raise ImageError(path, "the slices of the series are not parallel, as in a localizer", _ONE_SERIES)
    heights = positions @ np.cross(orientations[0, :3], orientations[0, 3:])
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if gaps.min() < 1e-3:
        what = "two slices of the series lie at the same place, as with several echoes or time points"
        raise ImageError(path, what, _ONE_SERIES)
    files = list(headers)
    doubts = ()
    if gaps.max() > 1.5 * np.median(gaps):
        what = f"the slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart, as when some are missing"
        doubts = ((what, "Export the whole series again, unless it was taken like that."),)
    return [files[k] for k in order], doubts
