"""AlexNet for slices of 128 pixels."""

from __future__ import annotations

from torch import Tensor, nn

__all__ = ["AlexNet128"]


class AlexNet128(nn.Module):
    """AlexNet with smaller kernels and strides, for slices of 128 pixels; without norms and dropout.

    Its layers are not those that torchvision publishes weights for.

    Args:
        in_channels: C, channels of a slice.
        num_classes: F, length of the answer.

    Shape:
        B C 128 128 → B F, logits; 4,589,316 parameters with three channels and four classes.

    Source:
        Krizhevsky et al.: ImageNet Classification with Deep Convolutional Neural Networks, NeurIPS 2012, as changed by
        Lusardi, Tallone, Zappi: Multi-Model Approach for Brain Tumor Classification and Segmentation, University of
        Trieste, 2024.

    Example:
        >>> AlexNet128()(torch.rand(2, 3, 128, 128)).shape
        torch.Size([2, 4])
    """

    def __init__(self, in_channels: int = 3, num_classes: int = 4) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 96, kernel_size=9, stride=4),  # 96 30 30
            nn.ReLU(),
            nn.MaxPool2d(2),  # 96 15 15
            nn.Conv2d(96, 256, kernel_size=5),  # 256 11 11
            nn.ReLU(),
            nn.MaxPool2d(2),  # 256 5 5
            nn.Conv2d(256, 384, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 384, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 256 2 2
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(1024, 512),
            nn.ReLU(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 128),
            nn.ReLU(),
            nn.Linear(128, num_classes),
        )

    def forward(self, slices: Tensor) -> Tensor:
        """Classify slices, B C 128 128 → B F."""
        return self.classifier(self.features(slices))
