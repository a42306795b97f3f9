"""Every epoch begins from the seed and its own number, so that a resumed run draws what an uninterrupted one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd
from torch.utils.data import DataLoader

from brainmri_monai.engines.distributed import rank

__all__ = ["EpochSeed"]


class EpochSeed:
    """Seed torch, NumPy, MONAI's random transforms and a distributed sampler at the start of each epoch.

    Args:
        seed: of the whole run. Processes draw differently from each other, but the sampler's order is common to all.
        loader: whose data set and sampler are seeded; without workers that live on from epoch to epoch.
    """

    def __init__(self, seed: int, loader: DataLoader) -> None:
        if loader.persistent_workers:
            raise ValueError("persistent workers keep their random state: an interrupted run could not be repeated")
        self.seed = seed
        self.loader = loader

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        epoch_seed = self.seed * 1_000_003 + engine.state.epoch
        own_seed = (epoch_seed + 7919 * rank()) % 2**32
        torch.manual_seed(own_seed)
        np.random.seed(own_seed)
        set_rnd(self.loader.dataset, own_seed)
        set_epoch: Callable[[int], Any] | None = getattr(self.loader.sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(engine.state.epoch)
