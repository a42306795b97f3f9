import math

import numpy as np
import pytest
import torch
from monai.metrics import ConfusionMatrixMetric, DiceMetric, HausdorffDistanceMetric

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics import region_scores

MM = (1, 1, 1)


def cube(start, size=(4, 4, 4), shape=(20, 20, 20)):
    """1 H W D, a cuboid in an empty volume."""
    mask = np.zeros((1, *shape), bool)
    mask[(0, *(slice(s, s + n) for s, n in zip(start, size, strict=True)))] = True
    return mask


def scores(prediction, truth, spacing=MM):
    return region_scores(prediction, truth, spacing, regions=["WT"])["WT"]


def test_by_hand():
    # 64 voxels each, 32 in both; each far face lies two voxels from the other cube
    found = scores(cube((4, 4, 6)), cube((4, 4, 4)))
    assert found == pytest.approx({"dice": 0.5, "hd95": 2, "sensitivity": 0.5, "specificity": 1 - 32 / (8000 - 64)})


def test_distance_is_in_millimetres_along_each_axis():
    for axis, step in enumerate((0.5, 1.0, 3.0)):
        start = [4, 4, 4]
        start[axis] += 2
        moved = scores(cube(start), cube((4, 4, 4)), (0.5, 1.0, 3.0))
        assert moved["hd95"] == pytest.approx(2 * step)
        assert moved["dice"] == 0.5


@pytest.mark.parametrize(
    ("predicted", "true", "dice", "hd95", "sensitivity"),
    [
        (False, False, 1, 0, 1),
        (True, False, 0, math.hypot(20, 20, 20), 0),
        (False, True, 0, math.hypot(20, 20, 20), 0),
    ],
    ids=["both empty", "empty truth", "empty prediction"],
)
def test_empty_masks(predicted, true, dice, hd95, sensitivity):
    found = scores(cube((4, 4, 4)) & predicted, cube((4, 4, 4)) & true)
    assert (found["dice"], found["hd95"], found["sensitivity"]) == (dice, pytest.approx(hd95), sensitivity)


def test_penalty_is_the_diagonal_in_millimetres():
    assert scores(cube((4, 4, 4)), cube((4, 4, 4)) & False, (1, 1, 2))["hd95"] == pytest.approx(math.hypot(20, 20, 40))


def test_full_truth_has_no_specificity():
    full = np.ones((1, 5, 5, 5), bool)
    assert math.isnan(scores(full, full)["specificity"])


@pytest.mark.parametrize("spacing", [MM, (0.7, 1.0, 2.5)], ids=["isotropic", "anisotropic"])
@pytest.mark.parametrize("seed", range(3))
def test_monai_agrees_on_the_whole_volume(seed, spacing):
    random = np.random.default_rng(seed)
    prediction, truth = np.zeros((2, 3, 18, 16, 14), bool)
    for region in range(3):
        for mask in (prediction, truth):  # a blob, speckle, and voxels on the volume's border
            at = random.integers(2, 8, 3)
            mask[(region, *(slice(a, a + random.integers(3, 7)) for a in at))] = True
            mask[region] |= random.random(mask.shape[1:]) < 0.01
            mask[region, 0, :2, -1] = True
    pair = [torch.from_numpy(mask[None]).float() for mask in (prediction, truth)]
    expected = {
        "dice": DiceMetric(include_background=True)(*pair)[0],
        "hd95": HausdorffDistanceMetric(include_background=True, percentile=95)(*pair, spacing=list(spacing))[0],
    }
    for name in ("sensitivity", "specificity"):
        metric = ConfusionMatrixMetric(include_background=True, metric_name=name)
        metric(*pair)
        tp, fp, tn, fn = metric.get_buffer()[0].T
        expected[name] = tp / (tp + fn) if name == "sensitivity" else tn / (tn + fp)
    found = region_scores(prediction, truth, spacing, regions=["TC", "WT", "ET"])
    for name, values in expected.items():
        assert [found[region][name] for region in found] == pytest.approx(values.tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("prediction", "truth", "spacing", "message"),
    [
        (cube((1, 1, 1))[:, :19], cube((1, 1, 1)), MM, r"\(19, 20, 20\) and \(20, 20, 20\)"),
        (cube((1, 1, 1))[0], cube((1, 1, 1))[0], MM, r"shape \(20, 20, 20\) in the prediction"),
        (cube((1, 1, 1)), cube((1, 1, 1)).astype(np.uint8), MM, "uint8 .* in the truth"),
        (np.repeat(cube((1, 1, 1)), 2, axis=0), cube((1, 1, 1)), MM, r"1 regions \(WT\).*\(2, 20, 20, 20\)"),
        (cube((1, 1, 1)), cube((1, 1, 1)), (1, 1), r"three positive numbers in mm, found \(1, 1\)"),
        (cube((1, 1, 1)), cube((1, 1, 1)), (1, 1, 0), r"found \(1, 1, 0\)"),
        (cube((1, 1, 1)), cube((1, 1, 1)), (1, 1, math.nan), "found .*nan"),
    ],
    ids=["shapes differ", "no region axis", "not boolean", "too many regions", "2 steps", "zero step", "NaN step"],
)
def test_what_cannot_be_scored_is_refused(prediction, truth, spacing, message):
    with pytest.raises(BrainMRIError, match=message) as error:
        scores(prediction, truth, spacing)
    assert len(str(error.value).splitlines()) <= 3
