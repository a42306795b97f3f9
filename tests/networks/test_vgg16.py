import torch
from torch import nn

from brainmri_monai.networks import VGG16


def published() -> VGG16:
    with torch.device("meta"):  # shapes alone
        return VGG16(num_classes=1000, grid=7)


def test_there_are_as_many_parameters_as_in_torchvision():
    assert sum(p.numel() for p in published().parameters()) == 138_357_544  # as torchvision publishes it


def test_tensors_carry_torchvisions_names_and_shapes():
    state = published().state_dict()
    convolutions = {
        name.split(".")[1]: tuple(state[name].shape[:2])
        for name in state
        if name.startswith("features.") and name.endswith("weight")
    }
    assert convolutions == {
        "0": (64, 3),
        "2": (64, 64),
        "5": (128, 64),
        "7": (128, 128),
        "10": (256, 128),
        "12": (256, 256),
        "14": (256, 256),
        "17": (512, 256),
        "19": (512, 512),
        "21": (512, 512),
        "24": (512, 512),
        "26": (512, 512),
        "28": (512, 512),
    }
    linear = {name: tuple(state[name].shape) for name in state if name.startswith("classifier.")}
    assert linear == {
        "classifier.0.weight": (4096, 25_088),
        "classifier.0.bias": (4096,),
        "classifier.3.weight": (4096, 4096),
        "classifier.3.bias": (4096,),
        "classifier.6.weight": (1000, 4096),
        "classifier.6.bias": (1000,),
    }
    assert len(state) == 32


def test_slices_of_128_pixels_reach_the_linear_layers_unchanged():
    pool = nn.AdaptiveAvgPool2d(4)
    features = torch.rand(2, 512, 4, 4)
    assert torch.equal(pool(features), features)
    with torch.device("meta"):
        assert VGG16().features(torch.rand(1, 3, 128, 128)).shape == (1, 512, 4, 4)


def test_slices_of_any_size_are_answered():
    with torch.device("meta"):
        network = VGG16()
        for height, width in [(32, 32), (128, 96), (256, 256)]:
            assert network(torch.rand(1, 3, height, width)).shape == (1, 4)
