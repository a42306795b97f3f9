"""On generated slices it is known where the tumour is: what speaks for a tumour lies there, and not by chance."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate

from brainmri_monai.data.phantom.patients import MODALITIES, draw_slices
from brainmri_monai.explain import cascading_randomisation, grad_cam, mass_share, occlusion
from brainmri_monai.networks import SliceClassifier

SIZE = 64
LAST = "4"  # name of the last convolution


def drawn(seeds: range) -> tuple[Tensor, np.ndarray]:
    """N 3 H W, FLAIR slices of the middle of the head, and N H W, where the tumour is.

    The grey values keep the scale of their patient: scaled slice by slice, a bright tumour darkens all the rest of the
    slice, and the network learns that.
    """
    images, masks = [], []
    for seed in seeds:
        slices, tumour = draw_slices(np.random.default_rng(seed), "astrocytoma", 3, spacing=3)
        middle = slice(len(slices) // 4, -len(slices) // 4)
        flair = torch.from_numpy(slices[middle, ..., MODALITIES.index("flair")])[:, None] / 255
        images.append(interpolate(flair, (SIZE, SIZE), mode="bilinear", antialias=True).expand(-1, 3, -1, -1))
        masks.append(interpolate(torch.from_numpy(tumour[middle])[:, None].float(), (SIZE, SIZE))[:, 0] > 0.5)
    return torch.cat(images), torch.cat(masks).numpy()


@pytest.fixture(scope="module")
def network() -> SliceClassifier:
    """Has learned in a few seconds to tell slices with a tumour from those without."""
    images, masks = drawn(range(10))
    labels = torch.from_numpy(masks.any(axis=(1, 2))).long()
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(),
        nn.Conv2d(8, 16, 3), nn.ReLU(),
        nn.Conv2d(16, 32, 3), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, 2),
    )  # fmt: skip
    network = SliceClassifier(body, num_classes=2).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    random = np.random.default_rng(0)
    for _ in range(120):
        chosen = random.permutation(len(images))[:32]
        batch = images[chosen].roll(random.integers(-6, 7, size=2).tolist(), dims=(2, 3))
        loss = cross_entropy(network(batch), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def found(network) -> list[tuple[Tensor, np.ndarray]]:
    """Slices of other patients with their tumours, where the network sees one."""
    images, masks = drawn(range(100, 102))
    with torch.no_grad():
        says = network(images).argmax(dim=1).numpy().astype(bool)
    truth = masks.any(axis=(1, 2))
    assert (says == truth).mean() > 0.8
    large = masks.mean(axis=(1, 2)) > 0.005
    return [(images[index], masks[index]) for index in np.flatnonzero(says & large)]


def gains(found: list[tuple[Tensor, np.ndarray]], explain) -> np.ndarray:
    return np.array([mass_share(explain(image), mask) / mask.mean() for image, mask in found])


@pytest.mark.parametrize("plus_plus", [False, True])
def test_the_mass_of_grad_cam_lies_on_the_tumour(network, found, plus_plus):
    many = gains(found, lambda image: grad_cam(network, image, [LAST], target=1, plus_plus=plus_plus)[LAST])
    assert len(many) >= 8
    assert np.median(many) > 3
    assert (many > 1).mean() > 0.8


def test_the_mass_of_occlusion_lies_on_the_tumour(network, found):
    many = gains(found[:4], lambda image: occlusion(network, image, target=1, mask_size=12))
    assert np.nanmedian(many) > 2


def test_without_what_was_learned_the_maps_are_others(network, found):
    explain = lambda network, image: grad_cam(network, image, [LAST], target=1)[LAST]  # noqa: E731
    correlations = [cascading_randomisation(network, image, explain) for image, _ in found[:6]]
    last = np.array([list(one.values())[-1] for one in correlations])
    assert np.nanmean(np.abs(last)) < 0.6
