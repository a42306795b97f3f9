import numpy as np
import pytest

from brainmri_monai.data.brats.conventions import CONVENTIONS, find_convention
from brainmri_monai.data.brats.labels import from_portable, from_regions, paint, to_portable, to_regions
from brainmri_monai.errors import BrainMRIError


def line(*values: int) -> np.ndarray:
    """A volume of one row."""
    return np.array([[values]])


def test_regions_by_hand():
    regions = to_regions(line(0, 1, 2, 4), find_convention("brats2020"))
    assert regions.dtype == bool
    assert regions.shape == (3, 1, 1, 4)
    assert regions[:, 0, 0].tolist() == [
        [False, True, False, True],  # TC: 1 and 4
        [False, True, True, True],  # WT: all
        [False, False, False, True],  # ET: 4
    ]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_regions_and_back_is_the_same_label_map(name):
    convention = find_convention(name)
    label = line(0, *convention.labels)
    assert from_regions(to_regions(label, convention), convention).tolist() == label.tolist()


def test_inner_regions_lie_over_outer_ones_even_where_the_outer_is_missing():
    convention = find_convention("brats2023")
    tc, wt, et = [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 1]
    regions = np.array([tc, wt, et], dtype=bool).reshape(3, 1, 1, 4)
    assert from_regions(regions, convention).tolist() == line(3, 2, 1, 3).tolist()


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("brats2020", [0, 1, 2, 4]),
        ("brats2023", [0, 1, 2, 3]),
        ("msd", [0, 2, 1, 3]),
        ("brats2024-ped", [0, 2, 4, 1]),
        ("men-rt", [0, 1, 0, 1]),
    ],
)
def test_portable_labels_become_those_of_a_convention(name, own):
    assert from_portable(line(0, 1, 2, 3), find_convention(name)).tolist() == line(*own).tolist()


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name not in ("men-rt", "brats2024-ped")])
def test_to_portable_and_back_is_the_same_label_map(name):
    convention = find_convention(name)
    label = line(0, *convention.labels)
    assert from_portable(to_portable(label, convention), convention).tolist() == label.tolist()


def test_a_cavity_is_background_where_the_convention_has_none():
    assert from_portable(line(0, 4), find_convention("brats2020")).tolist() == line(0, 0).tolist()
    assert from_portable(line(0, 4), find_convention("brats2024-gli")).tolist() == line(0, 4).tolist()


def test_the_gross_tumour_volume_is_painted():
    region = line(1, 0)[None].astype(bool)
    assert paint(region, ["GTV"], find_convention("men-rt")).tolist() == line(1, 0).tolist()
    assert paint(region, ["GTV"]).tolist() == line(1, 0).tolist()


@pytest.mark.parametrize("change", [to_regions, to_portable])
def test_values_of_another_convention_are_refused(change):
    with pytest.raises(
        BrainMRIError, match=r"expected the label values of brats2020 \(1 NCR, 2 ED, 4 ET\), found 3, 7"
    ):
        change(line(0, 1, 3, 7), find_convention("brats2020"))


def test_float_labels_of_whole_numbers_are_taken_and_others_refused():
    convention = find_convention("brats2020")
    assert to_regions(line(0, 4).astype(np.float32), convention)[2].tolist() == [[[False, True]]]
    with pytest.raises(BrainMRIError, match=r"found 0\.5"):
        to_regions(line(0, 1) * 0.5, convention)
