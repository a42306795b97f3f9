import numpy as np
import pytest

from brainmri_monai.metrics.reliability import (
    bin_voxels,
    count_undecided,
    counts_of,
    describe_bins,
    error_of_bins,
    temperature_of,
)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def voxels(temperature: float, n: int = 200_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a network whose logits are so many times too large, and the truth."""
    random = np.random.default_rng(seed)
    honest = random.uniform(-4, 4, n)
    return sigmoid(honest * temperature), random.random(n) < sigmoid(honest)


def test_bins_are_counted_by_hand():
    counts = bin_voxels(np.array([[0.05, 0.12, 0.18, 1.0]]), np.array([[False, False, True, True]]))[0]
    bins = describe_bins(counts)
    assert bins[0] == {"voxels": 1, "probability": 0.05, "share": 0.0}
    assert bins[1] == {"voxels": 2, "probability": pytest.approx(0.15), "share": 0.5}
    assert bins[2] == {"voxels": 0, "probability": None, "share": None}
    assert bins[9] == {"voxels": 1, "probability": 1.0, "share": 1.0}
    assert error_of_bins(counts) == pytest.approx((0.05 + 2 * 0.35) / 4)
    np.testing.assert_allclose(counts_of(bins), counts)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_a_known_temperature_is_recovered(temperature):
    counts = count_undecided(*voxels(temperature))
    assert temperature_of([counts], most=10_000) == pytest.approx(temperature, rel=0.05)


def test_easy_voxels_have_no_vote():
    p, truth = voxels(2.0, 1000)
    easy = np.linspace(0, 0.009, 100_000)
    alone = count_undecided(p, truth)
    together = count_undecided(np.concatenate([p, easy, 1 - easy]), np.concatenate([truth, easy > 1, easy < 1]))
    np.testing.assert_array_equal(alone, together)


def test_a_large_tumour_counts_no_more_than_a_small_one():
    large, small = count_undecided(*voxels(3.0, 200_000)), count_undecided(*voxels(1.0, 5_000))
    both = temperature_of([large, small], most=1000)
    assert temperature_of([large * 10, small], most=1000) == pytest.approx(both, rel=1e-3)
    assert temperature_of([small], most=1000) < both < temperature_of([large], most=1000)


def test_nothing_undecided_leaves_the_probabilities_as_they_are():
    sure = count_undecided(np.array([0.0, 1.0]), np.array([False, True]))
    assert sure.sum() == 0
    assert temperature_of([sure], most=1000) == pytest.approx(1, abs=1e-3)
