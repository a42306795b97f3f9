import json
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from brainmri_monai.engines.launch import command_line, launch, unwrapped
from brainmri_monai.errors import BrainMRIError


def refuse() -> None:
    raise BrainMRIError("no patient\nwhere\nwhat to do")


@pytest.fixture
def failure(tmp_path):
    """What is said of the error that making ``wanted`` raises."""

    def fail(wanted: str, *configs: dict) -> tuple[BaseException, list[Path]]:
        files = []
        for name, config in zip(("train.json", "override.json"), configs, strict=False):
            files.append(tmp_path / name)
            files[-1].write_text(json.dumps(config))
        parser = ConfigParser(globals={"refuse": refuse})
        parser.read_config([str(file) for file in files])
        with pytest.raises(Exception) as error:  # noqa: PT011 (MONAI raises many kinds)
            parser.get_parsed_content(wanted)
        return unwrapped(error.value, files), files

    return fail


def test_our_errors_are_freed_from_their_wrapping(failure):
    said, _ = failure("run", {"part": "$refuse()", "run": ["$@part"]})
    assert type(said) is BrainMRIError
    assert str(said) == "no patient\nwhere\nwhat to do"


def test_a_mistake_names_the_innermost_key_the_file_and_the_reason(failure):
    config = {"train": {"net": {"_target_": "torch.nn.Linear", "in_features": 3, "out": 4}}, "run": ["$@train#net"]}
    said, files = failure("run", config)
    assert type(said) is BrainMRIError
    assert str(said).startswith(f"train#net in {files[0]} failed: TypeError: ")
    assert "unexpected keyword argument 'out'" in str(said)
    assert len(str(said).splitlines()) <= 3


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ({"lr": "$1/0"}, "override.json"),
        ({"step": {"lr": "@lr"}, "lrate": 3, "note": "lr"}, "train.json"),  # speaks of it and does not set it
        ({}, "train.json"),
    ],
)
def test_the_file_is_the_last_one_that_sets_the_key(failure, override, where):
    said, _ = failure("run", {"lr": "$1/0", "run": ["$@lr"]}, override)
    assert f"/{where} failed: ZeroDivisionError" in str(said)


@pytest.mark.parametrize("override", [{"train#net#bad": 1}, {"train#net": {"_target_": "torch.nn.Linear", "bad": 1}}])
def test_an_override_of_a_part_is_found_too(failure, override):
    base = {"_target_": "torch.nn.Linear", "in_features": 3, "out_features": 4}
    said, files = failure("train#net", {"train": {"net": base}}, override)
    assert str(said).startswith(f"train#net in {files[1]} failed: TypeError")


def test_other_errors_stay_as_they_are(tmp_path):
    error = RuntimeError("the loss is not finite")
    assert unwrapped(error, [tmp_path / "train.json"]) is error


def test_the_command_can_be_typed():
    files, options = [Path("/b/train.json")], {"dataset_dir": "/d d", "epochs": 3}
    assert command_line("training", files, options) == [
        *[sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", "/b/train.json"],
        *["--dataset_dir", "/d d", "--epochs", "3"],
    ]
    several = command_line("evaluate", [Path("/b/train.json"), Path("/b/evaluate.json")], {})
    assert several[-2:] == ["--config_file", "['/b/train.json', '/b/evaluate.json']"]


def test_several_processes_go_through_torchrun():
    command = command_line("training", [Path("/b/train.json")], {}, processes=2)
    assert command[1:8] == [
        *["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "monai.bundle", "run"],
    ]


@pytest.mark.parametrize("path", ["/data/patient #3", "/data/a::b"])
def test_a_path_that_monai_would_change_is_refused(path):
    with pytest.raises(BrainMRIError, match=r"MONAI's configurations take # and ::") as error:
        launch("training", [], {"epochs": 3, "output_dir": path})
    assert f"--output_dir {path}" in str(error.value)
