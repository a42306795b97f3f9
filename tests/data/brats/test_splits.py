from collections import Counter

import pytest

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.splits import split_cases
from brainmri_monai.errors import BrainMRIError


@pytest.fixture
def cases() -> list[Case]:
    """40 patients with 1 to 3 time points each, of two grades and two sites."""
    return [
        Case(
            id=f"P{patient:02d}-{timepoint}",
            patient=f"P{patient:02d}",
            timepoint=str(timepoint),
            grade="HGG" if patient % 4 else "LGG",
            site="CBICA" if patient % 2 else "UCSF",
        )
        for patient in range(40)
        for timepoint in range(patient % 3 + 1)
    ]


def patients(ids) -> set[str]:
    return {case.partition("-")[0] for case in ids}


@pytest.mark.parametrize("how", [{}, {"fold": 1}, {"site": "UCSF"}])
def test_time_points_stay_together_and_nobody_is_lost(cases, how):
    parts = split_cases(cases, seed=0, **how).parts
    found = [patient for part in parts.values() for patient in patients(part)]
    assert len(found) == len(set(found)) == 40
    assert sorted(case for part in parts.values() for case in part) == sorted(case.id for case in cases)


def test_grades_are_spread_over_the_parts(cases):
    parts = split_cases(cases, seed=0).parts
    low = {case.patient for case in cases if case.grade == "LGG"}  # 10 of 40
    assert {part: len(patients(ids)) for part, ids in parts.items()} == {"training": 28, "validation": 6, "test": 6}
    assert {part: len(patients(ids) & low) for part, ids in parts.items()} in (
        {"training": 7, "validation": 1, "test": 2},
        {"training": 7, "validation": 2, "test": 1},
    )


def test_every_patient_is_tested_once_in_a_cross_validation(cases):
    tested = Counter(p for fold in range(5) for p in patients(split_cases(cases, seed=0, fold=fold).parts["test"]))
    assert len(tested) == 40
    assert set(tested.values()) == {1}


def test_one_site_is_the_test(cases):
    parts = split_cases(cases, seed=0, site="CBICA").parts
    assert patients(parts["test"]) == {case.patient for case in cases if case.site == "CBICA"}
    with pytest.raises(BrainMRIError, match="no patient is of 'MDA'; there are: CBICA 20, UCSF 20"):
        split_cases(cases, seed=0, site="MDA")


def test_neither_grades_nor_sites_are_needed():
    split = split_cases([Case(id=f"P{k}", patient=f"P{k}") for k in range(10)], seed=0)
    assert {part: len(ids) for part, ids in split.parts.items()} == {"training": 7, "validation": 1, "test": 2} or (
        {part: len(ids) for part, ids in split.parts.items()} == {"training": 7, "validation": 2, "test": 1}
    )
    assert split.notes == []


def test_two_patients_are_too_few():
    with pytest.raises(BrainMRIError, match="too few patients"):
        split_cases([Case(id=f"P{k}", patient=f"P{k}") for k in range(2)], seed=0)


def test_patients_who_share_images_are_one_person(tmp_path):
    def case(name: str, *files: str) -> Case:
        images = {role: tmp_path / file for role, file in zip(("t1", "t2"), files, strict=True)}
        return Case(id=f"{name}-0", patient=name, timepoint="0", images=images)

    cases = [case(f"P{n}", f"{n}t1", f"{n}t2") for n in range(8)]
    cases += [case("copy of P2", "a", "b"), case("half of P5", "c", "d")]
    digests = [[f"{n}t1", f"{n}t2", "label"] for n in range(8)] + [["2t1", "2t2", "label"], ["5t1", "d", "label"]]
    for seed in range(5):
        split = split_cases(cases, seed, digests=digests)
        (part,) = (ids for ids in split.parts.values() if "P2-0" in ids)
        assert "copy of P2-0" in part
        assert "taken for one person, as they share images: copy of P2 and P2" in split.notes
        assert sum(map(len, split.parts.values())) == 10
