import numpy as np
import pytest

from brainmri_monai.metrics.reliability import (
    bin_voxels,
    count_logits,
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
    counts = count_logits(*voxels(temperature))
    assert temperature_of([counts], most=10_000) == pytest.approx(temperature, rel=0.05)


def background(n: int, logit: float) -> tuple[np.ndarray, np.ndarray]:
    """Voxels outside of the region, of which the network is rightly sure."""
    return np.full(n, sigmoid(logit)), np.zeros(n, bool)


def together(*parts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return count_logits(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def test_easy_voxels_weigh_together_no_more_than_the_undecided_ones():
    hard = voxels(2.0, 20_000)
    few, many = (temperature_of([together(hard, background(n, -6))], most=1000) for n in (30_000, 3_000_000))
    assert many == pytest.approx(few, rel=0.1)
    assert many > 1.2  # by their number, sure and right as they are, they would sharpen: below 1


def test_easy_voxels_are_not_lifted_to_suit_the_undecided_ones():
    random = np.random.default_rng(0)
    guessed = sigmoid(random.uniform(-4, 4, 20_000)), random.random(20_000) < 0.5  # flatter is always likelier
    alone = temperature_of([count_logits(*guessed)], most=1000)
    beside = temperature_of([together(guessed, background(3_000_000, -6))], most=1000)
    assert alone > 5
    assert beside < alone / 2


def test_a_probability_of_0_or_1_counts_as_easy():
    counts = count_logits(np.array([0.0, 1.0, 0.5], np.float32), np.array([False, True, True]))
    assert counts[0, 0] == counts[1, -1] == 1
    assert counts.sum() == 3


def test_a_large_tumour_counts_no_more_than_a_small_one():
    large, small = count_logits(*voxels(3.0, 200_000)), count_logits(*voxels(1.0, 5_000))
    both = temperature_of([large, small], most=1000)
    assert temperature_of([large * 10, small], most=1000) == pytest.approx(both, rel=1e-3)
    assert temperature_of([small], most=1000) < both < temperature_of([large], most=1000)


def test_nothing_undecided_leaves_the_probabilities_as_they_are():
    sure = count_logits(np.array([0.0, 1.0]), np.array([False, True]))
    assert temperature_of([sure], most=1000) == pytest.approx(1, abs=1e-3)
