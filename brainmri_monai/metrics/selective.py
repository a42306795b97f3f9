"""What is gained by not answering: risk against coverage, and the confidence that a stated risk asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Abstention",
    "RiskCoverage",
    "area_under_risk_coverage",
    "confidence_for_risk",
    "excess_area",
    "risk_bound",
    "risk_coverage",
    "tolerated_risk",
]

COVERAGES = (1.0, 0.995, 0.99, 0.98, 0.97, 0.96, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Shares of answers among which a threshold is chosen. They are set beforehand, since each one looked at costs."""


@dataclass(frozen=True)
class RiskCoverage:
    """One point for each distinct confidence, from the surest to all.

    Attributes:
        confidence: K, descending; answers at least as sure as this are given.
        coverage: K, share of the answers that are given.
        risk: K, share of those that are wrong.
    """

    confidence: NDArray
    coverage: NDArray
    risk: NDArray


@dataclass(frozen=True)
class Abstention:
    """The least confidence with which an answer is given.

    Attributes:
        confidence: the threshold.
        coverage: share of the answers that reach it.
        risk: share of those that are wrong.
        bound: what the risk on new data stays below.
        promised: whether the bound is at most the risk that was asked for.
    """

    confidence: float
    coverage: float
    risk: float
    bound: float
    promised: bool


TOLERATED = 5
"""How many times the risk that was asked for may be seen, where none can be promised from so few answers."""

MOST = 0.1
"""The risk that may be seen then, unless more was asked for."""

EVEN = 0.5
"""The bound that must not be reached, even so: above it a few answers were right by chance."""

NEVER = Abstention(confidence=2.0, coverage=0.0, risk=0.0, bound=1.0, promised=False)
"""No confidence is sufficient."""


def risk_coverage(confidence: NDArray, correct: NDArray) -> RiskCoverage:
    """The risk of the answers that are given, when only the surest are.

    Args:
        confidence: n, of each answer.
        correct: n, boolean.

    Source:
        El-Yaniv, Wiener: On the Foundations of Noise-free Selective Classification, JMLR 2010.

    Example:
        >>> curve = risk_coverage(np.array([0.9, 0.6, 0.8, 0.6]), np.array([True, False, True, True]))
        >>> curve.coverage, curve.risk
        (array([0.25, 0.5 , 1.  ]), array([0.  , 0.  , 0.25]))
    """
    distinct, member = np.unique(-np.asarray(confidence, dtype=float), return_inverse=True)
    answers = np.bincount(member).cumsum()
    errors = np.bincount(member, weights=~np.asarray(correct, dtype=bool)).cumsum()
    return RiskCoverage(-distinct, answers / len(member), errors / answers)


def area_under_risk_coverage(confidence: NDArray, correct: NDArray) -> float:
    """Mean risk over the coverages 1/n, 2/n, … 1; equal confidences count as if drawn in random order.

    Args:
        confidence: n, of each answer.
        correct: n, boolean.

    Returns:
        0 when nothing is wrong, about the share of errors when the confidence tells nothing, 1 when all is wrong.

    Source:
        Geifman, Uziel, El-Yaniv: Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019.
    """
    curve = risk_coverage(confidence, correct)
    n = len(confidence)
    counts = np.arange(1, n + 1)
    errors = np.interp(counts, np.r_[0, curve.coverage * n], np.r_[0, curve.risk * curve.coverage * n])
    return float((errors / counts).mean())


def excess_area(confidence: NDArray, correct: NDArray) -> float:
    """The area above that of the best order, in which all errors come last: 0 at best.

    Unlike the area itself it tells how well the confidence ranks, whatever the share of errors.

    Args:
        confidence: n, of each answer.
        correct: n, boolean.

    Source:
        Geifman, Uziel, El-Yaniv: Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers, ICLR 2019.
    """
    correct = np.asarray(correct, dtype=bool)
    best = area_under_risk_coverage(np.sort(correct)[::-1].astype(float), np.sort(correct)[::-1])
    return area_under_risk_coverage(confidence, correct) - best


def risk_bound(errors: int, answers: int, doubt: float = 0.05) -> float:
    """What the risk stays below, but with a probability of ``doubt``, after so many errors in independent answers.

    Source:
        Clopper, Pearson: The Use of Confidence or Fiducial Limits, Biometrika 1934.

    Example:
        >>> round(risk_bound(0, 300), 4)
        0.0099
    """
    from scipy.stats import beta

    return float(beta.ppf(1 - doubt, errors + 1, answers - errors)) if errors < answers else 1.0


def tolerated_risk(risk: float) -> float:
    """The risk that may be seen where the one that was asked for cannot be promised."""
    return min(TOLERATED * risk, max(risk, MOST))


def confidence_for_risk(
    confidence: NDArray, correct: NDArray, risk: float, doubt: float = 0.05, least_coverage: float = 0.95
) -> Abstention:
    """The lowest confidence at which the risk can be promised, from answers to data that were not trained on.

    At each coverage of ``COVERAGES`` the errors give a bound, and all bounds hold together but with a probability of
    ``doubt``; so the choice among them costs nothing more. To promise a risk r takes about 5.5 / r answers without an
    error, such as 550 for 1 %. Where none can be promised, ``promised`` is False, and only thresholds count at which at
    most the ``tolerated_risk`` was seen and the bound is less than ``EVEN``, for which eight right answers do:
    of those that leave ``least_coverage`` of the answers, the one with the lowest bound; else the one that leaves most,
    of those at which at most ``risk`` was seen, if there are any. Where there is none, no answer is sure enough.

    The answers are supposed to be independent, and like those to come. Give one slice of each group of twins; slices
    of one patient, or of another scanner, are not covered. What was chosen on the same answers before, such as an epoch
    or a temperature, makes the promise weaker.

    Args:
        confidence: n, of each answer.
        correct: n, boolean.
        risk: the share of wrong answers that may be given.
        doubt: probability that the promise fails.
        least_coverage: share of the answers that is given where the tolerated risk allows it.

    Raises:
        ValueError: when there are no answers.

    Source:
        Geifman, El-Yaniv: Selective Classification for Deep Neural Networks, NeurIPS 2017, with a list of coverages in
        the place of a bisection, so that the risk need not fall steadily.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=bool)
    if not len(confidence):
        raise ValueError("expected answers, found none")
    descending = np.sort(confidence)[::-1]
    tried = []
    for share in COVERAGES:
        threshold = descending[int(np.ceil(share * len(confidence))) - 1]
        given = confidence >= threshold
        errors = int((given & ~correct).sum())
        bound = risk_bound(errors, int(given.sum()), doubt / len(COVERAGES))
        tried.append(
            Abstention(float(threshold), float(given.mean()), errors / int(given.sum()), bound, bool(bound <= risk))
        )
    promised = [one for one in tried if one.promised]
    if promised:
        return promised[0]  # they come with falling coverage
    tolerated = [one for one in tried if one.risk <= tolerated_risk(risk) and one.bound < EVEN]
    most = [one for one in tolerated if one.coverage >= least_coverage]
    if most:
        return min(most, key=lambda one: one.bound)
    asked = [one for one in tolerated if one.risk <= risk]
    return next(iter(asked or tolerated), NEVER)
