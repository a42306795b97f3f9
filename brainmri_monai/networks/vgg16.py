"""VGG16 under torchvision's parameter names."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["VGG16"]

# channels, convolutions before the pooling (table 1 of the paper, column D)
BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class VGG16(nn.Module):
    """VGG16, written here because torchvision cannot be required and MONAI has none.

    The parameters carry torchvision's names, so that its published ImageNet weights load: the features always, the
    linear layers with ``grid=7``, the size that they were trained with.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the answer.
        dropout: probability after each hidden linear layer.
        grid: side of the map that the linear layers see, to which the features are averaged. 4 is what slices of 128
            pixels have by themselves.

    Shape:
        B C H W → B F, logits, with H and W at least 32; 65,070,916 parameters with three channels, four classes and a
        grid of 4.

    Source:
        Simonyan, Zisserman: Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015.

    Example:
        >>> VGG16()(torch.rand(2, 3, 128, 128)).shape
        torch.Size([2, 4])
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 4, dropout: float = 0.5, grid: int = 4) -> None:
        super().__init__()
        channels = in_channels
        layers: list[nn.Module] = []
        for filters, convolutions in BLOCKS:
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, filters, kernel_size=3, padding=1), nn.ReLU()]
                channels = filters
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(grid)
        self.classifier = nn.Sequential(
            nn.Linear(channels * grid * grid, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        for module in self.modules():  # without norms, the default values let the signal fade in 13 convolutions
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)

    def forward(self, slices: Tensor) -> Tensor:
        """Classify slices, B C H W → B F."""
        x = self.avgpool(self.features(slices))  # B 512 grid grid
        return self.classifier(x.flatten(1))
