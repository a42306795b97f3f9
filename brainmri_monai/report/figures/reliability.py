"""The reliability diagram: is a model right as often as it says?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from brainmri_monai.metrics import brier_score, expected_calibration_error
from brainmri_monai.report.figures import style
from brainmri_monai.report.figures.usable import usable

__all__ = ["plot_reliability"]


def plot_reliability(
    labels: np.ndarray, probabilities: np.ndarray, path: str | Path, title: str, *, bins: int = 10
) -> None:
    """Draw accuracy against confidence in equal-width bins, with the cases a bin below, as PNG.

    Whiskers are 95 % Wilson intervals. The title gives n, the expected calibration error and the Brier score.
    Cases with a negative label (unknown) or a probability that is not finite are left out, and counted in the title.

    Args:
        labels: N, index of the true class.
        probabilities: N C; the largest of a row is the confidence.
        path: the file to write.
        title: above the figure.
        bins: B, number of bins on [0, 1].

    Source:
        Guo, Pleiss, Sun, Weinberger: On Calibration of Modern Neural Networks, ICML 2017, figure 1.
    """
    labels, probabilities, n = usable(labels, probabilities)
    figure = style.new_figure(4.4, 5.4)
    upper = figure.add_axes((0, 0.25, 1, 0.75))
    if len(labels) == 0:
        style.clean(upper, title=f"{title}\n{n}")
        style.say(upper, "No diagram: there is no labelled case.")
        style.save(figure, path)
        return

    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(bin_of, minlength=bins)
    filled = counts > 0
    accuracy = np.bincount(bin_of, weights=right, minlength=bins)[filled] / counts[filled]
    mean_confidence = np.bincount(bin_of, weights=confidence, minlength=bins)[filled] / counts[filled]
    ece, brier = expected_calibration_error(labels, probabilities, bins), brier_score(labels, probabilities)

    style.clean(upper, title=f"{title}\n{n}, ECE {ece:.3f}, Brier {brier:.3f}", y="Accuracy")
    upper.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    upper.tick_params(labelbottom=False)
    upper.plot([0, 1], [0, 1], color=style.GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    upper.vlines(mean_confidence, mean_confidence, accuracy, color=style.RED, linewidth=5, alpha=0.3)
    upper.errorbar(
        mean_confidence, accuracy, yerr=_wilson(accuracy, counts[filled]), linestyle="none", marker="o", markersize=6,
        color=style.BLUE, elinewidth=1.2, capsize=2.5, clip_on=False,
    )  # fmt: skip
    lower = figure.add_axes((0, 0, 1, 0.2))
    style.clean(lower, x="Confidence", y="Cases", grid="y")
    lower.bar((np.arange(bins) + 0.5) / bins, counts, width=0.92 / bins, color=style.BLUE, alpha=0.75)
    lower.set(xlim=(0, 1), xticks=np.linspace(0, 1, 6))
    lower.yaxis.get_major_locator().set_params(integer=True, nbins=3)
    style.save(figure, path)


def _wilson(share: np.ndarray, n: np.ndarray, z: float = 1.96) -> np.ndarray:
    """2 B: lengths of the whiskers below and above (Wilson 1927)."""
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(0, np.stack([share - (middle - half), middle + half - share]))
