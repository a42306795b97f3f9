"""From the picture of one slice to what a network takes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from PIL import Image

from brainmri_monai.data.images import read_stack, require_no_strip
from brainmri_monai.data.stack import ImageError

__all__ = ["LoadPictured", "prepare_picture", "read_one"]

UPPER_PERCENTILE = 99.5  # brighter pixels are vessels and artefacts


def prepare_picture(picture: np.ndarray, size: int) -> np.ndarray:
    """Make a slice grey and square, and scale its grey values from the least to the 99.5th percentile.

    The steps and their order are those of the ``preprocessing`` in ``inference.json``, which does them with MONAI's
    and torch's own; the answers to pictures that are empty but for a few pixels differ, as nothing is left to scale
    by. The slices are grey because in public sets a tint of colour tells the source, and so the class.

    Args:
        picture: H W 3, uint8 or float32.
        size: rows and columns of a prepared slice.

    Returns:
        size size, unsigned bytes.
    """
    grey = Image.fromarray(picture).convert("L") if picture.dtype == np.uint8 else picture.mean(axis=2)
    grey = Image.fromarray(np.asarray(grey, dtype=np.float32))
    image = np.asarray(grey.resize((size, size), Image.Resampling.BILINEAR))  # as torch does with antialias
    low, high = image.min(), np.percentile(image, UPPER_PERCENTILE)
    least = max(1e-3 * abs(high), 1e-30)  # so that the rounding errors of an empty slice stay small
    scaled = (image - low) * (255 / max(high - low, least))
    return scaled.clip(0, 255).round().astype(np.uint8)


class LoadPictured(MapTransform):
    """Load one slice, prepared by :func:`prepare_picture`, as 3 H W with values in [0, 1].

    MONAI's ``LoadImaged`` neither turns pictures as their EXIF data says, nor refuses what is broken with a reason.

    Args:
        keys: keys of the files: a picture, or a volume of one slice.
        size: rows and columns.

    Raises:
        BrainMRIError: when a file cannot be read, or holds several slices.
    """

    def __init__(self, keys: KeysCollection, size: int) -> None:
        super().__init__(keys)
        self.size = size

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            prepared = prepare_picture(read_one(data[key]), self.size)
            data[key] = (torch.from_numpy(prepared) / 255).expand(3, -1, -1)
        return data


def read_one(file: str | Path) -> np.ndarray:
    """Read the slice of a file, H W 3.

    Raises:
        ImageError: when it cannot be read, holds several, or is a strip.
    """
    slices = read_stack(file).slices
    if len(slices) > 1:
        raise ImageError(file, f"expected one slice, found {len(slices)}", "Export the slice that is to be classified.")
    require_no_strip(file, slices[0])
    return slices[0]
