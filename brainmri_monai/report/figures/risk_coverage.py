"""How many of the answers are wrong, when only the surest are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.metrics.selective import area_under_risk_coverage, excess_area, risk_bound, risk_coverage
from brainmri_monai.report.figures import style

__all__ = ["plot_risk_coverage"]


def plot_risk_coverage(
    confidence: NDArray, correct: NDArray, path: str | Path, title: str, *, threshold: float | None = None
) -> None:
    """Draw the share of wrong answers against the share that is given, as PNG.

    The band reaches up to the 95 % bound of the risk at each coverage, each taken alone. The dotted line is the best
    order that these errors allow. A point marks what the least confidence gives that was fitted beforehand.

    Args:
        confidence: n, of each answer.
        correct: n, boolean.
        path: the file to write.
        title: above the figure.
        threshold: least confidence of an answer that is given.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=bool)
    figure = style.new_figure(5.4, 3.8)
    axes = figure.add_axes((0, 0, 1, 1))
    n = len(confidence)
    if n == 0:
        style.clean(axes, title=f"{title}\nn = 0")
        style.say(axes, "No curve: there is no labelled slice.")
        style.save(figure, path)
        return
    area, excess = area_under_risk_coverage(confidence, correct), excess_area(confidence, correct)
    head = f"{title}\nn = {n}, area {area:.4f}, {excess:.4f} above the best order"
    style.clean(axes, title=head, x="Answered (%)", y="Wrong among the answered (%)")
    curve = risk_coverage(confidence, correct)
    answers = np.rint(curve.coverage * n).astype(int)
    errors = np.rint(curve.risk * answers).astype(int)
    bound = np.array([risk_bound(e, k) for e, k in zip(errors, answers, strict=True)])
    x = 100 * curve.coverage
    axes.fill_between(x, 100 * curve.risk, 100 * bound, color=style.BLUE, alpha=0.13, linewidth=0)
    (line,) = axes.plot(x, 100 * curve.risk, color=style.BLUE, linewidth=2)
    counts = np.arange(1, n + 1)
    best = np.maximum(counts - correct.sum(), 0) / counts
    (dots,) = axes.plot(100 * counts / n, 100 * best, color=style.GREY, linewidth=1.2, linestyle=(0, (1, 2)))
    handles, labels = [line, dots], ["this confidence, and the 95 % bound above it", "errors last: the best order"]
    if threshold is not None:
        given = confidence >= threshold
        risk = float((given & ~correct).sum() / max(given.sum(), 1))
        (point,) = axes.plot(
            [100 * given.mean()], [100 * risk], linestyle="none", marker="o", markersize=8, color=style.RED,
            markeredgecolor="white", clip_on=False, zorder=5,
        )  # fmt: skip
        handles.append(point)
        told = f"confidence of at least {threshold:.3f}: {given.mean():.1%} answered, {risk:.2%} of them wrong"
        labels.append(told if given.any() else "no answer is sure enough")
    highest = max(curve.risk[x >= 20].max(initial=0), curve.risk[-1], 1 / n)
    axes.set(xlim=(0, 100), ylim=(0, 100 * min(1.0, 1.6 * highest + 2 / n)))
    style.legend(axes, handles, labels)
    style.save(figure, path)
