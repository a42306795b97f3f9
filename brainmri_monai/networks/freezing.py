"""Training one layer of a network."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from brainmri_monai.errors import BrainMRIError

__all__ = ["train_only"]

Network = TypeVar("Network", bound=nn.Module)


def train_only(network: Network, layer: str) -> Network:
    """Freeze every parameter of a network but those of one layer.

    The network keeps its mode: dropout still acts in training, and a norm with running statistics would still follow
    the data. The optimiser may be given all parameters, since those without a gradient stay as they are.

    Args:
        network: changed in place.
        layer: its name within the network; ``"classifier.6"`` of ``VGG16`` leaves 16,388 parameters for four classes.

    Raises:
        BrainMRIError: when the network has no such layer.

    Example:
        >>> network = train_only(VGG16(grid=7), "classifier.6")
        >>> sum(p.numel() for p in network.parameters() if p.requires_grad)
        16388
    """
    layers = {name: module for name, module in network.named_modules() if name and [*module.parameters()]}
    if layer not in layers:
        raise BrainMRIError(
            f"expected the name of a layer with parameters, found '{layer}' for {type(network).__name__}.\n"
            f"Its last layer is '{list(layers)[-1]}'."
        )
    network.requires_grad_(False)
    layers[layer].requires_grad_(True)
    return network
