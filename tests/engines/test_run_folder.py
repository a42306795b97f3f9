import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from monai.bundle import ConfigParser

import brainmri_monai
from brainmri_monai.engines import RunFolder, default_output_dir
from brainmri_monai.engines.weights import load_weights, save
from brainmri_monai.errors import BrainMRIError


@pytest.fixture(autouse=True)
def outside(tmp_path, monkeypatch) -> Path:
    """Each test stands in an empty folder, with a home of its own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return here


@pytest.fixture
def finished(bundle, tmp_path) -> Path:
    """What tells a finished run from a bundle: its ``run.json``."""
    shutil.copytree(bundle / "configs", tmp_path / "finished/configs")
    record = {"finished": "2025-01-01", "epochs": 3, "precision": "bfloat16", "bundle": "b"}
    (tmp_path / "finished/run.json").write_text(json.dumps(record))
    (tmp_path / "finished/models").mkdir()
    (tmp_path / "finished/models/last.pt").touch()
    return tmp_path / "finished"


@pytest.fixture
def make(monkeypatch, bundle):
    """A run's folder; the configuration around it is not asked for here."""
    monkeypatch.setattr("brainmri_monai.engines.run_folder.running_parser", ConfigParser)

    def make(output_dir: Path, ckpt_dir: Path | None = None, bundle_root: Path = bundle, **more) -> RunFolder:
        options = {"precision": "float32", "device": "cpu", "seed": 7, "epochs": 3} | more
        return RunFolder(output_dir, ckpt_dir or Path(output_dir) / "models", bundle_root, **options)

    return make


def test_by_default_a_run_goes_below_the_current_folder(bundle, outside):
    assert default_output_dir(bundle) == str(outside / "runs" / bundle.name)
    assert default_output_dir(bundle, "inference") == str(outside / "runs" / bundle.name / "inference")


@pytest.mark.parametrize("below", [".", "configs"])
def test_standing_in_a_bundle_a_run_goes_below_the_home_folder(bundle, tmp_path, monkeypatch, below):
    monkeypatch.chdir(bundle / below)
    assert default_output_dir(bundle) == str(tmp_path / "home/brainmri/runs" / bundle.name)


def test_standing_in_the_package_a_run_goes_below_the_home_folder(bundle, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(brainmri_monai.__file__).parent)
    assert default_output_dir(bundle).startswith(str(tmp_path / "home"))


def test_what_is_made_from_a_finished_run_goes_into_it(finished, monkeypatch):
    assert default_output_dir(finished) == str(finished)
    assert default_output_dir(finished, "inference") == str(finished / "inference")
    monkeypatch.chdir(finished)
    assert default_output_dir(".", "models") == str(finished / "models")


@pytest.mark.parametrize("below", ["", "runs/a", "models"])
def test_output_in_a_bundle_or_the_package_is_refused(make, bundle, tmp_path, below):
    package = Path(brainmri_monai.__file__).parent
    copied = shutil.copytree(bundle, tmp_path / "copy")
    for root, folder in ((bundle, bundle), (bundle, package), (copied, copied), (copied, bundle)):
        with pytest.raises(BrainMRIError, match="lies in a bundle or in the package") as error:
            make(folder / below, bundle_root=root)
        assert "--output_dir" in str(error.value)


def test_weights_in_a_bundle_are_refused(make, bundle, tmp_path):
    with pytest.raises(BrainMRIError, match="lies in a bundle"):
        make(tmp_path / "run", ckpt_dir=bundle / "models")


def test_a_link_into_a_bundle_is_refused(make, bundle, tmp_path):
    (tmp_path / "link").symlink_to(bundle)
    with pytest.raises(BrainMRIError, match="lies in a bundle"):
        make(tmp_path / "link" / "run")


def test_a_finished_run_may_write_into_itself(make, finished):
    assert make(finished, bundle_root=finished).path == finished


def test_a_folder_beside_the_bundle_with_a_longer_name_is_another_one(make, bundle, tmp_path):
    copied = shutil.copytree(bundle, tmp_path / "copy")
    assert make(tmp_path / "copy-run", bundle_root=copied).path == tmp_path / "copy-run"


def test_a_resumed_run_keeps_its_precision(make, finished, tmp_path):
    assert make(finished, bundle_root=finished, precision="float32").precision == "bfloat16"
    assert make(tmp_path / "new", precision="float32").precision == "float32"


def test_an_unknown_precision_is_refused(make, tmp_path):
    with pytest.raises(BrainMRIError, match="precision 'float8'"):
        _ = make(tmp_path / "run", precision="float8").precision


def test_a_run_is_finished_until_more_epochs_are_asked_for(make, finished, tmp_path):
    assert make(finished, bundle_root=finished, epochs=3).is_finished
    assert make(finished, bundle_root=finished, epochs=2).is_finished
    assert not make(finished, bundle_root=finished, epochs=4).is_finished
    assert not make(tmp_path / "new").is_finished


def test_a_run_that_stopped_early_is_finished_whatever_the_epochs(make, finished):
    record = json.loads((finished / "run.json").read_text()) | {"stopped_early": True}
    (finished / "run.json").write_text(json.dumps(record))
    assert make(finished, bundle_root=finished, epochs=100).is_finished


def test_fresh_deletes_what_a_run_left_and_nothing_else(make, finished, tmp_path):
    (finished / "notes.txt").write_text("mine")
    (finished / "figures").mkdir()
    run = make(finished, bundle_root=finished, fresh=True)
    assert run.record == {}
    assert (finished / "notes.txt").exists()
    assert (finished / "configs/train.json").exists()  # the bundle that is running
    assert not any((finished / name).exists() for name in ("run.json", "figures", "models/last.pt"))


def test_fresh_leaves_alone_what_is_of_no_run(make, tmp_path):
    (tmp_path / "mine/figures").mkdir(parents=True)
    (tmp_path / "mine/report.html").touch()
    make(tmp_path / "mine", fresh=True)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["figures", "report.html"]


@pytest.mark.parametrize("name", ["model.pt", "last.pt"])
def test_weights_of_no_run_are_neither_continued_nor_overwritten(make, tmp_path, name):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / name).touch()
    for fresh in (False, True):
        run = make(tmp_path / "run", tmp_path / "weights", fresh=fresh)
        with pytest.raises(BrainMRIError, match=f"{name} is not known to be of a run in"):
            run.require_same_run()
    assert (tmp_path / "weights" / name).exists()


def test_weights_of_another_run_on_the_same_split_are_not_used(cohort, launch_training, launch_evaluate, tmp_path):
    """Trained with other options they would be scored, and calibrated, as what they are not."""
    one, other = (launch_training(cohort, tmp_path / f"lr{lr}", lr=lr) for lr in (0.01, 0.02))
    before = (other / "models/model.pt").read_bytes()
    with pytest.raises(BrainMRIError, match="is of another run than"):
        launch_evaluate(one, ckpt_dir=str(other / "models"))
    assert (other / "models/model.pt").read_bytes() == before


def test_weights_of_another_split_are_not_used(cohort, launch_training, launch_evaluate, no_report, tmp_path):
    one, other = (launch_training(cohort, tmp_path / f"fold{fold}", fold=fold) for fold in (0, 1))
    before = (other / "models/model.pt").read_bytes()
    with pytest.raises(BrainMRIError, match="is of another run than"):
        launch_evaluate(one, ckpt_dir=str(other / "models"))
    assert (other / "models/model.pt").read_bytes() == before
    (other / "models").rename(tmp_path / "moved")
    shutil.copytree(one / "models", other / "models")
    with pytest.raises(BrainMRIError, match="is of another run than"):
        launch_training(cohort, other, fold=1, epochs=2)
    for fresh in (False, True):
        with pytest.raises(BrainMRIError, match="is of another run than"):
            launch_training(cohort, tmp_path / "fold0", fold=0, ckpt_dir=str(tmp_path / "moved"), epochs=2, fresh=fresh)
    assert launch_evaluate(tmp_path / "fold0")  # what was refused has changed nothing
    assert launch_evaluate(other, ckpt_dir=str(tmp_path / "moved"))  # its own, wherever they lie
    shutil.rmtree(other / "models")
    with pytest.raises(BrainMRIError, match=r"a run whose last\.pt is not in"):
        launch_training(cohort, other, fold=1, epochs=2)
    (tmp_path / "moved/last.pt").unlink()
    with pytest.raises(BrainMRIError, match="is not known to be of a run"):
        launch_evaluate(other, ckpt_dir=str(tmp_path / "moved"))


def test_a_fresh_run_is_not_deleted_when_it_is_evaluated(cohort, launch_training, launch_evaluate, no_report, tmp_path):
    run = launch_training(cohort, tmp_path / "run", fresh=True)
    weights = torch.load(run / "models/last.pt", weights_only=True)["network"]
    launch_evaluate(run)
    launch_evaluate(run, fresh=True)
    assert (run / "run.json").exists()
    again = torch.load(run / "models/last.pt", weights_only=True)["network"]
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.fixture(autouse=True)
def hook(monkeypatch):
    """The runner's parser sets it: put it back after the test."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


def test_an_export_from_before_the_calibration_is_removed(make, tmp_path):
    run, network = make(tmp_path / "run"), torch.nn.Linear(2, 2)
    export = run.path / "models/model.ts"
    save(network.state_dict(), run.best)
    export.touch()
    run.save_calibrated(network)
    assert export.exists()
    network.bias.data.fill_(7.0)
    run.save_calibrated(network)
    assert not export.exists()
    assert load_weights(run.best)["bias"].tolist() == [7.0, 7.0]


def test_more_processes_than_patients_of_a_part_are_refused(make, tmp_path, monkeypatch):
    monkeypatch.setattr("brainmri_monai.engines.run_folder.processes", lambda: 3)
    datalist = SimpleNamespace(parts={"training": list("abcd"), "validation": list("ef"), "test": ["g"]})
    with pytest.raises(BrainMRIError, match="3 processes, and 2 for validation"):
        make(tmp_path / "run").begin(datalist)


@pytest.mark.parametrize(("early", "said"), [(True, "it stopped early"), (False, "more --epochs continue it")])
def test_finished_run_says_how_it_goes_on(make, finished, capsys, early, said):
    record = json.loads((finished / "run.json").read_text()) | {"stopped_early": early}
    (finished / "run.json").write_text(json.dumps(record))
    make(finished, bundle_root=finished).begin(SimpleNamespace())
    assert said in capsys.readouterr().out
