"""A network over a whole volume, in windows that fit into the memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from monai.inferers import Inferer, SlidingWindowInferer
from torch import Tensor, nn

from brainmri_monai.engines.memory import available_memory, give_back_memory, is_out_of_memory, network_bytes
from brainmri_monai.engines.precision import PrecisionInferer
from brainmri_monai.errors import BrainMRIError

__all__ = ["VolumeInferer"]

SMALLEST = 64  # voxels along a side: below, a network sees too little around a voxel
_GIGABYTE = 1e9
_MORE_THAN_ANY = 4000  # bytes a voxel: with so much memory there is nothing to estimate


class VolumeInferer(Inferer):
    """MONAI's sliding window, in the precision of the device, with windows that fit into memory.

    Args:
        roi_size: sides of the window in voxels; -1 is the whole side.
        overlap: of neighbouring windows.
        precision: see :class:`PrecisionInferer`.
        divisible: by which the sides must be divisible, for the network's levels.
        memory: device → bytes that can be taken.
    """

    def __init__(
        self,
        roi_size: Sequence[int] = (-1, -1, -1),
        overlap: float = 0.5,
        precision: str = "auto",
        divisible: int = 16,
        memory: Callable[[torch.device], int] = available_memory,
    ) -> None:
        super().__init__()
        if len(roi_size) != 3 or any(n > 0 and n % divisible for n in roi_size):
            raise BrainMRIError(
                f"roi_size {list(roi_size)} is no window of this network: three sides, each divisible by {divisible}.\n"
                "Give --roi_size [128,128,128], or -1 for a whole side."
            )
        self.roi_size = tuple(roi_size)
        self.overlap = overlap
        self.forward = PrecisionInferer(precision)
        self.divisible = divisible
        self.memory = memory
        self._needs: dict[int, float] = {}  # id of a network → bytes a voxel

    def __call__(self, inputs: Tensor, network: nn.Module) -> Tensor:
        """1 C H W D → 1 R H W D, float32; the sides are divisible."""
        window = tuple(n if roi <= 0 else roi for n, roi in zip(inputs.shape[2:], self.roi_size, strict=True))
        window = self._fitting(window, inputs, network)
        while True:
            try:
                return self._infer(inputs, network, window)
            except (RuntimeError, MemoryError) as error:
                smaller = self._smaller(window)
                if not is_out_of_memory(error) or smaller is None:
                    raise
            _say(f"memory ran out in a window of {_times(window)} voxels: now in windows of {_times(smaller)}")
            window = smaller  # outside of the except: the error holds on to the tensors

    def _infer(self, inputs: Tensor, network: nn.Module, window: tuple[int, ...]) -> Tensor:
        if window == tuple(inputs.shape[2:]):
            return self.forward(inputs, network)
        inferer = SlidingWindowInferer(window, overlap=self.overlap, mode="gaussian")
        return inferer(inputs, lambda part: self.forward(part, network))

    def _fitting(self, window: tuple[int, ...], inputs: Tensor, network: nn.Module) -> tuple[int, ...]:
        """The window, or a smaller one that fits into the memory that is left."""
        available = self.memory(inputs.device)
        if math.prod(window) * _MORE_THAN_ANY < available:
            return window
        give_back_memory()
        available = self.memory(inputs.device)
        if id(network) not in self._needs:
            side = self.divisible * math.ceil(32 / self.divisible)
            example = inputs.new_zeros(1, inputs.shape[1], side, side, side)
            self._needs[id(network)] = network_bytes(lambda part: self.forward(part, network), example)
        need, asked = self._needs[id(network)], window
        while math.prod(window) * need > available and (smaller := self._smaller(window)) is not None:
            window = smaller
        if window != asked:
            _say(
                f"a window of {_times(asked)} voxels needs about {math.prod(asked) * need / _GIGABYTE:.1f} GB and "
                f"{available / _GIGABYTE:.1f} GB are free: in windows of {_times(window)}"
            )
        return window

    def _smaller(self, window: tuple[int, ...]) -> tuple[int, ...] | None:
        """The window with its longest side halved; None when it is small already."""
        axis = max(range(3), key=lambda side: window[side])
        if window[axis] <= SMALLEST:
            return None
        half = max(self.divisible * math.ceil(window[axis] / 2 / self.divisible), SMALLEST)
        return tuple(half if side == axis else n for side, n in enumerate(window)) if half < window[axis] else None


def _times(window: Sequence[int]) -> str:
    return "×".join(map(str, window))


def _say(what: str) -> None:
    print(f"note: {what}", flush=True)
