"""Which cases can be drawn."""

from __future__ import annotations

import numpy as np

__all__ = ["usable"]


def usable(labels: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """Leave out the cases that have a negative label or value (unknown), or one that is not finite.

    Args:
        labels: N, index of the true class.
        values: N or N C, predictions or probabilities.

    Returns:
        The labels and the values that are left, and how many, for a title: "n = 24" or "n = 24, 2 left out".
    """
    labels, values = np.asarray(labels, dtype=float), np.asarray(values, dtype=float)
    known = np.column_stack([labels, values])  # N 1+C
    kept = (np.isfinite(known) & (known >= 0)).all(axis=1)
    out = int(np.sum(~kept))
    return labels[kept].astype(int), values[kept], f"n = {kept.sum()}" + (f", {out} left out" if out else "")
