import math

import pytest
import torch

from brainmri_monai.losses import RegionLoss


def test_cross_entropy_is_that_of_each_region_on_its_own():
    """Logit 0 is a probability of 1/2 in each of two overlapping regions, whatever the other one is."""
    regions = torch.ones(1, 2, 4, 4, 4)
    assert RegionLoss(dice_weight=0)(torch.zeros_like(regions), regions).item() == pytest.approx(math.log(2))


def test_dice_is_taken_over_the_batch():
    """Two cases of 64 voxels, one full and one empty; predicted 1/2 everywhere: 2·32 of 64 + 64, each plus 1."""
    regions = torch.cat([torch.ones(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)])
    loss = RegionLoss(bce_weight=0)(torch.zeros_like(regions), regions)
    assert loss.item() == pytest.approx(1 - (2 * 32 + 1) / (64 + 64 + 1))


def test_a_right_answer_costs_next_to_nothing_also_where_a_region_is_nowhere():
    regions = torch.zeros(1, 3, 8, 8, 8)
    regions[:, 0, 2:6] = 1
    assert RegionLoss()(200 * regions - 100, regions).item() == pytest.approx(0, abs=1e-4)
