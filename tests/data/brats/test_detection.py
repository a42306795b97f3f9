import numpy as np
import pytest

from brainmri_monai.data.brats.cases import find_volumes, scan_volumes
from brainmri_monai.errors import BrainMRIError


def write_set(root, write_case, cases: dict[str, tuple | None], words: str = "since 2023"):
    for case, values in cases.items():
        write_case(root / case, values, words)
    return root


def name_of(found) -> str | None:
    return found.convention and found.convention.name


def test_a_paediatric_set_of_1_2_3_is_refused_with_both_candidates(tmp_path, write_case):
    write_set(tmp_path, write_case, {"BraTS-PED-00001-000": (1, 2, 3), "BraTS-PED-00002-000": (1, 2)})
    with pytest.raises(BrainMRIError) as refused:
        find_volumes(tmp_path)
    what, where, remedy = str(refused.value).splitlines()
    assert what == (
        "the label values 1, 2, 3 fit brats2023-ped (1 NCR, 2 ED, 3 ET) or brats2024-ped (1 ET, 2 NET, 3 CC, 4 ED)"
    )
    assert (where, remedy) == (str(tmp_path), "Name the right one with --convention.")
    assert name_of(find_volumes(tmp_path, convention="brats2023-ped")) == "brats2023-ped"
    (problem,) = scan_volumes(tmp_path).problems
    assert (problem.severity, problem.what) == ("error", what)


def test_one_case_decides_for_the_whole_set(tmp_path, write_case):
    write_set(tmp_path, write_case, {f"BraTS-PED-0000{k}-000": (1, 2, 3) for k in range(5)})
    write_case(tmp_path / "BraTS-PED-00009-000", (4,), "since 2023")
    assert name_of(find_volumes(tmp_path)) == "brats2024-ped"


def test_cases_without_labels_need_no_convention_but_are_told_of(tmp_path, write_case):
    write_set(tmp_path, write_case, {"BraTS-PED-00001-000": None})
    found = find_volumes(tmp_path)
    assert (name_of(found), len(found.cases)) == (None, 1)
    (problem,) = found.problems
    assert problem.severity == "warning"
    assert "brats2023-ped" in problem.what
    assert "brats2024-ped" in problem.what


def test_the_grid_decides_where_the_labels_agree(tmp_path, write_case, save):
    for word in ("t1c", "t1n", "t2w", "t2f"):
        save(tmp_path / f"BraTS-GLI-00005-100-{word}.nii", np.ones((182, 218, 182), np.uint8))
    assert name_of(find_volumes(tmp_path)) == "brats2024-gli"


def test_labels_of_one_set_on_the_grid_of_another_are_refused(tmp_path, save):
    """As where an old ET of 4 was put under a name since 2023, whose 4 is the cavity of scans on a smaller grid."""
    case = "BraTS-GLI-00005-000"
    for word in ("t1c", "t1n", "t2w", "t2f", "seg"):
        volume = np.ones((240, 240, 155), np.uint8)
        volume[0, 0, :2] = 2, 4
        save(tmp_path / f"{case}-{word}.nii", volume)
    with pytest.raises(BrainMRIError) as refused:
        find_volumes(tmp_path)
    what, _, remedy = str(refused.value).splitlines()
    assert what.startswith(f"{case} has the label values 1, 2, 4 of brats2024-gli (")
    assert what.endswith("and the grid of brats2023 (1 NCR, 2 ED, 3 ET)")
    assert "--convention" in remedy


def test_values_that_the_names_exclude_are_refused_with_what_they_fit(tmp_path, write_case):
    cases = {"BraTS20_Training_001": (1, 2), "BraTS20_Training_002": (1, 2, 3)}  # 4 was made 3
    write_set(tmp_path, write_case, cases, "before 2023")
    with pytest.raises(BrainMRIError) as refused:
        find_volumes(tmp_path)
    assert "brats2020 (1 NCR, 2 ED, 4 ET)" in str(refused.value)
    assert "brats2023 (1 NCR, 2 ED, 3 ET)" in str(refused.value)
    assert "msd (1 ED, 2 NCR, 3 ET)" in str(refused.value)
    assert name_of(find_volumes(tmp_path, convention="brats2023")) == "brats2023"


def test_a_single_odd_label_map_does_not_change_the_answer(tmp_path, write_case):
    cases = {"BraTS20_Training_001": (1, 2, 7), "BraTS20_Training_002": (1, 2, 4)}
    assert name_of(find_volumes(write_set(tmp_path, write_case, cases, "before 2023"))) == "brats2020"


def test_foreign_names_are_decided_by_the_value_4_alone(tmp_path, write_case):
    write_case(tmp_path / "one", (1, 2))
    with pytest.raises(BrainMRIError, match=r"brats2021 .* or brats2023 .* or msd"):
        find_volumes(tmp_path)
    write_case(tmp_path / "two", (1, 4))
    assert name_of(find_volumes(tmp_path)) == "brats2021"


def test_years_with_the_same_labels_may_lie_side_by_side(tmp_path, write_case):
    cases = {"Brats18_CBICA_AAB_1": (1, 2, 4), "BraTS20_Training_001": (1, 2, 4)}
    assert name_of(find_volumes(write_set(tmp_path, write_case, cases, "before 2023"))) == "brats2018"


def test_sets_with_other_labels_may_not(tmp_path, write_case):
    write_case(tmp_path / "Brats18_CBICA_AAB_1", (1, 2, 4))
    write_case(tmp_path / "BraTS20_Training_001", (1, 2, 4))
    write_case(tmp_path / "BraTS-GLI-00001-000", (1, 2, 3), "since 2023")
    with pytest.raises(
        BrainMRIError, match=r"several conventions: brats2018 \(.*\) and brats2023 \(BraTS-GLI-00001-000"
    ):
        find_volumes(tmp_path)


def test_an_unreadable_label_map_does_not_stop_the_detection(tmp_path, write_case):
    folder = write_case(tmp_path / "BraTS20_Training_001", (1, 2, 4))
    (folder / "BraTS20_Training_001_seg.nii.gz").write_bytes(b"broken")
    write_case(tmp_path / "BraTS20_Training_002", (1, 2, 4))
    assert name_of(find_volumes(tmp_path)) == "brats2020"
