"""A segmentation network, and what is fitted after its training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from brainmri_monai.networks.norms import replace_norms

__all__ = ["RegionNetwork"]


class RegionNetwork(nn.Module):
    """Volumes → one logit a voxel and region; regions overlap, so each has a sigmoid of its own.

    Args:
        body: any 3D segmentation network of MONAI's, with R output channels. One with deep supervision gives all its
            outputs while it trains.
        num_regions: R.

    Shape:
        B C H W D → B R H W D, in evaluation divided by the temperatures.

    Example:
        >>> network = RegionNetwork(SegResNet(in_channels=4, out_channels=3)).eval()
        >>> network(torch.rand(1, 4, 32, 32, 32)).shape
        torch.Size([1, 3, 32, 32, 32])
    """

    def __init__(self, body: nn.Module, num_regions: int = 3) -> None:
        super().__init__()
        self.body = replace_norms(body).to(memory_format=torch.channels_last_3d)
        # fitted on validation cases after the training; these values change nothing
        self.register_buffer("temperature", torch.ones(num_regions))
        self.register_buffer("minimum_ml", torch.zeros(num_regions))  # components of a region below it are noise

    def forward(self, image: Tensor) -> Tensor:
        logits = self.body(image.contiguous(memory_format=torch.channels_last_3d))
        if self.training:
            return logits
        return logits / self.temperature.view(1, -1, 1, 1, 1)
