import pytest
import torch
from monai.networks.nets import resnet18, resnet34
from torch import nn

from brainmri_monai.engines import load_published
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.networks import VGG16, MobileNetV2

CHANNELS = {
    0: 64,
    2: 64,
    5: 128,
    7: 128,
    10: 256,
    12: 256,
    14: 256,
    17: 512,
    19: 512,
    21: 512,
    24: 512,
    26: 512,
    28: 512,
}


def published_vgg16() -> dict[str, torch.Tensor]:
    """Torchvision's names and shapes; each tensor repeats one random number, so that its file is small."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = 3
    for layer, outputs in CHANNELS.items():
        shapes[f"features.{layer}.weight"] = (outputs, inputs, 3, 3)
        shapes[f"features.{layer}.bias"] = (outputs,)
        inputs = outputs
    for layer, (inputs, outputs) in {0: (25_088, 4096), 3: (4096, 4096), 6: (4096, 1000)}.items():
        shapes[f"classifier.{layer}.weight"] = (outputs, inputs)
        shapes[f"classifier.{layer}.bias"] = (outputs,)
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(1, generator=generator).expand(shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def vgg16() -> VGG16:
    return VGG16()


def message(network: nn.Module, path, new: str = "") -> str:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(BrainMRIError) as error:
        load_published(network, path, new)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) <= 3
    return str(error.value)


def test_torchvisions_features_load_and_the_classifier_starts_anew(vgg16, tmp_path, capsys):
    state = published_vgg16()
    torch.save(state, tmp_path / "vgg16.pth")
    before = {name: tensor.clone() for name, tensor in vgg16.classifier.state_dict().items()}
    assert load_published(vgg16, tmp_path / "vgg16.pth", new="classifier") is vgg16
    for name, tensor in vgg16.features.state_dict(prefix="features.").items():
        assert torch.equal(tensor, state[name]), name
    assert all(torch.equal(tensor, before[name]) for name, tensor in vgg16.classifier.state_dict().items())
    assert capsys.readouterr().out == "pretrained: 26 tensors, classifier starts anew\n"


def test_a_missing_tensor_is_named(vgg16, tmp_path):
    state = published_vgg16()
    del state["features.17.bias"]
    torch.save(state, tmp_path / "vgg16.pth")
    text = message(vgg16, tmp_path / "vgg16.pth", new="classifier")
    assert "'features.17.bias' is missing in the file and (512,) in the network.\n" in text


def test_a_tensor_of_another_shape_is_named(vgg16, tmp_path):
    state = published_vgg16()
    state["features.0.weight"] = torch.zeros(1).expand(64, 1, 3, 3)
    torch.save(state, tmp_path / "vgg16.pth")
    text = message(vgg16, tmp_path / "vgg16.pth", new="classifier")
    assert "does not fit VGG16: 'features.0.weight' is (64, 1, 3, 3) in the file and (64, 3, 3, 3) in the" in text


def test_a_classifier_of_other_classes_is_named_unless_it_starts_anew(vgg16, tmp_path):
    torch.save(published_vgg16(), tmp_path / "vgg16.pth")
    text = message(vgg16, tmp_path / "vgg16.pth", new="classifier.6")
    assert "'classifier.0.weight' is (4096, 25088) in the file and (4096, 8192) in the network.\n" in text


def test_a_layer_is_new_by_its_whole_name(tmp_path):
    network = nn.ModuleDict({"head": nn.Linear(2, 2), "head2": nn.Linear(2, 3)})
    torch.save(nn.ModuleDict({"head": nn.Linear(2, 5)}).state_dict(), tmp_path / "weights.pth")
    assert "'head2.weight' is missing in the file" in message(network, tmp_path / "weights.pth", new="head")


@pytest.mark.parametrize(
    ("make", "new"),
    [
        (lambda classes: MobileNetV2(num_classes=classes), "classifier"),
        (lambda classes: resnet18(spatial_dims=2, num_classes=classes, bias_downsample=False), "fc"),
    ],
    ids=["MobileNetV2", "MONAI's ResNet18"],
)
def test_files_without_the_counters_of_batch_norm_load(make, new, tmp_path):
    """As published before torch 0.4.1, which brought the counters."""
    theirs, ours = make(10).state_dict(), make(4)
    theirs = {name: tensor for name, tensor in theirs.items() if not name.endswith("num_batches_tracked")}
    torch.save(theirs, tmp_path / "weights.pth")
    load_published(ours, tmp_path / "weights.pth", new)
    for name, tensor in ours.state_dict().items():
        if name in theirs and not name.startswith(new):
            assert torch.equal(tensor, theirs[name]), name


def test_a_larger_network_is_refused(tmp_path):
    network = resnet18(spatial_dims=2, n_input_channels=3)
    torch.save(resnet34(spatial_dims=2, n_input_channels=3).state_dict(), tmp_path / "resnet34.pth")
    assert "such as 'layer1.2.conv1.weight': it is of a larger network" in message(network, tmp_path / "resnet34.pth")
    network.fc = nn.Identity()  # as in a SliceClassifier, which has the last layer in another place
    torch.save(resnet18(spatial_dims=2, n_input_channels=3).state_dict(), tmp_path / "resnet18.pth")
    load_published(network, tmp_path / "resnet18.pth")


def test_a_new_layer_has_to_be_there(tmp_path):
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "weights.pth")
    with pytest.raises(BrainMRIError, match="--new_layers layer5: Linear has no such layer"):
        load_published(nn.Linear(2, 2), tmp_path / "weights.pth", new="layer5")


def test_without_a_file_nothing_is_loaded():
    network = nn.Linear(2, 2)
    before = network.weight.clone()
    assert torch.equal(load_published(network, "").weight, before)
