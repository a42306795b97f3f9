"""The slice encoder of the seed pipeline."""

from __future__ import annotations

from monai.networks.layers.factories import Pool
from monai.networks.layers.utils import get_norm_layer
from torch import nn

__all__ = ["SmallCNN"]


class SmallCNN(nn.Sequential):
    """Three convolutions, a global pooling and a linear layer: one vector for each slice.

    The defaults are the seed's layers. With ``norm="instance"`` and ``pool="max"`` it learns from few patients, where
    the seed's does not: a tumour fills little of a slice, and an average over the slice drowns it.

    The activation follows the pooling, which commutes with it and leaves it a quarter of the pixels.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the vector; named as in MONAI's and torchvision's networks.
        norm: normalisation after each convolution, by MONAI's name, and a layer norm after the pooling; None for none.
        pool: over the slice, ``"avg"`` or ``"max"``.

    Shape:
        B C H W → B F, with H and W at least 8.

    Example:
        >>> SmallCNN()(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 256])
    """

    def __init__(
        self, in_channels: int = 3, num_classes: int = 256, norm: str | None = None, pool: str = "avg"
    ) -> None:
        def convolution(inputs: int, outputs: int, *shrink: nn.Module) -> list[nn.Module]:
            conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)
            normalise = [] if norm is None else [get_norm_layer((norm, {"affine": True}), 2, outputs)]
            return [conv, *shrink, *normalise, nn.ReLU(inplace=True)]

        super().__init__(
            *convolution(in_channels, 32, nn.MaxPool2d(2)),
            *convolution(32, 64, nn.MaxPool2d(2)),
            *convolution(64, 128),
            Pool[f"adaptive{pool}", 2](1),
            nn.Flatten(),
            *([] if norm is None else [nn.LayerNorm(128)]),  # the maxima of all slices have much in common
            nn.Linear(128, num_classes),
        )
