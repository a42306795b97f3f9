import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from brainmri_monai.metrics import average_precision, roc_auc


@pytest.mark.parametrize("levels", [2, 5, 1000], ids=["two scores", "many ties", "few ties"])
@pytest.mark.parametrize("seed", range(5))
def test_both_agree_with_scikit_learn(levels, seed):
    random = np.random.default_rng(seed)
    score = random.integers(levels, size=60) / levels
    positive = random.random(60) < 0.2 + 0.5 * score
    assert roc_auc(positive, score) == pytest.approx(roc_auc_score(positive, score), abs=1e-12)
    assert average_precision(positive, score) == pytest.approx(average_precision_score(positive, score), abs=1e-12)


def test_by_hand():
    """Ranked + - + -: of four pairs three are in order; precision 1 at recall 1/2, then 2/3 at recall 1."""
    positive, score = [True, False, True, False], [0.9, 0.8, 0.7, 0.1]
    assert roc_auc(positive, score) == 0.75
    assert average_precision(positive, score) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_equal_scores_are_chance():
    assert roc_auc([True, False, False], [0.5, 0.5, 0.5]) == 0.5
    assert average_precision([True, False, False], [0.5, 0.5, 0.5]) == pytest.approx(1 / 3)


def test_a_missing_class_makes_them_undefined():
    assert math.isnan(roc_auc([True, True], [0.1, 0.2]))
    assert math.isnan(roc_auc([False, False], [0.1, 0.2]))
    assert math.isnan(average_precision([False, False], [0.1, 0.2]))
    assert math.isnan(roc_auc([], []))
    assert math.isnan(average_precision([], []))
    assert math.isnan(average_precision([True, True], [0.1, 0.2]))
