"""Whether probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["brier_score", "expected_calibration_error", "fit_temperature"]

TEMPERATURES = (0.1, 10.0)


def expected_calibration_error(labels: NDArray, probabilities: NDArray, bins: int = 10) -> float:
    """Mean gap between confidence and accuracy over equally wide bins of confidence, weighted by their members.

    Args:
        labels: n, indices of the true classes.
        probabilities: n C.
        bins: number of bins between 0 and 1.

    Source:
        Naeini, Cooper, Hauskrecht: Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI 2015.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    member = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(member, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def brier_score(labels: NDArray, probabilities: NDArray) -> float:
    """Mean squared distance to the one-hot truth, summed over the classes: 0 at best, 2 at worst.

    Args:
        labels: n, indices of the true classes.
        probabilities: n C.
    """
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def fit_temperature(logits: NDArray, labels: NDArray, weights: NDArray | None = None) -> float:
    """The temperature that makes ``softmax(logits / temperature)`` most likely; 1 when nothing can be fitted.

    A few answers that are all right would be likeliest with a temperature of 0, and make the network absurdly sure. So
    the logarithm of the temperature has a normal prior, with a factor of 2 as its deviation; many answers outweigh it.

    Args:
        logits: n C; log-probabilities serve as well.
        labels: n, indices of the true classes.
        weights: n, how many answers each stands for; one each when left out.

    Returns:
        Between 0.1 and 10; above 1 for a network that is too sure.

    Source:
        Guo et al.: On Calibration of Modern Neural Networks, ICML 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    if len(labels) < 2:
        return 1.0
    rows, weights = np.arange(len(labels)), np.ones(len(labels)) if weights is None else weights

    def loss(log_temperature: float) -> float:
        likelihood = weights @ log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels]
        return (log_temperature / np.log(2)) ** 2 / 2 - likelihood

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
