"""Slices of a DICOM series."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brainmri_monai.data.stack import Doubts, ImageError, Stack, check_size, reason_of, stack_of_volume

__all__ = ["BROKEN_LINK", "is_dicom", "read_dicom"]

BROKEN_LINK = ("the link leads to nothing", "Bring back what it leads to, or remove it.")
"""What is wrong, and what to do."""

_SUFFIXES = (".dcm", ".dicom", ".ima")
_ONE_AT_A_TIME = (
    threading.Lock()
)  # ITK loads its modules when they are first used, and two threads then meet half of one
_ONE_SERIES = "Leave one series of axial slices in the folder."


def is_dicom(file: Path) -> bool:
    """Tell by the name, or by the mark at byte 128, whether this is a DICOM file."""
    if file.name.lower().endswith(_SUFFIXES):
        return True
    try:
        with open(file, "rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path) -> Stack:
    """Read the slices of the one series that a folder holds, or of one file.

    pydicom reads the headers, because ITK skips a broken file and fills a truncated one with another slice's pixels,
    both in silence; ITK then reads the pixels and the geometry.

    Raises:
        ImageError: when there is no series or more than one, or a file of it is broken.
    """
    files, doubts = _series(path)
    try:
        with _ONE_AT_A_TIME:
            import itk

            itk.ProcessObject.SetGlobalWarningDisplay(False)  # what ITK would print, the doubts say
            image = itk.imread([str(file) for file in files])
            data = itk.array_from_image(image)  # Z Y X, and colours last
    except Exception as error:  # ITK's wrappers raise RuntimeError, TypeError and KeyError
        raise ImageError(path, f"the DICOM series cannot be read: {reason_of(error)}") from error
    affine = np.eye(4)
    affine[:3, :3] = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    affine[:2] *= -1  # DICOM counts toward left and posterior, NIfTI toward right and anterior
    return replace(stack_of_volume(path, data.swapaxes(0, 2), affine, data.dtype), doubts=doubts)


class _Header(NamedTuple):
    """What the files of a series are sorted by; position and orientation are empty when the file does not tell them."""

    series: str
    description: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]


def _series(path: Path) -> tuple[list[Path], Doubts]:
    """Find the files of the series, in the order of their places, and check that each is whole."""
    candidates = [path] if path.is_file() else [file for file in sorted(path.iterdir()) if not file.is_dir()]
    missing = next((file for file in candidates if not file.exists()), None)
    if missing:
        raise ImageError(missing, *BROKEN_LINK)
    series: dict[str, dict[Path, _Header]] = defaultdict(dict)
    for file in candidates:
        if not file.name.startswith(".") and is_dicom(file) and (header := _header(file)):
            series[header.series][file] = header
    if len(series) != 1:
        described = (
            f"{next(iter(headers.values())).description!r} of {len(headers)} files" for headers in series.values()
        )
        what = f"a folder holds one DICOM series, found {len(series)}: {'; '.join(described)}"
        raise ImageError(path, what.removesuffix(": "), _ONE_SERIES)
    (headers,) = series.values()
    return (list(headers), ()) if len(headers) == 1 else _in_order(path, headers)


def _header(file: Path) -> _Header | None:
    """Read one file to its end without decoding it; None when it is no image, such as a DICOMDIR."""
    import pydicom
    from pydicom.pixels.utils import get_expected_length

    try:
        data = pydicom.dcmread(file)
        kind = data.file_meta.get("MediaStorageSOPClassUID")
        if "PixelData" not in data:
            if kind is None or "Image Storage" in kind.name:
                raise ImageError(file, "the DICOM file ends before its pixels")
            return None
        check_size(file, data.Rows, data.Columns)
        expected, found = get_expected_length(data), len(data.PixelData)
        if found < expected and not data.file_meta.TransferSyntaxUID.is_compressed:
            raise ImageError(file, f"the DICOM file is cut off: {found} of {expected} bytes of pixels")
        return _Header(
            str(data.get("SeriesInstanceUID")),
            str(data.get("SeriesDescription", "no description")),
            tuple(map(float, data.get("ImagePositionPatient") or ())),
            tuple(map(float, data.get("ImageOrientationPatient") or ())),
        )
    except ImageError:
        raise
    except Exception as error:  # on odd bytes pydicom raises its own errors and nearly all of Python's
        raise ImageError(file, f"the DICOM file cannot be read: {reason_of(error)}") from error


def _in_order(path: Path, headers: dict[Path, _Header]) -> tuple[list[Path], Doubts]:
    """Sort the files of a series by their place along its normal."""
    for file, header in headers.items():
        if (len(header.position), len(header.orientation)) != (3, 6):
            raise ImageError(path, f"{file.name!r} of the series does not tell where its slice lies", _ONE_SERIES)
    orientations = np.array([header.orientation for header in headers.values()])
    if np.ptp(orientations, axis=0).max() > 1e-3:
        raise ImageError(path, "the slices of the series are not parallel, as in a localizer", _ONE_SERIES)
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    heights = np.array([header.position for header in headers.values()]) @ normal
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if gaps.min() < 1e-3:
        what = "two slices of the series lie at the same place, as with several echoes or time points"
        raise ImageError(path, what, _ONE_SERIES)
    doubts = ()
    if gaps.max() > 1.5 * np.median(gaps):
        what = f"the slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart, as when some are missing"
        doubts = ((what, "Export the whole series again, unless it was taken like that."),)
    files = list(headers)
    return [files[k] for k in order], doubts
