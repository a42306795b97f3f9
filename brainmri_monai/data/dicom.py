"""Slices of a DICOM series."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from brainmri_monai.data.stack import Doubts, ImageError, Stack, check_size, reason_of, stack_of_volume

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["BROKEN_LINK", "dicom_doubts", "is_dicom", "read_dicom"]

BROKEN_LINK = ("the link leads to nothing", "Bring back what it leads to, or remove it.")
"""What is wrong, and what to do."""

_SUFFIXES = (".dcm", ".dicom", ".ima")
_ONE_AT_A_TIME = (
    threading.Lock()
)  # ITK loads its modules when they are first used, and two threads then meet half of one
_PLANES = ("PlanePositionSequence", "PlaneOrientationSequence")
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


def dicom_doubts(path: Path) -> Doubts:
    """Say what is odd about the one series that a folder holds, or about one file, by the headers.

    Raises:
        ImageError: when there is no series or more than one, or a file of it is broken.
    """
    return _in_order(path, _slices(path, _series(path)))[1]


def read_dicom(path: Path) -> Stack:
    """Read the slices of the one series that a folder holds, or of one file.

    pydicom reads the headers, because ITK skips a broken file and fills a truncated one with another slice's pixels,
    both in silence; ITK then reads the pixels and the geometry.

    Raises:
        ImageError: when there is no series or more than one, or a file of it is broken.
    """
    headers = _series(path)
    slices = _slices(path, headers)
    order, doubts = _in_order(path, slices)
    files = [str(file) for file in headers]
    try:
        with _ONE_AT_A_TIME:
            import itk

            itk.ProcessObject.SetGlobalWarningDisplay(False)  # what ITK would print, the doubts say
            image = itk.imread(files[0] if len(files) == 1 else [files[k] for k in order])
            data = itk.array_from_image(image)  # Z Y X, and colours last
            axes = itk.array_from_matrix(image.GetDirection()) * np.array(image.GetSpacing())
    except Exception as error:  # ITK's wrappers raise RuntimeError, TypeError and KeyError
        raise ImageError(path, f"the DICOM series cannot be read: {reason_of(error)}") from error
    if len(files) == 1 and len(slices) > 1:  # ITK takes the frames of a file as they come
        data = data[order]
        axes[:, 2] = np.subtract(slices[order[-1]].position, slices[order[0]].position) / (len(slices) - 1)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:2] *= -1  # DICOM counts toward left and posterior, NIfTI toward right and anterior
    return replace(stack_of_volume(path, data.swapaxes(0, 2), affine, data.dtype), doubts=doubts)


class _Slice(NamedTuple):
    """Where a slice lies; position and orientation are empty when the file does not tell."""

    name: str
    position: tuple[float, ...]
    orientation: tuple[float, ...]


class _Header(NamedTuple):
    """What a file says: which series it is of, and the slices in it, several when it has frames."""

    series: str
    description: str
    slices: list[_Slice]


def _series(path: Path) -> dict[Path, _Header]:
    """Find the files of the one series, and check that each is whole."""
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
    return headers


def _slices(path: Path, headers: dict[Path, _Header]) -> list[_Slice]:
    """The slices of all files, one each, or of one file with frames."""
    slices = [one for header in headers.values() for one in header.slices]
    if len(headers) > 1 and len(slices) > len(headers):
        what = f"the series has {len(headers)} files, and several frames in one of them"
        raise ImageError(path, what, "Leave one file with frames in the folder, or export a file a slice.")
    return slices


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
            _places(file, data),
        )
    except ImageError:
        raise
    except Exception as error:  # on odd bytes pydicom raises its own errors and nearly all of Python's
        raise ImageError(file, f"the DICOM file cannot be read: {reason_of(error)}") from error


def _places(file: Path, data: Dataset) -> list[_Slice]:
    """Where each frame of a file lies: a group of its own tells it, or one of all frames, or the file itself."""
    count = int(data.get("NumberOfFrames") or 1)
    shared = list(data.get("SharedFunctionalGroupsSequence") or ())
    own = list(data.get("PerFrameFunctionalGroupsSequence") or ())
    places = []
    for n in range(count):
        groups = [*own[n : n + 1], *shared]
        planes = [group[name][0] for group in groups for name in _PLANES if name in group]
        told = [
            next((tuple(map(float, plane[name].value)) for plane in (*planes, data) if plane.get(name)), ())
            for name in ("ImagePositionPatient", "ImageOrientationPatient")
        ]
        places.append(_Slice(f"frame {n + 1} of {file.name}" if count > 1 else file.name, *told))
    return places


def _in_order(path: Path, slices: list[_Slice]) -> tuple[list[int], Doubts]:
    """Indices of the slices of a series, sorted by their place along its normal."""
    if len(slices) == 1:
        return [0], ()
    for name, position, orientation in slices:
        if (len(position), len(orientation)) != (3, 6):
            raise ImageError(path, f"{name!r} of the series does not tell where its slice lies", _ONE_SERIES)
    orientations = np.array([one.orientation for one in slices])
    if np.ptp(orientations, axis=0).max() > 1e-3:
        raise ImageError(path, "the slices of the series are not parallel, as in a localizer", _ONE_SERIES)
    normal = np.cross(orientations[0, :3], orientations[0, 3:])
    heights = np.array([one.position for one in slices]) @ normal
    order = np.argsort(heights)
    gaps = np.diff(heights[order])
    if gaps.min() < 1e-3:
        what = "two slices of the series lie at the same place, as with several echoes or time points"
        raise ImageError(path, what, _ONE_SERIES)
    doubts = ()
    if gaps.max() > 1.5 * np.median(gaps):
        what = f"the slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart, as when some are missing"
        doubts = ((what, "Export the whole series again, unless it was taken like that."),)
    return order.tolist(), doubts
