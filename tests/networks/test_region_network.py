import torch
from monai.networks.nets import SegResNet

from brainmri_monai.networks import RegionNetwork


def network() -> RegionNetwork:
    torch.manual_seed(0)
    return RegionNetwork(SegResNet(in_channels=4, out_channels=3, init_filters=8))


def test_temperatures_scale_the_logits_of_their_region_in_evaluation_alone():
    net, image = network(), torch.rand(1, 4, 16, 16, 16)
    net.temperature.copy_(torch.tensor([1.0, 2.0, 4.0]))
    with torch.no_grad():
        raw, scaled = net.train()(image), net.eval()(image)
    torch.testing.assert_close(scaled[:, 0], raw[:, 0])
    torch.testing.assert_close(scaled[:, 2], raw[:, 2] / 4)


def test_scripted_and_eager_answers_are_the_same():
    net = network().eval()
    scripted = torch.jit.script(net)
    for batch in (1, 3):
        image = torch.rand(batch, 4, 16, 16, 16)
        torch.testing.assert_close(scripted(image), net(image))
