import math

import pytest
import torch

from brainmri_monai.losses import TwoStepLoss

# P(type): 0.6, 0.4; P(grade | type): (0.5, 0.25, 0.25, 0) and (0.1, 0.2, 0.3, 0.4)
JOINT = torch.tensor([[[0.3, 0.15, 0.15, 0.0], [0.04, 0.08, 0.12, 0.16]]])


def logits(bags: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(bags, 2, 4, generator=torch.Generator().manual_seed(seed))


def log_joint(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.flatten(1), dim=1).view_as(logits)


def test_value_by_hand():
    """-ln P(type 1) - ln P(grade 3 | type 1) = -ln 0.4 - ln 0.3"""
    loss = TwoStepLoss()(JOINT.log(), torch.tensor([[1, 2]]))
    assert loss.item() == pytest.approx(-math.log(0.4) - math.log(0.3), abs=1e-6)


def test_type_and_grade_are_weighted():
    loss = TwoStepLoss(2.0, 0.5)(JOINT.log(), torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(-2 * math.log(0.6) - 0.5 * math.log(0.25), abs=1e-6)


def test_it_is_the_mean_over_the_batch():
    batch = JOINT.log().expand(2, -1, -1)
    loss = TwoStepLoss()(batch, torch.tensor([[1, 2], [0, 0]]))
    first, second = -math.log(0.4) - math.log(0.3), -math.log(0.6) - math.log(0.5)
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_it_equals_the_sum_of_two_cross_entropies():
    type_logits, grade_logits = torch.randn(5, 3), torch.randn(5, 3, 4)
    labels = torch.tensor([[0, 1], [2, 3], [1, 0], [2, 2], [0, 3]])
    joint = torch.log_softmax(type_logits, 1).unsqueeze(-1) + torch.log_softmax(grade_logits, 2)
    expected = torch.nn.functional.cross_entropy(type_logits, labels[:, 0])
    expected += torch.nn.functional.cross_entropy(grade_logits[torch.arange(5), labels[:, 0]], labels[:, 1])
    torch.testing.assert_close(TwoStepLoss()(joint, labels), expected)


def test_an_unknown_grade_adds_nothing():
    loss = TwoStepLoss()(JOINT.log(), torch.tensor([[1, -1]]))
    assert loss.item() == pytest.approx(-math.log(0.4), abs=1e-6)


def test_an_unknown_grade_teaches_no_grade():
    raw_types, raw_grades = torch.randn(2, 2, requires_grad=True), torch.randn(2, 2, 4, requires_grad=True)
    joint = torch.log_softmax(raw_types, 1).unsqueeze(-1) + torch.log_softmax(raw_grades, 2)
    TwoStepLoss()(joint, torch.tensor([[0, -1], [1, 2]])).backward()
    torch.testing.assert_close(raw_grades.grad[0], torch.zeros(2, 4))
    assert raw_types.grad[0].ne(0).all()
    assert raw_grades.grad[1, 1].ne(0).all()
    torch.testing.assert_close(raw_grades.grad[1, 0], torch.zeros(4))  # teacher forcing: not the other type's grades


def test_class_weights_scale_the_patients_of_a_class():
    loss = TwoStepLoss(type_class_weights=[1.0, 3.0], grade_class_weights=[1.0, 1.0, 0.5, 1.0])
    value = loss(JOINT.log(), torch.tensor([[1, 2]]))
    assert value.item() == pytest.approx(-3 * math.log(0.4) - 0.5 * math.log(0.3), abs=1e-6)


def test_gradients_of_two_halves_average_to_that_of_the_batch():
    """As in two processes; a weighted mean, or one over the known grades, would not."""
    labels = torch.tensor([[0, 1], [1, -1], [1, 3], [0, 0]])
    loss = TwoStepLoss(type_class_weights=[0.5, 2.0], grade_class_weights=[1.0, 2.0, 0.0, 3.0])

    def gradient(chosen: slice) -> torch.Tensor:
        raw = logits(4).requires_grad_()
        loss(log_joint(raw)[chosen], labels[chosen]).backward()
        return raw.grad

    halves = (gradient(slice(0, 2)) + gradient(slice(2, 4))) / 2
    torch.testing.assert_close(halves, gradient(slice(0, 4)))


@pytest.mark.parametrize(("alpha", "beta"), [(-1, 1), (1, -0.1), (0, 0)])
def test_bad_weights_are_refused(alpha, beta):
    with pytest.raises(ValueError, match=f"got {alpha} and {beta}"):
        TwoStepLoss(alpha, beta)
