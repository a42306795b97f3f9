import pytest
import torch
from monai.networks.nets import DenseNet121, EfficientNetBN, resnet18
from torch import nn

from brainmri_monai.networks import CNN256, DECISIONS, VGG16, AlexNet128, CustomCNN, SliceClassifier, VisionTransformer

ANSWERED, UNCERTAIN, NOT_BRAIN_MRI = range(3)
NETWORKS = {  # with the side of a slice: small ones, since each is compiled
    "CustomCNN": (CustomCNN, 128),
    "AlexNet128": (AlexNet128, 128),
    "VGG16": (lambda: VGG16(grid=1), 32),
    "CNN256": (CNN256, 256),
    "VisionTransformer": (lambda: VisionTransformer(img_size=32, hidden_size=64, mlp_dim=64, num_layers=2), 32),
    "DenseNet121": (lambda: DenseNet121(spatial_dims=2, in_channels=3, out_channels=4), 32),
    "EfficientNetB0": (
        lambda: EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=3, num_classes=4),
        32,
    ),
    "resnet18": (
        lambda: resnet18(spatial_dims=2, n_input_channels=3, num_classes=4, conv1_t_stride=2, bias_downsample=False),
        64,
    ),
}


def plain(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[kind][0]().eval()


def some_slices(kind: str, count: int = 3) -> torch.Tensor:
    side = NETWORKS[kind][1]
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def fit(network: SliceClassifier, slices: torch.Tensor) -> None:
    with torch.no_grad():
        network.temperature.fill_(1.7)
        network.minimum_confidence.fill_(0.4)
        network.detector.fit(network.detector.describe(slices), torch.arange(len(slices)), share=0.3)


@pytest.fixture
def small() -> SliceClassifier:
    """With three slices' worth of everything."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 4))
    return SliceClassifier(body, num_classes=4).eval()


@pytest.mark.parametrize("kind", ["CustomCNN", "VisionTransformer", "resnet18"])
@torch.no_grad()
def test_before_the_fit_the_answer_is_that_of_the_network(kind):
    slices = some_slices(kind, 2)
    expected = plain(kind)(slices).log_softmax(dim=1)
    network = SliceClassifier(plain(kind), num_classes=4)
    torch.testing.assert_close(network(slices), expected, atol=1e-6, rtol=1e-5)
    assert network.decide(slices).tolist() == [ANSWERED, ANSWERED]


@pytest.mark.parametrize("kind", NETWORKS)
@torch.no_grad()
def test_scripted_and_reloaded_equal_eager(kind, tmp_path):
    network = SliceClassifier(plain(kind), num_classes=4).eval()
    slices = some_slices(kind)
    fit(network, slices)
    scripted = torch.jit.script(network)
    scripted.save(tmp_path / "model.ts")
    with torch.jit.optimized_execution(False):  # optimising takes longer than answering
        for other in (scripted, torch.jit.load(tmp_path / "model.ts")):
            for batch in (1, 3):
                some = slices[:batch]
                torch.testing.assert_close(other(some), network(some), atol=1e-5, rtol=1e-5)
                assert other.decide(some).tolist() == network.decide(some).tolist()
            for theirs, ours in zip(other.answer(slices), network.answer(slices), strict=True):
                torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["CustomCNN", "VGG16"])
@torch.no_grad()
def test_a_state_dict_brings_back_what_was_fitted(kind):
    slices = some_slices(kind)
    fitted = SliceClassifier(plain(kind), num_classes=4).eval()
    fit(fitted, slices)
    loaded = SliceClassifier(NETWORKS[kind][0](), num_classes=4).eval()
    loaded.load_state_dict(fitted.state_dict())
    for ours, theirs in zip(loaded.answer(slices), fitted.answer(slices), strict=True):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)
    assert loaded.decide(slices).tolist() == fitted.decide(slices).tolist()


@torch.no_grad()
def test_a_temperature_makes_less_sure_and_keeps_the_order(small):
    slices = torch.rand(6, 3, 32, 32)
    before = small(slices)
    small.temperature.fill_(2)
    torch.testing.assert_close(small(slices), (before / 2).log_softmax(dim=1))
    assert (small(slices).exp().amax(dim=1) < before.exp().amax(dim=1)).all()


@torch.no_grad()
def test_what_is_foreign_is_said_before_what_is_uncertain(small):
    small.minimum_confidence.fill_(0.5)
    small.detector.limit.fill_(3)
    log_p = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.49, 0.51], [0.9, 0.1], [0.4, 0.3]]).log()
    distance = torch.tensor([1.0, 3.0, 2.0, 3.1, float("nan")])
    decisions = [DECISIONS[d] for d in small.decision(log_p, distance)]
    assert decisions == ["answered", "answered", "answered", "not_brain_mri", "not_brain_mri"]
    small.minimum_confidence.fill_(0.6)
    assert small.decision(log_p, distance).tolist() == [ANSWERED, UNCERTAIN, UNCERTAIN, NOT_BRAIN_MRI, NOT_BRAIN_MRI]


def test_log_probabilities_train_as_logits_do(small):
    slices, labels = torch.rand(5, 3, 32, 32), torch.tensor([0, 1, 2, 3, 0])
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    logits = small.head(small.features(slices))
    torch.testing.assert_close(loss(small(slices), labels), loss(logits, labels))


@pytest.mark.parametrize(("network", "found"), [(nn.Linear(3, 5), "5"), (nn.ReLU(), "0")])
def test_a_network_with_another_end_is_refused(network, found):
    with pytest.raises(ValueError, match=f"with 4 outputs, found {found} outputs"):
        SliceClassifier(nn.Sequential(network), num_classes=4)
