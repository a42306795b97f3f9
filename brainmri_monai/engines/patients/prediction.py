"""What a network says of each patient, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from numpy.typing import NDArray
from torch import Tensor

from brainmri_monai.engines.precision import PrecisionInferer
from brainmri_monai.networks.two_step_mil import TwoStepHead

__all__ = ["BagPrediction", "Prediction", "joint_of"]

Uncertainty = Callable[[TwoStepHead, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Prediction:
    """The answer for one patient.

    Args:
        id: the patient.
        joint: T G, calibrated P(type, grade).
        type_logits: T, before calibration.
        grade_logits: T G, before calibration.
        attention: N, weight of each slice; they sum to 1.
        entropy: of the type under Monte Carlo dropout, in nats.
        mutual_information: between the type and the dropout, in nats.
        label: index of the true type and grade, -1 where unknown.
    """

    id: str
    joint: NDArray
    type_logits: NDArray
    grade_logits: NDArray
    attention: NDArray
    entropy: float
    mutual_information: float
    label: tuple[int, int]


class BagPrediction:
    """An ``iteration_update`` for MONAI's ``SupervisedEvaluator``: a batch of bags → a list of :class:`Prediction`.

    The stock one sees what ``forward`` returns alone; here the slices are encoded once, and all else follows.

    Args:
        inferer: decides the precision of the encoder.
        uncertainty: from the head, features B N F and mask B N to entropy and mutual information, B each.
    """

    def __init__(self, inferer: PrecisionInferer, uncertainty: Uncertainty) -> None:
        self.inferer = inferer
        self.uncertainty = uncertainty

    def __call__(self, engine: Engine, batch: dict[str, Any]) -> list[Prediction]:
        network, device = engine.network, engine.state.device
        network.eval()
        image, mask = batch["image"].to(device), batch["mask"].to(device)
        with torch.inference_mode():
            features = self.inferer(image, network.encode, mask)  # B N F
            type_logits, grade_logits, weights = network.head.logits(features, mask)
            joint = network.head.log_joint(features, mask).exp()
            entropy, information = self.uncertainty(network.head, features, mask)
        labels = batch["label"].tolist() if "label" in batch else [[-1, -1]] * len(image)
        answers = [t.double().cpu().numpy() for t in (joint, type_logits, grade_logits, weights, entropy, information)]
        return [
            Prediction(name, j, t, g, w[exists], float(e), float(i), tuple(label))
            for name, j, t, g, w, e, i, exists, label in zip(
                batch["id"], *answers, batch["mask"].numpy(), labels, strict=True
            )
        ]


def joint_of(predictions: Sequence[Prediction]) -> NDArray:
    """n T G, calibrated P(type, grade) of all patients."""
    return np.stack([p.joint for p in predictions])
