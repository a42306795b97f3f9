"""Ensembles, flips, entropy and clean-up of the volume bundle."""

import nibabel as nib
import numpy as np
import pytest
from toy_volumes import LPS, SHAPE, draw_case, labels_of, table_of, truth, turned, write_case, write_toy


def test_ensemble_is_the_mean_of_the_probabilities(segment, tmp_path):
    """One of two votes is a mean of one half at most, where nothing is found; two of three are found."""
    write_case(tmp_path / "data/case")
    one, none = str(write_toy(tmp_path / "one/model.pt")), str(write_toy(tmp_path / "none/model.pt", 1000))
    for members, expected in (([one, one], truth()), ([one, none], 0 * truth()), ([none, one, one], truth())):
        code, _, err = segment(tmp_path / "data", "--ensemble", str(members))
        assert code == 0, err
        np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), expected)


@pytest.mark.parametrize("members", [1, 2])
def test_intervals_are_of_the_grid_of_the_files_and_of_several_members(segment, tmp_path, members):
    """Two members that agree have the volume of the answer, which on the resampled grid would be another."""
    affine = turned((2, 1, 1.5))
    write_case(tmp_path / "data/case", draw_case(affine=affine), affine)
    ensemble = [str(write_toy(tmp_path / "one/model.pt"))] * members
    code, out, err = segment(tmp_path / "data", "--uncertainty", "--ensemble", str(ensemble))
    assert code == 0, err
    row = table_of(tmp_path / "out").loc["case"]
    assert row["wt_ml"] > 0
    assert ("wt_ml_low" in row) == (members == 2)
    assert ("note: one network has no interval" in out) == (members == 1)
    if members == 2:
        for region in ("tc", "wt", "et"):
            assert row[f"{region}_ml_low"] == row[f"{region}_ml"] == row[f"{region}_ml_high"]


def test_flips_change_nothing_for_a_network_that_does_not_mind_them(segment, tmp_path):
    write_case(tmp_path / "data/case")
    code, _, err = segment(tmp_path / "data", "--flips", "--uncertainty")
    assert code == 0, err
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), truth())
    row = table_of(tmp_path / "out").loc["case"]
    for region in ("tc", "wt", "et"):
        assert row[f"{region}_ml_low"] == row[f"{region}_ml"] == row[f"{region}_ml_high"]


def test_uncertainty_of_an_ensemble_that_disagrees(segment, tmp_path):
    write_case(tmp_path / "data/case")
    one, none = write_toy(tmp_path / "one/model.pt"), write_toy(tmp_path / "none/model.pt", 1000)
    code, _, err = segment(tmp_path / "data", "--uncertainty", "--ensemble", str([str(one), str(none)]))
    assert code == 0, err
    row = table_of(tmp_path / "out").loc["case"]
    assert row["wt_ml_low"] == 0
    assert row["wt_ml_high"] == pytest.approx((truth() > 0).sum() / 1000)
    entropy = nib.load(tmp_path / "out/case/case_entropy.nii.gz")
    np.testing.assert_array_equal(entropy.affine, LPS)
    values = np.asarray(entropy.dataobj)
    assert values.shape == SHAPE
    np.testing.assert_allclose(values[truth() == 3], np.log(2), atol=1e-3)  # one half, in each region
    np.testing.assert_allclose(values[truth() == 2], np.log(2) / 3, atol=1e-3)
    np.testing.assert_allclose(values[truth() == 0], 0, atol=1e-3)


def test_components_below_the_fitted_minimum_are_dropped(segment, tmp_path):
    image = draw_case()
    image[3, 8:10, 24, 15] += 300  # 2 voxels of FLAIR
    image[3, 8:12, 28, 15] += 300  # 4 voxels
    write_case(tmp_path / "data/case", image)
    weights = write_toy(tmp_path / "weights/model.pt", minimum_ml=(0.0, 0.003, 5.0)).parent
    code, _, err = segment(tmp_path / "data", weights=weights)
    assert code == 0, err
    expected = truth()
    expected[expected == 3] = 1  # the ball of enhancing tumour has less than 5 ml, and is a part of the core
    expected[8:12, 28, 15] = 2
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "case"), expected)
