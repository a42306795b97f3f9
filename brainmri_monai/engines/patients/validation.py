"""Scores of the validation during a training."""

from __future__ import annotations

import math

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import nn

from brainmri_monai.engines.distributed import gather
from brainmri_monai.metrics.two_step import Answers, statistics

__all__ = ["TwoStepScores"]


class TwoStepScores:
    """Put the loss and all scores of ``metrics.two_step.statistics`` into an evaluator's ``state.metrics``.

    MONAI's metrics each want one task and all classes; here a class may be absent, and the tasks share their patients.

    Args:
        loss: on joint log-probabilities B T G and labels B 2.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.loss = loss

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._compute)

    def _start(self, engine: Engine) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def _add(self, engine: Engine) -> None:
        for output in engine.state.output:  # decollated
            self.seen.append((output[CommonKeys.PRED].cpu().numpy(), output[CommonKeys.LABEL].cpu().numpy()))

    def _compute(self, engine: Engine) -> None:
        seen = gather(self.seen)
        log_joint, labels = (np.stack(column) for column in zip(*seen, strict=True))
        engine.state.metrics["loss"] = loss = float(self.loss(torch.from_numpy(log_joint), torch.from_numpy(labels)))
        if math.isfinite(loss):  # or nothing else is, and the training is told
            answers = Answers(np.exp(log_joint.astype(np.float64)), labels[:, 0], labels[:, 1])
            engine.state.metrics |= statistics(answers)
