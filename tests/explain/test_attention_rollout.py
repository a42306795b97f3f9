import numpy as np
import pytest
import torch
from monai.networks.blocks.selfattention import SABlock

from brainmri_monai.explain import attention_rollout
from brainmri_monai.networks import SliceClassifier, VisionTransformer


@pytest.fixture
def transformer() -> SliceClassifier:
    torch.manual_seed(0)
    sizes = {"img_size": 32, "patch_size": 8, "hidden_size": 16, "mlp_dim": 16, "num_layers": 2, "num_heads": 2}
    return SliceClassifier(VisionTransformer(**sizes), num_classes=4).train()


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_it_is_a_map_from_0_to_1(transformer, picture):
    found = attention_rollout(transformer, picture)
    assert found.shape == (4, 4)
    assert found.min() >= 0
    assert found.max() == 1


@pytest.fixture
def attend(transformer, monkeypatch):
    """Let the two layers attend as given, each N N."""

    def set_weights(first: torch.Tensor, second: torch.Tensor) -> None:
        blocks = [module for module in transformer.modules() if isinstance(module, SABlock)]
        weights = dict(zip(blocks, [first, second], strict=True))

        def forward(self, x, attn_mask=None):
            self.att_mat = weights[self].expand(1, 2, -1, -1)
            return x

        monkeypatch.setattr(SABlock, "forward", forward)

    return set_weights


def test_golden_map_of_one_layer(transformer, picture, attend):
    """The class token attends to patches 1, 2, 3 … as 1 : 2 : 3 …, and the second layer to itself alone."""
    attention = torch.eye(17)
    attention[0, 1:] = torch.arange(1.0, 17) / 200
    attend(attention, torch.eye(17))
    found = attention_rollout(transformer, picture)
    np.testing.assert_allclose(found, np.arange(16).reshape(4, 4) / 15, atol=1e-5)


def test_golden_map_of_two_layers(transformer, picture, attend):
    """Patch 1 takes from patch 2, then the class token from patch 1, which kept half of its own."""
    first, second = torch.eye(17), torch.eye(17)
    first[1], second[0] = first[2], second[1]
    attend(first, second)
    np.testing.assert_allclose(attention_rollout(transformer, picture).ravel(), [1, 1, *[0] * 14], atol=1e-5)


def test_patches_that_are_all_alike_are_no_map(transformer, attend):
    even = torch.full((17, 17), 1 / 17)
    attend(even, even)
    assert not attention_rollout(transformer, torch.zeros(3, 32, 32)).any()


def test_nothing_is_left_in_the_network(transformer, picture, leaves_alone):
    leaves_alone(transformer, lambda: attention_rollout(transformer, picture))
    blocks = [module for module in transformer.modules() if isinstance(module, SABlock)]
    assert not any(block.save_attn for block in blocks)
    assert all(block.att_mat.numel() == 0 for block in blocks)


def test_a_network_without_attention_is_refused(network, picture, leaves_alone):
    def explain():
        with pytest.raises(ValueError, match="SliceClassifier without attention blocks"):
            attention_rollout(network, picture)

    leaves_alone(network, explain)
