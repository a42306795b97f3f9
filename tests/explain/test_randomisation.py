import numpy as np
import pytest
import torch

from brainmri_monai.explain import cascading_randomisation, grad_cam


def test_maps_change_when_the_weights_do(network, slice_picture, leaves_alone):
    def last_map(network, image):
        return grad_cam(network, image, layers=["3"], target=0)["3"]

    correlations = {}
    leaves_alone(network, lambda: correlations.update(cascading_randomisation(network, slice_picture, last_map)))
    assert list(correlations) == ["head", "body.4", "body.3", "body.0"]
    assert abs(correlations["body.0"]) < 0.5


def test_a_map_that_does_not_look_at_the_network_is_found_out(network, slice_picture):
    correlations = cascading_randomisation(network, slice_picture, lambda network, image: image[0].numpy())
    assert list(correlations.values()) == pytest.approx([1] * 4)


def test_a_flat_map_has_no_correlation(network, slice_picture):
    correlations = cascading_randomisation(network, slice_picture, lambda network, image: np.ones((4, 4)))
    assert np.isnan(list(correlations.values())).all()


def test_the_random_numbers_of_others_go_on_as_before(network, slice_picture):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    cascading_randomisation(network, slice_picture, lambda network, image: image[0].numpy())
    assert torch.rand(1) == expected
