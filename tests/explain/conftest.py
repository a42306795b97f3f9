import pytest
import torch
from torch import Tensor, nn

from brainmri_monai.networks import SliceClassifier


@pytest.fixture
def network() -> SliceClassifier:
    """Two convolutions; it starts in training mode, but for a norm that is frozen."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(6, 4),
    )  # fmt: skip
    network = SliceClassifier(body, num_classes=4).train()
    body[4].eval()
    return network


@pytest.fixture
def slice_picture() -> Tensor:
    return torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(1))


def hooks(network: nn.Module) -> int:
    """Of any kind, on any module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)


@pytest.fixture
def leaves_alone():
    """A check that what it is given leaves weights, buffers, modes, gradients and hooks of a network as they were."""

    def check(network: nn.Module, explain) -> None:
        state = {name: value.clone() for name, value in network.state_dict().items()}
        modes = [module.training for module in network.modules()]
        explain()
        assert hooks(network) == 0
        assert [module.training for module in network.modules()] == modes
        assert all(parameter.grad is None for parameter in network.parameters())
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value, state[name], atol=0, rtol=0)

    return check
