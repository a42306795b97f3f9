from types import SimpleNamespace

import pytest
import torch
from torch import nn

from brainmri_monai.engines import WeightAverage


def step(iteration: int) -> SimpleNamespace:
    return SimpleNamespace(state=SimpleNamespace(iteration=iteration))


def linear(value: float) -> nn.Linear:
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return network


def test_it_follows_the_weights_slowly_and_faster_at_first():
    """After many steps 0.9 stays; at the first step only 2/11 would be kept by the start."""
    network = linear(0.0)
    average = WeightAverage(network, decay=0.9)
    nn.init.constant_(network.weight, 1.0)
    average(step(10_000))
    assert average.network.weight.item() == pytest.approx(0.1)
    average = WeightAverage(linear(0.0), decay=0.9)
    nn.init.constant_(average.trained.weight, 1.0)
    average(step(1))
    assert average.network.weight.item() == pytest.approx(9 / 11)


def test_without_decay_it_is_the_network_itself():
    network = linear(0.0)
    assert WeightAverage(network, decay=0).network is network


def test_whole_numbers_are_copied():
    network = nn.BatchNorm1d(2)
    average = WeightAverage(network, decay=0.9)
    network(torch.rand(4, 2))
    average(step(1000))
    assert average.network.num_batches_tracked == 1


def test_an_infinite_limit_stays_infinite():
    network = linear(0.0)
    network.register_buffer("limit", torch.tensor(float("inf")))
    average = WeightAverage(network, decay=0.9)
    average(step(1000))
    assert average.network.limit == float("inf")
