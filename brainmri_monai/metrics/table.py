"""Answers as the table ``test_predictions.csv``, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import replacing
from brainmri_monai.metrics.two_step import GRADES, Answers

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_table", "to_answers", "to_table", "write_table"]


def to_table(ids: list[str], answers: Answers, types: list[str], *, labelled: bool = True) -> pd.DataFrame:
    """One row a patient.

    ``pred, confidence, p_<type>`` are of the type; ``grade_pred`` and ``p_grade_<g>`` of the grade end to end;
    ``grade_hard`` is the grade of the predicted type, ``grade_teacher_forced`` that of the true one;
    ``p_<type>_g<g>`` are the joint probabilities, from which all others follow.

    Args:
        ids: n, the patients.
        answers: of the n patients.
        types: names of the T types.
        labelled: whether to write the columns that need the truth.
    """
    import pandas as pd

    names, grades = np.array(types), np.array(GRADES)
    predicted = answers.types.argmax(axis=1)
    columns: dict[str, object] = {"id": ids, "pred": names[predicted], "confidence": answers.types.max(axis=1)}
    columns |= {f"p_{name}": answers.types[:, t] for t, name in enumerate(types)}
    columns["decision"] = "answered"  # this network has no way to decline
    if labelled:
        columns["label"] = names[answers.type_labels]
    columns["grade_pred"] = grades[answers.grades.argmax(axis=1)]
    columns |= {f"p_grade_{grade}": answers.grades[:, g] for g, grade in enumerate(GRADES)}
    columns["grade_hard"] = grades[answers.grades_given(predicted).argmax(axis=1)]
    if labelled:
        columns["grade_teacher_forced"] = grades[answers.grades_given(answers.type_labels).argmax(axis=1)]
        columns["grade_label"] = [GRADES[g] if g >= 0 else "" for g in answers.grade_labels]
    columns |= {
        f"p_{name}_g{grade}": answers.joint[:, t, g] for t, name in enumerate(types) for g, grade in enumerate(GRADES)
    }
    return pd.DataFrame(columns)


def to_answers(table: pd.DataFrame, types: list[str]) -> Answers:
    """The answers that a labelled table holds.

    Raises:
        BrainMRIError: when the table lacks a column, or has a label that is none of the types.
    """
    try:
        joint = np.stack(
            [[table[f"p_{name}_g{grade}"].to_numpy(float) for grade in GRADES] for name in types]
        ).transpose(2, 0, 1)
        labels = np.array([types.index(label) for label in table["label"]])
        grades = np.array([GRADES.index(grade) if grade in GRADES else -1 for grade in table["grade_label"]])
    except (KeyError, ValueError) as error:
        raise BrainMRIError(
            f"the predictions do not fit the types {', '.join(types)}: {error}.\nEvaluate the run again."
        ) from error
    return Answers(joint, labels, grades)


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write as CSV, atomically."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table of predictions; ids and labels stay text, empty where they are, and an empty number is NaN.

    Raises:
        BrainMRIError: when there is no such table.
    """
    import pandas as pd

    text = ["id", "pred", "decision", "label", "patient"]
    text += ["grade_pred", "grade_hard", "grade_teacher_forced", "grade_label"]
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise BrainMRIError(f"no predictions in {path}: {error}.\nEvaluate the run first.") from error
    return table.fillna(dict.fromkeys(text, ""))
