"""What a network, or several, say of each slice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from numpy.typing import NDArray
from torch import Tensor

from brainmri_monai.engines.precision import PrecisionInferer
from brainmri_monai.networks.slice_classifier import DECISIONS, SliceClassifier

__all__ = ["SliceAnswer", "SlicePrediction", "least_confidence", "members"]


@dataclass(frozen=True)
class SliceAnswer:
    """The answer for one slice.

    Args:
        id: the slice.
        log_p: T, calibrated log P(class), as double.
        decision: one of ``DECISIONS``.
        distance: how unlike the training slices it is.
        label: index of the true class, -1 where unknown.
    """

    id: str
    log_p: NDArray
    decision: str
    distance: float
    label: int = -1

    @property
    def probabilities(self) -> NDArray:
        """T, calibrated P(class)."""
        return np.exp(self.log_p)


class SlicePrediction:
    """An ``iteration_update`` for MONAI's ``SupervisedEvaluator``: a batch of slices → a list of :class:`SliceAnswer`.

    The stock one sees what ``forward`` returns alone; here one pass over the network gives all else, too.

    Args:
        networks: an ensemble, whose probabilities are averaged; what most of its members find foreign is no brain MRI,
            and what is below the median of their least confidences is uncertain (a member that may never answer has 2).
        inferer: decides the precision of the body.
    """

    def __init__(self, networks: Sequence[SliceClassifier], inferer: PrecisionInferer) -> None:
        self.networks = networks
        self.inferer = inferer

    def __call__(self, engine: Engine, batch: dict[str, Any]) -> list[SliceAnswer]:
        image = batch["image"].to(engine.state.device)
        log_p, distances, foreign = [], [], []
        with torch.inference_mode():
            statistics = self.networks[0].detector.describe(image)
            for network in self.networks:
                network.eval()
                log_p.append(network.log_probabilities(self.inferer(image, network.features)))
                distances.append(network.detector(statistics))
                foreign.append(network.detector.foreign(distances[-1]))
            mean = torch.stack(log_p).double().logsumexp(dim=0) - math.log(len(log_p))  # B T
            unsure = ~(mean.exp().amax(dim=1) >= least_confidence(self.networks))  # no number is no confidence
            is_foreign = torch.stack(foreign).double().mean(dim=0) > 0.5
            decisions = torch.where(is_foreign, 2, unsure.long())
        columns = (mean, decisions, torch.stack(distances).mean(dim=0))
        labels = batch["label"].tolist() if "label" in batch else [-1] * len(image)
        rows = zip(batch["id"], *(column.cpu().numpy() for column in columns), labels, strict=True)
        return [SliceAnswer(name, p, DECISIONS[d], float(far), label) for name, p, d, far, label in rows]


def members(network: SliceClassifier | Sequence[SliceClassifier]) -> list[SliceClassifier]:
    """Those of an ensemble; one network is an ensemble of its own."""
    return [network] if isinstance(network, SliceClassifier) else list(network)


def least_confidence(networks: Sequence[SliceClassifier]) -> Tensor:
    """The median of those of the members of an ensemble."""
    return torch.stack([network.minimum_confidence for network in networks]).quantile(0.5)


def probabilities_of(seen: Sequence[SliceAnswer]) -> NDArray:
    """n T, calibrated P(class) of all slices."""
    return np.stack([answer.probabilities for answer in seen])
