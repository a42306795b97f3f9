import pytest
import torch

from brainmri_monai.engines import PrecisionInferer, choose_precision
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.networks import AttentionPool, SmallCNN, TwoStepMIL


@pytest.fixture
def network() -> TwoStepMIL:
    torch.manual_seed(0)
    return TwoStepMIL(3, encoder=SmallCNN(), pool=AttentionPool()).eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, 4, generator=torch.Generator().manual_seed(0))


def test_float32_is_the_network_itself(network, image):
    torch.testing.assert_close(PrecisionInferer("float32")(image, network), network(image), atol=0, rtol=0)


def test_bfloat16_answers_nearly_the_same_in_float32(network, image):
    answer, expected = PrecisionInferer("bfloat16")(image, network), network(image)
    assert answer.dtype == torch.float32
    torch.testing.assert_close(answer.exp(), expected.exp(), atol=5e-3, rtol=0)
    assert not torch.equal(answer, expected)


def test_every_answer_is_float32_whatever_the_network_returns(image):
    answer = PrecisionInferer("bfloat16")(image[..., 0], SmallCNN())  # a linear layer answers in bfloat16
    assert answer.dtype == torch.float32


def test_further_inputs_reach_the_network(network, image):
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2])
    inferer = PrecisionInferer("float32")
    torch.testing.assert_close(inferer(image, network, mask), network(image, mask), atol=0, rtol=0)
    torch.testing.assert_close(inferer(image, network, mask=mask), network(image, mask), atol=0, rtol=0)


def test_autocast_ends_with_the_call(network, image):
    PrecisionInferer("bfloat16")(image, network)
    assert not torch.is_autocast_enabled("cpu")


def test_gradients_flow(network, image):
    PrecisionInferer("bfloat16")(image, network).sum().backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in network.parameters())


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_what_is_asked_for_is_chosen(precision):
    assert choose_precision(precision, "cpu") == precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, "bfloat16"),
        ({"amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "avx2": True}, "float32"),
        ({}, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", "cpu") == expected


@pytest.mark.parametrize("precision", ["float16", "bf16", "", None])
def test_an_unknown_precision_is_refused(precision):
    with pytest.raises(BrainMRIError, match=f"precision '{precision}' is not one of auto, bfloat16, float32"):
        choose_precision(precision, "cpu")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_answers_as_the_cpu(network, image):
    expected = network(image)
    answer = PrecisionInferer("auto")(image.cuda(), network.cuda())
    torch.testing.assert_close(answer.cpu().exp(), expected.exp(), atol=1e-2, rtol=0)
