from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brainmri_monai.data.patients import Patient
from brainmri_monai.data.persons import find_persons, image_marks, split_persons
from brainmri_monai.errors import BrainMRIError

ROOT = Path("/data")
PATIENTS = [
    Patient(f"p{n:02d}", "ab"[n % 2], 1 + n // 2 % 2, (ROOT / f"p{n:02d}/1.png", ROOT / f"p{n:02d}/2.png"))
    for n in range(16)
]


def rows(*slices: int) -> np.ndarray:
    """Marks of slices that are as unlike as noise; 0 is that of an empty one."""
    return np.stack([np.random.default_rng(n).integers(0, 256, 1056, np.uint8) * (n > 0) for n in slices])


def own_marks() -> list[np.ndarray]:
    return [rows(0, 100 + n, 200 + n) for n in range(len(PATIENTS))]


def names(persons: list[list[Patient]]) -> list[list[str]]:
    return [[patient.id for patient in own] for own in persons if len(own) > 1]


def test_patients_who_share_an_image_are_one_person_also_through_others():
    marks = own_marks()
    marks[0], marks[4], marks[8] = rows(1, 0), rows(1, 2), rows(3, 2)
    assert names(find_persons(PATIENTS, marks, ROOT)) == [["p00", "p04", "p08"]]


def test_empty_slices_make_nobody_one_person():
    assert len(find_persons(PATIENTS, own_marks(), ROOT)) == len(PATIENTS)
    assert len(find_persons(PATIENTS, [rows(0, 0)] * len(PATIENTS), ROOT)) == len(PATIENTS)


@pytest.mark.parametrize("other", [1, 2], ids=["type", "grade"])
def test_one_image_under_different_labels_is_refused(other):
    marks = own_marks()
    marks[other] = marks[0]
    with pytest.raises(BrainMRIError, match=f"p00 .a, grade 1. and p0{other} ") as error:
        find_persons(PATIENTS, marks, ROOT)
    assert f"p00 and p0{other} in /data" in str(error.value)
    assert len(str(error.value).splitlines()) == 3


def test_an_unknown_grade_contradicts_none():
    marks = own_marks()
    marks[4] = marks[0]
    patients = [replace(patient, grade=None) if patient.id == "p04" else patient for patient in PATIENTS]
    assert names(find_persons(patients, marks, ROOT)) == [["p00", "p04"]]


def test_marks_are_of_the_decoded_pixels(tmp_path, picture):
    for name, pixels in {"a.png": picture(0), "b.bmp": picture(0), "c.png": picture(1)}.items():
        Image.fromarray(pixels).save(tmp_path / name)
    Image.new("L", (64, 64)).save(tmp_path / "d.png")
    a, b, c, d = image_marks([tmp_path / name for name in ("a.png", "b.bmp", "c.png", "d.png")])
    assert a.tolist() == b.tolist() != c.tolist()
    assert not d.any()


@pytest.mark.parametrize("fold", [None, 0, 1, 2])
def test_no_person_is_divided_by_a_split(fold):
    for seed in range(20):
        marks = own_marks()
        for first in range(4):  # p00 = p04, p01 = p05, ...
            marks[first + 4] = marks[first]
        split = split_persons(find_persons(PATIENTS, marks, ROOT), seed, 3, fold)
        part_of = {patient: part for part, patients in split.parts.items() for patient in patients}
        assert sorted(part_of) == [patient.id for patient in PATIENTS]
        assert all(part_of[f"p{n:02d}"] == part_of[f"p{n + 4:02d}"] for n in range(4)), seed
        assert split.notes[0] == "p00 = p04 share images, and were kept together"
        assert split.notes[3] == "p03 = p07 share images, and were kept together"


def test_a_type_with_one_person_alone_is_refused():
    patients = [patient for patient in PATIENTS if patient.type == "a"] + [PATIENTS[1], PATIENTS[5]]
    marks = [*own_marks()[:8], rows(1), rows(1)]
    with pytest.raises(BrainMRIError, match="every class needs two"):
        split_persons(find_persons(patients, marks, ROOT), 0)


def test_near_and_mirrored_copies_are_tied_and_their_labels_told():
    marks = own_marks()
    for copy, view in ((1, slice(None)), (4, slice(None, None, -1))):  # under another type, and mirrored
        thumbnails = marks[0][1:, 32:].reshape(-1, 32, 32)[:, :, view]
        marks[copy][1:, 32:] = (thumbnails * 0.9 + 10).astype(np.uint8).reshape(-1, 1024)
    persons = find_persons(PATIENTS, marks, ROOT)
    assert names(persons) == [["p00", "p01", "p04"]]
    notes = split_persons(persons, 0).notes
    assert "p00 = p01 = p04 share images, and were kept together, under different labels" in notes[0]
    assert "a grade 1 and b grade 1" in notes[0]


def test_one_slice_of_many_that_is_like_a_strangers_ties_nobody():
    marks = [rows(*range(100 + 10 * n, 106 + 10 * n)) for n in range(len(PATIENTS))]
    marks[4][3, 32:] = marks[0][2, 32:]
    assert names(find_persons(PATIENTS, marks, ROOT)) == []
    marks[4][:3, 32:] = marks[0][:3, 32:]
    assert names(find_persons(PATIENTS, marks, ROOT)) == [["p00", "p04"]]
