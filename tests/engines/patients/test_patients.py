from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from brainmri_monai.data.check import check_patients
from brainmri_monai.data.patients import find_patients
from brainmri_monai.engines import CaseStream, slice_store
from brainmri_monai.engines.patients.patients import decode
from brainmri_monai.errors import BrainMRIError


@pytest.fixture
def data(tmp_path, write_cohort) -> Path:
    """Four patients, P01 to P04, with five slices each."""
    return write_cohort(tmp_path / "data", {"astrocytoma-g2": 2, "meningioma-g1": 2})


def test_every_patient_is_decoded_into_the_store(data, tmp_path):
    store = slice_store(tmp_path / "cache", 24)
    patients, problems = decode(find_patients(data), store, 24)
    assert [patient.id for patient in patients] == ["P01", "P03", "P02", "P04"]
    assert problems == []
    assert len(list(store.folder.glob("*.npy"))) == 4
    assert store.get(patients[0].image, None).shape == (5, 24, 24, 3)  # nothing is made anew


def test_another_size_is_another_array(data, tmp_path):
    decode(find_patients(data), slice_store(tmp_path / "cache", 24), 24)
    decode(find_patients(data), slice_store(tmp_path / "cache", 32), 32)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 8


def test_broken_slices_and_patients_without_others_are_left_out(data, tmp_path):
    (data / "astrocytoma-g2/P01/2.png").write_bytes(b"")
    for file in (data / "meningioma-g1/P02").iterdir():
        file.write_text("hello")
    store = slice_store(tmp_path / "cache", 24)
    patients, problems = decode(find_patients(data), store, 24)
    assert [(patient.id, len(patient.image)) for patient in patients] == [("P01", 4), ("P03", 5), ("P04", 5)]
    assert sorted(p.where for p in problems)[0] == "astrocytoma-g2/P01/2.png"
    assert len(problems) == 6
    assert store.get(patients[0].image, None).shape[0] == 4


def test_nothing_readable_is_an_error_that_says_the_first_reason(tmp_path):
    for name in ("p", "q"):
        (tmp_path / "data/a-g2" / name).mkdir(parents=True)
        (tmp_path / "data/a-g2" / name / "1.png").write_text("hello")
    with pytest.raises(BrainMRIError, match=r"no patient in .* can be read; the first reason: a-g2/p/1.png") as error:
        decode(find_patients(tmp_path / "data"), slice_store(tmp_path / "cache", 24), 24)
    assert len(str(error.value).splitlines()) <= 3


def load(sample: dict) -> dict:
    """Fail as a reader does for a file that is no picture."""
    files = sample["image"] if isinstance(sample["image"], list) else [sample["image"]]
    for file in files:
        Image.open(file).load()
    return sample


def test_a_case_that_fails_is_kept_aside_and_the_others_go_on(data):
    (data / "astrocytoma-g2/P01/2.png").write_text("hello")
    cases = CaseStream(data, load)
    assert [sample["id"] for sample in cases] == ["P03", "P02", "P04"]
    assert list(cases.failed) == ["P01"]
    assert "2.png" in cases.failed["P01"]


def test_a_wrapped_error_is_told_in_our_words(data):
    def transform(sample: dict) -> dict:
        try:
            raise BrainMRIError("found that\nwhere\ndo so")
        except BrainMRIError as ours:
            raise RuntimeError("applying transform") from ours

    cases = CaseStream(data, transform)
    assert list(cases) == []
    assert set(cases.failed.values()) == {"found that; where; do so"}


def test_one_file_is_a_path_and_several_are_a_list(data):
    (sample,) = CaseStream(data / "astrocytoma-g2/P01/0.png", dict)
    assert sample["image"] == str(data / "astrocytoma-g2/P01/0.png")
    (sample,) = CaseStream(data / "astrocytoma-g2/P01", dict)
    assert sample["image"] == [str(data / f"astrocytoma-g2/P01/{n}.png") for n in range(5)]


def test_what_is_doubtful_is_told_and_answered(tmp_path, capsys):
    for case in ("p", "q"):
        image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8), np.eye(4))
        image.set_sform(None, 0)
        image.set_qform(None, 0)
        nib.save(image, tmp_path / f"{case}.nii")
    cases = CaseStream(tmp_path, dict)
    assert [sample["id"] for sample in cases] == ["p", "q"]
    assert not cases.failed
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("note: p.nii: the header gives no orientation; LAS is assumed (and 1 more such")


def test_nothing_to_predict_is_said():
    with pytest.raises(BrainMRIError, match="nothing to predict"):
        CaseStream("", load)


def test_a_slice_that_does_not_fit_the_others_is_left_out(data, tmp_path):
    Image.new("F", (40, 40), 0.5).save(data / "astrocytoma-g2/P01/9.tif")
    patients, problems = decode(find_patients(data), slice_store(tmp_path / "cache", 24), 24)
    assert [len(patient.image) for patient in patients] == [5, 5, 5, 5]
    assert [problem.where for problem in problems] == ["astrocytoma-g2/P01/9.tif"]
    assert [problem.where for problem in check_patients(data).problems if problem.severity == "error"] == [
        "astrocytoma-g2/P01/9.tif"
    ]
