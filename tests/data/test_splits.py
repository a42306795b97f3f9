from collections import Counter

import pytest

from brainmri_monai.data.splits import PARTS, holdout, kfold, leave_out, require_classes
from brainmri_monai.errors import BrainMRIError


def strata(**counts: int) -> dict[str, tuple[str, str]]:
    """``a2=3`` gives three patients of type a and grade 2."""
    return {f"{name}-{k}": (name[0], name[1:]) for name, count in counts.items() for k in range(count)}


def test_every_patient_is_in_exactly_one_part():
    patients = strata(a2=9, a3=6, b2=12, b3=5)
    parts = holdout(patients, seed=0).parts
    assert tuple(parts) == PARTS
    assert sorted(p for part in parts.values() for p in part) == sorted(patients)


def test_parts_have_their_shares_over_all_and_in_each_class():
    patients = strata(a2=20, a3=20, b2=30, b3=10, c4=20)
    parts = holdout(patients, seed=0).parts
    assert {part: len(members) for part, members in parts.items()} == {"training": 70, "validation": 15, "test": 15}
    for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        members = Counter(patients[p][0] for p in parts[part])
        for name, count in {"a": 40, "b": 40, "c": 20}.items():
            assert abs(members[name] - share * count) <= 1


def test_grades_are_stratified_within_a_type():
    patients = strata(a2=20, a3=20, b2=30, b3=10)
    for part, share in zip(PARTS, (0.7, 0.15, 0.15), strict=True):
        members = Counter(patients[p] for p in holdout(patients, seed=0).parts[part])
        for stratum, count in Counter(patients.values()).items():
            assert abs(members[stratum] - share * count) <= 2


@pytest.mark.parametrize("each", [2, 3, 4, 10])
@pytest.mark.parametrize("seed", range(5))
def test_classes_of_the_same_grades_give_no_part_one_grade_alone(each, seed):
    patients = strata(a2=each, a3=each, b2=each, b3=each, c2=each, c3=each)
    parts = [
        *holdout(patients, seed).parts.values(),
        *(kfold(patients, 4, fold, seed).parts["test"] for fold in range(4)),
    ]
    for members in parts:
        assert {patients[p][1] for p in members} == {"2", "3"}


def test_a_seed_gives_the_same_split_whatever_the_order_of_the_patients():
    patients = strata(a2=9, a3=6, b2=12)
    turned = dict(reversed(patients.items()))
    assert holdout(patients, seed=3) == holdout(turned, seed=3)
    assert holdout(patients, seed=3) != holdout(patients, seed=4)
    assert kfold(patients, 3, 1, seed=3) == kfold(turned, 3, 1, seed=3)


@pytest.mark.parametrize("counts", [(2, 2), (2, 3), (3, 3), (2, 2, 2), (2, 9), (4, 4), (2, 2, 2, 2), (20, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_small_sets_leave_no_part_empty_and_train_on_every_class(counts, seed):
    patients = strata(**{f"{'abcd'[c]}2": count for c, count in enumerate(counts)})
    parts = holdout(patients, seed).parts
    assert all(parts.values())
    assert {patients[p][0] for p in parts["training"]} == {stratum[0] for stratum in patients.values()}


def test_rare_strata_are_named_and_dealt_with_their_class():
    split = holdout(strata(a2=10, a4=1, b2=10, b3=2), seed=0)
    assert split.notes == [
        "too few patients for each of the three parts, so stratified by their class alone: a 4 (1), b 3 (2)"
    ]
    assert holdout(strata(a2=10, b2=10), seed=0).notes == []


def test_folds_test_every_patient_once():
    patients = strata(a2=9, a3=6, b2=12, b3=4)
    tests = [kfold(patients, 5, fold, seed=0).parts["test"] for fold in range(5)]
    assert sorted(p for test in tests for p in test) == sorted(patients)
    assert max(map(len, tests)) - min(map(len, tests)) <= 1


def test_each_stratum_is_spread_over_the_folds_to_within_one_patient():
    patients = strata(a2=9, a3=6, b2=12, b3=4)
    counts = [Counter(patients[p] for p in kfold(patients, 5, fold, seed=1).parts["test"]) for fold in range(5)]
    for stratum in set(patients.values()):
        per_fold = [count[stratum] for count in counts]
        assert max(per_fold) - min(per_fold) <= 1


def test_the_rest_of_a_fold_is_training_and_validation():
    patients = strata(a2=20, b2=20)
    parts = kfold(patients, 5, 2, seed=0).parts
    assert sorted(p for part in parts.values() for p in part) == sorted(patients)
    assert len(parts["test"]) == 8
    assert abs(len(parts["validation"]) - 0.15 * 32) <= 1


@pytest.mark.parametrize("counts", [(3, 3), (4, 4), (5, 5), (2, 9), (3, 3, 3)])
def test_folds_of_small_sets_leave_no_part_empty_and_train_on_every_class(counts):
    patients = strata(**{f"{'abc'[c]}2": count for c, count in enumerate(counts)})
    for folds in (2, 3):
        for fold in range(folds):
            parts = kfold(patients, folds, fold, seed=0).parts
            assert all(parts.values())
            assert {patients[p][0] for p in parts["training"]} == {stratum[0] for stratum in patients.values()}


@pytest.mark.parametrize("folds", [0, 1, 7])
def test_more_folds_than_patients_or_fewer_than_two_are_refused(folds):
    with pytest.raises(BrainMRIError, match=f"{folds} folds asked for, and there are 6 patients"):
        kfold(strata(a2=3, b2=3), folds, 0, seed=0)


@pytest.mark.parametrize("fold", [-1, 3])
def test_a_fold_that_does_not_exist_is_refused(fold):
    with pytest.raises(BrainMRIError, match=f"fold {fold} asked for, of 3 folds"):
        kfold(strata(a2=3, b2=3), 3, fold, seed=0)


def test_a_classification_of_one_class_alone_or_with_a_class_of_one_patient_is_refused():
    with pytest.raises(BrainMRIError, match=r"at least two classes .* patients found: a 5"):
        require_classes(strata(a2=3, a3=2))
    with pytest.raises(BrainMRIError, match=r"every class needs two patients.* a 5, b 1.\nAdd patients to b"):
        require_classes(strata(a2=5, b2=1))
    require_classes(strata(a2=2, b2=2))


def test_too_few_patients_for_all_parts_are_refused():
    with pytest.raises(BrainMRIError, match="would hold: training 2, validation 0, test 2"):
        kfold(strata(a2=2, b2=2), 2, 0, seed=0)


def test_one_group_is_the_test_and_nobody_else():
    patients = strata(a2=6, b2=6)
    site_of = {patient: "UCSF" if number % 3 == 0 else "CBICA" for number, patient in enumerate(sorted(patients))}
    parts = leave_out(patients, site_of, "UCSF", seed=0).parts
    assert parts["test"] == sorted(patient for patient, site in site_of.items() if site == "UCSF")
    assert sorted(parts["training"] + parts["validation"] + parts["test"]) == sorted(patients)
    assert parts["validation"]


def test_patients_of_an_unknown_group_are_left_out_and_told():
    patients = strata(a2=6)
    known = dict.fromkeys(sorted(patients)[:2], "UCSF") | dict.fromkeys(sorted(patients)[2:5], "CBICA")
    split = leave_out(patients, {**known, sorted(patients)[5]: None}, "UCSF", seed=0)
    assert sum(map(len, split.parts.values())) == 5
    assert split.notes == ["left out, as it is not known whether they are of UCSF: 1"]


def test_a_group_that_does_not_occur_is_refused_with_those_that_do():
    with pytest.raises(BrainMRIError, match="no patient is of 'MDA'; there are: UCSF 3"):
        leave_out(strata(a2=3), dict.fromkeys(strata(a2=3), "UCSF"), "MDA", seed=0)


def test_no_groups_at_all_are_told_with_how_to_give_them():
    with pytest.raises(BrainMRIError, match="columns patient and site"):
        leave_out(strata(a2=3), {}, "MDA", seed=0)
