"""Random changes to a whole batch of slices at once."""

from __future__ import annotations

import math
from typing import Any

import torch
from monai.transforms import Randomizable
from torch import Tensor
from torch.nn.functional import grid_sample, one_hot

from brainmri_monai.errors import BrainMRIError

__all__ = ["AugmentBatch", "MixUpBatch"]


class AugmentBatch(Randomizable):
    """Mirror, turn, scale, shift, brighten and stretch the contrast of each slice of a batch, anew each time.

    MONAI's transforms take a sample each: six of them on 64 slices take longer than a small network's step, where one
    grid for the batch takes a few milliseconds. ``scripts/bench/slices_classification.py`` compares them.

    Args:
        mirror: probability of left and right changing sides.
        upside_down: probability of top and bottom changing sides.
        degrees: slices are turned by at most so many.
        scale: and made larger or smaller by at most this part.
        shift: and moved along rows and columns by at most this part of their side.
        brightness: at most so much is added to values in [0, 1].
        contrast: and the distance to the mean is changed by at most this part.

    Shape:
        ``image`` B C H W, values in [0, 1], and so they stay.
    """

    def __init__(
        self,
        mirror: float = 0.5,
        upside_down: float = 0.0,
        degrees: float = 10.0,
        scale: float = 0.1,
        shift: float = 0.05,
        brightness: float = 0.1,
        contrast: float = 0.2,
    ) -> None:
        self.mirror = mirror
        self.upside_down = upside_down
        self.degrees = degrees
        self.scale = scale
        self.shift = shift
        self.brightness = brightness
        self.contrast = contrast

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        image: Tensor = batch["image"]
        count = len(image)
        if self.degrees or self.scale or self.shift or self.mirror or self.upside_down:
            image = self._move(image, count)
        if self.contrast:
            mean = image.mean(dim=(1, 2, 3), keepdim=True)
            image = mean + (image - mean) * (1 + self._spread(self.contrast, count))
        if self.brightness:
            image = image + self._spread(self.brightness, count)
        return {**batch, "image": image.clamp(0, 1)}

    def _move(self, image: Tensor, count: int) -> Tensor:
        """Sample each slice on a turned, scaled, mirrored and shifted grid; beyond its border it is black."""
        angle = self._draw(self.degrees, count) * (math.pi / 180)
        zoom = 1 / (1 + self._draw(self.scale, count))
        across = zoom * self._sign(self.mirror, count)
        down = zoom * self._sign(self.upside_down, count)
        moved = 2 * self._draw(self.shift, 2 * count).reshape(2, count)  # a side of the grid is 2 long
        rows = [
            torch.stack([angle.cos() * across, -angle.sin() * down, moved[0]], dim=1),
            torch.stack([angle.sin() * across, angle.cos() * down, moved[1]], dim=1),
        ]
        grid = _grid(torch.stack(rows, dim=1), *image.shape[2:])
        return grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def _draw(self, limit: float, count: int) -> Tensor:
        """Evenly between -limit and limit."""
        return torch.from_numpy(self.R.uniform(-limit, limit, count)).float()

    def _spread(self, limit: float, count: int) -> Tensor:
        return self._draw(limit, count).reshape(-1, 1, 1, 1)

    def _sign(self, probability: float, count: int) -> Tensor:
        """-1 where a slice is mirrored, else 1."""
        return torch.from_numpy(1 - 2 * (self.R.uniform(size=count) < probability)).float()


class MixUpBatch(Randomizable):
    """Blend each slice of a batch, and its label, with another one's; ``label`` becomes B T, shares of the classes.

    MONAI's ``MixUpd`` wants batches of one size, and the last of an epoch is smaller.

    Args:
        alpha: of the beta distribution of the weights; 0 blends nothing.
        num_classes: T.

    Raises:
        BrainMRIError: when ``alpha`` is negative or no number.

    Source:
        Zhang et al.: mixup: Beyond Empirical Risk Minimization, ICLR 2018.
    """

    def __init__(self, alpha: float, num_classes: int) -> None:
        if not isinstance(alpha, int | float) or alpha < 0:
            raise BrainMRIError(f"mixup {alpha!r} is no strength.\nGive --mixup 0.2 or another number above 0, or 0.")
        self.alpha = alpha
        self.num_classes = num_classes

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        if not self.alpha:
            return batch
        count = len(batch["image"])
        weight = torch.from_numpy(self.R.beta(self.alpha, self.alpha, count)).float()
        other = torch.from_numpy(self.R.permutation(count))
        shares = one_hot(batch["label"], self.num_classes).float()
        return {
            **batch,
            "image": _blend(batch["image"], batch["image"][other], weight.reshape(-1, 1, 1, 1)),
            "label": _blend(shares, shares[other], weight.reshape(-1, 1)),
        }


def _grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel is sampled, B 2 3 → B H W 2; torch's ``affine_grid`` multiplies matrices and takes ten times
    as long."""
    across = (torch.arange(width) * 2 + 1) / width - 1  # the middles of the pixels, from -1 to 1
    down = (torch.arange(height) * 2 + 1) / height - 1
    grid = torch.empty(len(theta), height, width, 2)
    for axis in (0, 1):
        a, b, c = theta[:, axis].unbind(dim=1)  # B each
        rows = b[:, None] * down + c[:, None]  # B H
        torch.add(a[:, None, None] * across, rows[:, :, None], out=grid[..., axis])
    return grid


def _blend(one: Tensor, other: Tensor, weight: Tensor) -> Tensor:
    return weight * one + (1 - weight) * other
