"""What tells of a picture's source and nothing of anatomy: size, borders, background, how it is stored, its name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["TRAITS", "Traits", "name_traits", "picture_traits"]

Traits = dict[str, tuple[float, ...]]
"""Group of traits → its numbers."""

TRAITS = {
    "size": ("rows", "columns", "aspect"),
    "borders": ("top", "bottom", "left", "right", "level", "spread", "frame"),
    "background": ("median", "mean", "spread", "zeros", "lowest"),
    "storage": ("format", "channels", "luma table", "luma first", "chroma table", "tables", "progressive", "exif"),
    "bytes": ("bytes", "bytes a pixel"),
}
"""Groups of traits that a picture or its file shows, with the names of their numbers."""

_HEAD = 25  # grey levels of 255, above which a pixel belongs to the head
_CORNER = 8  # a corner is this part of the picture's rows and columns
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "MPO")


def picture_traits(file: Path, picture: np.ndarray) -> Traits:
    """Measure a picture and its file.

    Args:
        file: whose header is read once more; no pixel is decoded.
        picture: H W 3, uint8, or float32 with up to 16 bits.
    """
    rows, columns = picture.shape[:2]
    grey = picture.mean(axis=2, dtype=np.float32)
    if picture.dtype != np.uint8:
        grey *= 255 / max(float(grey.max()), 1e-12)
    size = file.stat().st_size
    return {
        "size": (rows, columns, columns / rows),
        "borders": _borders(grey),
        "background": _background(grey),
        "storage": _storage(file),
        "bytes": (size, size / (rows * columns)),
    }


def name_traits(names: Sequence[str]) -> np.ndarray:
    """Take from names of files: the last number, how many letters there are, and which pattern of the rest (N 3)."""
    patterns = [re.sub(r"\d+", "#", name) for name in names]
    codes = {pattern: code for code, pattern in enumerate(sorted(set(patterns)))}
    numbers = [re.findall(r"\d+", name)[-1:] or [-1] for name in names]
    return np.array(
        [
            (float(str(number)[-15:]), len(name), codes[pattern])
            for (number,), name, pattern in zip(numbers, names, patterns, strict=True)
        ]
    )


def _borders(grey: np.ndarray) -> tuple[float, ...]:
    """Parts of the picture beside the head on each side, grey level and spread of the outermost pixels, flat frame."""
    head = grey > _HEAD
    widths = []
    for axis in (1, 0):
        filled = np.flatnonzero(head.mean(axis=axis) > 0.02)
        length = head.shape[1 - axis]
        first, last = (filled[0], filled[-1]) if len(filled) else (length, -1)
        widths += [first / length, (length - 1 - last) / length]
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = float(np.median(edge))
    flat = np.abs(grey - level) < 3
    frame = min(np.argmin(flat.all(axis=axis)) for axis in (0, 1)) / min(grey.shape)
    return (*widths, level, float(edge.std()), float(frame))


def _background(grey: np.ndarray) -> tuple[float, ...]:
    """Measure the four corners, where mostly no head is: its size and view are not to count here."""
    rows, columns = (max(length // _CORNER, 1) for length in grey.shape)
    ends = [(slice(rows), slice(-rows, None)), (slice(columns), slice(-columns, None))]
    corners = np.concatenate([grey[y, x].ravel() for y in ends[0] for x in ends[1]])
    return (
        float(np.median(corners)),
        float(corners.mean()),
        float(corners.std()),
        float((corners == 0).mean()),
        float(corners.min()),
    )


def _storage(file: Path) -> tuple[float, ...]:
    """Format, channels, JPEG tables (sum of luma and of chroma, first of luma, how many), progressive, EXIF."""
    with Image.open(file) as header:
        tables = list(getattr(header, "quantization", {}).values())
        luma, chroma = (sum(tables[k]) if k < len(tables) else -1 for k in (0, 1))
        return (
            _FORMATS.index(header.format),
            len(header.getbands()),
            luma,
            tables[0][0] if tables else -1,
            chroma,
            len(tables),
            float("progressive" in header.info),
            float("exif" in header.info),
        )
