"""What all networks of the slice classifier have in common."""

import pytest
import torch
from torch import nn

from brainmri_monai.networks import CNN256, VGG16, AlexNet128, CustomCNN, VisionTransformer

# 512·512 + 512 four times for attention, the feed-forward layers, two norms
TRANSFORMER_LAYER = 4 * 262_656 + (524_288 + 1024) + (524_288 + 512) + 2 * 1024
NETWORKS = {  # with the side of a slice, and the parameters that the seed gives or that follow from its layers
    CustomCNN: (128, 3_001_156),
    AlexNet128: (128, 4_589_316),
    VGG16: (128, 65_070_916),
    CNN256: (256, 224 + 1168 + 4640 + 18_496 + 12_544 * 100 + 100 + 404),
    VisionTransformer: (128, 393_728 + 64 * 512 + 512 + 10 * TRANSFORMER_LAYER + 1024 + 2052),
}


@pytest.fixture(params=NETWORKS, ids=lambda kind: kind.__name__, scope="module")
def network(request) -> nn.Module:
    torch.manual_seed(0)
    return request.param().eval()


@pytest.fixture
def slices(network) -> torch.Tensor:
    side, _ = NETWORKS[type(network)]
    return torch.rand(3, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_there_are_as_many_parameters_as_in_the_seed(network):
    _, parameters = NETWORKS[type(network)]
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_equals_eager(network, slices):
    scripted = torch.jit.script(network)
    with torch.no_grad():
        for batch in (1, 3):
            answer = network(slices[:batch])
            assert answer.shape == (batch, 4)
            torch.testing.assert_close(scripted(slices[:batch]), answer, atol=1e-5, rtol=1e-5)


def test_a_slice_is_answered_alike_alone_and_in_a_batch(network, slices):
    with torch.no_grad():
        torch.testing.assert_close(network(slices)[:1], network(slices[:1]), atol=1e-5, rtol=1e-4)


def test_every_parameter_gets_a_gradient(network, slices):
    """The first layer too; and a parameter without one stops a training on several GPUs."""
    network(slices).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
    assert next(p for p in network.parameters() if p.ndim == 4).grad.ne(0).any()
    network.zero_grad(set_to_none=True)


@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_channels_and_classes_are_those_asked_for(kind):
    with torch.device("meta"):  # shapes alone
        side, _ = NETWORKS[kind]
        assert kind(in_channels=1, num_classes=7).eval()(torch.rand(2, 1, side, side)).shape == (2, 7)
