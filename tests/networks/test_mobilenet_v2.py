import pytest
import torch
from torch import nn

from brainmri_monai.networks import MobileNetV2


@pytest.fixture(scope="module")
def network() -> MobileNetV2:
    return MobileNetV2(num_classes=1000)


def test_there_are_as_many_parameters_as_in_torchvision(network):
    assert sum(p.numel() for p in network.parameters()) == 3_504_872  # as torchvision publishes it


def test_tensors_carry_torchvisions_names_and_shapes(network):
    state = network.state_dict()
    expected = {
        "features.0.0.weight": (32, 3, 3, 3),
        "features.0.1.running_mean": (32,),
        "features.1.conv.0.0.weight": (32, 1, 3, 3),
        "features.1.conv.1.weight": (16, 32, 1, 1),
        "features.1.conv.2.bias": (16,),
        "features.2.conv.0.0.weight": (96, 16, 1, 1),
        "features.2.conv.1.0.weight": (96, 1, 3, 3),
        "features.2.conv.1.1.num_batches_tracked": (),
        "features.2.conv.2.weight": (24, 96, 1, 1),
        "features.2.conv.3.weight": (24,),
        "features.17.conv.3.running_var": (320,),
        "features.18.0.weight": (1280, 320, 1, 1),
        "features.18.1.weight": (1280,),
        "classifier.1.weight": (1000, 1280),
        "classifier.1.bias": (1000,),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected
    assert len(state) == 314  # 52 convolutions, 5 tensors for each of as many norms, and the classifier's 2
    assert next(iter(state)) == "features.0.0.weight"


def test_strides_reduce_the_slice_by_32(network):
    sizes = []
    x = torch.rand(1, 3, 64, 64)
    network.eval()
    with torch.no_grad():
        for layer in network.features:
            x = layer(x)
            sizes.append(x.shape[-1])
    assert sizes == [32, 32, 16, 16, 8, 8, 8, 4, 4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2]  # by table 2 of the paper


def test_shortcuts_lie_where_the_shape_stays(network):
    shortcuts = [i for i, layer in enumerate(network.features) if getattr(layer, "shortcut", False)]
    assert shortcuts == [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]


def test_a_shortcut_adds_its_input(network):
    block = network.features[3].eval()
    nn.init.zeros_(block.conv[3].weight)  # the last norm then answers 0
    x = torch.rand(1, 24, 4, 4)
    torch.testing.assert_close(block(x), x)
