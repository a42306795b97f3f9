import torch

from brainmri_monai.networks import SmallCNN


def test_layers_are_those_of_the_seed():
    """conv 32, conv 64, conv 128, linear 256: 9·3·32 + 32, 9·32·64 + 64, 9·64·128 + 128 and 128·256 + 256 numbers."""
    shapes = [tuple(p.shape) for p in SmallCNN().parameters() if p.ndim > 1]
    assert shapes == [(32, 3, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3), (256, 128)]
    assert sum(p.numel() for p in SmallCNN().parameters()) == 896 + 18_496 + 73_856 + 33_024


def test_activation_after_the_pooling_equals_activation_before_it():
    network = SmallCNN(num_classes=5).eval()
    conv1, pool1, relu1, conv2, pool2, relu2, *rest = network
    seed_order = torch.nn.Sequential(conv1, relu1, pool1, conv2, relu2, pool2, *rest)
    slices = torch.rand(2, 3, 20, 17)
    torch.testing.assert_close(network(slices), seed_order(slices), atol=0, rtol=0)


def test_slices_of_any_size_give_one_vector_each():
    network = SmallCNN(in_channels=1, num_classes=7)
    for height, width in [(8, 8), (32, 48), (65, 33)]:
        assert network(torch.rand(2, 1, height, width)).shape == (2, 7)


def test_a_small_bright_spot_counts_with_the_maximum_and_drowns_in_the_average():
    empty, spot = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    spot[..., 30:34, 30:34] = 1

    def change(pool: str) -> float:
        torch.manual_seed(0)
        network = SmallCNN(pool=pool)
        return (network(spot) - network(empty)).norm().item()

    assert change("max") > 10 * change("avg")


def test_with_instance_norm_a_slice_does_not_change_the_vector_of_another():
    network = SmallCNN(norm="instance", pool="max").train()
    slices = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(network(slices)[:1], network(slices[:1]))
