"""What a user can get wrong: each is told in three lines, or reported and left out; never a traceback."""

import gzip
import json
import pickle
import shutil
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from outcomes import assert_told, read
from PIL import Image

BUNDLE = "brain_tumor_mil_classification"
PARTS = ("training", "validation", "test")


@pytest.fixture
def train(brainmri, no_report, tmp_path):
    """``brainmri run … training`` for one epoch on tiny slices, into ``tmp_path/run``."""

    def train(dataset_dir, *words):
        options = ["--epochs", 1, "--image_size", 32, "--bag_size", 3, "--output_dir", tmp_path / "run"]
        return brainmri("run", BUNDLE, "training", "--dataset_dir", dataset_dir, *options, *words)

    return train


@pytest.fixture
def data(cohort, tmp_path) -> Path:
    """A copy of the cohort, to be spoiled."""
    return shutil.copytree(cohort, tmp_path / "data")


# words ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["training", "--epoch", "3"], "unknown option --epoch; did you mean --epochs?"),
        (["training", "--processes", "0"], "--processes is 0, and has to be 1 or more"),
        (["training", "--batchsize", "3"], "did you mean --batch_size?"),
        (["evaluate", "--mc_sample", "3"], "did you mean --mc_samples?"),
        (["inference", "--data_dir", "x"], "did you mean --dataset_dir?"),
        (["export", "--out", "x"], "The option is --output_dir."),
        (["training", "--train#trainr#max_epochs", "3"], "unknown option --train#trainr#max_epochs"),
        (["training", "--config", "attention"], "no configuration 'attention'"),
        (["training"], "no data set given"),
        (["inference"], "nothing to predict"),
        (["inference", "--types", "['a','b']"], "--types is fixed by the training of the weights"),
        (["training", "--type_weight", "0", "--grade_weight", "0"], "are both 0: nothing is learnt"),
    ],
)
def test_mistyped_command_is_told(brainmri, words, said):
    assert_told(brainmri("run", BUNDLE, *words), said)


def test_unknown_bundle_is_told_with_the_nearest(brainmri):
    assert_told(brainmri("run", "brain_tumour_classification", "training"), f"did you mean {BUNDLE}?")
    assert_told(brainmri("crossval", "nonsense", "--output_dir", "x"), "no bundle or run 'nonsense'", BUNDLE)


def test_evaluating_what_was_never_trained_is_told(brainmri, tmp_path):
    result = brainmri("run", BUNDLE, "evaluate", "--output_dir", tmp_path)
    assert_told(result, f"no datalist.json in {tmp_path}")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--device", "cuda:99"), "--device cuda:99 cannot be used"),
        (("--device", "gpu"), "--device gpu cannot be used"),
        (("--metric", "val_auc"), "metric 'val_auc' cannot choose the best epoch"),
        (("--fold", "7"), "fold 7 asked for, of 5 folds"),
        (("--folds", "4"), "--folds 4 alone changes nothing"),
        (("--fold", "0", "--folds", "99"), "99 folds asked for, and there are 24 patients"),
        (("--pretrained", "nowhere.pt", "--config", "mobilenet"), "nowhere.pt does not exist"),
        (("--lr", "1e30"), "loss became nan in epoch 1: the weights are lost"),
    ],
)
def test_bad_value_of_an_option_is_told(train, cohort, option, said):
    assert_told(train(cohort, *option), said)


@pytest.mark.parametrize(
    ("option", "value", "what"),
    [
        ("epochs", "abc", "a whole number, 1 or more"),
        ("epochs", "0", "a whole number, 1 or more"),
        ("epochs", "1.5", "a whole number, 1 or more"),
        ("epochs", "true", "a whole number, 1 or more"),
        ("batch_size", "0", "a whole number, 1 or more"),
        ("bag_size", "0", "a whole number, 1 or more"),
        ("image_size", "24", "a whole number of pixels, 32 to 1024"),
        ("lr", "-1", "a number above 0"),
        ("lr", "fast", "a number above 0"),
        ("dropout", "2", "a number from 0 to below 1"),
        ("type_weight", "-1", "a number, 0 or more"),
        ("patience", "-1", "a whole number, 0 or more"),
        ("fold", "x", "a whole number, 0 or more, or none"),
        ("bag_policy", "middle", "one of uniform, first, center, random, all"),
        ("precision", "fp8", "one of auto, bfloat16, float32"),
        ("fresh", "perhaps", "True or False"),
        ("metric", "foo", "a score of the validation, such as loss, or epoch"),
    ],
)
def test_value_that_is_not_allowed_is_told_before_any_work(train, cohort, tmp_path, option, value, what):
    result = train(cohort, f"--{option}", value)
    assert_told(result, f"--{option} is ", f", and has to be {what}.")
    assert value.lower() in result[2].lower()
    assert "monai.bundle" not in result[1]
    assert not (tmp_path / "run").exists()


def test_value_that_is_not_allowed_is_told_by_monais_own_runner(monai_bundle, bundle, cohort, tmp_path):
    options = {"config_file": "configs/train.json", "dataset_dir": cohort, "output_dir": tmp_path / "run"}
    done = monai_bundle(bundle, "run", "training", **options, dropout="$1 + 1")
    assert "--dropout is 2, and has to be a number from 0 to below 1." in done.stderr.rstrip().splitlines()[-2:]
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(find_spec("mlflow") is not None, reason="mlflow is installed")
def test_tracking_without_mlflow_says_what_to_install(train, cohort):
    assert_told(
        train(cohort, "--tracking", "mlflow"), "mlflow is not installed", "pip install 'brainmri_monai[mlflow]'"
    )


@pytest.mark.parametrize(("folds", "said"), [(1, "--folds 1 leaves nothing to train on"), (99, "99 folds asked for")])
def test_number_of_folds_that_cannot_be_is_told(brainmri, cohort, tmp_path, folds, said):
    words = ["crossval", BUNDLE, "--dataset_dir", cohort, "--folds", folds, "--output_dir", tmp_path]
    assert_told(brainmri(*words, "--image_size", 32), said)


def test_option_that_crossval_sets_is_told(brainmri, cohort, tmp_path):
    words = ["crossval", BUNDLE, "--dataset_dir", cohort, "--output_dir", tmp_path]
    assert_told(brainmri(*words, "--fold", 1), "--fold is set by crossval itself")


def test_mistake_in_a_configuration_names_key_and_file(brainmri, bundle, cohort, tmp_path):
    mine = shutil.copytree(bundle, tmp_path / "mine")
    config = mine / "configs/train.json"
    content = read(config)
    content["optimizer"]["_target_"] = "torch.optim.AdamV"
    config.write_text(json.dumps(content), encoding="utf-8")
    words = ["--dataset_dir", cohort, "--output_dir", tmp_path / "run", "--image_size", 32]
    assert_told(brainmri("run", mine, "training", *words), "optimizer", str(config), "AdamV")
    config.write_text("{", encoding="utf-8")
    assert_told(brainmri("run", mine, "training", *words), str(config))


def test_monais_own_runner_ends_with_the_same_words(monai_bundle, bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    options = {"config_file": "configs/train.json", "dataset_dir": tmp_path / "empty", "output_dir": tmp_path / "run"}
    done = monai_bundle(bundle, "run", "training", **options)
    assert done.returncode != 0
    last = done.stderr.rstrip().splitlines()[-3:]
    assert any(str(tmp_path / "empty") in line for line in last), done.stderr


# data sets ------------------------------------------------------------------------------------------------------------


def test_missing_and_empty_folders_are_told(train, brainmri, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        assert_told(train(tmp_path / folder), str(tmp_path / folder))
        result = brainmri("run", BUNDLE, "inference", "--dataset_dir", tmp_path / folder)
        assert_told(result, str(tmp_path / folder))


def test_one_class_only_is_told(train, write_cohort, tmp_path):
    data = write_cohort(tmp_path / "data", {"astrocytoma-g2": 3, "astrocytoma-g3": 3})
    assert_told(train(data), "at least two classes are needed", "astrocytoma 6")


def test_one_patient_of_a_class_is_told(train, write_cohort, tmp_path):
    data = write_cohort(tmp_path / "data", {"astrocytoma-g2": 5, "meningioma-g1": 1})
    assert_told(train(data), "every class needs two patients", "meningioma")


def test_two_patients_of_each_class_are_told(train, write_cohort, tmp_path):
    """They cannot be in three parts, so that the split is by class as far as it goes."""
    data = write_cohort(tmp_path / "data", {"astrocytoma-g2": 2, "meningioma-g1": 2})
    code, out, err = train(data)
    assert code == 0, err
    assert "training 2, validation 1, test 1" in out
    assert "note: too few patients for each of the three parts" in out


def test_one_scan_under_two_names_stays_in_one_part(train, data, tmp_path):
    shutil.copytree(data / "astrocytoma-g2/P01", data / "astrocytoma-g2/again")
    code, out, err = train(data)
    assert code == 0, err
    assert "note: again = P01 share images, and were kept together" in out
    datalist = read(tmp_path / "run/datalist.json")
    assert [part for part in PARTS for e in datalist[part] if e["id"] in ("P01", "again")] in ([p] * 2 for p in PARTS)
    assert datalist["split"]["notes"]


def test_one_scan_under_two_labels_is_told(train, data, tmp_path):
    shutil.copytree(data / "astrocytoma-g2/P01", data / "meningioma-g1/again")
    result = train(data)
    assert_told(
        result, "P01 (astrocytoma, grade 2)", "again (meningioma, grade 1)", "astrocytoma-g2/P01", "Keep the one"
    )
    assert not (tmp_path / "run/datalist.json").exists()


def test_data_without_one_good_patient_are_told(train, data):
    for file in data.glob("*/*/*.png"):
        file.write_bytes(b"no picture")
    assert_told(train(data), f"no patient in {data} can be read", "brainmri check")


def spoil_text(folder: Path) -> Path:
    (folder / "2.png").write_text("These are not the pixels that you are looking for.\n" * 9, encoding="utf-8")
    return folder / "2.png"


def spoil_png(folder: Path) -> Path:
    file = folder / "2.png"
    file.write_bytes(file.read_bytes()[:200])
    return file


def spoil_jpg(folder: Path) -> Path:
    file = folder / "9.jpg"
    with Image.open(folder / "2.png") as picture:
        picture.save(file)
    file.write_bytes(file.read_bytes()[:400])
    return file


def spoil_tiny(folder: Path) -> Path:
    Image.new("L", (1, 1)).save(folder / "2.png")
    return folder / "2.png"


def spoil_empty(folder: Path) -> Path:
    (folder / "2.png").write_bytes(b"")
    return folder / "2.png"


@pytest.mark.parametrize("spoil", [spoil_text, spoil_png, spoil_jpg, spoil_tiny, spoil_empty])
def test_broken_slice_is_left_out_and_recorded(train, data, tmp_path, spoil):
    broken = spoil(data / "astrocytoma-g2/P01").relative_to(data).as_posix()
    code, out, err = train(data)
    assert code == 0, err
    assert f"left out: {broken}: " in out
    datalist = read(tmp_path / "run/datalist.json")
    (excluded,) = datalist["excluded"]
    assert excluded["where"] == broken
    assert excluded["what"]
    assert excluded["remedy"]
    (patient,) = [entry for part in PARTS for entry in datalist[part] if entry["id"] == "P01"]
    assert broken not in patient["image"]
    assert len(patient["image"]) >= 4


@pytest.mark.parametrize("kind", ["truncated", "nan", "text"])
def test_broken_volume_is_left_out_and_recorded(train, data, tmp_path, kind):
    folder = data / "astrocytoma-g2/P01"
    shutil.rmtree(folder)
    folder.mkdir()
    volume = np.random.default_rng(0).random((40, 44, 5), dtype=np.float32)
    volume[0, 0, 0] = np.nan if kind == "nan" else 0
    file = folder / "scan.nii.gz"
    nib.save(nib.Nifti1Image(volume, np.eye(4)), file)
    if kind == "truncated":
        file.write_bytes(file.read_bytes()[:5000])
    elif kind == "text":
        file.write_bytes(gzip.compress(b"text" * 500))
    code, out, err = train(data)
    assert code == 0, err
    assert "left out: astrocytoma-g2/P01" in out
    datalist = read(tmp_path / "run/datalist.json")
    assert "P01" not in [entry["id"] for part in PARTS for entry in datalist[part]]
    assert sum(len(datalist[part]) for part in PARTS) == 23
    assert datalist["excluded"][0]["where"].startswith("astrocytoma-g2/P01")


def test_wrong_folders_are_left_out_and_recorded(train, data, tmp_path):
    shutil.copytree(data / "astrocytoma-g2/P01", data / "meningioma-g1/P01")  # one patient under two labels
    shutil.copytree(data / "meningioma-g1/P03", data / "meningioma/Q1")
    shutil.copytree(data / "meningioma-g1/P03", data / "meningioma-g5/Q2")
    shutil.copytree(data / "meningioma-g1/P03", data / "meningioma-g0/Q3")
    (data / "meningioma-g1/Q4").mkdir()
    code, _, err = train(data)
    assert code == 0, err
    datalist = read(tmp_path / "run/datalist.json")
    ids = {entry["id"] for part in PARTS for entry in datalist[part]}
    assert len(ids) == 23
    assert not ids & {"P01", "Q1", "Q2", "Q3", "Q4"}
    recorded = " ".join(entry["where"] + entry["what"] for entry in datalist["excluded"])
    for name in ("P01", "meningioma-g5", "meningioma-g0", "Q4"):
        assert name in recorded


# weights --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(trained_run, tmp_path) -> Path:
    """A copy of a finished run, to be spoiled."""
    return shutil.copytree(trained_run, tmp_path / "run")


class Code:
    def __reduce__(self):
        return (Path.touch, (Path("was_run"),))


@pytest.mark.parametrize("workflow", ["evaluate", "inference", "export"])
@pytest.mark.parametrize("kind", ["other network", "code", "truncated", "text", "missing", "code in a zip"])
def test_weights_that_cannot_be_loaded_are_told(brainmri, run, cohort, tmp_path, monkeypatch, kind, workflow):
    monkeypatch.chdir(tmp_path)
    weights = run / "models/model.pt"
    if kind == "other network":
        state = torch.load(weights, weights_only=True)
        state["encoder.0.weight"] = state["encoder.0.weight"][:16]
        torch.save(state, weights)
    elif kind == "code":
        weights.write_bytes(pickle.dumps({"encoder.0.weight": Code()}))
    elif kind == "code in a zip":
        torch.save({"encoder.0.weight": Code()}, weights)
    elif kind == "truncated":
        weights.write_bytes(weights.read_bytes()[:10000])
    elif kind == "text":
        weights.write_text("weights", encoding="utf-8")
    else:
        weights.unlink()
    words = ["run", run, workflow, *(["--dataset_dir", cohort] if workflow == "inference" else [])]
    result = brainmri(*words)
    assert not (tmp_path / "was_run").exists()
    assert_told(result, str(weights))


def test_export_that_cannot_be_written_is_told(brainmri, trained_run, tmp_path):
    (tmp_path / "file").touch()
    assert_told(brainmri("run", trained_run, "export", "--output_dir", tmp_path / "file"), str(tmp_path / "file"))


def test_network_that_cannot_be_exported_is_told(brainmri, run, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("\nUnknown builtin op: aten::odd.\nThe error is in a long trace")

    monkeypatch.setattr(torch.jit, "script", refuse)
    assert_told(brainmri("run", run, "export"), "cannot be exported: Unknown builtin op: aten::odd")


def test_run_evaluated_with_another_network_is_told(brainmri, run, cohort):
    words = ["--config", "gated", "--dataset_dir", cohort, "--output_dir", run, "--image_size", 32]
    assert_told(brainmri("run", BUNDLE, "evaluate", *words), "holds another network", "head.pool")
