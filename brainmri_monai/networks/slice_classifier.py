"""A classifier of slices that knows how sure it may be, and what it was not made for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from brainmri_monai.networks.input_detector import InputDetector

__all__ = ["DECISIONS", "SliceClassifier"]

DECISIONS = ("answered", "uncertain", "not_brain_mri")


class SliceClassifier(nn.Module):
    """Slices → calibrated class probabilities, and whether to give them.

    Any classification network can be wrapped. Its last linear layer becomes ``head``, and the rest of it ``body``.
    What is fitted after the training lies in buffers that change nothing before: ``temperature``,
    ``minimum_confidence``, and those of ``detector``.

    Args:
        network: answers logits B T; ours, or a 2D classification network of MONAI's. It is taken apart.
        num_classes: T.

    Shape:
        B C H W, values in [0, 1] → B T, log-probabilities. ``CrossEntropyLoss`` takes them as it takes logits.

    Raises:
        ValueError: when the network does not end in a linear layer with ``num_classes`` outputs.

    Example:
        >>> network = SliceClassifier(CustomCNN(num_classes=4), num_classes=4).eval()
        >>> network(torch.rand(2, 3, 128, 128)).exp().sum(dim=1)
        tensor([1., 1.])
        >>> [DECISIONS[d] for d in network.decide(torch.rand(2, 3, 128, 128))]
        ['answered', 'answered']
    """

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        linear = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
        outputs = linear[-1][1].out_features if linear else 0
        if outputs != num_classes:
            raise ValueError(
                f"expected a network that ends in a linear layer with {num_classes} outputs, "
                f"found {outputs} outputs in {type(network).__name__}"
            )
        name, last = linear[-1]
        network.set_submodule(name, nn.Identity())
        self.body = network
        self.head = last
        self.detector = InputDetector()
        # fitted on validation slices after the training; these values change nothing
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("minimum_confidence", torch.zeros(()))

    def forward(self, image: Tensor) -> Tensor:
        """Calibrated log P(class), B C H W → B T."""
        return self.log_probabilities(self.features(image))

    @property
    def is_calibrated(self) -> bool:
        """Whether an evaluation has fitted the buffers."""
        return bool(torch.isfinite(self.detector.limit))

    @torch.jit.export
    def features(self, image: Tensor) -> Tensor:
        """What the head sees of a slice, B C H W → B F."""
        return self.body(image)

    @torch.jit.export
    def log_probabilities(self, features: Tensor) -> Tensor:
        """Calibrated log P(class) of features, B F → B T."""
        return torch.log_softmax(self.head(features).float() / self.temperature, dim=1)

    @torch.jit.export
    def answer(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Calibrated log P(class) B T, and how unlike the training slices, B."""
        return self.forward(image), self.detector(self.detector.describe(image))

    @torch.jit.export
    def decide(self, image: Tensor) -> Tensor:
        """Index into ``DECISIONS``, B C H W → B: 0 answered, 1 uncertain, 2 no brain MRI."""
        log_p, distance = self.answer(image)
        return self.decision(log_p, distance)

    @torch.jit.export
    def decision(self, log_p: Tensor, distance: Tensor) -> Tensor:
        """The same from what ``answer`` gave."""
        sure = log_p.exp().amax(dim=1) >= self.minimum_confidence
        return torch.where(self.detector.foreign(distance), 2, torch.where(sure, 0, 1))
