"""What a network, or several, say of each slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from numpy.typing import NDArray

from brainmri_monai.engines.precision import PrecisionInferer
from brainmri_monai.networks.slice_classifier import DECISIONS, SliceClassifier

__all__ = ["SliceAnswer", "SlicePrediction"]


@dataclass(frozen=True)
class SliceAnswer:
    """The answer for one slice.

    Args:
        id: the slice.
        probabilities: T, calibrated.
        decision: one of ``DECISIONS``.
        distance: how unlike the training slices it is.
        label: index of the true class, -1 where unknown.
        features: F, of the first network.
        statistics: of the picture, which the detector compares.
    """

    id: str
    probabilities: NDArray
    decision: str
    distance: float
    label: int
    features: NDArray
    statistics: NDArray


class SlicePrediction:
    """An ``iteration_update`` for MONAI's ``SupervisedEvaluator``: a batch of slices → a list of :class:`SliceAnswer`.

    The stock one sees what ``forward`` returns alone; here one pass over the network gives all else, too.

    Args:
        networks: an ensemble, whose probabilities are averaged; what most of its members find foreign is no brain MRI,
            and what is below the mean of their least confidences is uncertain.
        inferer: decides the precision of the body.
    """

    def __init__(self, networks: Sequence[SliceClassifier], inferer: PrecisionInferer) -> None:
        self.networks = networks
        self.inferer = inferer

    def __call__(self, engine: Engine, batch: dict[str, Any]) -> list[SliceAnswer]:
        image = batch["image"].to(engine.state.device)
        features, log_p, distances, foreign = [], [], [], []
        with torch.inference_mode():
            statistics = self.networks[0].detector.describe(image)
            for network in self.networks:
                network.eval()
                features.append(self.inferer(image, network.features))
                log_p.append(network.log_probabilities(features[-1]))
                distances.append(network.detector(statistics))
                foreign.append(network.detector.foreign(distances[-1]))
            probabilities = torch.stack(log_p).double().exp().mean(dim=0)  # B T
            least = torch.stack([network.minimum_confidence for network in self.networks]).mean()
            unsure = probabilities.amax(dim=1) < least
            is_foreign = torch.stack(foreign).double().mean(dim=0) > 0.5
            decisions = torch.where(is_foreign, 2, unsure.long())
        columns = (probabilities, decisions, torch.stack(distances).mean(dim=0), features[0], statistics)
        labels = batch["label"].tolist() if "label" in batch else [-1] * len(image)
        rows = zip(batch["id"], *(column.cpu().numpy() for column in columns), labels, strict=True)
        return [SliceAnswer(name, p, DECISIONS[d], float(far), label, f, s) for name, p, d, far, f, s, label in rows]


def probabilities_of(seen: Sequence[SliceAnswer]) -> NDArray:
    """n T, calibrated P(class) of all slices."""
    return np.stack([answer.probabilities for answer in seen])
