"""The slice encoder of the seed pipeline."""

from __future__ import annotations

from torch import nn

__all__ = ["SmallCNN"]


class SmallCNN(nn.Sequential):
    """Three convolutions, a global average and a linear layer: one vector for each slice.

    The activation follows the pooling, which commutes with it and leaves it a quarter of the pixels.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the vector; named as in MONAI's and torchvision's networks.

    Shape:
        B C H W → B F, with H and W at least 4.

    Example:
        >>> SmallCNN()(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 256])
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 256) -> None:
        super().__init__(
            nn.Conv2d(in_channels, 32, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, kernel_size=3, padding=1),
            nn.MaxPool2d(2),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 128, kernel_size=3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(128, num_classes),
        )
