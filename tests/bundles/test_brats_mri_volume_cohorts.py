"""An inference on many cases: what is broken, odd, missing, finished, or asked for wrongly."""

import gzip
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from toy_volumes import LPS, SHAPE, TOY, draw_case, labels_of, table_of, truth, write_case, write_toy

from brainmri_monai.data.bundles import config_files
from brainmri_monai.engines.launch import launch
from brainmri_monai.errors import BrainMRIError

FORMS = pytest.mark.parametrize("form", [[], ["--portable"]], ids=["fast", "portable"])


def truncated(folder: Path) -> None:
    file = folder / f"{folder.name}_t2.nii.gz"
    file.write_bytes(file.read_bytes()[:-3000])


def other_shape(folder: Path) -> None:
    nib.save(nib.Nifti1Image(draw_case()[0][:-1], LPS), folder / f"{folder.name}_t2.nii.gz")


def other_place(folder: Path) -> None:
    moved = LPS.copy()
    moved[0, 3] += 2
    nib.save(nib.Nifti1Image(draw_case()[0], moved), folder / f"{folder.name}_t2.nii.gz")


def five_axes(folder: Path) -> None:
    nib.save(nib.Nifti1Image(np.ones((8, 8, 8, 1, 2), np.int16), LPS), folder / f"{folder.name}_t2.nii.gz")


def with_nan(folder: Path) -> None:
    image = draw_case()[2].astype(np.float32)
    image[17, 20, 15] = np.nan
    nib.save(nib.Nifti1Image(image, LPS), folder / f"{folder.name}_t2.nii.gz")


def empty_modality(folder: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros(SHAPE, np.int16), LPS), folder / f"{folder.name}_t2.nii.gz")


def enormous(folder: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((10000, 10000, 10000))
    header.set_sform(LPS, 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    (folder / f"{folder.name}_t2.nii.gz").write_bytes(gzip.compress(header.binaryblock + bytes(1000)))


def missing(folder: Path) -> None:
    (folder / f"{folder.name}_t2.nii.gz").unlink()


def doubled(folder: Path) -> None:
    file = folder / f"{folder.name}_t2.nii.gz"
    shutil.copy(file, folder / f"{folder.name}_T2w.nii.gz")


def copied(folder: Path) -> None:
    shutil.copy(folder / f"{folder.name}_t1.nii.gz", folder / f"{folder.name}_t2.nii.gz")


def hardly_there(folder: Path) -> None:
    for file in folder.iterdir():
        image = nib.load(file)
        voxels = np.zeros(SHAPE, np.int16)
        voxels[12:24, 14:26, 9:21] = np.asarray(image.dataobj)[12:24, 14:26, 9:21]
        nib.save(nib.Nifti1Image(voxels, image.affine), file)


BROKEN = {
    "truncated": (truncated, "_t2.nii.gz"),
    "other_shape": (other_shape, "expected the shape"),
    "other_place": (other_place, "2 mm from where"),
    "five_axes": (five_axes, "3 axes"),
    "with_nan": (with_nan, "NaN"),
    "empty_modality": (empty_modality, "t2 is empty"),
    "enormous": (enormous, "(10000, 10000, 10000)"),
    "missing": (missing, "lacks t2"),
    "doubled": (doubled, "two files for one thing"),
    "copied": (copied, "t1 and t2 hold the same voxels"),
    "hardly_there": (hardly_there, "hardly any brain in this case: 1728 voxels"),
}


@FORMS
def test_broken_cases_are_told_and_the_others_go_on(segment, tmp_path, form):
    write_case(tmp_path / "data/good one")
    for name, (spoil, _) in BROKEN.items():
        spoil(write_case(tmp_path / "data" / name))
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 1, err
    assert "Traceback" not in err
    for name, (_, said) in BROKEN.items():
        (line,) = [line for line in err.splitlines() if line.startswith(f"failed: {name}: ")]
        if not (form and name == "truncated"):  # MONAI's reader does not name the file
            assert said in line
    assert f"{len(BROKEN)} failed, 1 segmented" in err
    assert list(table_of(tmp_path / "out").index) == ["good one"]
    np.testing.assert_array_equal(np.asarray(labels_of(tmp_path / "out", "good one")) > 0, truth() > 0)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["good one", "predictions.csv"]


@FORMS
def test_a_skull_is_told(segment, tmp_path, form):
    wide = np.diag([-4.0, -4.0, 4.0, 1.0])
    write_case(tmp_path / "data/stripped", affine=wide)
    write_case(tmp_path / "data/whole", draw_case() + np.int16(20), affine=wide)
    code, out, err = segment(tmp_path / "data", "--spacing", 4, *form)
    assert code == 0, err
    (warning,) = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert warning.startswith("warning: whole: skull not stripped? A brain has at most 2300 ml, not 0 are t1c 2611 ml")


@FORMS
def test_odd_but_sound_cases_are_segmented(segment, tmp_path, form):
    moved = LPS.copy()
    moved[:3, 3] += 1e-8
    root = tmp_path / "Bilder für Köln 脑"
    write_case(root / "negative", draw_case() - np.int16(3) * (draw_case() == 0))
    bright = draw_case()
    bright[:, 20, 20, 15] = 32767
    write_case(root / "bright", bright)
    folder = write_case(root / "rounded")
    nib.save(nib.Nifti1Image(draw_case()[2], moved), folder / "rounded_t2.nii.gz")
    folder = write_case(root / "in folders")
    for file in list(folder.iterdir()):
        inner = folder / file.name.removesuffix(".gz")
        inner.mkdir()
        file.rename(inner / "volume.nii.gz")
    folder = write_case(root / "fourth axis of one")
    for number, file in enumerate(sorted(folder.iterdir())):
        image = nib.load(file)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[..., None], LPS), file)
        assert number < 4
    code, _, err = segment(root, *form)
    assert code == 0, err
    assert len(table_of(tmp_path / "out")) == 5
    for case in ("rounded", "in folders", "fourth axis of one"):
        assert labels_of(tmp_path / "out", case).shape[:3] == SHAPE
        np.testing.assert_array_equal(labels_of(tmp_path / "out", case) > 0, truth() > 0)


@FORMS
def test_missing_modality_is_allowed_on_request(segment, tmp_path, form):
    missing(write_case(tmp_path / "data/BraTS20_Training_001"))
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 2
    assert "lacks t2" in err
    code, out, err = segment(tmp_path / "data", "--allow_missing", *form)
    assert code == 0, err
    warning = "1 of 1 cases lack a modality, and these weights were trained without --modality_dropout"
    assert warning in out
    row = table_of(tmp_path / "out").loc["BraTS20_Training_001"]
    found = labels_of(tmp_path / "out", "BraTS20_Training_001")
    np.testing.assert_array_equal(found == 4, truth() == 3)  # T1c is in its own place
    np.testing.assert_array_equal(found == 2, (truth() != 3) & (truth() > 0))  # without T2 there is no core around it
    assert (row["pred"], row["missing"]) == ("TC+WT+ET", "t2")
    code, out, err = segment(tmp_path / "data", "--allow_missing", "--modality_dropout", "0.2", *form)
    assert code == 0, err
    assert warning not in out


@FORMS
def test_finished_cases_are_not_done_again(segment, toy, tmp_path, form):
    for name in ("a", "b"):
        write_case(tmp_path / "data" / name)
    files = [tmp_path / f"out/{name}/{name}_seg.nii.gz" for name in ("a", "b")]

    def run(*words, weights=toy) -> list[bool]:
        """Which of the two was done."""
        for file in files:
            if file.exists():
                os.utime(file, ns=(1, 1))
        code, _, err = segment(tmp_path / "data", *form, *words, weights=weights)
        assert code == 0, err
        assert list(table_of(tmp_path / "out").index) == ["a", "b"]
        return [file.stat().st_mtime_ns != 1 for file in files]

    assert run() == [True, True]
    assert run() == [False, False]
    files[1].unlink()
    assert run() == [False, True]
    os.utime(tmp_path / "data/a/a_flair.nii.gz")  # copied anew
    assert run() == [True, False]
    (tmp_path / "out/a/a.json").write_text("{", encoding="utf-8")
    assert run() == [True, False]
    assert run(weights=write_toy(tmp_path / "other/model.pt", 1.1).parent) == [True, True]
    assert run("--label_values", "portable") == [True, True]


@FORMS
def test_full_disk_leaves_no_half_file(segment, tmp_path, monkeypatch, form):
    write_case(tmp_path / "data/case")

    def save(image, path):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib, "save", save)
    code, _, err = segment(tmp_path / "data", *form)
    assert code == 2
    message = err[err.index("error: ") :]
    assert "No space left on device" in message
    assert "case_seg.nii.gz" in message
    assert len(message.splitlines()) <= 3
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("folder", ["data", "data/out"])
def test_results_among_the_data_are_refused(segment, tmp_path, folder):
    write_case(tmp_path / "data/case", label=truth())
    code, _, err = segment(tmp_path / "data", out=tmp_path / folder)
    assert code == 2
    assert "would lie among the data" in err


@pytest.mark.parametrize("option", [{"precision": "float16"}, {"overlap": 2}, {"spacing": 0}, {"label_values": "x"}])
def test_monais_runner_is_told_of_a_value_before_any_case(volume_bundle, toy, tmp_path, option):
    write_case(tmp_path / "data/case")
    paths = {"bundle_root": volume_bundle, "dataset_dir": tmp_path / "data", "ckpt_dir": toy, "output_dir": tmp_path}
    options = {name: str(path) for name, path in paths.items()} | {"network_def#body": TOY} | option
    with pytest.raises(BrainMRIError, match=rf"--{next(iter(option))} is .*, and has to be"):
        launch("inference", config_files(volume_bundle, "inference"), options)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--label_values", "brats2020"], "--label_values is 'brats2020', and has to be one of auto, portable"),
        (["--roi_size", "[100,96,96]"], "each divisible by 16"),
        (["--roi_size", "[96,96]"], "three sides"),
        (["--ensemble", "a/model.pt"], "expected a list of checkpoints"),
        (["--regions", "['TC','WT','XX']"], "unknown region 'XX'"),
        (["--portable", "--flips"], "--flips is not for inference with --portable"),
        (["--convention", "bratsgoat"], "did you mean 'brats-goat'?"),
    ],
)
def test_mistakes_in_options_are_told(segment, tmp_path, words, said):
    write_case(tmp_path / "data/case")
    code, _, err = segment(tmp_path / "data", *words)
    assert code == 2, err
    message = err[err.index("error: ") :]
    assert said in message
    assert len(message.splitlines()) <= 3
