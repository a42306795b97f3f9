"""Scores of the training and of the validation after each epoch."""

from __future__ import annotations

import math

import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.utils import CommonKeys
from torch import nn

from brainmri_monai.engines.distributed import gather
from brainmri_monai.metrics.classification import overall_scores

__all__ = ["SliceScores", "SliceTrainingScores"]


class SliceScores:
    """Put the loss, the scores of a classification and the mean confidence into an evaluator's ``state.metrics``.

    MONAI's metrics each want one score and all classes; here a class may be absent.

    Args:
        loss: on logits B T, such as log-probabilities, and labels B.
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
        logits, labels = (torch.from_numpy(np.stack(column)) for column in zip(*gather(self.seen), strict=True))
        engine.state.metrics["loss"] = loss = float(self.loss(logits, labels))
        if math.isfinite(loss):  # or nothing else is, and the training is told
            probabilities = logits.double().softmax(dim=1).numpy()
            scores = overall_scores(labels.numpy(), probabilities)
            engine.state.metrics |= scores | {"confidence": float(probabilities.max(axis=1).mean())}


class SliceTrainingScores:
    """Put accuracy and mean confidence on the training slices into a trainer's ``state.metrics``.

    They are of the augmented slices, each answered as the weights were at its step. With blended labels the class of
    the larger part counts as the true one.
    """

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._compute)

    def _start(self, engine: Engine) -> None:
        self.sums = np.zeros(3)

    def _add(self, engine: Engine) -> None:
        logits = torch.stack([output[CommonKeys.PRED].detach() for output in engine.state.output])  # decollated
        labels = torch.stack([torch.as_tensor(output[CommonKeys.LABEL]) for output in engine.state.output])
        labels = labels.argmax(dim=1) if labels.ndim == 2 else labels
        best = logits.softmax(dim=1).max(dim=1)
        right = (best.indices == labels).sum()
        self.sums += [float(right), float(best.values.sum()), len(logits)]

    def _compute(self, engine: Engine) -> None:
        right, confidence, count = np.sum(gather([self.sums]), axis=0)
        engine.state.metrics |= {"accuracy": right / count, "confidence": confidence / count}
