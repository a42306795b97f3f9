"""What a source of slices gives, and what it must hold to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brainmri_monai.errors import BrainMRIError

__all__ = [
    "MAX_PIXELS",
    "MIN_SIDE",
    "Doubts",
    "ImageError",
    "Stack",
    "check_finite",
    "check_size",
    "reason_of",
    "stack_of_volume",
]

MAX_PIXELS = 64 * 2**20
"""Pixels that one slice may have: 8192 x 8192, far beyond any scanner, small enough to decode."""

MIN_SIDE = 8
"""Rows and columns that a slice must have at least."""

_COPY_AGAIN = "Copy or export it again from its source, or remove it."


class ImageError(BrainMRIError):
    """One image that cannot be used.

    Args:
        where: the file or folder.
        what: what was expected and what was found.
        remedy: what the user can do; for a broken file when left out.
    """

    def __init__(self, where: str | Path, what: str, remedy: str = _COPY_AGAIN) -> None:
        super().__init__(where, what, remedy)  # as the arguments, so that the error survives pickling
        self.where, self.what, self.remedy = str(where), what, remedy

    def __str__(self) -> str:
        return f"{self.what}\n{self.where}\n{self.remedy}"


Doubts = tuple[tuple[str, str], ...]
"""What a person should look at, each with a remedy."""


@dataclass(frozen=True)
class Stack:
    """The slices of one source, and what its header said.

    Args:
        slices: H W 3 each, uint8 or float32; top is anterior, left is the patient's right. Those of a volume are
            views of it that cannot be written to: three copies of the grey values would triple the memory.
        mode: how the source stores a pixel: Pillow's mode of a picture ("L", "RGB", "I;16"), the number type of a
            volume ("int16"), with the number of channels when there are three ("uint8 x 3").
        spacing: millimetres between rows, columns and slices; None for pictures, which do not tell.
        axes: the directions of the stored axes, such as "RAS" or "LPS"; None for pictures.
        doubts: what is odd, and yet can be read.
    """

    slices: list[np.ndarray]
    mode: str
    spacing: tuple[float, float, float] | None = None
    axes: str | None = None
    doubts: Doubts = ()


def stack_of_volume(file: Path, data: np.ndarray, affine: np.ndarray, stored: np.dtype) -> Stack:
    """Cut a volume into slices whose top is anterior and whose left is the patient's right (the axes "PLS").

    Args:
        file: where it came from, for messages.
        data: X Y Z, or X Y Z C with 1 or 3 channels.
        affine: 4 x 4, from voxels to millimetres toward right, anterior and superior, as NIfTI has it.
        stored: the number type in the file.

    Raises:
        ImageError: when a slice is too large or too small, or holds NaN or infinite values.
    """
    from nibabel.affines import voxel_sizes
    from nibabel.orientations import aff2axcodes, apply_orientation, axcodes2ornt, io_orientation, ornt_transform

    turn = ornt_transform(io_orientation(affine), axcodes2ornt("PLS"))
    sizes = voxel_sizes(affine)[np.argsort(turn[:, 0])]
    mode = str(stored) + (" x 3" if data.shape[3:] == (3,) else "")
    if data.dtype != np.uint8:
        data = data.astype(np.float32, copy=False)
    data = apply_orientation(data, turn)
    rows, columns, count = data.shape[:3]
    check_size(file, rows, columns)
    check_finite(file, data)
    data = data.reshape(rows, columns, count, -1)
    slices = [np.broadcast_to(data[:, :, k], (rows, columns, 3)) for k in range(count)]
    return Stack(slices, mode, tuple(float(size) for size in sizes), "".join(aff2axcodes(affine)))


def check_size(file: Path, rows: int, columns: int) -> None:
    """Raise ImageError when a slice is too large to be decoded, or too small to be one."""
    too_small = min(rows, columns) < MIN_SIDE
    if too_small or rows * columns > MAX_PIXELS:
        limit = f"at least {MIN_SIDE} x {MIN_SIDE}" if too_small else f"at most {MAX_PIXELS >> 20} million"
        raise ImageError(
            file,
            f"a slice has {limit} pixels, found {columns} x {rows}",
            "Check that this is a scan, and export its slices at their own size.",
        )


def check_finite(file: Path, data: np.ndarray) -> None:
    """Raise ImageError when a value is NaN or infinite."""
    if data.dtype == np.uint8:
        return
    bad = data.size - int(np.isfinite(data).sum())
    if bad:
        raise ImageError(
            file,
            f"{bad} of {data.size} values are NaN or infinite",
            "Replace them (by 0 outside the head) where the file is made, or remove it.",
        )


def reason_of(error: Exception) -> str:
    """Give the last line of an error's text, where libraries that write many lines put the cause."""
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
