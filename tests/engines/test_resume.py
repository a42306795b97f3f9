"""A run that was interrupted, whatever the way, ends as one that was not."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from outcomes import read

from brainmri_monai.errors import BrainMRIError

pytestmark = pytest.mark.usefixtures("no_report")

EPOCHS = 12


def history(run: Path) -> list[dict]:
    return [
        {name: value for name, value in row.items() if name not in ("seconds", "samples_per_second")}
        for row in read(run / "history.json")
    ]


def assert_equal(one, other, where: str = "") -> None:
    """Bit for bit, in nested dictionaries and lists, but for times and the run's own name."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for name in one.keys() - {"seconds", "samples_per_second", "run"}:  # the last is the name of the run
            assert_equal(one[name], other[name], f"{where}/{name}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), where
        for number, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_equal(a, b, f"{where}/{number}")
    else:
        assert one == other, where


def assert_same_run(one: Path, other: Path) -> None:
    for name in ("model.pt", "last.pt"):
        a, b = (torch.load(run / "models" / name, weights_only=True) for run in (one, other))
        assert_equal(a, b, name)
    assert history(one) == history(other)
    assert len(history(one)) == EPOCHS
    assert read(one / "run.json")["finished"]
    assert read(other / "run.json")["finished"]
    assert read(one / "run.json")["best"] == read(other / "run.json")["best"]


@pytest.fixture(scope="module")
def uninterrupted(cohort, launch_training, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brainmri_monai.report.report_run", lambda *arguments: None)
        return launch_training(cohort, tmp_path_factory.mktemp("uninterrupted") / "run", epochs=EPOCHS)


@pytest.fixture
def start(cohort, bundle, environment, tmp_path):
    """Start the same run as a child process, and wait for its second epoch."""
    children = []

    def start(*words: str) -> tuple[subprocess.Popen, Path]:
        run = tmp_path / "run"
        options = {"dataset_dir": cohort, "output_dir": run, "epochs": EPOCHS, "image_size": 32, "bag_size": 3}
        command = [sys.executable, "-m", "brainmri_monai.cli", "run", str(bundle), "training", *words]
        command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        children.append(child)
        while child.poll() is None and not (run / "history.json").exists():
            time.sleep(0.001)
        return child, run

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_two_halves_equal_the_whole(uninterrupted, cohort, launch_training, tmp_path):
    run = launch_training(cohort, tmp_path, epochs=EPOCHS // 2)
    assert len(history(run)) == EPOCHS // 2
    assert_same_run(launch_training(cohort, run, epochs=EPOCHS), uninterrupted)


def test_killed_run_ends_as_the_whole(uninterrupted, cohort, launch_training, start):
    child, run = start()
    time.sleep(random.uniform(0, 0.3))
    child.kill()
    assert child.wait() == -signal.SIGKILL, child.communicate()
    assert len(history(run)) < EPOCHS
    assert not read(run / "run.json")["finished"]
    assert_same_run(launch_training(cohort, run, epochs=EPOCHS), uninterrupted)


def test_ctrl_c_says_how_to_go_on_and_resumes(uninterrupted, cohort, launch_training, start):
    child, run = start()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode in (130, -signal.SIGINT), err  # a shell calls both 130
    assert "Traceback" not in err
    assert "the same command goes on" in err.splitlines()[-1]
    assert_same_run(launch_training(cohort, run, epochs=EPOCHS), uninterrupted)


def test_run_killed_before_its_history_was_written_gets_it_back(uninterrupted, cohort, launch_training, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    record = read(run / "run.json")
    (run / "run.json").write_text(json.dumps(record | {"finished": None}), encoding="utf-8")
    (run / "history.json").write_text(json.dumps(read(run / "history.json")[:-1]), encoding="utf-8")
    assert_same_run(launch_training(cohort, run, epochs=EPOCHS), uninterrupted)


def test_finished_run_says_so_and_changes_nothing(uninterrupted, cohort, bundle, brainmri):
    def contents() -> dict[str, bytes]:
        return {name: (uninterrupted / name).read_bytes() for name in ("run.json", "history.json", "models/last.pt")}

    before = contents()
    words = ["run", bundle, "training", "--dataset_dir", cohort, "--output_dir", uninterrupted]
    code, out, _ = brainmri(*words, "--epochs", EPOCHS, "--image_size", 32, "--bag_size", 3)
    assert code == 0
    assert "this run is finished" in out
    assert contents() == before


def test_run_resumes_from_its_own_folder(cohort, brainmri, launch_training, tmp_path):
    run = launch_training(cohort, tmp_path / "run")
    code, out, err = brainmri("run", run, "training", "--dataset_dir", cohort, "--epochs", 2)
    assert code == 0, err
    assert "resuming" in out
    assert [row["epoch"] for row in history(run)] == [1, 2]
    code, out, err = brainmri("run", run, "training", "--dataset_dir", cohort, "--fresh", "--lr", 0.01, "--epochs", 1)
    assert code == 0, err
    assert [row["lr"] for row in history(run)] == [0.01]


def test_run_that_stopped_early_stays_so(cohort, launch_training, tmp_path, capsys):
    options = {"epochs": 9, "patience": 1, "lr": 1e-30}
    run = launch_training(cohort, tmp_path, **options)
    assert len(history(run)) == 2
    assert "no better loss for 1 epochs" in capsys.readouterr().out
    launch_training(cohort, run, **{**options, "epochs": 20})
    assert len(history(run)) == 2
    assert "this run is finished" in capsys.readouterr().out


def test_other_options_do_not_resume(uninterrupted, cohort, launch_training):
    with pytest.raises(BrainMRIError, match=r"a run with lr = 0\.0005, and now it is 0\.5") as error:
        launch_training(cohort, uninterrupted, epochs=EPOCHS, lr=0.5)
    assert "--fresh" in str(error.value)
    assert str(error.value).count("\n") <= 2


def test_other_network_does_not_resume(uninterrupted, cohort, launch_training):
    with pytest.raises(BrainMRIError, match=r"a run with network_def#pool#_target_ = .*AttentionPool.*MeanPool"):
        launch_training(cohort, uninterrupted, "mean", epochs=EPOCHS)


def test_other_data_do_not_resume(uninterrupted, write_cohort, launch_training, tmp_path):
    other = write_cohort(tmp_path / "other", {"astrocytoma-g2": 3, "meningioma-g1": 3}, seed=4)
    with pytest.raises(BrainMRIError, match="a run on other data") as error:
        launch_training(other, uninterrupted, epochs=EPOCHS)
    assert str(error.value).count("\n") <= 2


def test_moved_data_resume(cohort, launch_training, tmp_path):
    run = launch_training(cohort, tmp_path / "run")
    moved = shutil.copytree(cohort, tmp_path / "moved")
    launch_training(moved, run, epochs=2)
    assert len(history(run)) == 2


@pytest.mark.parametrize("elsewhere", [False, True])
def test_fresh_starts_over(cohort, launch_training, tmp_path, elsewhere):
    options = {"ckpt_dir": str(tmp_path / "weights")} if elsewhere else {}
    run = launch_training(cohort, tmp_path / "run", epochs=2, **options)
    first = history(run)
    launch_training(cohort, run, lr=0.01, fresh=True, **options)
    assert [row["epoch"] for row in history(run)] == [1]
    assert history(run)[0]["val_loss"] != first[0]["val_loss"]
    assert read(run / "run.json")["options"]["lr"] == 0.01


@pytest.mark.parametrize("below", ["a file", "/proc"])
def test_folder_that_cannot_be_written_is_told(cohort, launch_training, tmp_path, below):
    (tmp_path / "a file").touch()
    folder = (tmp_path / below) / "run"
    with pytest.raises(BrainMRIError, match="--output_dir") as error:
        launch_training(cohort, folder)
    assert str(folder) in str(error.value)
    assert str(error.value).count("\n") <= 2


@pytest.mark.parametrize("below", ["", "runs/mine"])
def test_bundle_is_never_written_to(cohort, bundle, launch_training, below):
    before = sorted(bundle.rglob("*"))
    with pytest.raises(BrainMRIError, match="lies in a bundle or in the package"):
        launch_training(cohort, bundle / below)
    assert sorted(bundle.rglob("*")) == before


def test_broken_record_is_told(cohort, launch_training, tmp_path):
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(BrainMRIError, match=r"run\.json cannot be read"):
        launch_training(cohort, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_killed_first_epoch_starts_again(cohort, launch_training, uninterrupted, tmp_path):
    run = shutil.copytree(uninterrupted, tmp_path / "run")
    for name in ("models/model.pt", "models/last.pt", "history.json"):
        (run / name).unlink()
    assert_same_run(launch_training(cohort, run, epochs=EPOCHS), uninterrupted)
