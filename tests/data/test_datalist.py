import json
from dataclasses import replace
from pathlib import Path

import pytest

from brainmri_monai.data.datalist import Datalist, digest_of, entry
from brainmri_monai.data.patients import Patient, Problem
from brainmri_monai.data.splits import PARTS, Split
from brainmri_monai.errors import BrainMRIError


def make_entries(root: Path) -> list[dict]:
    """Five patients: two astrocytomas and three ependymomas, the last one without a grade."""
    labels = {"p1": ("astrocytoma", 2), "p2": ("astrocytoma", 3), "q1": ("ependymoma", 2), "q2": ("ependymoma", 4)}
    labels["患者"] = ("ependymoma", None)
    entries = []
    for name, (kind, grade) in labels.items():
        folder = root / kind / name
        folder.mkdir(parents=True)
        files = [folder / f"{k}.png" for k in range(2)]
        for file in files:
            file.write_bytes(f"{name} {file.name}".encode())
        entries.append(entry(Patient(name, kind, grade, tuple(files)), root))
    return entries


@pytest.fixture
def entries(tmp_path) -> list[dict]:
    return make_entries(tmp_path / "data")


@pytest.fixture
def datalist(entries, tmp_path) -> Datalist:
    split = Split({"training": ["p1", "q1", "q2"], "validation": ["患者"], "test": ["p2"]}, ["a note"])
    problems = [Problem("error", "x/1.png", "cannot be read", "Copy it again.", "x")]
    types = sorted({e["type"] for e in entries})
    return Datalist.build(
        tmp_path / "data", "folders", types, entries, split, {"method": "holdout", "seed": 7}, problems
    )


def test_an_entry_is_what_a_person_can_read(entries):
    assert entries[1] | {"digests": ...} == {
        "id": "p2",
        "patient": "p2",
        "image": ["astrocytoma/p2/0.png", "astrocytoma/p2/1.png"],
        "type": "astrocytoma",
        "grade": 3,
        "digests": ...,
    }


def test_files_outside_of_the_root_keep_their_whole_path(tmp_path):
    (tmp_path / "elsewhere.png").touch()
    made = entry(Patient("p", "a", 2, (tmp_path / "elsewhere.png",)), tmp_path / "data")
    assert made["image"] == [str(tmp_path / "elsewhere.png")]


def test_saved_and_loaded_it_is_the_same(datalist, tmp_path):
    datalist.save(tmp_path / "datalist.json")
    assert Datalist.load(tmp_path / "datalist.json") == datalist
    content = json.loads((tmp_path / "datalist.json").read_text(encoding="utf-8"))
    assert content["name"] == "data"
    assert content["digest"] == datalist.digest
    assert content["types"] == ["astrocytoma", "ependymoma"]
    assert content["split"] == {"method": "holdout", "seed": 7, "notes": ["a note"]}
    assert [item["id"] for item in content["validation"]] == ["患者"]
    assert content["excluded"] == [
        {"id": "x", "where": "x/1.png", "what": "cannot be read", "remedy": "Copy it again."}
    ]


@pytest.mark.parametrize("name", ["$1/0", "@epochs", "%x"])
def test_a_type_that_monai_would_evaluate_is_refused(datalist, tmp_path, name):
    with pytest.raises(BrainMRIError, match="know expressions"):
        Datalist.build(tmp_path, "folders", ["a", name], [], Split({part: [] for part in PARTS}), {})


def test_samples_are_what_monai_takes(datalist, tmp_path):
    assert datalist.samples("test") == [
        {
            "id": "p2",
            "image": [str(tmp_path / "data/astrocytoma/p2" / name) for name in ("0.png", "1.png")],
            "label": [0, 2],
        }
    ]


def test_an_unknown_grade_or_type_has_the_label_minus_one(datalist):
    assert datalist.samples("validation")[0]["label"] == [1, -1]
    assert datalist.label({"type": "meningioma", "grade": 1}) == [-1, 0]


def test_samples_follow_the_data_to_another_folder(datalist, tmp_path):
    moved = replace(datalist, root=tmp_path / "moved")
    assert moved.samples("test")[0]["image"][0] == str(tmp_path / "moved/astrocytoma/p2/0.png")


def test_the_digest_does_not_depend_on_the_folder_or_on_the_order(entries, tmp_path):
    assert digest_of(make_entries(tmp_path / "copy")) == digest_of(entries)
    assert digest_of(entries[::-1]) == digest_of(entries)


@pytest.mark.parametrize("change", [{"type": "other"}, {"grade": 1}, {"id": "other"}, {"digests": ["0", "1"]}])
def test_the_digest_changes_with_every_label_patient_and_image(entries, change):
    assert digest_of([entries[0] | change, *entries[1:]]) != digest_of(entries)
    assert digest_of(entries[1:]) != digest_of(entries)


def test_digests_are_of_the_bytes(tmp_path):
    def digest(content: bytes) -> str:
        (tmp_path / "1.png").write_bytes(content)
        return entry(Patient("p", "a", 2, (tmp_path / "1.png",)), tmp_path)["digests"][0]

    assert digest(b"1") == digest(b"1")
    assert digest(b"1") != digest(b"2")


def test_a_dicom_folder_has_one_digest_of_its_files(tmp_path):
    series = tmp_path / "series"
    (series / "reports").mkdir(parents=True)  # a folder in it is not part of the series
    (series / "1.dcm").write_bytes(b"1")
    patient = Patient("p", "a", 2, (series,))
    (first,) = entry(patient, tmp_path)["digests"]
    (series / "2.dcm").write_bytes(b"2")
    (second,) = entry(patient, tmp_path)["digests"]
    assert first != second
    for name in (".DS_Store", "Thumbs.db"):  # left by a look at the folder
        (series / name).write_bytes(b"3")
    assert entry(patient, tmp_path)["digests"] == [second]


def test_class_weights_by_hand(datalist):
    """Training: one astrocytoma, two ependymomas; grades 2, 2 and 4. n / (classes present · n of the class)"""
    assert datalist.class_weights(0, 2) == [3 / (2 * 1), 3 / (2 * 2)]
    assert datalist.class_weights(1, 4) == [0, 3 / (2 * 2), 0, 3 / (2 * 1)]


def test_class_weights_average_to_one_over_the_patients(datalist):
    labels = [sample["label"] for sample in datalist.samples("training")]
    for what, classes in ((0, 2), (1, 4)):
        weights = datalist.class_weights(what, classes)
        assert sum(weights[label[what]] for label in labels) / len(labels) == pytest.approx(1)


def test_class_weights_without_a_known_grade_are_zero(datalist):
    for item in datalist.parts["training"]:
        item["grade"] = None
    assert datalist.class_weights(1, 4) == [0, 0, 0, 0]


def test_a_folder_that_is_no_run_is_said(tmp_path):
    with pytest.raises(BrainMRIError, match="this is not the folder of a run"):
        Datalist.load(tmp_path / "datalist.json")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"root": "x"}', "\x00"])
def test_a_file_that_is_no_datalist_is_said(tmp_path, content):
    (tmp_path / "datalist.json").write_text(content)
    with pytest.raises(BrainMRIError, match="is not a datalist of this package"):
        Datalist.load(tmp_path / "datalist.json")
