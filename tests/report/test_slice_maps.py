"""What is drawn of an answer."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.networks import CustomCNN, SliceClassifier, VisionTransformer
from brainmri_monai.report import slice_maps


@pytest.fixture
def titles() -> list[str]:
    """Of the figures that are drawn."""
    return []


@pytest.fixture
def drawn(monkeypatch, tmp_path, titles):
    """Explain an answer of a network; gives the maps of the classes and the rollout that are drawn."""
    given = []

    def keep(picture, maps, path, title, *, places, rollout):
        given.append((maps, rollout))
        titles.append(title)

    monkeypatch.setattr(slice_maps, "plot_grad_cam", keep)

    def draw(how, *networks, decision="answered"):
        picture = torch.rand(1, 128, 128, generator=torch.Generator().manual_seed(1))
        answer = SimpleNamespace(id="a", probabilities=torch.tensor([0.9, 0.1]), decision=decision)
        cases = SimpleNamespace(files={"a": "a.png"}, transform=lambda _: {"image": picture})
        told = SimpleNamespace(folder=tmp_path, answers=[answer], classes=["tumour", "none"], cases=cases)
        slice_maps.explain_answers(told, [network.eval() for network in networks], how)
        return given.pop()

    return draw


@pytest.mark.parametrize("how", ["gradcam", "gradcam++", "occlusion"])
def test_the_rollout_is_no_map_of_a_class(drawn, how):
    torch.manual_seed(0)
    sizes = {
        "img_size": 128,
        "patch_size": 32,
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_layers": 2,
        "num_heads": 2,
        "num_classes": 2,
    }
    maps, rollout = drawn(how, SliceClassifier(VisionTransformer(**sizes), num_classes=2))
    assert list(maps) == ["occlusion" if how == "occlusion" else "body.patch_embedding.patch_embeddings"]
    assert rollout.shape == (4, 4)


def test_a_network_without_attention_has_no_rollout(drawn):
    maps, rollout = drawn("gradcam", SliceClassifier(CustomCNN(num_classes=2), num_classes=2))
    assert len(maps) == 4
    assert rollout is None


@pytest.mark.parametrize("how", ["gradcam", "gradcam++", "occlusion"])
def test_an_ensemble_has_the_mean_of_its_maps(drawn, how):
    torch.manual_seed(0)
    first, second = (SliceClassifier(CustomCNN(num_classes=2), num_classes=2) for _ in range(2))
    maps, _ = drawn(how, first, second)
    ones, others = (drawn(how, network)[0] for network in (first, second))
    for name, together in maps.items():
        assert not np.allclose(ones[name], others[name])
        assert np.allclose(together, (ones[name] + others[name]) / 2)


def test_grad_cam_of_a_network_without_convolutions_is_refused(drawn):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 128 * 128, 2))
    with pytest.raises(BrainMRIError, match="this network has no convolution"):
        drawn("gradcam", SliceClassifier(flat, num_classes=2))


def test_mistakes_of_a_network_without_convolutions_have_no_maps(tmp_path):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * 128 * 128, 2))
    files = SimpleNamespace(
        folder=tmp_path, predictions=[{"id": "a", "label": "x", "pred": "y", "confidence": "1"}], datalist=None
    )
    slice_maps.draw_mistakes(files, [SliceClassifier(flat, num_classes=2)], store=None, size=128)
    assert not list(tmp_path.rglob("*.png"))


def test_maps_of_what_is_no_brain_mri_are_of_a_class(drawn, titles):
    network = SliceClassifier(CustomCNN(num_classes=2), num_classes=2)
    for decision in ("answered", "not_brain_mri"):
        drawn("gradcam", network, decision=decision)
    assert titles == ["a: tumour (0.900)", "a: not a brain MRI; the maps are of tumour"]
