"""Scores of the validation during a training."""

from __future__ import annotations

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import nn

from brainmri_monai.engines.distributed import gather
from brainmri_monai.metrics.classification import overall_scores

__all__ = ["SliceScores"]


class SliceScores:
    """Put the loss, the scores of a classification and the mean confidence into an evaluator's ``state.metrics``.

    MONAI's metrics each want one score and all classes; here a class may be absent.

    Args:
        loss: on log-probabilities B T and labels B.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._compute)

    def _start(self, engine: Engine) -> None:
        self.seen: list[tuple[np.ndarray, int]] = []

    def _add(self, engine: Engine) -> None:
        for output in engine.state.output:  # decollated
            self.seen.append((output[CommonKeys.PRED].cpu().numpy(), int(output[CommonKeys.LABEL])))

    def _compute(self, engine: Engine) -> None:
        log_p, labels = (np.stack(column) for column in zip(*gather(self.seen), strict=True))
        loss = self.loss(torch.from_numpy(log_p), torch.from_numpy(labels))
        probabilities = np.exp(log_p.astype(np.float64))
        scores = overall_scores(labels, probabilities)
        confidence = float(probabilities.max(axis=1).mean())
        engine.state.metrics |= {"loss": float(loss), **scores, "confidence": confidence}
