"""The small network for slices of 256 pixels."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["CNN256"]


class CNN256(nn.Module):
    """Four convolutions, each halving the slice and doubling the filters, and a hidden layer of 100 units.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the answer.
        dropout: probability after the hidden layer.

    Shape:
        B C 256 256 → B F, logits; 1,279,432 parameters with three channels and four classes.

    Source:
        Wang: Brain Cancer Diagnosis Assisted by Artificial Intelligence, 2024, after the notebook "Brain tumor
        detection by CNN" that it cites. They answer log-probabilities, which give the same loss.

    Example:
        >>> CNN256()(torch.rand(2, 3, 256, 256)).shape
        torch.Size([2, 4])
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 4, dropout: float = 0.25) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for filters in (8, 16, 32, 64):
            layers += [nn.Conv2d(channels, filters, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2)]
            channels = filters
        self.features = nn.Sequential(*layers)  # 64 14 14
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * 14 * 14, 100),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(100, num_classes),
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Classify slices, B C 256 256 → B F."""
        return self.classifier(self.features(slices))
