"""Scores of the validation during a training on volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import nn

from brainmri_monai.engines.distributed import gather
from brainmri_monai.metrics.regions import dice

__all__ = ["RegionScores"]


class RegionScores:
    """Put the loss and the Dice of each region into an evaluator's ``state.metrics``, as means over the cases.

    A case without a region scores 1 where none is predicted, else 0, as the challenge counts it; MONAI's ``MeanDice``
    leaves such a case out or gives NaN.

    Args:
        loss: on logits and regions, B R H W D each.
        regions: names of the R regions.
    """

    def __init__(self, loss: nn.Module, regions: list[str]) -> None:
        self.loss = loss
        self.regions = regions

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._compute)

    def _start(self, engine: Engine) -> None:
        self.seen: list[dict[str, Any]] = []

    def _add(self, engine: Engine) -> None:
        for output in engine.state.output:  # decollated
            logits, truth = output[CommonKeys.PRED], output[CommonKeys.LABEL]  # R H W D
            loss = float(self.loss(logits[None], truth[None]))
            scores = dice((logits > 0).cpu().numpy(), (truth > 0).cpu().numpy())
            self.seen.append({"loss": loss, "dice": scores.tolist()})

    def _compute(self, engine: Engine) -> None:
        seen = gather(self.seen)
        scores = np.mean([one["dice"] for one in seen], axis=0)
        engine.state.metrics |= {
            "loss": float(np.mean([one["loss"] for one in seen])),
            "dice": float(scores.mean()),
            **{f"dice_{region.lower()}": float(score) for region, score in zip(self.regions, scores, strict=True)},
        }
