# ruff: noqa: UP045
"""Group and instance norm of images whose channels lie last in memory: right to float32, and without copies.

PyTorch's group norm of such volumes adds up millions of float32 one after the other: over 144 x 176 x 144 voxels in one
thread its answer is off by 0.02, and depends on the number of threads. Its instance norm is right, but copies the image
to another order and back, and leaves what follows in that order.
"""

from __future__ import annotations

from typing import Optional  # TorchScript reads the annotations, and does not know the newer ones

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, group_norm, instance_norm

__all__ = ["SliceInstanceNorm", "VolumeGroupNorm", "VolumeInstanceNorm", "replace_norms"]

LARGE = 100_000  # voxels; over fewer ones PyTorch's group norm is off by less than 1e-4, and faster


def is_large(volume: Tensor, voxels: int = LARGE) -> bool:
    """Whether the norms of this module go their own way."""
    last = volume.dim() == 5 and volume.is_contiguous(memory_format=torch.channels_last_3d)
    large = last and volume.shape[2] * volume.shape[3] * volume.shape[4] > voxels
    return large and not volume.is_cuda and volume.dtype == torch.float32


def normalize(volume: Tensor, groups: int, weight: Optional[Tensor], bias: Optional[Tensor], eps: float) -> Tensor:
    """B C H W D → the same, each group of channels with mean 0 and variance 1; sums are in float32 over a plane, and in
    float64 over the planes."""
    batch, channels, height, width, depth = volume.shape
    planes = volume.permute(0, 2, 3, 4, 1).reshape(batch, height, width * depth, channels)  # a view: channels lie last
    each = [batch, groups, channels // groups]
    voxels = height * width * depth * (channels // groups)
    mean = planes.sum(2).double().sum(1).view(each).sum(2, keepdim=True) / voxels  # B G 1
    squares = torch.linalg.vector_norm(planes, dim=2).double().square().sum(1)
    variance = squares.view(each).sum(2, keepdim=True) / voxels - mean.square()
    if bool((mean.square() > 100 * variance).any()):  # the difference has lost digits
        centre = mean.expand(each).reshape(batch, 1, 1, channels).to(volume.dtype)
        squares = torch.linalg.vector_norm(planes - centre, dim=2).double().square().sum(1)
        variance = squares.view(each).sum(2, keepdim=True) / voxels
    scale = (variance + eps).rsqrt()
    shift = (-mean * scale).expand(each).reshape(batch, channels)
    scale = scale.expand(each).reshape(batch, channels)
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    if bias is not None:
        shift = shift + bias
    shape = [batch, channels, 1, 1, 1]
    return torch.addcmul(shift.to(volume.dtype).view(shape), volume, scale.to(volume.dtype).view(shape))


@torch.jit.script_if_tracing
def _group_norm(
    volume: Tensor, groups: int, weight: Optional[Tensor], bias: Optional[Tensor], eps: float, training: bool
) -> Tensor:
    if training or not is_large(volume):
        return group_norm(volume, groups, weight, bias, eps)
    return normalize(volume, groups, weight, bias, eps)


@torch.jit.script_if_tracing
def _instance_norm(
    volume: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], eps: float, training: bool
) -> Tensor:
    if training or not is_large(volume):
        return instance_norm(volume, None, None, weight, bias, True, 0.0, eps)
    return normalize(volume, volume.shape[1], weight, bias, eps)


@torch.jit.script_if_tracing
def _slice_norm(slices: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], eps: float) -> Tensor:
    if slices.is_cuda or not slices.is_contiguous(memory_format=torch.channels_last):
        return instance_norm(slices, None, None, weight, bias, True, 0.0, eps)
    return torch.cat([batch_norm(one, None, None, weight, bias, True, 0.0, eps) for one in slices.split(1)])


class VolumeGroupNorm(nn.GroupNorm):
    """PyTorch's group norm; in evaluation on a CPU right for large volumes, too. B C H W D → the same."""

    def forward(self, volume: Tensor) -> Tensor:
        return _group_norm(volume, self.num_groups, self.weight, self.bias, self.eps, self.training)


class VolumeInstanceNorm(nn.InstanceNorm3d):
    """PyTorch's instance norm without running means; in evaluation on a CPU faster for large volumes.

    B C H W D → the same.
    """

    def forward(self, volume: Tensor) -> Tensor:
        return _instance_norm(volume, self.weight, self.bias, self.eps, self.training)


class SliceInstanceNorm(nn.InstanceNorm2d):
    """PyTorch's instance norm without running means; on a CPU a batch norm of each slice. B C H W → the same."""

    def forward(self, slices: Tensor) -> Tensor:
        return _slice_norm(slices, self.weight, self.bias, self.eps)


def replace_norms(network: nn.Module) -> nn.Module:
    """The network with the norms above in place of PyTorch's; the names of its parameters stay."""
    for parent in network.modules():
        for name, norm in parent.named_children():
            plain = not getattr(norm, "track_running_stats", False)
            if type(norm) is nn.GroupNorm:
                ours: nn.Module = VolumeGroupNorm(norm.num_groups, norm.num_channels, norm.eps, norm.affine)
            elif type(norm) is nn.InstanceNorm3d and plain:
                ours = VolumeInstanceNorm(norm.num_features, norm.eps, affine=norm.affine)
            elif type(norm) is nn.InstanceNorm2d and plain:
                ours = SliceInstanceNorm(norm.num_features, norm.eps, affine=norm.affine)
            else:
                continue
            ours.load_state_dict(norm.state_dict())
            setattr(parent, name, ours.train(norm.training))
    return network
