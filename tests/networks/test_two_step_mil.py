import io

import pytest
import torch
from monai.networks.nets import DenseNet121
from torch import nn

from brainmri_monai.networks import (
    AttentionPool,
    GatedAttentionPool,
    MaxPool,
    MeanPool,
    MobileNetV2,
    SmallCNN,
    TransformerPool,
    TwoStepMIL,
)

POOLS = [MeanPool, MaxPool, AttentionPool, GatedAttentionPool, TransformerPool]
ENCODERS = {
    "MobileNetV2": MobileNetV2,
    "MONAI's DenseNet121": lambda: DenseNet121(spatial_dims=2, in_channels=3, out_channels=256),
}
METHODS = ["forward", "type_logits", "grade_logits", "attention"]


def make(encoder: nn.Module | None = None, pool: nn.Module | None = None, **more) -> TwoStepMIL:
    torch.manual_seed(0)
    network = TwoStepMIL(3, encoder=encoder or SmallCNN(), pool=pool or AttentionPool(), **more).eval()
    network.head.type_temperature.fill_(1.5)  # what a buffer holds has to survive the export
    network.head.grade_temperature.fill_(0.8)
    return network


def volumes(bags: int, slices: int, side: int = 16) -> torch.Tensor:
    return torch.rand(bags, 3, side, side, slices, generator=torch.Generator().manual_seed(bags * slices))


def reloaded(scripted: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    archive = io.BytesIO()
    torch.jit.save(scripted, archive)
    archive.seek(0)
    return torch.jit.load(archive)


def require_the_same_answers(network: TwoStepMIL, methods: list[str], sizes: tuple[int, ...], side: int) -> None:
    scripted = torch.jit.script(network)
    others = [scripted, reloaded(scripted)]
    with torch.no_grad():
        for bags in (1, 3):
            for slices in sizes:
                image = volumes(bags, slices, side)
                mask = torch.arange(slices) <= torch.arange(bags)[:, None] + slices // 2  # other sizes in a batch
                for method in methods:
                    whole, masked = getattr(network, method)(image), getattr(network, method)(image, mask)
                    for other in others:
                        torch.testing.assert_close(getattr(other, method)(image), whole, atol=1e-5, rtol=0)
                        torch.testing.assert_close(getattr(other, method)(image, mask), masked, atol=1e-5, rtol=0)


@pytest.mark.parametrize("pool", POOLS)
def test_scripted_and_reloaded_answer_as_eager(pool):
    require_the_same_answers(make(pool=pool()), METHODS, sizes=(1, 3, 20), side=16)


def test_dropout_may_be_a_whole_number():
    assert torch.jit.script(make(dropout=0))(volumes(2, 3)).shape == (2, 3, 4)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_other_encoders_answer_alike_scripted_and_reloaded(encoder):
    require_the_same_answers(make(encoder=ENCODERS[encoder]()), ["forward"], sizes=(3,), side=32)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("method", METHODS)
def test_padding_changes_no_answer(pool, method):
    network = make(pool=pool())
    image = volumes(2, 5)
    padded = torch.cat([image[..., :2], torch.full_like(image[..., :1], 1e3), image[..., 2:]], dim=-1)
    mask = torch.tensor([[True, True, False, True, True, True]] * 2)
    answer, alone = getattr(network, method)(padded, mask), getattr(network, method)(image)
    if method == "attention":
        assert answer[:, 2].eq(0).all()
        answer = answer[mask].view(2, 5)
    torch.testing.assert_close(answer, alone)


def test_a_batch_answers_as_its_bags_alone():
    network = make()
    image = volumes(3, 4)
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [True] + [False] * 3])
    together = network(image, mask)
    for b, slices in enumerate([4, 2, 1]):
        torch.testing.assert_close(together[b : b + 1], network(image[b : b + 1, ..., :slices]))


@pytest.mark.parametrize("pool", POOLS)
def test_the_order_of_the_slices_does_not_matter(pool):
    network, image, order = make(pool=pool()), volumes(2, 4), torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(network(image[..., order]), network(image))
    torch.testing.assert_close(network.attention(image[..., order]), network.attention(image)[:, order])


def test_attention_of_a_patient_sums_to_one():
    weights = make().attention(volumes(2, 5))
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))


def test_joint_probabilities_sum_to_one():
    log_joint = make()(volumes(2, 5))
    assert log_joint.shape == (2, 3, 4)
    torch.testing.assert_close(log_joint.exp().sum(dim=(1, 2)), torch.ones(2))


def test_type_and_grade_follow_from_the_joint_answer():
    network, image = make(), volumes(2, 5)
    joint = network(image).exp()
    types = torch.softmax(network.type_logits(image) / 1.5, dim=1)
    given = torch.softmax(network.grade_logits(image) / 0.8, dim=2)
    torch.testing.assert_close(joint.sum(dim=2), types)
    torch.testing.assert_close(joint / joint.sum(dim=2, keepdim=True), given)
    torch.testing.assert_close(joint.sum(dim=1), torch.einsum("bt,btg->bg", types, given))


def test_temperatures_are_neutral_at_first_and_saved_with_the_weights():
    network = TwoStepMIL(2, encoder=SmallCNN(), pool=MeanPool())
    state = network.state_dict()
    assert state["head.type_temperature"] == 1
    assert state["head.grade_temperature"] == 1


def test_a_high_temperature_makes_every_type_alike():
    network, image = make(), volumes(1, 3)
    network.head.type_temperature.fill_(1e6)
    torch.testing.assert_close(network(image).exp().sum(dim=2), torch.full((1, 3), 1 / 3))


@pytest.mark.parametrize("bags", [1, 2])
def test_an_empty_bag_is_refused(bags):
    mask = torch.ones(bags, 3, dtype=torch.bool)
    mask[-1] = False
    with pytest.raises(ValueError, match="every bag needs an instance"):
        make()(volumes(bags, 3), mask)


def test_padding_stays_out_of_the_statistics_of_batch_norm():
    def statistics(image, mask=None) -> torch.Tensor:
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        network = TwoStepMIL(2, encoder=encoder, pool=MeanPool(), features=4).train()
        network(image, mask)
        return torch.cat([encoder[1].running_mean, encoder[1].running_var])

    image = volumes(2, 3)
    padded = torch.cat([image, torch.full_like(image, 1e3)], dim=-1)
    mask = torch.tensor([[True] * 3 + [False] * 3] * 2)
    torch.testing.assert_close(statistics(padded, mask), statistics(image))


def test_the_head_answers_stored_features_as_the_network_answers_slices():
    """Features lie slices last, as an image does: so the head alone is trained on embedded patients."""
    network, image = make(), volumes(2, 5)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    features = network.encode(image, mask)
    assert features.shape == (2, 5, 256)
    assert features[1, 3:].eq(0).all()
    torch.testing.assert_close(network.head(features.transpose(1, 2), mask), network(image, mask))
    torch.testing.assert_close(
        network.head(network.encode(image, network.whole(image)).transpose(1, 2)), network(image)
    )


def test_dropout_acts_in_training_alone():
    network, image = make(dropout=0.5), volumes(1, 3)
    torch.testing.assert_close(network(image), network(image), atol=0, rtol=0)
    network.train()
    assert not torch.equal(network(image), network(image))
