"""What explanations of a slice have in common: maps from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

__all__ = ["as_batch", "enlarge", "mass_share", "to_map"]


def as_batch(image: Tensor) -> Tensor:
    """One slice as a batch, C H W or 1 C H W → 1 C H W.

    Raises:
        ValueError: when it is anything else.
    """
    batch = image.unsqueeze(0) if image.ndim == 3 else image
    if batch.ndim != 4 or len(batch) != 1:
        raise ValueError(f"expected one slice, C H W or 1 C H W, found the shape {tuple(image.shape)}")
    return batch


def to_map(evidence: Tensor) -> NDArray:
    """What speaks for an answer, H W, as float32: 0 where nothing does, 1 where most does."""
    positive = evidence.detach().float().clamp(min=0).cpu().numpy()
    return positive / positive.max() if positive.max() > 0 else positive


def enlarge(picture: NDArray, shape: Sequence[int]) -> NDArray:
    """A map h w → H W, bicubic, which shows no grid; its values stay within those that it had."""
    small = torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32))[None, None]
    large = interpolate(small, size=tuple(shape), mode="bicubic", align_corners=False)[0, 0]
    return large.clamp(small.min(), small.max()).numpy()


def mass_share(picture: NDArray, region: NDArray) -> float:
    """The share of a map's mass that lies on a region; the region's share of the area is what chance would give.

    Args:
        picture: H W, not negative.
        region: H W, boolean.

    Returns:
        From 0 to 1; NaN when the map is empty.
    """
    return float(picture[region].sum() / picture.sum()) if picture.sum() > 0 else float("nan")
