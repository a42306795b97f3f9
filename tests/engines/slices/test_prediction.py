from types import SimpleNamespace

import numpy as np
import pytest
import torch

from brainmri_monai.engines import PrecisionInferer
from brainmri_monai.engines.slices.prediction import SlicePrediction
from brainmri_monai.networks import CustomCNN, SliceClassifier


def answer(*networks: SliceClassifier):
    """Of these networks to one slice."""
    picture = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    engine = SimpleNamespace(state=SimpleNamespace(device="cpu"))
    (one,) = SlicePrediction(networks, PrecisionInferer("float32"))(engine, {"id": ["a"], "image": picture})
    return one


@pytest.fixture
def networks() -> list[SliceClassifier]:
    """Three of different weights."""
    torch.manual_seed(0)
    return [SliceClassifier(CustomCNN(num_classes=4), num_classes=4).eval() for _ in range(3)]


def test_an_ensemble_averages_probabilities(networks):
    each = [np.exp(answer(network).log_p) for network in networks]
    assert not np.allclose(each[0], each[1], atol=1e-3)
    np.testing.assert_allclose(np.exp(answer(*networks).log_p), np.mean(each, axis=0), rtol=1e-5)


@pytest.mark.parametrize(("limits", "decision"), [((-1, -1, 1), "not_brain_mri"), ((-1, 1, 1), "answered")])
def test_most_members_of_an_ensemble_decide_what_is_no_brain_mri(networks, limits, decision):
    for network, limit in zip(networks, limits, strict=True):
        network.detector.limit.fill_(limit)  # all distances are 0: nothing was learnt
    assert answer(*networks).decision == decision


def test_no_number_is_no_answer(networks):
    networks[0].head.bias.data.fill_(float("nan"))
    assert answer(networks[0]).decision == "uncertain"


@pytest.mark.parametrize(("least", "decision"), [((0, 0, 2), "answered"), ((0, 2, 2), "uncertain")])
def test_most_members_of_an_ensemble_decide_whether_it_answers(networks, least, decision):
    for network, confidence in zip(networks, least, strict=True):
        network.minimum_confidence.fill_(confidence)
    assert answer(*networks).decision == decision
