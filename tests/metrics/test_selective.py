import numpy as np
import pytest

from brainmri_monai.metrics import area_under_risk_coverage, confidence_for_risk, excess_area, risk_bound, risk_coverage
from brainmri_monai.metrics.selective import tolerated_risk

SURE = np.array([0.9, 0.8, 0.7, 0.6])


def right(text: str) -> np.ndarray:
    return np.array([letter == "r" for letter in text])


def test_golden_curve():
    curve = risk_coverage(SURE[[2, 0, 3, 1]], right("wrrr"))  # the third surest is wrong
    np.testing.assert_allclose(curve.confidence, [0.9, 0.8, 0.7, 0.6])
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 1 / 4])


def test_equal_confidences_are_one_point():
    curve = risk_coverage(np.array([0.9, 0.6, 0.6, 0.6]), right("rwrr"))
    np.testing.assert_allclose(curve.coverage, [0.25, 1])
    np.testing.assert_allclose(curve.risk, [0, 0.25])


@pytest.mark.parametrize(
    ("answers", "area"), [("rrrr", 0), ("rrrw", 1 / 16), ("wrrr", (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4), ("wwww", 1)]
)
def test_golden_areas(answers, area):
    assert area_under_risk_coverage(SURE, right(answers)) == pytest.approx(area)


def test_the_area_is_0_in_excess_when_all_errors_come_last():
    assert excess_area(SURE, right("rrww")) == pytest.approx(0)
    assert excess_area(SURE, right("wrrr")) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4 - 1 / 16)


def test_a_confidence_that_is_always_the_same_has_the_share_of_errors_as_its_area_in_any_order():
    for answers in ("wrrr", "rrwr"):
        assert area_under_risk_coverage(np.full(4, 0.5), right(answers)) == pytest.approx(0.25)


def test_golden_bounds():
    """Without an error the bound b solves (1 - b)^n = doubt; with nothing but errors there is none."""
    assert risk_bound(0, 100, doubt=0.05) == pytest.approx(1 - 0.05 ** (1 / 100))
    assert risk_bound(1, 2, doubt=0.05) == pytest.approx(0.95**0.5)  # P(at most one of two) = 1 - b²
    assert risk_bound(3, 3) == 1


def answers(n: int, wrong: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """n answers with falling confidence; those of the given ranks are wrong."""
    correct = np.ones(n, dtype=bool)
    correct[wrong] = False
    return 1 - np.arange(n) / n, correct


def test_everything_is_answered_where_that_is_good_enough():
    found = confidence_for_risk(*answers(1000, [999]), risk=0.01)
    assert found.promised
    assert (found.coverage, found.risk) == (1, 0.001)
    assert found.bound <= 0.01


def test_the_unsure_are_left_out_until_the_risk_can_be_promised():
    confidence, correct = answers(1000, list(range(900, 1000)))  # the last tenth is wrong
    found = confidence_for_risk(confidence, correct, risk=0.01)
    assert found.promised
    assert found.coverage == pytest.approx(0.9)
    assert found.confidence == confidence[899]
    assert found.risk == 0


def test_what_cannot_be_promised_is_not_and_most_is_still_answered():
    confidence, correct = answers(200, [199])
    found = confidence_for_risk(confidence, correct, risk=0.001, least_coverage=0.95)
    assert not found.promised
    assert found.bound > 0.001
    assert found.coverage == pytest.approx(0.995)  # without the one error the bound is lowest
    assert found.risk == 0


def test_where_far_more_is_wrong_than_asked_for_fewer_are_answered():
    confidence, correct = answers(200, list(range(150, 200)))  # the last quarter is wrong
    found = confidence_for_risk(confidence, correct, risk=0.01)
    assert not found.promised
    assert (found.coverage, found.risk) == (0.7, 0)


def test_what_was_asked_for_is_seen_where_it_can_be():
    confidence, correct = answers(60, list(range(48, 60)))  # the last fifth is wrong
    found = confidence_for_risk(confidence, correct, risk=0.05)
    assert (found.coverage, found.risk) == (0.8, 0)


@pytest.mark.parametrize("risk", [0.05, 0.2, 0.3])
def test_a_large_risk_is_no_leave_to_guess(risk):
    found = confidence_for_risk(*answers(30, list(range(0, 30, 2))), risk=risk)  # every second is wrong
    assert found.risk <= max(risk, 0.1)


def test_a_network_that_guesses_gives_no_answer():
    confidence, correct = answers(200, list(range(0, 200, 3)))
    found = confidence_for_risk(confidence, correct, risk=0.01)
    assert (found.coverage, found.promised) == (0, False)
    assert (confidence < found.confidence).all()


def test_the_promise_is_kept_in_most_draws():
    """The confidence tells nothing, and the risk is a little too large at every threshold: any promise is broken.

    With 5 % of doubt at each of the twelve looks, 36 of the 400 draws would have one.
    """
    broken = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        found = confidence_for_risk(random.random(500), random.random(500) > 0.3 + 1e-6, risk=0.3)
        broken += found.promised
    assert broken <= 0.05 * 400


def test_no_answers_are_refused():
    with pytest.raises(ValueError, match="found none"):
        confidence_for_risk(np.array([]), np.array([]), risk=0.01)


@pytest.mark.parametrize(("answers", "given"), [(7, 0), (8, 1)])
def test_a_handful_of_right_answers_tells_nothing(answers, given):
    found = confidence_for_risk(np.linspace(0.5, 0.9, answers), np.ones(answers, bool), 0.01)
    assert (found.coverage, found.promised) == (given, False)


@pytest.mark.parametrize(("risk", "tolerated"), [(0.01, 0.05), (0.05, 0.1), (0.2, 0.2)])
def test_golden_tolerated_risks(risk, tolerated):
    assert tolerated_risk(risk) == tolerated
