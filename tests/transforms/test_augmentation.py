"""Random changes to a batch of slices."""

import pytest
import torch
from monai.transforms import RandAffine
from torch.nn.functional import affine_grid

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.transforms import AugmentBatch, MixUpBatch
from brainmri_monai.transforms.augmentation import _grid

STILL = {"mirror": 0, "degrees": 0, "scale": 0, "shift": 0, "brightness": 0, "contrast": 0}


@pytest.fixture
def batch() -> dict:
    image = torch.rand(6, 1, 33, 33, generator=torch.Generator().manual_seed(0))
    return {"id": list("abcdef"), "image": image, "label": torch.arange(6) % 3}


def test_no_strength_is_identity(batch):
    assert torch.equal(AugmentBatch(**STILL)(batch)["image"], batch["image"])


def test_always_mirrored_is_mirrored(batch):
    given = AugmentBatch(**{**STILL, "mirror": 1})(batch)["image"]
    torch.testing.assert_close(given, batch["image"].flip(3), atol=1e-5, rtol=0)
    given = AugmentBatch(**{**STILL, "upside_down": 1})(batch)["image"]
    torch.testing.assert_close(given, batch["image"].flip(2), atol=1e-5, rtol=0)


def test_about_half_of_many_slices_are_mirrored(batch):
    image = batch["image"][:1].expand(400, -1, -1, -1)
    augment = AugmentBatch(**{**STILL, "mirror": 0.5}).set_random_state(0)
    given = augment({"image": image})["image"]
    mirrored = (given - image).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 150 < mirrored.sum() < 250


def test_a_shift_moves_by_at_most_its_part_of_the_side():
    image = torch.zeros(200, 1, 41, 41)
    image[:, :, 20, 20] = 1
    given = AugmentBatch(**{**STILL, "shift": 0.1}).set_random_state(1)({"image": image})["image"]
    centres = [(g * torch.arange(41.0)).sum() / g.sum() for g in given.sum(dim=(1, 2))]
    moved = torch.stack(centres) - 20
    assert moved.abs().max() <= 4.1 + 1e-3
    assert moved.abs().max() > 3


def test_turning_equals_monais(batch):
    """The same angle, by MONAI's transform of one sample."""
    augment = AugmentBatch(**{**STILL, "degrees": 10}).set_random_state(3)
    angle = -torch.pi / 180 * augment.R.uniform(-10, 10, 6)
    given = augment.set_random_state(3)(batch)["image"]
    for image, turned, theta in zip(batch["image"], given, angle.tolist(), strict=True):
        turn = RandAffine(prob=1, rotate_range=[(theta, theta)], padding_mode="zeros")
        inner = (0, slice(6, -6), slice(6, -6))
        torch.testing.assert_close(turn(image).as_tensor()[inner], turned[inner], atol=1e-3, rtol=0)


def test_grid_equals_torchs():
    theta = torch.rand(3, 2, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(_grid(theta, 7, 12), affine_grid(theta, [3, 1, 7, 12], align_corners=False))


def test_values_stay_between_0_and_1(batch):
    given = AugmentBatch(brightness=0.9, contrast=0.9).set_random_state(0)(batch)["image"]
    assert given.min() >= 0
    assert given.max() <= 1


def test_a_seed_gives_the_same_slices_again(batch):
    one, two, other = (AugmentBatch().set_random_state(seed)(batch)["image"] for seed in (5, 5, 6))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_mixing_blends_slices_and_labels_alike(batch):
    flat = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 1, 4, 4)
    given = MixUpBatch(0.5, 6).set_random_state(0)({"image": flat, "label": torch.arange(6)})
    torch.testing.assert_close(given["label"].sum(dim=1), torch.ones(6))
    torch.testing.assert_close(given["label"] @ torch.arange(6.0), given["image"][:, 0, 0, 0])
    assert (given["label"].max(dim=1).values < 1).any()


def test_no_mixing_leaves_the_batch_as_it_is(batch):
    assert MixUpBatch(0, 3)(batch) is batch


def test_negative_mixing_is_told():
    with pytest.raises(BrainMRIError, match="mixup -1 is no strength"):
        MixUpBatch(-1, 3)
