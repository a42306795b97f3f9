import numpy as np
import pytest
import torch
from monai.visualize import GradCAM
from torch import nn

from brainmri_monai.explain import convolutions, grad_cam, layer_maps
from brainmri_monai.networks import CustomCNN, SliceClassifier


def test_there_is_a_map_from_0_to_1_for_each_convolution(network, slice_picture):
    for plus_plus in (False, True):
        maps = grad_cam(network, slice_picture, plus_plus=plus_plus)
        assert list(maps) == ["0", "3"] == convolutions(network.body)
        for picture in maps.values():
            assert picture.shape == (24, 32)
            assert picture.min() >= 0
            assert picture.max() <= 1


def test_golden_map():
    """One 1x1 convolution of two channels, the mean of each, and the logit 2a - b: the weights are 2 / 4 and -1 / 4."""
    body = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1))
    network = SliceClassifier(body, num_classes=1)
    with torch.no_grad():
        body[0].weight.copy_(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1))
        network.head.weight.copy_(torch.tensor([[2.0, -1.0]]))
    picture = torch.tensor([[[1.0, 0.0], [-2.0, -4.0]]])  # 2·x/4 - 3·x/4 is -x/4: only the lower row speaks for it
    np.testing.assert_allclose(layer_maps(network, picture)["0"], [[0, 0], [0.5, 1]])


def test_golden_map_of_plus_plus():
    """Gradients are equal within a channel here, so that a channel counts as g / (2 + ΣA·g) for each of 4 pixels."""
    body = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 1))
    network = SliceClassifier(body, num_classes=1)
    with torch.no_grad():
        body[0].weight.copy_(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1))
        network.head.weight.copy_(torch.tensor([[2.0, 4.0]]))
    picture = torch.tensor([[[1.0, 0.0], [2.0, 1.0]]])  # sums of the channels: 4 and 12; gradients 1/2 and 1
    first, second = 4 * 0.5 / (2 + 4 * 0.5), 4 * 1 / (2 + 12 * 1)
    expected = (first + 3 * second) * picture[0].numpy()
    np.testing.assert_allclose(layer_maps(network, picture, plus_plus=True)["0"], expected / expected.max(), rtol=1e-6)


def test_it_is_monais_map_the_right_way_up(network, slice_picture):
    logits = nn.Sequential(network.eval().body, network.head)  # MONAI's is not given the calibrated answer either
    found = []
    for target in range(4):
        ours = layer_maps(network, slice_picture, layers=["5"], target=target)["5"]
        theirs = GradCAM(logits, "0.5").compute_map(slice_picture[None], class_idx=target)[0, 0].detach().numpy()
        np.testing.assert_allclose(ours * theirs.max(), theirs, rtol=1e-4, atol=1e-9)
        found.append(ours.max())
    assert max(found) == 1


def test_another_class_has_another_map(network, slice_picture):
    first, second = (grad_cam(network, slice_picture, target=target)["3"] for target in (0, 1))
    assert not np.allclose(first, second)


def test_a_confident_network_has_a_map_too(network, slice_picture):
    with torch.no_grad():
        network.head.bias.zero_()
        before = grad_cam(network, slice_picture)["3"]
        network.head.weight.mul_(1e6)
    assert network.eval()(slice_picture[None]).max() == 0  # a probability of 1
    np.testing.assert_allclose(grad_cam(network, slice_picture)["3"], before, atol=1e-4)


def test_nothing_is_left_in_the_network(network, slice_picture, leaves_alone):
    leaves_alone(network, lambda: grad_cam(network, slice_picture))


def test_nothing_is_left_in_the_network_after_a_failure(network, slice_picture, leaves_alone):
    def too_small():
        with pytest.raises(RuntimeError):
            grad_cam(network, slice_picture[:, :2])

    def unknown():
        with pytest.raises(ValueError, match=r"found 'conv9'; there are 0, 1,"):
            grad_cam(network, slice_picture, layers=["0", "conv9"])

    leaves_alone(network, too_small)
    leaves_alone(network, unknown)


def test_frozen_layers_have_maps(network, slice_picture):
    expected = grad_cam(network, slice_picture)
    network.requires_grad_(False)
    for name, picture in grad_cam(network, slice_picture).items():
        np.testing.assert_array_equal(picture, expected[name])


def test_several_slices_are_refused(network, slice_picture):
    with pytest.raises(ValueError, match=r"expected one slice.*\(2, 3, 24, 32\)"):
        grad_cam(network, slice_picture.expand(2, -1, -1, -1))


def test_the_custom_cnn_has_four_maps():
    maps = layer_maps(SliceClassifier(CustomCNN(), num_classes=4), torch.rand(3, 128, 128))
    assert [picture.shape for picture in maps.values()] == [(30, 30), (11, 11), (5, 5), (5, 5)]
