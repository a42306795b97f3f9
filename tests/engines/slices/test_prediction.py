from types import SimpleNamespace

import pytest
import torch

from brainmri_monai.engines import PrecisionInferer
from brainmri_monai.engines.slices.prediction import SlicePrediction
from brainmri_monai.networks import CustomCNN, SliceClassifier


@pytest.mark.parametrize(("least", "decision"), [((0, 0, 2), "answered"), ((0, 2, 2), "uncertain")])
def test_most_members_of_an_ensemble_decide_whether_it_answers(least, decision):
    networks = [SliceClassifier(CustomCNN(num_classes=4), num_classes=4).eval() for _ in least]
    for network, confidence in zip(networks, least, strict=True):
        network.minimum_confidence.fill_(confidence)
    engine = SimpleNamespace(state=SimpleNamespace(device="cpu"))
    (answer,) = SlicePrediction(networks, PrecisionInferer("float32"))(
        engine, {"id": ["a"], "image": torch.rand(1, 3, 128, 128)}
    )
    assert answer.decision == decision
