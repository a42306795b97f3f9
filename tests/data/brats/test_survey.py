import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from brainmri_monai.data.brats.cases import find_volumes
from brainmri_monai.data.brats.files import holds_volumes
from brainmri_monai.data.brats.labels import to_regions
from brainmri_monai.data.brats.survey import survey_volumes
from brainmri_monai.data.brats.volumes import read_case, read_label
from brainmri_monai.data.check import check_patients
from brainmri_monai.errors import BrainMRIError

SPACING = np.diag([-8.0, -8, 8, 1])  # so that the few voxels of a small case have the volume of a brain
FIRST, SECOND, THIRD = (f"BraTS20_Training_00{k}" for k in (1, 2, 3))


@pytest.fixture
def root(tmp_path, save) -> Path:
    """Three cases without any fault: a block of 15 x 15 x 12 voxels of noise for the brain."""
    for number, name in enumerate((FIRST, SECOND, THIRD)):
        random = np.random.default_rng(number)
        for word in ("t1ce", "t1", "t2", "flair"):
            image = np.zeros((18, 17, 16), np.int16)
            image[1:16, 1:16, 2:14] = random.integers(1, 1000, (15, 15, 12))
            save(tmp_path / name / f"{name}_{word}.nii.gz", image, SPACING)
        label = np.zeros((18, 17, 16), np.uint8)
        label[7, 7, 6:9] = 1, 2, 4
        save(tmp_path / name / f"{name}_seg.nii.gz", label, SPACING)
    return tmp_path


def change(root, save, case: str, word: str, how, affine=SPACING) -> Path:
    """Replace the voxels of a file by what ``how`` makes of them."""
    file = root / case / f"{case}_{word}.nii.gz"
    return save(file, how(np.asanyarray(nib.load(file).dataobj).copy()), affine)


def problems(root, severity="error") -> list[tuple[str, str]]:
    return [(p.where, p.what) for p in survey_volumes(root).problems if p.severity == severity]


def test_a_faultless_set_is_described(root):
    report = survey_volumes(root)
    assert (report.exit_code, report.problems) == (0, [])
    assert report.facts == {
        "root": str(root),
        "layout": "volumes",
        "convention": "brats2020",
        "labels": {"1": "NCR", "2": "ED", "4": "ET"},
        "cases": 3,
        "patients": 3,
        "labelled": 3,
        "grades": {},
        "sites": {},
        "shapes": {"18 x 17 x 16": 3},
        "spacings": {"8 x 8 x 8": 3},
        "axes": {"LPS": 3},
        "label_values": {"1 2 4": 3},
        "brain_ml": {"min": 1382, "max": 1382},  # 15 x 15 x 12 voxels of 0.512 ml
    }


def test_check_recognises_volumes_and_tells_people_and_programs(root, tmp_path):
    report = check_patients(root)
    assert report.table().splitlines() == [
        f"{root} (convention: brats2020 (1 NCR, 2 ED, 4 ET))",
        "3 cases of 3 patients, 3 with labels",
        "",
        "voxels         18 x 17 x 16",
        "spacing in mm  8 x 8 x 8",
        "stored axes    LPS",
        "label values   1 2 4",
        "brain in ml    1382 to 1382",
        "",
        "no errors, no warnings",
    ]
    content = json.loads(report.to_json())
    assert (content["cases"], content["problems"], content["exit_code"]) == (3, [], 0)


def test_check_takes_a_convention_and_a_split(root):
    report = check_patients(root, convention="brats2023")
    assert {problem.what for problem in report.problems} == {
        "expected the label values of brats2023 (1 NCR, 2 ED, 3 ET), found 1, 2, 4"
    }
    with pytest.raises(BrainMRIError, match="unknown convention"):
        check_patients(root, convention="bruts")
    entry = {"id": FIRST, "patient": FIRST, "image": [f"{FIRST}/{FIRST}_t1.nii.gz"]}
    content = {"root": "", "layout": "", "regions": [], "split": {}, "excluded": []}
    parts = {"training": [entry], "validation": [], "test": [entry]}
    (root / "datalist.json").write_text(json.dumps({**content, **parts}))
    assert (FIRST, "the patient is in test and in training") in [
        (p.where, p.what) for p in check_patients(root).problems
    ]


def test_all_problems_are_found_in_one_pass(root, save):
    (root / FIRST / f"{FIRST}_t1.nii.gz").write_bytes(b"broken")
    change(root, save, FIRST, "t2", lambda image: image * 0)
    change(root, save, FIRST, "seg", lambda label: label * 2)
    change(root, save, SECOND, "flair", lambda image: image, SPACING + np.diag([0, 0, 0.5, 0]))
    change(root, save, SECOND, "seg", lambda label: label[:-1])
    change(root, save, THIRD, "t2", lambda image: np.where(image > 990, np.nan, image).astype(np.float32))
    (root / THIRD / f"{THIRD}_t1ce.nii.gz").unlink()
    found = dict(problems(root))
    assert found[THIRD] == "lacks t1c; found t1, t2, flair"
    where = f"{FIRST}/{FIRST}_t1.nii.gz"
    assert found.pop(where).startswith("the header of the volume cannot be read")
    assert found[f"{FIRST}/{FIRST}_t2.nii.gz"] == "the modality t2 is empty: every voxel is 0"
    assert found[f"{FIRST}/{FIRST}_seg.nii.gz"].endswith("brats2020 (1 NCR, 2 ED, 4 ET), found 2, 4, 8")
    assert "the affine puts voxels up to 7.5 mm" in found[f"{SECOND}/{SECOND}_flair.nii.gz"]
    assert "expected the shape (18, 17, 16)" in found[f"{SECOND}/{SECOND}_seg.nii.gz"]
    assert survey_volumes(root).exit_code == 1


def test_one_modality_and_its_label_map_are_a_case(tmp_path):
    folder = tmp_path / "BraTS-MEN-RT-0001-1"
    folder.mkdir()
    (folder / f"{folder.name}_t1c.nii.gz").touch()
    assert not holds_volumes(tmp_path)
    (folder / f"{folder.name}_gtv.nii.gz").touch()
    assert holds_volumes(tmp_path)


def test_a_folder_without_files_is_a_warning(root):
    (root / "BraTS20_Training_999").mkdir()
    assert problems(root, "warning") == [("BraTS20_Training_999", "the folder is empty")]


def test_one_file_copied_as_two_modalities_is_an_error(root):
    (root / FIRST / f"{FIRST}_t1.nii.gz").write_bytes((root / FIRST / f"{FIRST}_t1ce.nii.gz").read_bytes())
    assert problems(root) == [(FIRST, "t1c and t1 hold the same voxels")]


def test_one_patient_under_two_names_is_a_warning(root):
    for file in (root / FIRST).iterdir():
        (root / SECOND / file.name.replace(FIRST, SECOND)).write_bytes(file.read_bytes())
    assert problems(root, "warning") == [(f"{FIRST} = {SECOND}", "2 patients share images, voxel for voxel")]


def test_a_head_with_its_skull_is_a_warning(root, save):
    change(root, save, FIRST, "t1", lambda image: image + 1)  # the air is not 0 either: 18 x 17 x 16 x 0.512 ml
    what = "skull not stripped? A brain has at most 2300 ml, not 0 are t1 2507 ml"
    assert problems(root, "warning") == [(FIRST, what)]


def test_a_brain_that_is_nearly_empty_is_a_warning(root, save):
    def corner(image):
        image[8:] = 0
        image[:, 6:] = 0
        return image

    change(root, save, FIRST, "flair", corner)  # 7 x 5 x 12 x 0.512 ml
    assert problems(root, "warning") == [(FIRST, "hardly a brain: it has at least 300 ml, not 0 are flair 215 ml")]


def test_labels_that_are_empty_or_beside_the_brain_are_warnings(root, save):
    change(root, save, FIRST, "seg", lambda label: label * 0)
    change(root, save, SECOND, "seg", lambda label: np.roll(label, -7, axis=0))
    assert problems(root, "warning") == [
        (FIRST, "the label map is empty"),
        (SECOND, "100% of the label lies where the images are 0"),
    ]


def test_a_case_unlike_the_others_is_a_warning(root):
    for file in (root / THIRD).iterdir():
        image = nib.load(file)
        nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj)[::-1], image.affine @ np.diag([-1, 1, 1, 1])), file)
    assert problems(root, "warning") == [(THIRD, "stored axes RPS, unlike LPS of 2 cases")]


def test_a_header_without_orientation_is_a_warning(root):
    file = root / FIRST / f"{FIRST}_t1.nii.gz"
    image = nib.load(file)
    image.header.set_sform(None, 0)
    image.header.set_qform(None, 0)
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), None, image.header), file)
    assert (FIRST, f"no orientation in the header of {FIRST}_t1.nii.gz") in problems(root, "warning")


def test_an_ambiguous_set_is_an_error_and_still_read(tmp_path, write_case):
    write_case(tmp_path / "BraTS-PED-00001-000", (1, 2, 3), "since 2023")
    report = survey_volumes(tmp_path)
    assert (report.exit_code, report.convention) == (1, None)
    assert report.problems[0].what.startswith("the label values 1, 2, 3 fit brats2023-ped")
    assert report.facts["label_values"] == {"1 2 3": 1}


def test_an_empty_folder_has_no_case(tmp_path):
    assert problems(tmp_path) == [(".", "no case was found")]


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA does not name the folder of the real data")
def test_real_cases():
    root = Path(os.environ["BRAINMRI_DATA"]) / "brats_tcga"
    report = check_patients(root)
    assert (report.problems, report.convention.name) == ([], "brats-tcga")
    assert report.facts["label_values"] == {"1 2": 1, "1 2 4": 1}
    found = find_volumes(root)
    for case in found.cases:
        image, affine = read_case(case)
        tc, wt, et = to_regions(read_label(case, found.convention), found.convention)
        assert image.shape == (4, 240, 240, 155)
        assert "".join(nib.aff2axcodes(affine)) == "LPS"
        assert (image < 0).any(axis=(1, 2, 3)).any()  # as published: small negative values
        assert (et <= tc).all()
        assert (tc <= wt).all()
        np.testing.assert_array_equal(image[3], nib.load(case.images["flair"]).get_fdata(dtype=np.float32))
