import pytest
import torch
from monai.data import Dataset
from torch import nn

from brainmri_monai.engines import EmbeddedDataset, PrecisionInferer, collate_bags
from brainmri_monai.networks import SmallCNN
from brainmri_monai.transforms import SelectSlicesd


def sample(name: str, slices: int, **more) -> dict:
    generator = torch.Generator().manual_seed(slices)
    return {"id": name, "image": torch.rand(3, 8, 6, slices, generator=generator), "label": [1, -1], **more}


def test_bags_are_padded_with_zeros_and_marked():
    samples = [sample("a", 2), sample("b", 5), sample("c", 1)]
    batch = collate_bags(samples)
    assert batch["id"] == ["a", "b", "c"]
    assert batch["image"].shape == (3, 3, 8, 6, 5)
    assert batch["mask"].tolist() == [[True] * n + [False] * (5 - n) for n in (2, 5, 1)]
    assert batch["label"].tolist() == [[1, -1]] * 3
    for image, given in zip(batch["image"], samples, strict=True):
        n = given["image"].shape[-1]
        torch.testing.assert_close(image[..., :n], given["image"], atol=0, rtol=0)
        assert image[..., n:].eq(0).all()


def test_embedded_bags_are_padded_alike():
    samples = [{"id": str(n), "image": torch.rand(7, n), "label": [0, 0]} for n in (3, 1)]
    batch = collate_bags(samples)
    assert batch["image"].shape == (2, 7, 3)
    torch.testing.assert_close(batch["image"][0], samples[0]["image"])
    torch.testing.assert_close(batch["image"][1, :, :1], samples[1]["image"])
    assert batch["image"][1, :, 1:].eq(0).all()


def test_without_labels_there_are_none():
    unlabelled = sample("a", 2)
    del unlabelled["label"]
    assert set(collate_bags([unlabelled])) == {"id", "image", "mask"}


def test_slices_lie_channels_last_in_memory():
    """So that a convolution takes them as they are, without a copy."""
    image = collate_bags([sample("a", 4), sample("b", 4)])["image"]
    slices = image.permute(0, 4, 1, 2, 3).flatten(0, 1)  # B·N C H W, still a view
    assert slices.data_ptr() == image.data_ptr()
    assert slices.is_contiguous(memory_format=torch.channels_last)


def test_bytes_stay_bytes():
    assert (
        collate_bags([{"id": "a", "image": torch.zeros(3, 4, 4, 2, dtype=torch.uint8)}])["image"].dtype == torch.uint8
    )


@pytest.fixture
def encoder() -> nn.Module:
    torch.manual_seed(0)
    cnn = SmallCNN(num_classes=5)
    return nn.Sequential(*cnn, nn.BatchNorm1d(5), nn.Dropout(0.5))


def test_embedded_slices_are_the_encoders_answers(encoder):
    samples = [sample("a", 5), sample("b", 2)]
    data = EmbeddedDataset(Dataset(samples), encoder, PrecisionInferer("float32"), "cpu", chunk=2)
    assert len(data) == 2
    encoder.eval()
    for embedded, given in zip(data, samples, strict=True):
        expected = encoder(given["image"].movedim(-1, 0)).T
        torch.testing.assert_close(embedded["image"], expected.detach())
        assert (embedded["id"], embedded["label"]) == (given["id"], given["label"])


def test_the_encoder_is_put_to_rest_and_the_vectors_can_be_trained_on(encoder):
    data = EmbeddedDataset(Dataset([sample("a", 3)]), encoder.train(), PrecisionInferer("float32"), "cpu")
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder[-2].num_batches_tracked == 0
    head = nn.Linear(5, 1)
    head(data[0]["image"].T).sum().backward()  # inference tensors would refuse this
    assert head.weight.grad is not None


def test_the_encoder_runs_once_and_the_transform_each_time(encoder):
    calls = []
    encoder.register_forward_hook(lambda *_: calls.append(1))
    select = SelectSlicesd("image", "random", size=2).set_random_state(0)
    data = EmbeddedDataset(Dataset([sample("a", 30)]), encoder, PrecisionInferer("float32"), "cpu", transform=select)
    drawn = {tuple(data[0]["image"][0].tolist()) for _ in range(5)}
    assert len(calls) == 1
    assert len(drawn) == 5
    assert data.samples[0]["image"].shape == (5, 30)
