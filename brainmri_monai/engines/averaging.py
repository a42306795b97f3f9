"""An average of the weights over the training."""

from __future__ import annotations

import copy

import torch
from ignite.engine import Engine, Events
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential moving average of a network's weights after each step; it is validated and saved in their place.

    Ignite's ``EMAHandler`` keeps the random weights of the start for long, unless it warms up by a count of its own,
    which a resumed run would begin anew.

    Args:
        network: what is trained.
        decay: share of the average that stays at a step, such as 0.999; 0 takes no average. In the first steps the
            average follows faster, so that it is not of the random weights.

    Attributes:
        network: the averaged network, or with ``decay`` 0 the trained one itself.
    """

    def __init__(self, network: nn.Module, decay: float = 0.0) -> None:
        self.trained = network
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False) if decay else network

    def attach(self, engine: Engine) -> None:
        if self.decay:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    @torch.no_grad()
    def __call__(self, engine: Engine) -> None:
        decay = min(self.decay, (1 + engine.state.iteration) / (10 + engine.state.iteration))
        pairs = zip(self.network.state_dict().values(), self.trained.state_dict().values(), strict=True)
        for average, current in pairs:
            if average.is_floating_point():  # lerp_ would make NaN of a limit that is not fitted, which is infinite
                average.mul_(decay).add_(current, alpha=1 - decay)
            else:
                average.copy_(current)
