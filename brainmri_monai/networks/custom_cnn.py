"""The four-convolution network of the slice classifier."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["CustomCNN"]


class CustomCNN(nn.Module):
    """AlexNet made smaller: four convolutions with batch norm and Mish, then three linear layers and an answer.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the answer.
        dropout: probability after the first two linear layers.

    Shape:
        B C 128 128 → B F, logits; 3,001,156 parameters with three channels and four classes.

    Source:
        Lusardi, Tallone, Zappi: Multi-Model Approach for Brain Tumor Classification and Segmentation, University of
        Trieste, 2024. Mish: Misra, BMVC 2020.

    Example:
        >>> CustomCNN()(torch.rand(2, 3, 128, 128)).shape
        torch.Size([2, 4])
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 4, dropout: float = 0.4) -> None:
        super().__init__()
        # Mish is not monotonic: unlike ReLU it cannot follow the pooling
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 96, kernel_size=9, stride=4),  # 96 30 30
            nn.BatchNorm2d(96),
            nn.Mish(),
            nn.MaxPool2d(2),  # 96 15 15
            nn.Conv2d(96, 256, kernel_size=5),  # 256 11 11
            nn.BatchNorm2d(256),
            nn.Mish(),
            nn.MaxPool2d(2),  # 256 5 5
            nn.Conv2d(256, 384, kernel_size=3, padding=1),
            nn.BatchNorm2d(384),
            nn.Mish(),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.BatchNorm2d(256),
            nn.Mish(),
            nn.MaxPool2d(2),  # 256 2 2
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(1024, 512),
            nn.Mish(),
            nn.Dropout(dropout),
            nn.Linear(512, 128),
            nn.Mish(),
            nn.Dropout(dropout),
            nn.Linear(128, num_classes),
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Classify slices, B C 128 128 → B F."""
        return self.classifier(self.features(slices))
