import math

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator

from brainmri_monai.engines import BagPrediction, Collect, PrecisionInferer, collate_bags
from brainmri_monai.engines.patients.prediction import joint_of
from brainmri_monai.explain import MonteCarloDropout
from brainmri_monai.networks import AttentionPool, SmallCNN, TwoStepMIL


@pytest.fixture
def network() -> TwoStepMIL:
    torch.manual_seed(0)
    network = TwoStepMIL(3, encoder=SmallCNN(), pool=AttentionPool(), dropout=0.5)
    network.head.type_temperature.fill_(2.0)
    return network


def samples(labelled: bool = True) -> list[dict]:
    torch.manual_seed(1)
    bags = [{"id": f"p{n}", "image": torch.rand(3, 16, 16, n), "label": [n % 3, -1]} for n in (1, 4, 2)]
    return bags if labelled else [{"id": bag["id"], "image": bag["image"]} for bag in bags]


def evaluate(network: TwoStepMIL, data: list[dict], batch_size: int = 2) -> Collect:
    collect = Collect()
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(Dataset(data), batch_size=batch_size, collate_fn=collate_bags),
        network=network,
        iteration_update=BagPrediction(PrecisionInferer("float32"), MonteCarloDropout(samples=5)),
        val_handlers=[collect],
    )
    evaluator.run()
    return collect


def test_each_patient_gets_what_the_network_says(network):
    collect = evaluate(network, samples())
    assert [p.id for p in collect.predictions] == ["p1", "p4", "p2"]
    assert not network.training
    with torch.no_grad():
        for prediction, sample in zip(collect.predictions, samples(), strict=True):
            image = sample["image"][None]
            answers = {
                "joint": network(image).exp(),
                "type_logits": network.type_logits(image),
                "grade_logits": network.grade_logits(image),
                "attention": network.attention(image),
            }
            for name, expected in answers.items():
                np.testing.assert_allclose(getattr(prediction, name), expected[0].numpy(), atol=1e-5)
            assert 0 <= prediction.mutual_information <= prediction.entropy <= math.log(3)


def test_attention_covers_the_slices_that_exist(network):
    for prediction, sample in zip(evaluate(network, samples(), batch_size=3).predictions, samples(), strict=True):
        assert prediction.attention.shape == (sample["image"].shape[-1],)
        assert prediction.attention.sum() == pytest.approx(1)


def test_labels_go_with_the_patients_and_are_minus_one_where_unknown(network):
    assert [p.label for p in evaluate(network, samples()).predictions] == [(1, -1), (1, -1), (2, -1)]
    assert {p.label for p in evaluate(network, samples(labelled=False)).predictions} == {(-1, -1)}


def test_joint_probabilities_of_all_patients_are_stacked(network):
    joint = joint_of(evaluate(network, samples()).predictions)
    assert joint.shape == (3, 3, 4)
    np.testing.assert_allclose(joint.sum(axis=(1, 2)), 1, rtol=1e-6)


def test_a_second_run_starts_anew(network):
    collect = evaluate(network, samples())
    first = list(collect.predictions)
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(Dataset(samples()[:1]), collate_fn=collate_bags),
        network=network,
        iteration_update=BagPrediction(PrecisionInferer("float32"), MonteCarloDropout(samples=5)),
        val_handlers=[collect],
    )
    evaluator.run()
    assert len(first) == 3
    assert [p.id for p in collect.predictions] == ["p1"]
