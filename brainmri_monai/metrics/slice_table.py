"""Answers on slices as the table ``test_predictions.csv``, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.slices import SliceAnswers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_slice_answers", "to_slice_table"]

ANSWERED = "answered"


def to_slice_table(
    ids: Sequence[str],
    probabilities: NDArray,
    classes: Sequence[str],
    decisions: Sequence[str],
    distances: Sequence[float] | None = None,
    labels: Sequence[int] | None = None,
    groups: Sequence[int] | None = None,
) -> pd.DataFrame:
    """One row a slice: ``id, pred, confidence, p_<class>, decision``, then what is known of ``label, group, distance``.

    Args:
        ids: n, the slices.
        probabilities: n T.
        classes: names of the T classes.
        decisions: n, ``answered``, ``uncertain`` or ``not_brain_mri``; ``pred`` holds a class in any case.
        distances: n, how unlike the training slices.
        labels: n, index of the true class.
        groups: n, number of the group that was kept together.
    """
    import pandas as pd

    names = np.array(classes)
    columns: dict[str, object] = {
        "id": list(ids),
        "pred": names[probabilities.argmax(axis=1)],
        "confidence": probabilities.max(axis=1),
        **{f"p_{name}": probabilities[:, c] for c, name in enumerate(classes)},
        "decision": list(decisions),
    }
    if labels is not None:
        columns["label"] = names[np.asarray(labels)]
    if groups is not None:
        columns["group"] = list(groups)
    if distances is not None:
        columns["distance"] = list(distances)
    return pd.DataFrame(columns)


def to_slice_answers(table: pd.DataFrame, classes: Sequence[str]) -> SliceAnswers:
    """The answers that a labelled table holds.

    Raises:
        BrainMRIError: when the table lacks a column, or has a label that is none of the classes.
    """
    try:
        probabilities = np.stack([table[f"p_{name}"].to_numpy(float) for name in classes], axis=1)
        labels = np.array([list(classes).index(label) for label in table["label"]])
        answered, groups = (table["decision"] == ANSWERED).to_numpy(bool), table["group"].to_numpy()
    except (KeyError, ValueError) as error:
        raise BrainMRIError(
            f"the predictions do not fit the classes {', '.join(classes)}: {error}.\nEvaluate the run again."
        ) from error
    return SliceAnswers(probabilities, labels, answered, groups)
