import numpy as np
import pytest
from sklearn import metrics as sklearn

from brainmri_monai.metrics import class_scores, confusion_matrix, overall_scores


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    """40 patients of 4 classes, of which class 1 does not occur, and is predicted now and then."""
    random = np.random.default_rng(3)
    labels = random.choice([0, 2, 3], size=40)
    probabilities = random.dirichlet(np.ones(4), size=40)
    probabilities[np.arange(40), labels] += 0.4
    return labels, probabilities / probabilities.sum(axis=1, keepdims=True)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_averages_over_the_classes_that_occur_agree_with_scikit_learn(answers):
    labels, probabilities = answers
    predictions, present = probabilities.argmax(axis=1), [0, 2, 3]
    truth = labels[:, None] == present
    assert (predictions == 1).any()
    assert overall_scores(labels, probabilities) == pytest.approx(
        {
            "accuracy": sklearn.accuracy_score(labels, predictions),
            "balanced_accuracy": sklearn.balanced_accuracy_score(labels, predictions),
            "macro_f1": sklearn.f1_score(labels, predictions, labels=present, average="macro"),
            "roc_auc_macro": sklearn.roc_auc_score(truth, probabilities[:, present], average="macro"),
            "roc_auc_micro": sklearn.roc_auc_score(truth, probabilities[:, present], average="micro"),
            "average_precision_macro": sklearn.average_precision_score(truth, probabilities[:, present]),
            "average_precision_micro": sklearn.average_precision_score(
                truth, probabilities[:, present], average="micro"
            ),
            "ece": overall_scores(labels, probabilities)["ece"],
            "brier": ((probabilities - np.eye(4)[labels]) ** 2).sum(axis=1).mean(),
        }
    )


def test_scores_of_a_class_agree_with_scikit_learn(answers):
    labels, probabilities = answers
    predictions = probabilities.argmax(axis=1)
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(
        labels, predictions, labels=range(4), zero_division=np.nan
    )
    scores = class_scores(labels, probabilities, predictions, list("abcd"))
    for c, name in ((0, "a"), (2, "c"), (3, "d")):
        assert scores[name] == pytest.approx(
            {
                "support": support[c],
                "precision": precision[c],
                "recall": recall[c],
                "f1": f1[c],
                "roc_auc": sklearn.roc_auc_score(labels == c, probabilities[:, c]),
                "average_precision": sklearn.average_precision_score(labels == c, probabilities[:, c]),
            }
        )


def test_a_class_that_does_not_occur_has_no_recall_and_no_ranking(answers):
    labels, probabilities = answers
    absent = class_scores(labels, probabilities, probabilities.argmax(axis=1), list("abcd"))["b"]
    assert absent == {
        "support": 0,
        "precision": 0.0,  # every time that it was predicted was wrong
        "recall": None,
        "f1": None,
        "roc_auc": None,
        "average_precision": None,
    }


def test_a_class_that_is_never_predicted_has_no_precision():
    labels, probabilities = np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])
    scores = class_scores(labels, probabilities, probabilities.argmax(axis=1), ["a", "b"])["b"]
    assert (scores["precision"], scores["recall"], scores["f1"]) == (None, 0, 0)


def test_with_one_class_alone_the_rankings_are_undefined():
    scores = overall_scores(np.array([1, 1]), np.array([[0.2, 0.8], [0.7, 0.3]]))
    assert scores["accuracy"] == scores["balanced_accuracy"] == 0.5
    assert scores["macro_f1"] == pytest.approx(2 / 3)
    undefined = {name for name, value in scores.items() if np.isnan(value)}
    assert undefined == {"roc_auc_macro", "roc_auc_micro", "average_precision_macro", "average_precision_micro"}


def test_without_patients_everything_is_undefined():
    empty = overall_scores(np.zeros(0, dtype=int), np.zeros((0, 3)))
    assert empty.keys() == overall_scores(np.array([0]), np.ones((1, 3)) / 3).keys()
    assert np.isnan(list(empty.values())).all()


def test_the_rows_of_a_confusion_matrix_are_the_truth():
    matrix = confusion_matrix(np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 2, 0]), 3)
    assert matrix.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 2]]
