import os
from pathlib import Path

import pytest

from brainmri_monai.data.slices.classes import canonical_class
from brainmri_monai.data.slices.folders import find_slices, holds_slices, scan_slices
from brainmri_monai.errors import BrainMRIError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("glioma", "glioma"),
        ("Glioma_tumor", "glioma"),
        ("glioma tumour", "glioma"),
        ("meningioma-tumor", "meningioma"),
        ("pituitary_tumor", "pituitary"),
        ("Pituitary", "pituitary"),
        ("no_tumor", "notumor"),
        ("notumor", "notumor"),
        ("No Tumour", "notumor"),
        ("no", "notumor"),
        ("healthy", "notumor"),
        ("yes", "tumor"),
        ("tumor", "tumor"),
        ("Tumours", "tumor"),
        ("lymphoma", None),
        ("northern", None),
    ],
)
def test_the_usual_names_of_classes_are_known(folder, name):
    assert canonical_class(folder) == name


@pytest.mark.parametrize("name", ["glioma", "meningioma", "pituitary", "notumor", "tumor"])
def test_our_names_stay(name):
    assert canonical_class(name) == name


def test_class_folders_alone(tmp_path, write_classes):
    found = find_slices(write_classes(tmp_path, {"no_tumor": 2, "glioma_tumor": 12}))
    assert (found.classes, found.official, found.problems) == (("glioma", "notumor"), False, [])
    assert [item.label for item in found.items] == ["glioma"] * 12 + ["notumor"] * 2
    assert [item.id for item in found.items[:3]] == [f"glioma_tumor/{k}.png" for k in range(3)], "in natural order"
    assert all(item.path.is_absolute() and item.part is None for item in found.items)


@pytest.mark.parametrize(("training", "testing"), [("Training", "Testing"), ("train", "test"), ("TRAIN", "TESTING")])
def test_an_official_split_is_kept(tmp_path, write_classes, training, testing):
    folders = {f"{training}/glioma": 2, f"{training}/no": 1, f"{testing}/glioma_tumor": 1, f"{testing}/no": 1}
    found = find_slices(write_classes(tmp_path, folders))
    assert (found.classes, found.official) == (("glioma", "notumor"), True)
    assert sorted((item.part, item.label) for item in found.items) == [
        ("testing", "glioma"),
        ("testing", "notumor"),
        ("training", "glioma"),
        ("training", "glioma"),
        ("training", "notumor"),
    ]


def test_a_training_part_alone_is_no_split(tmp_path, write_classes):
    found = find_slices(write_classes(tmp_path, {"Training/glioma": 1, "Training/no": 1}))
    assert not found.official
    assert {item.part for item in found.items} == {"training"}


def test_a_binary_set(tmp_path, write_classes):
    assert find_slices(write_classes(tmp_path, {"yes": 1, "no": 1})).classes == ("notumor", "tumor")


def test_own_classes_work_and_are_told(tmp_path, write_classes):
    found = find_slices(write_classes(tmp_path, {"Löwe": 1, "lymphoma": 1, "glioma": 1}))
    assert found.classes == ("Löwe", "glioma", "lymphoma")
    assert [(p.severity, p.where) for p in found.problems] == [("warning", "Löwe"), ("warning", "lymphoma")]


def test_names_with_spaces_and_other_letters(tmp_path, write_classes):
    write_classes(tmp_path, {"glioma tumor": 1, "no tumor": 1})
    (tmp_path / "glioma tumor" / "0.png").rename(tmp_path / "glioma tumor" / "Å (1) 脳.PNG")
    assert find_slices(tmp_path).items[0].id == "glioma tumor/Å (1) 脳.PNG"


def test_what_cannot_be_a_slice_is_told(tmp_path, write_classes):
    write_classes(tmp_path, {"glioma": 1, "no": 1, "pituitary": 0, "glioma/nested": 1})
    (tmp_path / "glioma" / "scan.jpg").mkdir()
    for name in ("glioma/moving.gif", "glioma/readme.txt", "stray.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "glioma" / "Thumbs.db").write_bytes(b"x")
    found = scan_slices(tmp_path)
    assert [item.id for item in found.items] == ["glioma/0.png", "no/0.png"]
    assert {problem.where: problem.severity for problem in found.problems} == {
        "stray.png": "error",
        "glioma/moving.gif": "error",
        "glioma/nested": "error",
        "glioma/readme.txt": "warning",
        "glioma/scan.jpg": "error",
        "pituitary": "error",
    }
    assert "named as a picture" in next(p.what for p in found.problems if p.where == "glioma/scan.jpg")


def test_nothing_to_find(tmp_path):
    with pytest.raises(BrainMRIError, match="found nothing"):
        find_slices(tmp_path / "missing")
    with pytest.raises(BrainMRIError, match="found an empty folder"):
        find_slices(tmp_path)
    (tmp_path / "glioma").mkdir()
    with pytest.raises(BrainMRIError, match="glioma: the folder of a class holds no picture"):
        find_slices(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [
        ["glioma", "no_tumor"],
        ["glioma", "somewhat"],
        ["Training/a", "Testing/a"],
        ["apples", "pears"],
        ["yes", "no"],
    ],
)
def test_slices_are_recognised(tmp_path, write_classes, folders):
    assert holds_slices(write_classes(tmp_path, dict.fromkeys(folders, 1)))


@pytest.mark.parametrize(
    "folders",
    [
        [],
        ["glioma-g2/p1", "glioma-g3/p2"],
        ["glioma-g2/p1", "glioma"],
        ["glioma/p1", "meningioma/p2"],
        ["apples"],
        [f"patient {k}" for k in range(21)],
    ],
)
def test_patients_are_not_taken_for_slices(tmp_path, write_classes, folders):
    assert not holds_slices(write_classes(tmp_path, dict.fromkeys(folders, 1)))


def test_a_table_of_patients_goes_before(tmp_path, write_classes):
    write_classes(tmp_path, {"glioma": 1, "no": 1})
    (tmp_path / "about.csv").write_text("file,size\n")
    assert holds_slices(tmp_path)
    (tmp_path / "patients.csv").write_text("patient,type,grade,path\n")
    assert not holds_slices(tmp_path)


def test_names_that_are_no_utf_8_can_be_told(tmp_path):
    for folder in (b"a", b"b", b"caf\xe9"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + folder))
        path.mkdir()
        (path / "1.png").touch()
    for name in (b"caf\xe9.png", b"a/caf\xe9.png", b"\xe9.txt"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    found = find_slices(tmp_path)
    assert [item.id for item in found.items] == ["a/1.png", "b/1.png"]
    told = sorted(problem.where for problem in found.problems if problem.severity == "error")
    assert told == ["a/caf\\udce9.png", "caf\\udce9", "caf\\udce9.png"]
