import pytest
import torch

from brainmri_monai.networks import AttentionPool, GatedAttentionPool, MaxPool, MeanPool, TransformerPool

POOLS = {
    "mean": MeanPool,
    "max": MaxPool,
    "attention": lambda: AttentionPool(in_features=8, attention_features=4),
    "gated": lambda: GatedAttentionPool(in_features=8, attention_features=4),
    "transformer": lambda: TransformerPool(in_features=8, heads=2),
}


@pytest.fixture(params=POOLS)
def pool(request) -> torch.nn.Module:
    torch.manual_seed(0)
    return POOLS[request.param]().eval()


@pytest.fixture
def bags() -> torch.Tensor:
    return torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(1))


def everyone(bags: torch.Tensor) -> torch.Tensor:
    return torch.ones(bags.shape[:2], dtype=torch.bool)


def test_weights_of_a_bag_sum_to_one(pool, bags):
    bag, weights = pool(bags, everyone(bags))
    assert bag.shape == (3, 8)
    assert weights.shape == (3, 6)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))


def test_the_order_of_the_instances_moves_their_weights_alone(pool, bags):
    order = torch.tensor([5, 0, 3, 1, 4, 2])
    bag, weights = pool(bags, everyone(bags))
    shuffled, moved = pool(bags[:, order], everyone(bags))
    torch.testing.assert_close(shuffled, bag)
    torch.testing.assert_close(moved, weights[:, order])


def test_padding_changes_nothing_wherever_it_lies(pool, bags):
    exists = torch.tensor([False, True, True, True, False, True, True, True])
    padded = torch.full((3, 8, 8), 1e3)
    padded[:, exists] = bags
    bag, weights = pool(padded, exists.expand(3, 8))
    alone, alone_weights = pool(bags, everyone(bags))
    torch.testing.assert_close(bag, alone)
    torch.testing.assert_close(weights[:, exists], alone_weights)
    assert weights[:, ~exists].eq(0).all()


def test_padding_gets_no_gradient(pool, bags):
    bags.requires_grad_()
    mask = torch.arange(6).expand(3, 6) < 4
    pool(bags, mask)[0].square().sum().backward()
    assert bags.grad[:, 4:].eq(0).all()
    assert bags.grad[:, :4].ne(0).any()


def test_a_single_instance_has_all_the_weight(pool, bags):
    _, weights = pool(bags[:, :1], everyone(bags[:, :1]))
    torch.testing.assert_close(weights, torch.ones(3, 1))


def test_an_empty_bag_is_refused(pool, bags):
    mask = everyone(bags)
    mask[1] = False
    with pytest.raises(ValueError, match="every bag needs an instance"):
        pool(bags, mask)


@pytest.mark.parametrize("instances", [1, 6])
def test_scripted_equals_eager(pool, bags, instances):
    mask = torch.arange(instances).expand(3, instances) < max(1, instances - 1)
    scripted = torch.jit.script(pool)
    for ours, theirs in zip(pool(bags[:, :instances], mask), scripted(bags[:, :instances], mask), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_mean_and_max_by_hand():
    bag = torch.tensor([[[1.0, 9.0, 3.0, 0.0], [5.0, 1.0, 4.0, 2.0], [7.0, 7.0, 7.0, 7.0]]])  # 1 3 4
    mask = torch.tensor([[True, True, False]])
    mean, mean_weights = MeanPool()(bag, mask)
    torch.testing.assert_close(mean, torch.tensor([[3.0, 5.0, 3.5, 1.0]]))
    torch.testing.assert_close(mean_weights, torch.tensor([[0.5, 0.5, 0.0]]))
    largest, shares = MaxPool()(bag, mask)
    torch.testing.assert_close(largest, torch.tensor([[5.0, 9.0, 4.0, 2.0]]))
    torch.testing.assert_close(shares, torch.tensor([[0.25, 0.75, 0.0]]))  # the first gave one feature of four


def test_attention_by_hand():
    """Scores ln 1, ln 2 and ln 5 make the weights 1/8, 2/8 and 5/8."""
    pool = AttentionPool(in_features=1, attention_features=1)
    with torch.no_grad():
        for parameter in pool.parameters():
            parameter.zero_()
        pool.score[0].weight.fill_(1)
        pool.score[2].weight.fill_(1)
    scores = torch.tensor([1.0, 2.0, 5.0]).log() - 1  # within the range of the hyperbolic tangent
    bag, weights = pool(torch.atanh(scores).reshape(1, 3, 1), torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(weights, torch.tensor([[0.125, 0.25, 0.625]]))
    torch.testing.assert_close(bag[0, 0], (weights[0] * torch.atanh(scores)).sum())


def test_a_closed_gate_leaves_equal_weights(bags):
    pool = GatedAttentionPool(in_features=8, attention_features=4)
    with torch.no_grad():
        pool.gate.weight.zero_()
        pool.gate.bias.fill_(-1e4)
    _, weights = pool(bags, everyone(bags))
    torch.testing.assert_close(weights, torch.full((3, 6), 1 / 6))


def test_an_open_gate_is_plain_attention(bags):
    gated, plain = GatedAttentionPool(8, 4), AttentionPool(8, 4)
    with torch.no_grad():
        gated.gate.weight.zero_()
        gated.gate.bias.fill_(1e4)
    plain.score[0].load_state_dict(gated.hidden.state_dict())
    plain.score[2].load_state_dict(gated.score.state_dict())
    for ours, theirs in zip(gated(bags, everyone(bags)), plain(bags, everyone(bags)), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_weights_are_float32_under_autocast(pool, bags):
    with torch.autocast("cpu", torch.bfloat16):
        _, weights = pool(bags, everyone(bags))
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))
