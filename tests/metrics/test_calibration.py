import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from brainmri_monai.metrics import brier_score, expected_calibration_error, fit_temperature


def test_calibration_error_by_hand():
    """Bin 0.6-0.7: confidence 0.65 and 0.65, one of two right: gap 0.15. Bin 0.9-1: 0.9 and 1, both right: gap 0.05."""
    probabilities = np.array([[0.65, 0.35], [0.35, 0.65], [0.9, 0.1], [1.0, 0.0]])
    labels = np.array([0, 0, 0, 0])
    assert expected_calibration_error(labels, probabilities) == pytest.approx((2 * 0.15 + 2 * 0.05) / 4)


def test_calibrated_answers_have_no_error():
    probabilities = np.tile([0.75, 0.25], (4, 1))
    assert expected_calibration_error(np.array([0, 0, 0, 1]), probabilities) == pytest.approx(0)


def test_brier_score_by_hand():
    """(0.8 - 1)² + 0.1² + 0.1² = 0.06, and (0.5 - 1)² + 0.5² + 0² = 0.5"""
    probabilities = np.array([[0.8, 0.1, 0.1], [0.5, 0.5, 0.0]])
    assert brier_score(np.array([0, 1]), probabilities) == pytest.approx((0.06 + 0.5) / 2)


def test_brier_score_lies_between_0_and_2():
    sure = np.array([[1.0, 0.0]])
    assert brier_score(np.array([0]), sure) == 0
    assert brier_score(np.array([1]), sure) == 2


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature):
    random = np.random.default_rng(0)
    honest = random.normal(size=(20_000, 4)) * 2
    labels = (softmax(honest, axis=1).cumsum(axis=1) < random.random((len(honest), 1))).sum(axis=1)
    assert fit_temperature(honest * temperature, labels) == pytest.approx(temperature, rel=0.03)


def test_log_probabilities_serve_as_logits():
    random = np.random.default_rng(1)
    logits, labels = random.normal(size=(50, 3)), random.integers(3, size=50)
    assert fit_temperature(log_softmax(logits, axis=1), labels) == pytest.approx(fit_temperature(logits, labels))


def test_a_weight_says_how_many_answers_one_stands_for():
    random = np.random.default_rng(2)
    logits, labels, counts = random.normal(size=(40, 3)), random.integers(3, size=40), random.integers(0, 4, size=40)
    repeated = fit_temperature(np.repeat(logits, counts, axis=0), np.repeat(labels, counts))
    assert fit_temperature(logits, labels, counts) == pytest.approx(repeated)
    assert fit_temperature(logits, labels) != pytest.approx(repeated, rel=0.01)


def test_it_stays_within_its_bounds():
    labels = np.tile([0, 1], 10_000)
    right = np.tile([[0.1, 0.0], [0.0, 0.1]], (10_000, 1))
    assert fit_temperature(right, labels) == pytest.approx(0.1, rel=0.01)  # never wrong: as sure as allowed
    assert fit_temperature(-right, labels) == pytest.approx(10, rel=0.01)  # always wrong: as unsure as allowed


def test_a_few_right_answers_do_not_make_it_absurdly_sure():
    labels = np.array([0, 1, 0, 1, 0, 1, 0, 1])
    assert 0.4 < fit_temperature(2 * np.eye(2)[labels], labels) < 1


@pytest.mark.parametrize("patients", [0, 1])
def test_nothing_is_fitted_on_fewer_than_two_patients(patients):
    assert fit_temperature(np.ones((patients, 3)), np.zeros(patients, dtype=int)) == 1
