"""What kind of picture an image is, whatever it shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

__all__ = ["NUM_STATISTICS", "picture_statistics"]

NUM_STATISTICS = 72


def picture_statistics(image: Tensor) -> Tensor:
    """Grey values, fine and coarse texture, and where the bright and the dark lie.

    Args:
        image: B C H W, values in [0, 1], with H and W at least 32.

    Returns:
        B 72: logarithms of the shares of 16 grey levels; at 4 scales logarithms of the mean, the root mean square and
        the share below 0.02 of the differences across, down and to all neighbours (36); the mean and the deviation of
        8 rings around the middle (16); the means of the 4 borders.
    """
    grey = image.float().mean(dim=1)  # B H W
    parts = [_levels(grey), _rings(grey), _borders(grey)]
    for scale in (1, 2, 4, 8):
        parts.append(_texture(avg_pool2d(grey.unsqueeze(1), scale).squeeze(1)))
    return torch.cat(parts, dim=1)


def _levels(grey: Tensor) -> Tensor:
    level = (grey.flatten(1) * 16).long().clamp(0, 15)  # B HW
    shares = torch.stack([(level == n).float().mean(dim=1) for n in range(16)], dim=1)
    return _logarithm(shares)


def _texture(grey: Tensor) -> Tensor:
    across, down = grey[:, :, 1:] - grey[:, :, :-1], grey[:, 1:] - grey[:, :-1]
    around = across[:, 1:-1, 1:] - across[:, 1:-1, :-1] + down[:, 1:, 1:-1] - down[:, :-1, 1:-1]  # Laplace
    parts = []
    for difference in (across.flatten(1), down.flatten(1), around.flatten(1)):
        size = difference.abs()
        parts += [size.mean(dim=1), size.square().mean(dim=1).sqrt(), (size < 0.02).float().mean(dim=1)]
    return _logarithm(torch.stack(parts, dim=1))


def _rings(grey: Tensor) -> Tensor:
    y = torch.linspace(-1, 1, grey.shape[1], device=grey.device)
    x = torch.linspace(-1, 1, grey.shape[2], device=grey.device)
    ring = (torch.hypot(y.unsqueeze(1), x.unsqueeze(0)) * 7).long().clamp(0, 7).flatten()  # the last are the corners
    parts = []
    for n in range(8):
        inside = grey.flatten(1)[:, ring == n]
        parts += [inside.mean(dim=1), inside.std(dim=1)]
    return torch.stack(parts, dim=1)


def _borders(grey: Tensor) -> Tensor:
    rows, columns = max(grey.shape[1] // 20, 1), max(grey.shape[2] // 20, 1)
    edges = (grey[:, :rows], grey[:, -rows:], grey[:, :, :columns], grey[:, :, -columns:])
    return torch.stack([edge.flatten(1).mean(dim=1) for edge in edges], dim=1)


def _logarithm(values: Tensor) -> Tensor:
    return (values + 1e-3).log()  # a share or a difference below that is as good as none
