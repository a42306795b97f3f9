from copy import deepcopy

import pytest
import torch
from monai.networks.nets import SegResNet, UNet
from torch import nn

from brainmri_monai.networks.norms import LARGE, SliceInstanceNorm, VolumeGroupNorm, VolumeInstanceNorm, replace_norms
from brainmri_monai.networks.region_network import RegionNetwork


def volume(channels: int = 4, batch: int = 2, sides: tuple[int, int, int] = (56, 48, 48)) -> torch.Tensor:
    torch.manual_seed(0)
    deviations, means = torch.rand(1, channels, 1, 1, 1) + 0.5, torch.randn(1, channels, 1, 1, 1)
    image = torch.randn(batch, channels, *sides) * deviations + means
    return image.contiguous(memory_format=torch.channels_last_3d)


def with_affine(norm: nn.Module) -> nn.Module:
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    return norm


NORMS = [
    with_affine(nn.GroupNorm(2, 4)),
    nn.GroupNorm(4, 4, affine=False),
    nn.InstanceNorm3d(4),
    with_affine(nn.InstanceNorm3d(4, affine=True)),
]


@pytest.mark.parametrize("norm", NORMS, ids=str)
@pytest.mark.parametrize("sides", [(56, 48, 48), (16, 16, 16)], ids=["large", "small"])
def test_the_answer_is_that_of_float64(norm, sides):
    image = volume(sides=sides)
    assert (image[0, 0].numel() > LARGE) == (sides[0] == 56)
    ours = replace_norms(nn.Sequential(deepcopy(norm)))[0].eval()
    assert isinstance(ours, VolumeGroupNorm | VolumeInstanceNorm)
    expected = deepcopy(norm).double().eval()(image.double())
    torch.testing.assert_close(ours(image).double(), expected, atol=1e-4, rtol=0)


def test_a_brain_is_normalized_alike_by_one_and_two_threads():
    threads, image = torch.get_num_threads(), volume(channels=8, batch=1, sides=(96, 112, 96)) + 3
    norm = replace_norms(nn.Sequential(nn.GroupNorm(4, 8)))[0].eval()
    expected, answers = nn.GroupNorm(4, 8).double()(image.double()), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            answers.append(norm(image))
    finally:
        torch.set_num_threads(threads)
    for answer in answers:
        torch.testing.assert_close(answer.double(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(*answers, atol=1e-6, rtol=0)


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm3d(4)], ids=str)
def test_a_mean_far_from_zero_costs_no_digits(norm):
    torch.manual_seed(0)
    image = (torch.randn(1, 4, 56, 48, 48) * 0.1 + 100).contiguous(memory_format=torch.channels_last_3d)
    ours = replace_norms(nn.Sequential(deepcopy(norm)))[0].eval()
    # 100 is known to 4e-6 in float32, a few hundred-thousandths of the deviation
    torch.testing.assert_close(ours(image).double(), deepcopy(norm).double()(image.double()), atol=5e-4, rtol=0)


def test_channels_stay_last():
    norm = replace_norms(nn.Sequential(nn.InstanceNorm3d(4)))[0].eval()
    assert norm(volume()).is_contiguous(memory_format=torch.channels_last_3d)


def test_half_precision_and_training_are_left_to_pytorch():
    image, norm = volume(), nn.GroupNorm(2, 4)
    ours = replace_norms(nn.Sequential(deepcopy(norm)))[0]
    torch.testing.assert_close(ours.train()(image), norm(image), atol=0, rtol=0)
    half = ours.eval().bfloat16()(image.bfloat16())
    torch.testing.assert_close(half, norm.bfloat16()(image.bfloat16()), atol=0, rtol=0)


@pytest.mark.parametrize("affine", [True, False])
def test_slices_are_normalized_as_in_float64_and_so_are_their_gradients(affine):
    torch.manual_seed(0)
    image = (torch.rand(5, 6, 40, 30) + torch.rand(5, 6, 1, 1)).contiguous(memory_format=torch.channels_last)
    norm = nn.InstanceNorm2d(6, affine=affine)
    if affine:
        with_affine(norm)
    ours = replace_norms(nn.Sequential(deepcopy(norm)))[0]
    assert isinstance(ours, SliceInstanceNorm)
    exact, mine = image.double().requires_grad_(), image.clone().requires_grad_()
    expected, answer = norm.double()(exact), ours(mine)
    assert answer.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(answer.double(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.jit.script(ours)(mine), answer)
    torch.testing.assert_close(torch.jit.trace(ours, mine[:2])(mine), answer)
    expected.square().mul(expected.detach()).mean().backward()
    answer.square().mul(answer.detach()).mean().backward()
    torch.testing.assert_close(mine.grad.double(), exact.grad, atol=1e-6, rtol=0)
    for one, other in zip(ours.parameters(), norm.parameters(), strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, atol=1e-5, rtol=0)


def test_a_norm_with_running_means_is_not_replaced():
    body = replace_norms(nn.Sequential(nn.InstanceNorm3d(4, track_running_stats=True), nn.BatchNorm3d(4)))
    assert [type(norm) for norm in body] == [nn.InstanceNorm3d, nn.BatchNorm3d]


@pytest.mark.parametrize("kind", ["SegResNet", "UNet"])
def test_a_network_keeps_its_parameters_and_its_answer(kind):
    torch.manual_seed(0)
    bodies = {
        "SegResNet": lambda: SegResNet(in_channels=4, out_channels=3, init_filters=8),
        "UNet": lambda: UNet(spatial_dims=3, in_channels=4, out_channels=3, channels=(8, 16), strides=(2,)),
    }
    plain = bodies[kind]().eval()
    ours = RegionNetwork(deepcopy(plain)).eval()
    assert {name.removeprefix("body.") for name in ours.state_dict()} == {
        *plain.state_dict(),
        "temperature",
        "minimum_ml",
    }
    image = volume(batch=1)
    with torch.inference_mode():
        expected = plain.double()(image.double())
        torch.testing.assert_close(ours(image).double(), expected, atol=1e-3, rtol=0)
        torch.testing.assert_close(torch.jit.script(ours)(image), ours(image), atol=1e-4, rtol=0)
        traced = torch.jit.trace(ours, volume(batch=1, sides=(16, 16, 16)))  # of another size, as an export is
        torch.testing.assert_close(traced(image), ours(image), atol=1e-4, rtol=0)
