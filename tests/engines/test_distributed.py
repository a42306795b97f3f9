"""Two processes make the same run, and the same test, as one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from outcomes import read

from brainmri_monai.data.bundles import config_files
from brainmri_monai.engines.launch import command_line

BUNDLE = "brain_tumor_mil_classification"
# an epoch is one batch, of all slices, without dropout or augmentation: then the order of the patients is no matter
WHOLE = {
    "epochs": 2,
    "image_size": 32,
    "bag_policy": "all",
    "dropout": 0.0,
    "train#augmentation": [],
    "optimizer#_target_": "torch.optim.SGD",  # Adam divides tiny gradients by themselves, rounding included
    "lr": 0.05,
    "precision": "float32",
}


THREADS = """
import os
import torch._dynamo
import torch.distributed as dist
from pathlib import Path
from torch.nn.parallel import DistributedDataParallel
from brainmri_monai.engines.distributed import end_processes

def of_gloo():
    return sum("gloo" in (task / "comm").read_text() for task in Path("/proc/self/task").iterdir())

dist.init_process_group("gloo")
network = DistributedDataParallel(torch.nn.Linear(4, 4))
network(torch.ones(2, 4)).sum().backward()
before = of_gloo()
end_processes(network)
print(before, of_gloo())
"""


BUFFERS = """
import torch
import torch.distributed as dist
from brainmri_monai.engines.distributed import begin_processes, rank, share_buffers

begin_processes(torch.device("cpu"))
norm = torch.nn.BatchNorm1d(2)
norm(torch.rand(4, 2, generator=torch.Generator().manual_seed(rank())))
share_buffers(norm)
print(f"{norm.running_mean.tolist()}")
print("waits", dist.group.WORLD._get_backend(torch.device("cpu")).options._timeout)
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def data(write_cohort, tmp_path_factory) -> Path:
    """18 patients, of whom 12 are for training, an even number, and 3 each for validation and test, an odd one."""
    labels = {"astrocytoma-g2": 6, "meningioma-g1": 6, "oligodendroglioma-g3": 6}
    return write_cohort(tmp_path_factory.mktemp("distributed") / "data", labels)


@pytest.fixture(scope="module")
def two(data, bundle, environment, tmp_path_factory) -> tuple[Path, str]:
    """The run of two processes under torchrun, as MONAI's runner makes it, and what it printed."""
    run = tmp_path_factory.mktemp("two") / "run"
    files = config_files(bundle, "training", processes=2)
    options = WHOLE | {"bundle_root": bundle, "dataset_dir": data, "output_dir": run, "batch_size": 6}
    done = subprocess.run(command_line("training", files, options, 2), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


@pytest.mark.usefixtures("no_report")
def test_two_processes_make_the_run_of_one(two, data, launch_training, tmp_path):
    two, out = two
    one = launch_training(data, tmp_path, **WHOLE, batch_size=12)

    # the first process makes split and store, the other waits and finds them
    assert out.count("data: ") == out.count("trained 2 epochs") == 1
    datalist = read(two / "datalist.json")
    assert datalist == read(one / "datalist.json")
    assert [len(datalist[part]) for part in ("training", "validation", "test")] == [12, 3, 3]
    assert len(list((two / "cache").iterdir())) == 2 * 18  # slices, and the digests of their pixels

    # the weights after two steps are those of one process with the same global batch
    for name in ("model.pt", "last.pt"):
        a, b = (torch.load(run / "models" / name, weights_only=True) for run in (one, two))
        a, b = (state.get("network", state) for state in (a, b))
        assert a.keys() == b.keys()
        for key in a:
            torch.testing.assert_close(a[key], b[key], atol=1e-6, rtol=1e-5, msg=key)

    # every validation patient is scored once: one that is repeated would change the means
    first, second = read(one / "history.json")
    assert first["train_loss"] != pytest.approx(second["train_loss"], abs=1e-4)
    for a, b in zip((first, second), read(two / "history.json"), strict=True):
        for key in a.keys() - {"seconds", "samples_per_second"}:
            assert a[key] == pytest.approx(b[key], abs=1e-5), key


@pytest.mark.usefixtures("no_report")
def test_two_processes_test_each_patient_once(two, launch_evaluate, brainmri, tmp_path):
    run = shutil.copytree(two[0], tmp_path / "run")
    by_one = launch_evaluate(run)
    table = pd.read_csv(run / "test_predictions.csv")
    attention = pd.read_csv(run / "attention.csv")
    options = ["--mc_samples", 2, "--bootstrap", 20, "--device", "cpu"]
    code, out, err = brainmri("run", run, "evaluate", "--processes", 2, *options)
    assert code == 0, err
    assert out.count("tested 3 patients") == 1
    pd.testing.assert_frame_equal(pd.read_csv(run / "test_predictions.csv"), table, atol=1e-5)
    pd.testing.assert_frame_equal(pd.read_csv(run / "attention.csv"), attention, atol=1e-5)
    assert read(run / "metrics_test.json")["calibration"] == pytest.approx(by_one["calibration"], rel=1e-4)


@pytest.mark.usefixtures("no_report")
def test_two_processes_test_other_data_of_which_nothing_is_for_validation(two, write_cohort, brainmri, tmp_path):
    run = shutil.copytree(two[0], tmp_path / "run")
    words = ["run", run, "evaluate", "--mc_samples", 2, "--bootstrap", 20, "--device", "cpu", "--processes", 2]
    other = write_cohort(tmp_path / "other", {"astrocytoma-g2": 2, "meningioma-g1": 1}, seed=9, prefix="X")
    code, out, err = brainmri(*words, "--dataset_dir", other)
    assert code == 0, err
    assert out.count("tested 3 patients") == 1
    assert sorted(pd.read_csv(run / "external/other/test_predictions.csv")["id"]) == ["X01", "X02", "X03"]
    alone = write_cohort(tmp_path / "alone", {"astrocytoma-g2": 1}, seed=10, prefix="Y")
    code, _, err = brainmri(*words, "--dataset_dir", alone)
    assert code != 0
    assert "2 processes, and 1 for test: each process needs one." in err


def test_error_on_two_processes_is_told_once(brainmri, tmp_path):
    (tmp_path / "empty").mkdir()
    options = ["--dataset_dir", tmp_path / "empty", "--output_dir", tmp_path / "run", "--processes", 2]
    code, _, err = brainmri("run", BUNDLE, "training", *options)
    assert code == 2
    assert "Traceback" not in err
    assert err.count("error: ") == err.count(str(tmp_path / "empty")) == 1


def test_inference_is_for_one_process(brainmri):
    code, _, err = brainmri("run", BUNDLE, "inference", "--processes", 2)
    assert code == 2
    assert "--processes is for training and evaluate, not for inference" in err


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_no_thread_of_the_group_outlives_it(environment):
    alone = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    command = [sys.executable, "-c", THREADS]
    done = subprocess.run(command, env={**environment, **alone}, check=True, capture_output=True, text=True)
    before, after = map(int, done.stdout.split())
    assert before > 0
    assert after == 0


def test_buffers_are_those_of_the_first_process(environment, tmp_path):
    script = tmp_path / "buffers.py"
    script.write_text(BUFFERS, encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    norm = torch.nn.BatchNorm1d(2)
    norm(torch.rand(4, 2, generator=torch.Generator().manual_seed(0)))
    assert done.stdout.count(f"{norm.running_mean.tolist()}") == 2
    assert done.stdout.count("1 day, 0:00:00") == 2
