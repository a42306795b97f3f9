import pytest
import torch
from monai.networks.nets import DenseNet121, EfficientNetBN, resnet18
from torch import nn

from brainmri_monai.explain import Place, convolutions, enlarge, layer_places
from brainmri_monai.networks import CustomCNN


def middle_of_what_is_seen(network: nn.Module, layer: str, size: int) -> tuple[float, float]:
    """Row of the output that was looked at, and the middle of the rows of the slice that it depends on."""
    kept = {}
    handle = dict(network.named_modules())[layer].register_forward_hook(lambda module, into, out: kept.update(out=out))
    image = torch.rand(1, 3, size, size, requires_grad=True)
    network(image)
    handle.remove()
    row = kept["out"].shape[2] // 2
    (seen,) = torch.autograd.grad(kept["out"][0, :, row].sum(), image)
    rows = seen.abs().sum(dim=(0, 1, 3)).nonzero()
    assert 0 < rows.min() < rows.max() < size - 1, "not cut off by the border"
    return row, (rows.min() + rows.max()).item() / 2


@pytest.mark.parametrize("layer", ["features.0", "features.4", "features.8"])
def test_places_are_the_middle_of_what_a_cell_depends_on(layer):
    network = CustomCNN(num_classes=4).eval()
    place = layer_places(network, torch.rand(3, 128, 128))[layer]
    row, middle = middle_of_what_is_seen(network, layer, 128)
    assert place.start[0] + row * place.step[0] == middle


@pytest.mark.parametrize(
    ("layer", "place"),
    [
        (nn.Conv2d(3, 2, 3, padding=1), Place((0, 0), (1, 1))),
        (nn.Conv2d(3, 2, 3, padding="same", dilation=2), Place((0, 0), (1, 1))),
        (nn.Conv2d(3, 2, 3, padding="valid"), Place((1, 1), (1, 1))),
        (nn.Conv2d(3, 2, (5, 3), stride=(2, 3), padding=(0, 1)), Place((2, 0), (2, 3))),
        (nn.Sequential(nn.ZeroPad2d((1, 0, 3, 0)), nn.Conv2d(3, 2, 1)), Place((-3, -1), (1, 1))),
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 2, 3)), Place((2.5, 2.5), (2, 2))),
    ],
)
def test_places_after_one_layer(layer, place):
    assert [*layer_places(nn.Sequential(layer), torch.rand(3, 32, 32)).values()] == [place]


@pytest.mark.parametrize(
    "network",
    [
        lambda: resnet18(spatial_dims=2, n_input_channels=3, num_classes=4),
        lambda: DenseNet121(spatial_dims=2, in_channels=3, out_channels=4),
        lambda: EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=3, num_classes=4),
    ],
    ids=["resnet18", "densenet121", "efficientnet"],
)
def test_networks_with_padding_cover_the_slice(network):
    network = network()
    training = network.training
    places = layer_places(network, torch.rand(3, 128, 128))
    assert {name for name in convolutions(network) if "_se_" not in name} <= places.keys()  # these see the whole slice
    for place in places.values():
        assert abs(place.start[0] - (place.step[0] - 1) / 2) <= place.step[0] / 2, place
    assert network.training is training
    assert not any(module._forward_hooks for module in network.modules())


def test_a_map_is_laid_where_its_cells_are():
    spot = torch.zeros(5, 5).numpy()
    spot[1, 3] = 1
    large = enlarge(spot, (128, 128), Place((26, 26), (16, 16)))
    assert divmod(int(large.argmax()), 128) == (42, 74)


def test_a_map_fades_beyond_its_cells():
    """Cells of 16 pixels, of which the outermost have their middles at 26 and 90: one cell beyond 18 and 98 it ends."""
    row = enlarge(torch.ones(5, 5).numpy(), (128, 128), Place((26, 26), (16, 16)))[58]
    assert (row[18:99] == 1).all()
    assert (row[:3] == 0).all()
    assert (row[114:] == 0).all()
    assert row[10] == row[106] == 0.5
