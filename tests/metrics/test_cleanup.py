"""Which components of a prediction are noise, by examples that can be counted on paper."""

import numpy as np
import pytest

from brainmri_monai.metrics.cleanup import Components, best_minimum, measure_components


def case(volumes, hits, truth: float) -> Components:
    return Components(np.array(volumes, dtype=float), np.array(hits, dtype=float), truth)


def test_components_are_measured_with_what_they_hit():
    truth, prediction = np.zeros((2, 8, 8, 8), dtype=bool)
    truth[0:2, 0:2, 0:2] = True  # 8 voxels
    prediction[1:3, 0:2, 0:2] = True  # 8, of which 4 are true
    prediction[3, 2, 2] = True  # touches by a corner: the same component
    prediction[6, 6, 6:8] = True
    found = measure_components(prediction, truth, voxel_ml=0.5)
    assert sorted(found.volumes) == [1, 4.5]
    assert sorted(found.hits) == [0, 2]
    assert found.truth == 4
    assert found.dice(0) == pytest.approx(2 * 2 / (5.5 + 4))
    assert found.dice(2) == pytest.approx(2 * 2 / (4.5 + 4))


def test_nothing_found_where_nothing_is_scores_one():
    nothing = np.zeros((4, 4, 4), dtype=bool)
    assert measure_components(nothing, nothing, 1.0).dice(0) == 1
    assert case([0.3], [0], 0).dice(0) == 0
    assert case([0.3], [0], 0).dice(0.5) == 1


def test_noise_is_dropped_at_the_smallest_size_that_does():
    cases = [case([10, 0.04], [10, 0], 10), case([0.04], [0], 0)]
    assert best_minimum(cases) == 0.05


def test_zero_where_nothing_helps():
    assert best_minimum([case([10, 0.04], [10, 0.04], 10.04)]) == 0
    assert best_minimum([case([10, 1], [9, 0.001], 10)]) > 0
    assert best_minimum([case([1000, 0.04], [1000, 0], 1000)]) == 0  # a gain of 0.00002
    assert best_minimum([]) == 0
