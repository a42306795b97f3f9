import numpy as np
import pandas as pd
import pytest

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics import Answers
from brainmri_monai.metrics.table import read_table, to_answers, to_table, write_table

IDS = ["NA", "007", 'Doe, "Jane"', "患者 Jürgen", "None", "1e5", " 1.0 "]
TYPES = ["glioma, diffuse", "NA", "ependymoma"]


@pytest.fixture
def answers() -> Answers:
    joint = np.random.default_rng(0).dirichlet(np.ones(12), size=len(IDS)).reshape(-1, 3, 4)
    return Answers(joint, np.array([0, 1, 2, 0, 1, 2, 0]), np.array([0, 1, 2, 3, -1, 1, -1]))


def test_a_table_gives_back_its_answers(answers, tmp_path):
    write_table(to_table(IDS, answers, TYPES), tmp_path / "test_predictions.csv")
    table = read_table(tmp_path / "test_predictions.csv")
    assert table["id"].tolist() == IDS
    back = to_answers(table, TYPES)
    np.testing.assert_allclose(back.joint, answers.joint, rtol=1e-5)
    assert back.type_labels.tolist() == answers.type_labels.tolist()
    assert back.grade_labels.tolist() == answers.grade_labels.tolist()


def test_a_table_without_any_known_grade_gives_back_its_answers(answers, tmp_path):
    unknown = Answers(answers.joint, answers.type_labels, np.full(len(IDS), -1))
    write_table(to_table(IDS, unknown, TYPES), tmp_path / "t.csv")
    assert to_answers(read_table(tmp_path / "t.csv"), TYPES).grade_labels.tolist() == [-1] * len(IDS)


def test_a_row_by_hand():
    joint = np.array([[[0.3, 0.3, 0.0, 0.0], [0.0, 0.1, 0.3, 0.0]]])
    (row,) = to_table(["p"], Answers(joint, np.array([1]), np.array([1])), ["a", "b"]).to_dict("records")
    assert row == pytest.approx(
        {
            "id": "p",
            "pred": "a",
            "confidence": 0.6,
            "p_a": 0.6,
            "p_b": 0.4,
            "decision": "answered",
            "label": "b",
            "grade_pred": "2",
            "p_grade_1": 0.3,
            "p_grade_2": 0.4,
            "p_grade_3": 0.3,
            "p_grade_4": 0.0,
            "grade_hard": "1",
            "grade_teacher_forced": "3",
            "grade_label": "2",
            **{"p_a_g1": 0.3, "p_a_g2": 0.3, "p_a_g3": 0.0, "p_a_g4": 0.0},
            **{"p_b_g1": 0.0, "p_b_g2": 0.1, "p_b_g3": 0.3, "p_b_g4": 0.0},
        }
    )


def test_predictions_need_no_truth(answers):
    unlabelled = Answers(answers.joint, np.full(len(IDS), -1), np.full(len(IDS), -1))
    columns = to_table(IDS, unlabelled, TYPES, labelled=False).columns
    assert {"label", "grade_label", "grade_teacher_forced"}.isdisjoint(columns)
    assert {"pred", "confidence", "grade_pred", "grade_hard"} <= set(columns)


def test_a_table_of_other_types_is_refused(answers):
    table = to_table(IDS, answers, TYPES)
    with pytest.raises(BrainMRIError, match="do not fit the types meningioma"):
        to_answers(table, ["meningioma"])
    with pytest.raises(BrainMRIError, match="do not fit the types"):
        to_answers(table.assign(label="meningioma"), TYPES)


def test_a_missing_table_is_said(tmp_path):
    with pytest.raises(BrainMRIError, match=r"no predictions in .*test_predictions.csv"):
        read_table(tmp_path / "test_predictions.csv")


def test_an_empty_table_is_said(tmp_path):
    (tmp_path / "t.csv").touch()
    with pytest.raises(BrainMRIError, match="no predictions in"):
        read_table(tmp_path / "t.csv")


def test_numbers_are_read_as_numbers(answers, tmp_path):
    write_table(to_table(IDS, answers, TYPES).assign(entropy=0.5, slices=3), tmp_path / "t.csv")
    table = read_table(tmp_path / "t.csv")
    assert all(pd.api.types.is_numeric_dtype(table[name]) for name in ("confidence", "p_NA", "entropy", "slices"))
