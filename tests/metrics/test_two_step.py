import numpy as np
import pytest

from brainmri_monai.metrics import Answers, score, statistics

# P(type): (0.6, 0.4); P(grade | type): (0.5, 0.5, 0, 0) and (0, 0.25, 0.75, 0)
JOINT = np.array([[0.3, 0.3, 0.0, 0.0], [0.0, 0.1, 0.3, 0.0]])


def answers(types: list[int], grades: list[int], seed: int = 0, classes: int = 2) -> Answers:
    """Probabilities that lean toward the truth."""
    random = np.random.default_rng(seed)
    joint = random.dirichlet(np.ones(classes * 4), size=len(types)).reshape(-1, classes, 4)
    for row, t, g in zip(joint, types, grades, strict=True):
        row[t, max(g, 0)] += 0.3
    return Answers(joint / joint.sum(axis=(1, 2), keepdims=True), np.array(types), np.array(grades))


@pytest.fixture
def ten() -> Answers:
    """10 patients of types 0 and 1 and grades 2 and 3; one grade is unknown."""
    return answers([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 2, 2, 1, 1, 2, 2, -1])


def test_probabilities_of_type_and_grade_by_hand():
    one = Answers(JOINT[None], np.array([1]), np.array([1]))
    assert one.types[0] == pytest.approx([0.6, 0.4])
    assert one.grades[0] == pytest.approx([0.3, 0.4, 0.3, 0])
    assert one.grades_given(np.array([0]))[0] == pytest.approx([0.5, 0.5, 0, 0])
    assert one.grades_given(np.array([1]))[0] == pytest.approx([0, 0.25, 0.75, 0])


def test_three_ways_to_a_grade_by_hand():
    """Told type 1: grade 3. Summed over the types: grade 2. Of the predicted type 0: grade 1, the first of two."""
    tasks = Answers(JOINT[None], np.array([1]), np.array([1])).tasks()
    chosen = {name: int(probabilities.argmax()) for name, (_, probabilities) in tasks.items()}
    assert chosen == {"type": 0, "grade_teacher_forced": 2, "grade_end2end": 1, "grade_hard": 0}


def test_a_type_of_probability_zero_gives_no_grade_and_no_error():
    joint = np.array([[[0.5, 0.5, 0, 0], [0, 0, 0, 0]]])
    assert Answers(joint, np.array([1]), np.array([0])).grades_given(np.array([1])).tolist() == [[0, 0, 0, 0]]


def test_all_correct_wants_type_and_grade_of_the_same_patient():
    joint = np.zeros((4, 2, 4))
    joint[[0, 1, 2, 3], [0, 0, 1, 1], [0, 1, 2, 3]] = 1
    right_type_wrong_grade, both_right, wrong_type, unknown_grade = 0, 1, 0, -1
    truth = np.array([0, 0, 0, 1]), np.array([3, 1, 2, unknown_grade])
    assert [right_type_wrong_grade, both_right, wrong_type] == [0, 1, 0]
    assert Answers(joint, *truth).all_correct() == pytest.approx(1 / 3)


def test_all_correct_judges_the_grade_that_is_answered():
    """Type 0 is likeliest (0.55) and its likeliest grade is 1; but over both types grade 2 is (0.25 + 0.45)."""
    joint = np.array([[[0.3, 0.25, 0, 0], [0, 0.45, 0, 0]]])
    assert Answers(joint, np.array([0]), np.array([1])).all_correct() == 1
    assert Answers(joint, np.array([0]), np.array([0])).all_correct() == 0


def test_patients_without_a_grade_take_part_in_the_type_alone(ten):
    tasks = score(ten, ["a", "b"], resamples=10)["tasks"]
    assert {name: task["n"] for name, task in tasks.items()} == {
        "type": 10,
        "grade_teacher_forced": 9,
        "grade_end2end": 9,
        "grade_hard": 9,
    }
    assert sum(map(sum, tasks["grade_end2end"]["confusion"])) == 9


def test_absent_classes_are_named_and_left_out(ten):
    result = score(ten, ["a", "b"], resamples=10)
    grade = result["tasks"]["grade_end2end"]
    assert grade["absent"] == ["1", "4"]
    assert grade["per_class"]["1"]["support"] == 0
    assert grade["per_class"]["1"]["roc_auc"] is None
    absent, few = result["notes"]
    assert absent == "no test patient is of grade 1, 4: left out of the averages"
    assert "patients are few" in few
    present = [grade["per_class"][g] for g in ("2", "3")]
    for average, one in (("roc_auc_macro", "roc_auc"), ("balanced_accuracy", "recall"), ("macro_f1", "f1")):
        assert grade[average]["value"] == pytest.approx(np.mean([scores[one] for scores in present]))


def test_a_type_that_training_knew_may_be_absent(ten):
    three = Answers(np.pad(ten.joint, ((0, 0), (0, 1), (0, 0))), ten.type_labels, ten.grade_labels)
    result = score(three, ["a", "b", "c"], resamples=10)
    assert result["tasks"]["type"]["absent"] == ["c"]
    assert "no test patient is of type c: left out of the averages" in result["notes"]


def test_one_class_alone_has_no_ranking_and_no_crash():
    result = score(answers([0, 0, 0], [1, 1, 1]), ["a", "b"], resamples=20)
    for task in result["tasks"].values():
        assert task["roc_auc_macro"] == {"value": None, "low": None, "high": None}
        assert task["accuracy"]["value"] is not None


def test_no_known_grade_leaves_the_grades_undefined():
    result = score(answers([0, 1, 1], [-1, -1, -1]), ["a", "b"], resamples=20)
    assert result["end2end_all_correct"] == {"value": None, "low": None, "high": None}
    assert result["tasks"]["grade_end2end"]["n"] == 0
    assert result["tasks"]["grade_end2end"]["accuracy"]["value"] is None
    assert result["tasks"]["type"]["accuracy"]["value"] is not None


def test_everything_survives_json_without_nan():
    import json

    for case in (answers([0, 0, 0], [1, 1, 1]), answers([0, 1, 1], [-1, -1, -1]), answers([0], [-1])):
        result = score(case, ["a", "b"], resamples=5)
        assert json.loads(json.dumps(result, allow_nan=False))["patients"] == len(case)


def test_scores_are_those_of_a_perfect_network():
    types, grades = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 1, 2, 3, 0, 1])
    joint = np.zeros((6, 3, 4))
    joint[np.arange(6), types, grades] = 1
    scores = statistics(Answers(joint, types, grades))
    errors = {name: value for name, value in scores.items() if name.endswith(("ece", "brier"))}
    assert set(errors.values()) == {0}
    assert {value for name, value in scores.items() if name not in errors} == {1}


def test_rankings_of_folds_are_averaged_and_the_rest_is_pooled():
    """Two models rank perfectly on different scales: pooled, their outputs would not."""
    low, high = [0.1, 0.2], [0.8, 0.9]
    of_type_1 = np.array(low + high)
    types = np.array([0, 1, 0, 1])
    joint = np.zeros((4, 2, 4))
    joint[:, :, 1] = np.stack([1 - of_type_1, of_type_1], axis=1)
    both = Answers(joint, types, np.full(4, 1))
    folds = np.array([0, 0, 1, 1])
    pooled, averaged = statistics(both), statistics(both, folds)
    assert pooled["type_roc_auc_macro"] == 0.75
    assert averaged["type_roc_auc_macro"] == averaged["type_average_precision_macro"] == 1
    for name in ("type_accuracy", "type_ece", "type_brier", "end2end_all_correct"):
        assert averaged[name] == pooled[name]


def test_a_fold_with_one_class_does_not_count_in_the_average():
    case = answers([0, 1, 0, 1, 0, 0], [1] * 6)
    folds = np.array([0, 0, 0, 0, 1, 1])
    assert statistics(case, folds)["type_roc_auc_macro"] == statistics(case[:4])["type_roc_auc_macro"]


def test_intervals_repeat_with_the_seed(ten):
    assert score(ten, ["a", "b"], 30, seed=3) == score(ten, ["a", "b"], 30, seed=3)
    assert score(ten, ["a", "b"], 30, seed=3) != score(ten, ["a", "b"], 30, seed=4)
