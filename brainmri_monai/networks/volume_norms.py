"""Group and instance norm of whole volumes, right to float32 and without a copy.

PyTorch's group norm of volumes whose channels lie last in memory adds up millions of float32 one after the other: over
144 x 176 x 144 voxels in one thread its answer is off by 0.02, and depends on the number of threads. Its instance norm
is right, but copies the volume to another order and back.
"""

from __future__ import annotations

from typing import Optional  # TorchScript reads the annotations, and does not know the newer ones

import torch
from torch import Tensor, nn
from torch.nn.functional import group_norm, instance_norm

__all__ = ["VolumeGroupNorm", "VolumeInstanceNorm", "with_volume_norms"]

LARGE = 100_000  # voxels; over fewer ones PyTorch's group norm is off by less than 1e-4, and faster


def is_large(volume: Tensor, voxels: int = LARGE) -> bool:
    """Whether the norms of this module go their own way."""
    last = volume.dim() == 5 and volume.is_contiguous(memory_format=torch.channels_last_3d)
    large = last and volume.shape[2] * volume.shape[3] * volume.shape[4] > voxels
    return large and not volume.is_cuda and volume.dtype == torch.float32


def normalize(volume: Tensor, groups: int, weight: Optional[Tensor], bias: Optional[Tensor], eps: float) -> Tensor:  # noqa: UP045
    """B C H W D → the same, each group of channels with mean 0 and variance 1; sums are in float32 over a plane, and in
    float64 over the planes."""
    batch, channels, height, width, depth = volume.shape
    planes = volume.permute(0, 2, 3, 4, 1).reshape(batch, height, width * depth, channels)  # a view: channels lie last
    voxels = height * width * depth * (channels // groups)
    sums = planes.sum(2).double().sum(1)  # B C
    squares = torch.linalg.vector_norm(planes, dim=2).double().square().sum(1)
    mean = sums.view(batch, groups, -1).sum(2, keepdim=True) / voxels  # B G 1
    square = squares.view(batch, groups, -1).sum(2, keepdim=True) / voxels
    scale = (square - mean.square()).clamp(min=0).add(eps).rsqrt()
    shift = -mean * scale
    each = [batch, groups, channels // groups]
    scale, shift = scale.expand(each).reshape(batch, channels), shift.expand(each).reshape(batch, channels)
    if weight is not None:
        scale, shift = scale * weight, shift * weight
    if bias is not None:
        shift = shift + bias
    shape = [batch, channels, 1, 1, 1]
    return torch.addcmul(shift.to(volume.dtype).view(shape), volume, scale.to(volume.dtype).view(shape))


@torch.jit.script_if_tracing
def _group_norm(volume: Tensor, groups: int, weight: Optional[Tensor], bias: Optional[Tensor], eps: float) -> Tensor:  # noqa: UP045
    if is_large(volume):
        return normalize(volume, groups, weight, bias, eps)
    return group_norm(volume, groups, weight, bias, eps)


@torch.jit.script_if_tracing
def _instance_norm(volume: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], eps: float) -> Tensor:  # noqa: UP045
    if is_large(volume):
        return normalize(volume, volume.shape[1], weight, bias, eps)
    return instance_norm(volume, None, None, weight, bias, True, 0.0, eps)


class VolumeGroupNorm(nn.GroupNorm):
    """PyTorch's group norm; in evaluation on a CPU right for large volumes, too. B C H W D → the same."""

    def forward(self, volume: Tensor) -> Tensor:
        if self.training:
            return group_norm(volume, self.num_groups, self.weight, self.bias, self.eps)
        return _group_norm(volume, self.num_groups, self.weight, self.bias, self.eps)


class VolumeInstanceNorm(nn.InstanceNorm3d):
    """PyTorch's instance norm without running means; in evaluation on a CPU faster for large volumes.

    B C H W D → the same.
    """

    def forward(self, volume: Tensor) -> Tensor:
        if self.training:
            return instance_norm(volume, None, None, self.weight, self.bias, True, 0.0, self.eps)
        return _instance_norm(volume, self.weight, self.bias, self.eps)


def with_volume_norms(body: nn.Module) -> nn.Module:
    """The network, its group and instance norms replaced by those above; the names of its parameters stay."""
    for parent in body.modules():
        for name, norm in parent.named_children():
            if type(norm) is nn.GroupNorm:
                replaced: nn.Module = VolumeGroupNorm(norm.num_groups, norm.num_channels, norm.eps, norm.affine)
            elif type(norm) is nn.InstanceNorm3d and not norm.track_running_stats:
                replaced = VolumeInstanceNorm(norm.num_features, norm.eps, affine=norm.affine)
            else:
                continue
            replaced.load_state_dict(norm.state_dict())
            setattr(parent, name, replaced.train(norm.training))
    return body
