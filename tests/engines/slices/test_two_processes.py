"""Two processes make the same run on slices, and the same test, as one."""

import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from outcomes import read

from brainmri_monai.data.bundles import config_files, find_bundle
from brainmri_monai.engines.launch import command_line

# an epoch is one batch, without augmentation: then the order of the slices is no matter
WHOLE = {
    "epochs": 2,
    "train#augmentation": [],
    "optimizer#_target_": "torch.optim.SGD",  # Adam divides tiny gradients by themselves, rounding included
    "lr": 0.05,
    "warmup_epochs": 0,
    "precision": "float32",
}


@pytest.fixture(scope="module")
def data(write_slice_set, tmp_path_factory) -> Path:
    """20 slices, of whom 14 are for training, 2 for validation and 4 for the test."""
    return write_slice_set(tmp_path_factory.mktemp("distributed") / "data", {"glioma": 10, "notumor": 10})


@pytest.fixture(scope="module")
def two(data, tiny_slices, environment, tmp_path_factory) -> tuple[Path, str]:
    """The run of two processes under torchrun, as MONAI's runner makes it, and what it printed."""
    root, run = find_bundle("brain_tumor_slice_classification"), tmp_path_factory.mktemp("two") / "run"
    files = config_files(root, "training", [str(tiny_slices)], processes=2)
    options = WHOLE | {"bundle_root": root, "dataset_dir": data, "output_dir": run, "batch_size": 7}
    done = subprocess.run(command_line("training", files, options, 2), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


@pytest.mark.usefixtures("no_slice_report")
def test_two_processes_make_the_run_of_one(two, data, train_slices, tmp_path):
    two, out = two
    one = train_slices(data, tmp_path, **WHOLE, batch_size=14)
    assert out.count("data: ") == out.count("trained 2 epochs") == 1
    datalist = read(two / "datalist.json")
    assert datalist == read(one / "datalist.json")
    assert [len(datalist[part]) for part in ("training", "validation", "test")] == [14, 2, 4]
    for name in ("model.pt", "last.pt"):
        a, b = (torch.load(run / "models" / name, weights_only=True) for run in (one, two))
        a, b = (state.get("network", state) for state in (a, b))
        for key in a:
            torch.testing.assert_close(a[key], b[key], atol=1e-5, rtol=1e-4, msg=key)
    rows = zip(read(one / "history.json"), read(two / "history.json"), strict=True)
    for a, b in rows:
        for key in a.keys() - {"seconds", "samples_per_second"}:
            assert a[key] == pytest.approx(b[key], abs=1e-4), key


@pytest.mark.usefixtures("no_slice_report")
def test_two_processes_test_each_slice_once(two, evaluate_slices, brainmri, tmp_path):
    run = shutil.copytree(two[0], tmp_path / "run")
    by_one = evaluate_slices(run)
    table = pd.read_csv(run / "test_predictions.csv")
    code, out, err = brainmri("run", run, "evaluate", "--bootstrap", 20, "--processes", 2)
    assert code == 0, err
    assert out.count("tested 4 slices") == 1
    pd.testing.assert_frame_equal(pd.read_csv(run / "test_predictions.csv"), table, rtol=1e-3)
    theirs = read(run / "metrics_test.json")["calibration"]
    assert theirs["temperature"] == pytest.approx(by_one["calibration"]["temperature"], rel=1e-4)
    assert theirs["limit"] == pytest.approx(by_one["calibration"]["limit"], rel=1e-3)


@pytest.mark.usefixtures("no_slice_report")
def test_two_processes_test_other_data_of_which_nothing_is_for_validation(two, write_slice_set, brainmri, tmp_path):
    run = shutil.copytree(two[0], tmp_path / "run")
    other = write_slice_set(tmp_path / "other", {"glioma": 2, "notumor": 1}, seed=9)
    words = ["run", run, "evaluate", "--bootstrap", 20, "--processes", 2, "--dataset_dir"]
    code, out, err = brainmri(*words, other)
    assert code == 0, err
    assert out.count("tested 3 slices") == 1
    alone = write_slice_set(tmp_path / "alone", {"glioma": 1}, seed=10)
    code, _, err = brainmri(*words, alone)
    assert code != 0
    assert "2 processes, and 1 for test: each process needs one." in err
