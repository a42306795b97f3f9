from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from brainmri_monai.data.slices.folders import Slice
from brainmri_monai.data.slices.splits import cluster_groups, split_slices
from brainmri_monai.data.splits import PARTS
from brainmri_monai.errors import BrainMRIError


def slices(part=None, prefix="", **counts) -> list[Slice]:
    names = [(label, f"{prefix}{label}/{k:03d}.png") for label, count in counts.items() for k in range(count)]
    return [Slice(name, Path("/") / name, label, part) for label, name in names]


def of_class(ids) -> Counter[str]:
    return Counter(name.split("/")[-2] for name in ids)


@pytest.fixture
def grouped() -> tuple[list[Slice], list[int]]:
    """300 slices of two classes in groups of 1 to 20, as twins are: a few large ones, and many small."""
    items = slices(glioma=200, notumor=100)
    random = np.random.default_rng(0)
    sizes = np.repeat(np.arange(300), random.choice([1, 2, 3, 20], 300, p=[0.6, 0.25, 0.1, 0.05]))
    return items, sizes[:200].tolist() + (1000 + sizes[:100]).tolist()


def parts_of(split, items, groups) -> dict[int, set[str]]:
    part = {name: part for part, names in split.parts.items() for name in names}
    found = {}
    for item, group in zip(items, groups, strict=True):
        found.setdefault(group, set()).add(part[item.id])
    return found


@pytest.mark.parametrize("options", [{}, {"fold": 0}, {"fold": 3, "folds": 4}])
def test_every_slice_is_in_one_part_and_no_group_is_divided(grouped, options):
    split = split_slices(*grouped, seed=0, **options)
    assert sorted(name for part in PARTS for name in split.parts[part]) == sorted(item.id for item in grouped[0])
    assert all(len(parts) == 1 for parts in parts_of(split, *grouped).values())
    assert not split.notes


@pytest.mark.parametrize("seed", range(5))
def test_the_shares_of_slices_hold_in_each_class_although_groups_differ_in_size(grouped, seed):
    split = split_slices(*grouped, seed=seed)
    for part, share in zip(PARTS, (0.7, 0.1, 0.2), strict=True):
        found = of_class(split.parts[part])
        assert found["glioma"] == pytest.approx(200 * share, abs=5)
        assert found["notumor"] == pytest.approx(100 * share, abs=5)


def test_each_part_gets_large_and_small_groups_alike(grouped):
    """Else the test would hold mostly slices without twins, which are of another kind than the others."""
    items, groups = grouped
    group_of = {item.id: group for item, group in zip(items, groups, strict=True)}
    means = {}
    for part, ids in split_slices(items, groups, seed=0, shares=(0.5, 0.25, 0.25)).parts.items():
        means[part] = len(ids) / len({group_of[name] for name in ids})
    assert max(means.values()) < 1.35 * min(means.values()), means


def test_folds_test_every_slice_once_and_alike_many(grouped):
    tests = [split_slices(*grouped, seed=1, folds=5, fold=fold).parts["test"] for fold in range(5)]
    assert sorted(name for test in tests for name in test) == sorted(item.id for item in grouped[0])
    assert all(of_class(test)["glioma"] == pytest.approx(40, abs=5) for test in tests)


def test_the_seed_decides(grouped):
    assert split_slices(*grouped, seed=3) == split_slices(*grouped, seed=3)
    assert split_slices(*grouped, seed=3) != split_slices(*grouped, seed=4)


def test_an_official_test_stays_and_its_twins_are_counted():
    items = slices("training", "train/", a=10, b=10) + slices("testing", "test/", a=3, b=2)
    groups = [*range(20), 0, 20, 21, 19, 22]  # test/a/000 is a twin of train/a/000, test/b/000 of train/b/009
    split = split_slices(items, groups, seed=0, official=True)
    assert split.parts["test"] == [item.id for item in items[20:]]
    assert split.notes == ["2 of 5 slices of the official test have twins in the training"]
    rest = split.parts["training"] + split.parts["validation"]
    assert sorted(rest) == [item.id for item in items[:20]]
    assert split.parts["validation"]


def test_twins_in_the_official_training_stay_together():
    items = slices("training", "train/", a=30, b=30) + slices("testing", "test/", a=3, b=3)
    groups = [k // 3 for k in range(60)] + [100 + k for k in range(6)]
    split = split_slices(items, groups, seed=0, official=True)
    assert all(len(parts) == 1 for parts in parts_of(split, items, groups).values())
    assert of_class(split.parts["validation"]) == {"a": 3, "b": 3}, "an eighth"


def test_classes_that_a_part_lacks_are_told():
    items = slices("training", "train/", a=10, b=10) + slices("testing", "test/", a=3)
    split = split_slices(items, range(23), seed=0, official=True)
    assert split.notes == ["the test has no slice of b"]
    notes = [split_slices(slices(a=3, b=3), range(6), seed).notes for seed in range(9)]
    assert ["the validation has no slice of b"] in notes


def test_a_class_that_the_training_lacks_is_refused():
    items = slices("training", "train/", a=10, b=10) + slices("testing", "test/", a=3, c=3)
    with pytest.raises(BrainMRIError, match="no slice of c is in the training"):
        split_slices(items, range(26), seed=0, official=True)


def test_there_must_be_an_official_test_to_ask_for_it(grouped):
    with pytest.raises(BrainMRIError, match="no test or no training part"):
        split_slices(*grouped, seed=0, official=True)


def test_too_few_groups_are_refused():
    items = slices(a=9, b=9)
    with pytest.raises(BrainMRIError, match=r"found: a 9, b 1\.\nGive more slices of 'b'"):
        split_slices(items, [*range(9), *[9] * 9], seed=0)
    with pytest.raises(BrainMRIError, match="found: a 9"):
        split_slices(items[:9], range(9), seed=0)
    with pytest.raises(BrainMRIError, match="fold 5 asked for"):
        split_slices(items, range(18), seed=0, folds=5, fold=5)


def test_clusters_follow_the_features_and_keep_twins_together():
    random = np.random.default_rng(0)
    centres = np.repeat(np.eye(4) * 10, 10, axis=0)
    features = centres + random.normal(0, 0.1, (40, 4))
    found = cluster_groups(features, 4)
    assert [len(set(found[k : k + 10])) for k in (0, 10, 20, 30)] == [1, 1, 1, 1]
    assert len(set(found)) == 4
    twins = np.arange(40)
    twins[39] = twins[0]  # of two clusters: their group goes to one
    found = cluster_groups(features, 4, groups=twins)
    assert found[39] == found[0]


def test_the_scale_of_a_feature_does_not_matter():
    random = np.random.default_rng(1)
    features = np.column_stack([np.repeat(np.eye(4) / 1000, 10, axis=0), random.uniform(-1e6, 1e6, 40)])
    found = cluster_groups(features, 4)
    assert [len(set(found[k : k + 10])) for k in (0, 10, 20, 30)] == [1, 1, 1, 1]


def test_of_twins_the_mean_is_clustered():
    centres = np.repeat(np.eye(4) * 10, 10, axis=0) + np.random.default_rng(2).normal(0, 0.1, (40, 4))
    found = cluster_groups(centres, 4, groups=[*[0] * 9, *range(1, 32)])
    assert found[9] == found[0]
    assert len(set(found)) == 4


def test_a_group_weighs_as_many_slices_as_it_has():
    features = np.array([[0.0]] * 100 + [[1.0]] * 4 + [[1.9]] * 4)
    found = cluster_groups(features, 2, groups=[*[0] * 100, *range(1, 9)])
    assert len(set(found[100:])) == 1, "the others leave the heavy one alone"
    assert found[0] not in found[100:]


def test_no_more_clusters_than_groups():
    assert len(set(cluster_groups(np.eye(6), 100, groups=[0, 0, 1, 1, 2, 2]))) == 3
