"""Summaries over cases, and the calibration of voxels, by examples that can be counted on paper."""

import numpy as np
import pytest

from brainmri_monai.metrics.cohort import cohort_error, summarise
from brainmri_monai.metrics.reliability import bin_voxels, error_of_bins


def test_mean_and_median_are_over_cases():
    found = summarise({"dice": [0.2, 0.4, 0.9]}, ["a", "b", "c"], resamples=50)["dice"]
    assert found["mean"]["value"] == pytest.approx(0.5)
    assert found["median"]["value"] == pytest.approx(0.4)
    assert 0.2 <= found["mean"]["low"] <= 0.5 <= found["mean"]["high"] <= 0.9


def test_what_is_undefined_is_left_out():
    found = summarise({"dice": [0.2, np.nan], "none": [np.nan, np.nan]}, ["a", "b"], resamples=50)
    assert found["dice"]["mean"] == {"value": 0.2, "low": 0.2, "high": 0.2}
    assert found["none"]["mean"] == {"value": None, "low": None, "high": None}


def test_cases_of_a_patient_are_drawn_together():
    """Two patients whose cases differ within, and not between: every draw has the same mean."""
    found = summarise({"dice": [0.0, 1.0, 0.0, 1.0]}, ["a", "a", "b", "b"], resamples=50)["dice"]["mean"]
    assert found == {"value": 0.5, "low": 0.5, "high": 0.5}
    alone = summarise({"dice": [0.0, 1.0, 0.0, 1.0]}, list("abcd"), resamples=50)["dice"]["mean"]
    assert alone["low"] < 0.5 < alone["high"]


def test_voxels_are_binned_by_probability():
    probabilities = np.array([[0.05, 0.05, 0.95, 1.0, 0.5]])
    truth = np.array([[False, True, True, True, False]])
    ((voxels, probability, true),) = bin_voxels(probabilities, truth)
    assert voxels.tolist() == [2, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    assert true.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert probability[[0, 5, 9]] == pytest.approx([0.1, 0.5, 1.95])
    assert error_of_bins(np.array([voxels, probability, true])) == pytest.approx((0.9 + 0.5 + 0.05) / 5)


def test_error_of_a_cohort_pools_the_voxels():
    sure = bin_voxels(np.array([[1.0] * 4]), np.array([[True] * 4]))
    wrong = bin_voxels(np.array([[1.0] * 4]), np.array([[False] * 4]))
    found = cohort_error(np.stack([sure, wrong]), ["a", "b"], ["WT"], resamples=200)["WT"]
    assert found == {"value": 0.5, "low": 0.0, "high": 1.0}
    assert np.isnan(error_of_bins(np.zeros((3, 10))))
