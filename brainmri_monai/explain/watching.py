"""Looking into a network while it answers, and leaving it as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from monai.networks.blocks.selfattention import SABlock
from torch import Tensor, nn

__all__ = ["attention_kept", "evaluating", "outputs_kept"]


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and each of its modules back into its own mode afterwards.

    MONAI's ``eval_mode`` sets all of them to training afterwards, also those that were frozen in evaluation mode.
    """
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def outputs_kept(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Keep what layers put out while the network answers; their hooks are gone afterwards, whatever happened.

    Args:
        network: is not changed.
        layers: names of modules within it.

    Yields:
        name → the layer's last output, once the network has answered.

    Raises:
        ValueError: when there is no such layer.
    """
    modules = dict(network.named_modules())
    unknown = [name for name in layers if name not in modules]
    if unknown:
        raise ValueError(
            f"expected names of layers, found '{unknown[0]}'; there are {', '.join(filter(None, modules))}"
        )
    outputs: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            outputs[name] = output
            return output.clone()  # the next layer may work in place

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in layers]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def attention_kept(network: nn.Module) -> Iterator[list[SABlock]]:
    """Let MONAI's attention blocks keep their weights, ``att_mat`` B heads N N, until the end.

    Yields:
        The blocks, in order.
    """
    blocks = [module for module in network.modules() if isinstance(module, SABlock)]
    before = [(block.save_attn, block.att_mat) for block in blocks]
    for block in blocks:
        block.save_attn = True
    try:
        yield blocks
    finally:
        for block, (save, weights) in zip(blocks, before, strict=True):
            block.save_attn, block.att_mat = save, weights
