"""MobileNetV2 under torchvision's parameter names."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["MobileNetV2"]

# expansion, output channels, repeats, stride of the first (table 2 of the paper)
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def conv_norm_relu(
    in_channels: int, out_channels: int, kernel_size: int, stride: int, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape stays."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[nn.Module] = [conv_norm_relu(in_channels, hidden, 1, 1)] if expansion != 1 else []
        layers += [
            conv_norm_relu(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*layers)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(nn.Module):
    """MobileNetV2, written here because torchvision cannot be required and MONAI has none.

    The parameters carry torchvision's names, so that its published ImageNet weights load.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the answer.
        dropout: probability before the last layer. As the encoder of a bag it is best left at 0.

    Shape:
        B C H W → B F, with H and W at least 32.

    Source:
        Sandler et al.: MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.

    Example:
        >>> MobileNetV2(num_classes=1000)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 1000])
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 256, dropout: float = 0.0) -> None:
        super().__init__()
        channels = 32
        layers: list[nn.Module] = [conv_norm_relu(in_channels, channels, 3, 2)]
        for expansion, out_channels, repeats, stride in STAGES:
            for i in range(repeats):
                layers.append(InvertedResidual(channels, out_channels, stride if i == 0 else 1, expansion))
                channels = out_channels
        layers.append(conv_norm_relu(channels, 1280, 1, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, slices: Tensor) -> Tensor:
        """Encode slices, B C H W → B F."""
        x = self.features(slices)  # B 1280 H/32 W/32
        return self.classifier(x.mean(dim=(2, 3)))
