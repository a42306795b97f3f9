"""Where on the slice the cells of a layer's output lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from brainmri_monai.explain.maps import as_batch
from brainmri_monai.explain.watching import evaluating

__all__ = ["Place", "layer_places"]


class Place(NamedTuple):
    """The middle of what a layer's first cell sees, and the step to the next, in pixels: each down and across."""

    start: tuple[float, float]
    step: tuple[float, float]


def layer_places(network: nn.Module, image: Tensor) -> dict[str, Place]:
    """Follow the middle of what a cell sees through convolutions, pooling and padding.

    Without padding a convolution loses the border, so that its output does not cover the whole slice. What else stands
    between them, such as norms and sums, changes no place: in one network all outputs of one size lie alike.

    Args:
        network: takes the slice; is not changed.
        image: C H W or 1 C H W.

    Returns:
        name of a convolution → its place. One after a resize or an adaptive pooling has none.

    Source:
        Araujo, Norris and Sim: Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.
    """
    batch = as_batch(image)
    with torch.no_grad(), evaluating(network), _places_kept(network, tuple(batch.shape[-2:])) as places:
        network(batch)
    return places


@contextmanager
def _places_kept(network: nn.Module, size: tuple[int, ...]) -> Iterator[dict[str, Place]]:
    places: dict[str, Place] = {}
    of_size = {size: Place((0.0, 0.0), (1.0, 1.0))}

    def follow(name: str):
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            before = of_size.get(tuple(inputs[0].shape[-2:]))
            if before is not None:
                of_size[tuple(output.shape[-2:])] = place = _after(module, before)
                if isinstance(module, nn.Conv2d):
                    places[name] = place

        return hook

    kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.ConstantPad2d)
    modules = [(name, module) for name, module in network.named_modules() if isinstance(module, kinds)]
    handles = [module.register_forward_hook(follow(name)) for name, module in modules]
    try:
        yield places
    finally:
        for handle in handles:
            handle.remove()


def _after(module: nn.Module, before: Place) -> Place:
    if isinstance(module, nn.ConstantPad2d):
        left, _, top, _ = module.padding
        shift, stride = (-top, -left), (1, 1)
    else:
        kernel, stride, dilation = (_pair(getattr(module, name, 1)) for name in ("kernel_size", "stride", "dilation"))
        reach = [d * (k - 1) / 2 for d, k in zip(dilation, kernel, strict=True)]
        padding = reach if module.padding == "same" else _pair(0 if module.padding == "valid" else module.padding)
        shift = [r - p for r, p in zip(reach, padding, strict=True)]
    return Place(
        tuple(start + move * step for start, move, step in zip(before.start, shift, before.step, strict=True)),
        tuple(step * s for step, s in zip(before.step, stride, strict=True)),
    )


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
