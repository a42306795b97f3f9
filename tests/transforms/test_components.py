"""Which components of a region stay."""

import numpy as np
import pytest

from brainmri_monai.transforms import drop_small_components


@pytest.fixture
def regions() -> np.ndarray:
    """2 regions, each with a line of 5 voxels, two voxels that touch by a corner, and one voxel."""
    region = np.zeros((12, 12, 12), dtype=bool)
    region[2:7, 3, 3] = True
    region[8, 8, 8] = region[9, 9, 9] = True
    region[0, 11, 0] = True
    return np.stack([region, region])


@pytest.mark.parametrize(
    ("minimum", "left"), [(0, 8), (0.001, 8), (0.0011, 7), (0.002, 7), (0.003, 5), (0.005, 5), (0.006, 0)]
)
def test_components_below_the_minimum_go_and_those_of_it_stay(regions, minimum, left):
    kept = drop_small_components(regions.copy(), [minimum, 0], voxel_ml=0.001)
    assert kept[0].sum() == left
    assert (kept[1] == regions[1]).all()


def test_volume_of_a_voxel_counts(regions):
    assert drop_small_components(regions.copy(), [0.016, 0.008], voxel_ml=0.008).sum(axis=(1, 2, 3)).tolist() == [7, 8]


def test_empty_region_stays_empty():
    empty = np.zeros((1, 4, 4, 4), dtype=bool)
    assert not drop_small_components(empty, [1.0], 0.001).any()


def test_what_lies_inside_a_dropped_component_goes_with_it():
    whole, core = np.zeros((2, 8, 8, 8), dtype=bool)
    whole[1:3, 1:3, 1:3] = core[1, 1, 1] = core[6, 6, 6] = True
    kept = drop_small_components(np.stack([core, whole]), [0, 0.009], 0.001, inner=[[], [0]])
    assert kept.sum(axis=(1, 2, 3)).tolist() == [1, 0]
    assert kept[0, 6, 6, 6]  # outside of what was dropped
