"""Scores of slices, some of which are left unanswered."""

import numpy as np
import pytest

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.slice_table import to_slice_answers, to_slice_table
from brainmri_monai.metrics.slices import SliceAnswers, over_groups, score_slices, slice_statistics

# by hand: right and sure; right and unsure; wrong, sure and answered; wrong, sure and not answered
PROBABILITIES = np.array([[0.98, 0.02], [0.40, 0.60], [0.97, 0.03], [0.04, 0.96]])
LABELS = np.array([0, 1, 1, 0])
ANSWERED = np.array([True, False, True, False])
ANSWERS = SliceAnswers(PROBABILITIES, LABELS, ANSWERED, np.array([0, 0, 1, 2]))


def test_values_by_hand():
    scores = slice_statistics(ANSWERS)
    assert scores["accuracy"] == 0.5
    assert scores["answered"] == 0.5
    assert scores["accuracy_answered"] == 0.5
    assert scores["confident_mistakes"] == 0.25  # of all slices
    assert scores["mean_confidence"] == pytest.approx((0.98 + 0.60 + 0.97 + 0.96) / 4)


def test_nothing_answered_has_no_accuracy():
    scores = slice_statistics(SliceAnswers(PROBABILITIES, LABELS, np.zeros(4, bool), np.arange(4)))
    assert scores["answered"] == scores["confident_mistakes"] == 0
    assert np.isnan(scores["accuracy_answered"])


def test_a_group_is_drawn_with_all_its_slices():
    statistics, groups = over_groups(ANSWERS, lambda answers, folds: {"labels": answers.labels.tolist()})
    assert groups == 3
    assert statistics(np.array([0, 0]))["labels"] == [0, 1, 0, 1]
    assert statistics(np.array([2]))["labels"] == [0]


def test_intervals_are_those_of_groups():
    """Ten copies of each slice, each ten a group, have the interval of one copy."""
    one = SliceAnswers(PROBABILITIES, LABELS, ANSWERED, np.arange(4))
    ten = one[np.repeat(np.arange(4), 10)]
    alone, copied = (score_slices(a, ["a", "b"], 200)["tasks"]["class"]["accuracy"] for a in (one, ten))
    assert alone == copied


def test_class_that_is_absent_is_named_and_left_out():
    answers = SliceAnswers(np.c_[PROBABILITIES, np.zeros(4)], LABELS, ANSWERED, np.arange(4))
    metrics = score_slices(answers, ["a", "b", "c"], 20)
    task = metrics["tasks"]["class"]
    assert task["absent"] == ["c"]
    assert task["per_class"]["c"]["support"] == 0
    assert task["per_class"]["c"]["recall"] is None
    assert task["per_class"]["a"]["recall"]["value"] == 0.5
    assert "not among the test slices, and left out of the averages: c" in metrics["notes"]


def test_ranking_scores_are_averaged_over_the_folds():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 60)
    folds = np.repeat([0, 1], 30)
    first = np.where(folds == 0, 0.9, 0.1) + np.where(labels == 1, 0.05, -0.05)  # perfect within each fold
    answers = SliceAnswers(np.c_[1 - first, first], labels, np.ones(60, bool), np.arange(60))
    assert slice_statistics(answers, folds)["roc_auc_macro"] == 1
    assert slice_statistics(answers)["roc_auc_macro"] < 0.9


def test_table_and_back():
    decisions = ["answered", "uncertain", "answered", "not_brain_mri"]
    table = to_slice_table(list("wxyz"), PROBABILITIES, ["a", "b"], decisions, labels=LABELS, groups=[0, 0, 1, 2])
    assert list(table.columns) == ["id", "pred", "confidence", "p_a", "p_b", "decision", "label", "group"]
    assert table["pred"].tolist() == ["a", "b", "a", "b"]
    answers = to_slice_answers(table, ["a", "b"])
    np.testing.assert_array_equal(answers.probabilities, PROBABILITIES)
    np.testing.assert_array_equal(answers.labels, LABELS)
    np.testing.assert_array_equal(answers.answered, ANSWERED)
    with pytest.raises(BrainMRIError, match="do not fit the classes a, c"):
        to_slice_answers(table, ["a", "c"])
