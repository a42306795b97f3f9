import numpy as np
import pytest
import torch
from torch import nn

from brainmri_monai.explain import mass_share, occlusion
from brainmri_monai.networks import SliceClassifier


@pytest.fixture
def bright_or_not() -> SliceClassifier:
    """Class 1 is likely where the slice is bright on average."""
    network = SliceClassifier(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), num_classes=2)
    with torch.no_grad():
        network.head.weight.copy_(torch.tensor([[-9.0] * 3, [9.0] * 3]))
        network.head.bias.copy_(torch.tensor([1.0, -1.0]))
    return network


def test_what_is_missed_is_the_only_bright_spot(bright_or_not):
    picture = torch.zeros(3, 64, 64)
    picture[:, 10:30, 34:54] = 1
    missed = occlusion(bright_or_not, picture, target=1, mask_size=16)
    spot = np.zeros((64, 64), dtype=bool)
    spot[:46, 18:] = True  # as far as a hiding spot reaches that still touches it
    assert missed.max() == 1
    assert mass_share(missed, spot) > 0.99
    assert np.unravel_index(missed.argmax(), missed.shape)[0] in range(10, 30)


def test_what_hiding_makes_more_likely_is_not_missed(bright_or_not):
    picture = torch.ones(3, 64, 64) * 0.1
    assert occlusion(bright_or_not, picture, target=0, mask_size=16).max() == 0


def test_nothing_is_left_in_the_network(network, slice_picture, leaves_alone):
    leaves_alone(network, lambda: occlusion(network, slice_picture, mask_size=8))

    def too_large():
        with pytest.raises(ValueError, match="bigger than mask"):
            occlusion(network, slice_picture, mask_size=40)

    leaves_alone(network, too_large)
