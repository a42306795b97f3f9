import numpy as np
import pytest

from brainmri_monai.metrics import bootstrap, paired_bootstrap


def mean_of(values: np.ndarray):
    return lambda chosen: {"mean": float(values[chosen].mean())}


def test_value_lies_in_its_interval():
    result = bootstrap(mean_of(np.random.default_rng(0).normal(size=50)), patients=50, resamples=200)["mean"]
    assert result["low"] < result["value"] < result["high"]


def test_the_interval_is_that_of_the_central_limit():
    """The mean of n values has the standard error s/√n, and 95 % of a normal distribution lie within 1.96 of these."""
    values = np.random.default_rng(1).normal(size=400)
    result = bootstrap(mean_of(values), patients=400, resamples=4000)["mean"]
    half = 1.96 * values.std() / 20
    assert result["value"] == pytest.approx(values.mean())
    assert result["low"] == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert result["high"] == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_nineteen_of_twenty_intervals_cover_the_truth():
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        result = bootstrap(mean_of(random.normal(size=60)), patients=60, resamples=200)["mean"]
        covered += result["low"] < 0 < result["high"]
    assert 88 <= covered <= 100  # 95 in the mean, with a standard deviation of 2.2


def test_a_seed_gives_the_same_interval_again():
    statistic = mean_of(np.random.default_rng(0).normal(size=30))
    first, again, other = (bootstrap(statistic, 30, 100, seed) for seed in (5, 5, 6))
    assert first == again
    assert first["mean"]["low"] != other["mean"]["low"]


def test_draws_in_which_a_value_is_undefined_do_not_count():
    values = np.array([np.nan, 1.0, 1.0])
    result = bootstrap(lambda chosen: {"mean": float(values[chosen].mean())}, 3, 100)["mean"]
    assert result == {"value": None, "low": 1.0, "high": 1.0}


@pytest.mark.filterwarnings("error")
def test_a_value_that_is_undefined_throughout_is_none():
    def undefined(chosen):
        return {"auc": float("nan")}

    assert bootstrap(undefined, 3, 20)["auc"] == {"value": None, "low": None, "high": None}
    assert paired_bootstrap(undefined, undefined, 3, 20)["auc"] == {"value": None, "low": None, "high": None, "p": None}


def test_one_patient_has_no_interval():
    one, other = mean_of(np.array([0.75])), mean_of(np.array([0.25]))
    assert bootstrap(one, 1, 20)["mean"] == {"value": 0.75, "low": None, "high": None}
    assert paired_bootstrap(one, other, 1, 20)["mean"] == {"value": -0.5, "low": None, "high": None, "p": None}


def test_a_run_does_not_differ_from_itself():
    statistic = mean_of(np.random.default_rng(0).normal(size=30))
    assert paired_bootstrap(statistic, statistic, 30, 200)["mean"] == {"value": 0, "low": 0, "high": 0, "p": 1}


def test_a_run_that_is_better_on_every_patient_has_the_smallest_p():
    values = np.random.default_rng(0).normal(size=30)
    result = paired_bootstrap(mean_of(values), mean_of(values + 1), 30, 199)["mean"]
    assert result == pytest.approx({"value": 1, "low": 1, "high": 1, "p": 2 / 200})
    assert paired_bootstrap(mean_of(values + 1), mean_of(values), 30, 199)["mean"]["value"] == pytest.approx(-1)


def test_both_runs_see_the_same_draws():
    """The difference of two runs varies far less than either of them, as patients differ more than the runs do."""
    random = np.random.default_rng(0)
    first = random.normal(scale=10, size=50)
    second = first + random.normal(loc=0.5, scale=0.1, size=50)
    result = paired_bootstrap(mean_of(first), mean_of(second), 50, 500)["mean"]
    assert result["high"] - result["low"] < 0.2
    assert result["low"] > 0


def test_p_of_two_equal_methods_is_spread_evenly():
    random = np.random.default_rng(4)
    values = [
        paired_bootstrap(mean_of(random.normal(size=40)), mean_of(random.normal(size=40)), 40, 200)["mean"]["p"]
        for _ in range(100)
    ]
    assert 0.35 < np.mean(values) < 0.65
    assert np.mean(np.array(values) < 0.05) < 0.15
