import math

import pytest
import torch
from torch import nn

from brainmri_monai.explain import MonteCarloDropout
from brainmri_monai.networks import MeanPool, TransformerPool, TwoStepHead


def make_head(dropout: float, pool: nn.Module | None = None) -> TwoStepHead:
    torch.manual_seed(0)
    return TwoStepHead(pool or MeanPool(), num_types=3, features=16, dropout=dropout).eval()


@pytest.fixture
def bags() -> tuple[torch.Tensor, torch.Tensor]:
    features = torch.randn(4, 5, 16, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(5) < torch.tensor([[5], [3], [1], [4]])
    return features, mask


def test_a_seed_gives_the_same_numbers_again(bags):
    head = make_head(0.5)
    first, again = (MonteCarloDropout(10, seed=3)(head, *bags) for _ in range(2))
    other = MonteCarloDropout(10, seed=4)(head, *bags)
    for ours, theirs, different in zip(first, again, other, strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)
        assert not torch.equal(ours, different)


def test_random_numbers_elsewhere_go_on_as_without_it(bags):
    head = make_head(0.5)
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    MonteCarloDropout(5)(head, *bags)
    torch.testing.assert_close(torch.rand(3), expected, atol=0, rtol=0)


@pytest.mark.parametrize("training", [True, False])
def test_the_head_is_left_in_its_mode(bags, training):
    head = make_head(0.5).train(training)
    MonteCarloDropout(2)(head, *bags)
    assert {module.training for module in head.modules()} == {training}


def test_a_failure_leaves_the_mode_too(bags):
    head = make_head(0.5)
    with pytest.raises(ValueError, match="every bag needs an instance"):
        MonteCarloDropout(2)(head, bags[0], torch.zeros(4, 5, dtype=torch.bool))
    assert not any(module.training for module in head.modules())


def test_without_dropout_the_entropy_is_that_of_the_answer_and_nothing_else_is_unsure(bags):
    head = make_head(0.0)
    entropy, information = MonteCarloDropout(8)(head, *bags)
    types = head.log_joint(*bags).exp().sum(dim=2)
    torch.testing.assert_close(entropy, -(types * types.log()).sum(dim=1))
    torch.testing.assert_close(information, torch.zeros(4), atol=1e-6, rtol=0)


def test_dropout_makes_it_unsure(bags):
    entropy, information = MonteCarloDropout(50)(make_head(0.5), *bags)
    assert (information > 1e-4).all()
    assert (information <= entropy).all()
    assert (entropy <= math.log(3) + 1e-6).all()


def test_only_the_dropout_before_the_classifiers_acts(bags):
    """That within a transformer belongs to training: what the samples share is encoded once."""
    head = make_head(0.0, TransformerPool(in_features=16, heads=2, dropout=0.5))
    _, information = MonteCarloDropout(5)(head, *bags)
    torch.testing.assert_close(information, torch.zeros(4), atol=1e-6, rtol=0)


def test_entropy_by_hand():
    """Equal logits of three types whatever is dropped: ln 3, and no information."""
    head = make_head(0.5)
    nn.init.zeros_(head.type_classifier.weight)
    nn.init.zeros_(head.type_classifier.bias)
    entropy, information = MonteCarloDropout(5)(head, torch.randn(1, 2, 16), torch.ones(1, 2, dtype=torch.bool))
    assert entropy.item() == pytest.approx(math.log(3), abs=1e-5)
    assert information.item() == pytest.approx(0, abs=1e-5)
