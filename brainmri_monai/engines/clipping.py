"""Gradients that do not explode."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from monai.engines import IterationEvents
from torch import nn

__all__ = ["GradientClip"]


class GradientClip:
    """Scale the gradients down to a norm before each optimiser step; MONAI's trainers have no option for it.

    Args:
        network: whose gradients are scaled.
        max_norm: the largest norm of all of them together; 0 leaves them as they are.
    """

    def __init__(self, network: nn.Module, max_norm: float) -> None:
        self.network = network
        self.max_norm = max_norm

    def attach(self, trainer: Engine) -> None:
        if self.max_norm > 0:
            trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, trainer: Engine) -> None:
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.max_norm)
