"""What explanations of a slice have in common: maps from 0 to 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from brainmri_monai.explain.places import Place

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


def enlarge(picture: NDArray, shape: Sequence[int], place: Place | None = None) -> NDArray:
    """A map as large as the slice, bicubic, which shows no grid; its values stay within those that it had.

    Args:
        picture: h w.
        shape: rows and columns H W.
        place: where its cells lie; evenly over the whole slice when left out. It fades where there are none.
    """
    small = torch.from_numpy(np.ascontiguousarray(picture, dtype=np.float32))[None, None]
    steps = place.step if place else [large / own for large, own in zip(shape, picture.shape, strict=True)]
    starts = place.start if place else [(step - 1) / 2 for step in steps]
    down, across = (
        (torch.arange(large) - start) / step for large, start, step in zip(shape, starts, steps, strict=True)
    )  # in cells
    ends = [2 / max(own - 1, 1) for own in picture.shape]  # torch counts from -1 to 1
    grid = torch.stack(torch.meshgrid(across * ends[1] - 1, down * ends[0] - 1, indexing="xy"), dim=-1)[None]
    large = grid_sample(small, grid.float(), mode="bicubic", padding_mode="border", align_corners=True)[0, 0]
    large = large.clamp(small.min(), small.max())
    return (large * _there(down, picture.shape[0])[:, None] * _there(across, picture.shape[1])).numpy()


def _there(place: Tensor, cells: int) -> Tensor:
    """1 within the cells, from -1/2 to ``cells`` - 1/2, and 0 from one cell beyond."""
    return (place + 1.5).clamp(0, 1) * (cells + 0.5 - place).clamp(0, 1)


def mass_share(picture: NDArray, region: NDArray) -> float:
    """The share of a map's mass that lies on a region; the region's share of the area is what chance would give.

    Args:
        picture: H W, not negative.
        region: H W, boolean.

    Returns:
        From 0 to 1; NaN when the map is empty.
    """
    return float(picture[region].sum() / picture.sum()) if picture.sum() > 0 else float("nan")
