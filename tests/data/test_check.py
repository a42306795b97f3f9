import json
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image, ImageOps

from brainmri_monai.data.check import check_patients
from brainmri_monai.data.patients import find_patients
from brainmri_monai.data.survey import read_patient, survey
from brainmri_monai.errors import BrainMRIError


@pytest.fixture
def root(tmp_path, write_patient) -> Path:
    """Two types with two patients each, three slices a patient, without any fault."""
    for seed, place in enumerate(["a-g2/p1", "a-g3/p2", "b-g4/p3", "b-g4/p4"]):
        write_patient(tmp_path / place, seed)
    return tmp_path


def write_split(root: Path, **parts) -> None:
    """Write a datalist.json with these patients, given by their folders, in its parts."""
    parts = {
        part: [
            {"id": Path(place).name, "patient": Path(place).name, "image": [f"{place}/slice {k}.png" for k in range(3)]}
            for place in parts.get(part, [])
        ]
        for part in ("training", "validation", "test")
    }
    content = {"root": "elsewhere", "layout": "folders", "types": ["a", "b"], "split": {}, "excluded": [], **parts}
    (root / "datalist.json").write_text(json.dumps(content))


def problems(root, severity) -> list[tuple[str, str]]:
    return [(p.where, p.what) for p in check_patients(root).problems if p.severity == severity]


def test_a_faultless_set_is_described(root):
    report = check_patients(root)
    assert (report.exit_code, report.problems) == (0, [])
    assert report.facts == {
        "root": str(root.resolve()),
        "layout": "folders",
        "patients": 4,
        "slices": 12,
        "counts": {"a": {"2": 1, "3": 1}, "b": {"4": 2}},
        "slices_per_patient": {"min": 3, "median": 3, "max": 3},
        "sizes": {"64 x 64": 12},
        "modes": {"RGB": 12},
        "spacings": {},
        "axes": {},
    }


def test_the_table_is_for_people(root):
    assert check_patients(root).table().splitlines() == [
        f"{root.resolve()} (layout: folders)",
        "4 patients, 12 slices",
        "",
        "type  grade 2  grade 3  grade 4  patients  slices",
        "a           1        1        -         2       6",
        "b           -        -        2         2       6",
        "all         1        1        2         4      12",
        "",
        "slices a patient  3 to 3, median 3",
        "rows x columns    64 x 64",
        "pixels            RGB",
        "",
        "no errors, no warnings",
    ]


def test_many_problems_of_a_kind_take_few_lines(root):
    for file in root.glob("*/*/slice [12].png"):
        file.write_bytes(file.read_bytes()[:100])
    lines = check_patients(root).table().splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("error"))
    assert lines[start].startswith("error    a-g2/p1/slice 1.png: the picture cannot be decoded")
    assert lines[start + 3 :] == [
        "         and 5 more: --json lists all",
        "         -> Copy or export it again from its source, or remove it.",
        "",
        "8 errors, no warnings",
    ]


def test_json_holds_facts_and_problems(root):
    (root / "c").mkdir()
    report = check_patients(root)
    content = json.loads(report.to_json())
    assert content["counts"] == {"a": {"2": 1, "3": 1}, "b": {"4": 2}}
    assert content["exit_code"] == report.exit_code == 1
    assert [set(problem) for problem in content["problems"]] == [{"severity", "where", "what", "remedy", "patient"}]


def test_everything_is_found_in_one_pass(root, write_patient):
    (root / "a-g2/p1/slice 0.png").write_text("hello")
    (root / "a-g3/p2/slice 1.png").write_bytes(b"")
    write_patient(root / "a-g7/p5", 5)
    write_patient(root / "glioma/p6", 6)
    (root / "b-g4/p7").mkdir()
    write_patient(root / "c-g1/p8", 8)
    write_patient(root / "a-g2/p9", 9)
    write_patient(root / "b-g4/p9", 10)
    found = dict(problems(root, "error"))
    assert set(found) == {
        "a-g2/p1/slice 0.png",
        "a-g3/p2/slice 1.png",
        "a-g7",
        "glioma",
        "b-g4/p7",
        "c",
        "a-g2/p9 and b-g4/p9",
    }
    assert found["c"] == "a type needs two patients, one to learn from and one to test on; 'c' has 1"


def test_a_broken_slice_is_left_out_and_the_patient_stays(root):
    (root / "a-g2/p1/slice 1.png").write_text("hello")
    patients = find_patients(root)
    reading = read_patient(patients.patients[0], patients.root)
    assert [file.name for file in reading.patient.image] == ["slice 0.png", "slice 2.png"]
    assert [(p.where, p.patient) for p in reading.problems] == [("a-g2/p1/slice 1.png", "p1")]
    assert check_patients(root).facts["patients"] == 4


def test_a_patient_without_a_readable_slice_is_left_out(root):
    for file in (root / "a-g2/p1").iterdir():
        file.write_text("hello")
    report = check_patients(root)
    assert report.facts["patients"] == 3
    assert "'a' has 1" in report.problems[-1].what


def test_readings_come_in_the_order_of_the_patients(root):
    patients = find_patients(root)
    assert [reading.patient for reading in survey(patients.patients, patients.root)] == patients.patients


def test_volumes_tell_spacing_and_axes_and_their_broken_ones_are_named(root):
    rng = np.random.default_rng(0)
    for name in ("v1", "v2", "v3", "v4"):
        (root / f"c-g1/{name}").mkdir(parents=True)
        data = rng.integers(0, 999, (16, 16, 4)).astype(np.float32)
        data[0, 0, 0] = np.nan if name == "v3" else 0
        file = root / f"c-g1/{name}/t1.nii.gz"
        nib.save(nib.Nifti1Image(data, np.diag([-1, -2, 3.5, 1])), file)
    file.write_bytes(file.read_bytes()[:1000])
    report = check_patients(root)
    assert report.facts["spacings"] == {"2 x 1 x 3.5": 2}
    assert report.facts["axes"] == {"LPS": 2}
    assert report.facts["modes"] == {"RGB": 12, "float32": 2}
    assert [p.where for p in report.problems] == ["c-g1/v3/t1.nii.gz", "c-g1/v4/t1.nii.gz"]
    assert "NaN" in report.problems[0].what


def test_empty_slices_are_a_warning(root):
    Image.new("L", (64, 64)).save(root / "a-g2/p1/slice 9.png")
    assert problems(root, "warning") == [("a-g2/p1/slice 9.png", "1 of 4 slices are empty (a single value)")]
    assert check_patients(root).exit_code == 0


def test_one_type_alone_is_an_error(root):
    shutil.rmtree(root / "b-g4")
    assert problems(root, "error") == [("a", "a classification needs two types, found 'a' alone")]


# Images of several patients


def test_a_shared_image_is_a_warning(root):
    for k in (0, 1):
        shutil.copy(root / f"b-g4/p3/slice {k}.png", root / f"b-g4/p4/copy {k}.png")
    where = "b-g4/p3/slice 0.png = b-g4/p4/copy 0.png"
    assert problems(root, "warning") == [(where, "2 patients share 2 images, pixel for pixel")]


def test_an_image_under_different_labels_is_an_error(root):
    shutil.copy(root / "a-g2/p1/slice 0.png", root / "a-g3/p2/copy.png")
    Image.open(root / "a-g2/p1/slice 0.png").save(root / "b-g4/p3/copy.jpg", quality=80)
    ((_, what),) = problems(root, "error")
    labels = "a grade 2 and a grade 3 and b grade 4"
    assert what == f"3 patients share an image, nearly, under different labels: {labels}"
    assert check_patients(root).exit_code == 1


@pytest.mark.parametrize("change", [ImageOps.mirror, lambda image: image], ids=["mirrored", "compressed"])
def test_a_nearly_shared_image_is_a_warning(root, change):
    change(Image.open(root / "a-g2/p1/slice 0.png")).save(root / "b-g4/p3/copy.jpg", quality=80)
    ((_, what),) = problems(root, "warning")
    assert what == "2 patients share an image, nearly, under different labels: a grade 2 and b grade 4"


def test_a_shared_image_in_two_parts_of_the_split_is_an_error(root):
    shutil.copy(root / "b-g4/p3/slice 0.png", root / "b-g4/p4/copy.png")
    write_split(root, training=["a-g2/p1", "b-g4/p4"], test=["a-g3/p2", "b-g4/p3"])
    ((_, what),) = problems(root, "error")
    assert what == "2 patients share an image, pixel for pixel, and are in test and in training"


def test_a_shared_image_in_one_part_stays_a_warning(root):
    shutil.copy(root / "b-g4/p3/slice 0.png", root / "b-g4/p4/copy.png")
    write_split(root, training=["b-g4/p3", "b-g4/p4"], test=["a-g3/p2"])
    assert len(problems(root, "warning")) == 1
    assert problems(root, "error") == []


def test_a_patient_in_two_parts_is_an_error(root):
    write_split(root, training=["a-g2/p1", "b-g4/p3"], validation=["b-g4/p4"], test=["a-g2/p1"])
    found = problems(root, "error")
    assert found[0] == ("p1", "the patient is in test and in training")
    assert len(found) == 4, "the patient and three files"


def test_a_file_that_the_split_names_must_exist(root):
    write_split(root, training=["a-g2/p1"], test=["b-g4/p3"])
    (root / "a-g2/p1/slice 1.png").unlink()
    assert problems(root, "error") == [("a-g2/p1/slice 1.png", "the split names a file that is missing")]


def test_a_split_may_lie_elsewhere(root, tmp_path_factory):
    write_split(root, training=["a-g2/p1"], test=["a-g2/p1"])
    datalist = shutil.move(root / "datalist.json", tmp_path_factory.mktemp("run"))
    assert check_patients(root).exit_code == 0
    assert check_patients(root, datalist).exit_code == 1


def test_an_empty_root_is_an_error(tmp_path):
    with pytest.raises(BrainMRIError, match="found nothing"):
        check_patients(tmp_path)


def test_problems_are_told_also_when_no_patient_is_left(tmp_path, write_patient):
    write_patient(tmp_path / "a-g5/p1", 0)
    report = check_patients(tmp_path)
    assert report.exit_code == 1
    assert "the folder 'a-g5' says 5" in report.table()


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA does not name the folder of the real data")
def test_real_patients_have_no_problem():
    report = check_patients(Path(os.environ["BRAINMRI_DATA"]) / "lgg_mri" / "patients")
    assert report.problems == []
    assert (report.facts["patients"], report.facts["slices"]) == (71, 2669)
    assert report.facts["slices_per_patient"] == {"min": 20, "median": 36, "max": 88}
