import sys
from copy import deepcopy

import pytest
from monai.bundle import ConfigParser

from brainmri_monai.engines.config import differences, running_parser, without_tracking
from brainmri_monai.errors import BrainMRIError


@pytest.fixture(autouse=True)
def hook(monkeypatch):
    """``running_parser`` sets it: put it back after the test."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


def test_equal_configurations_have_no_difference():
    config = {"lr": 0.1, "train": {"handlers": [{"a": 1}, 2]}}
    assert list(differences(config, deepcopy(config))) == []


def test_differences_name_the_innermost_item():
    before = {"lr": 0.1, "train": {"trainer": {"max_epochs": 3}, "handlers": [{"a": 1}, {"b": 2}]}}
    now = {"lr": 0.2, "train": {"trainer": {"max_epochs": 4}, "handlers": [{"a": 1}, {"b": 3}]}}
    assert list(differences(before, now)) == [
        ("lr", 0.1, 0.2),
        ("train#trainer#max_epochs", 3, 4),
        ("train#handlers#1#b", 2, 3),
    ]


def test_what_stands_on_one_side_alone_is_a_difference():
    assert list(differences({"a": {"x": 1}}, {"a": {"y": 2}})) == [("a#x", 1, None), ("a#y", None, 2)]


def test_lists_of_other_lengths_and_other_kinds_differ_as_a_whole():
    assert list(differences({"a": [1]}, {"a": [1, 2]})) == [("a", [1], [1, 2])]
    assert list(differences({"a": {"b": 1}}, {"a": "b"})) == [("a", {"b": 1}, "b")]


def test_what_tracking_adds_is_left_out():
    handlers = ["@early_stop", {"_target_": "ValidationHandler"}]
    config = {"lr": 0.1, "train": {"handlers": handlers}, "handlers": ["@predictions"], "run": "$@train"}
    tracked = deepcopy(config) | {"tracking_uri": "file:/x", "experiment_name": "e", "run_name": None}
    tracked["train"]["handlers"].append({"_target_": "MLFlowHandler", "tracking_uri": "@tracking_uri"})
    before = deepcopy(tracked)
    assert without_tracking(tracked) == config
    assert tracked == before  # the running configuration stays as it is


class Asks:
    """A component that asks which configuration it stands in."""

    def __init__(self) -> None:
        self.parser = running_parser()


def test_a_component_finds_the_configuration_that_makes_it():
    parser = ConfigParser({"part": "$Asks()"}, globals={"Asks": Asks})
    assert parser.get_parsed_content("part").parser is parser


def test_outside_of_a_configuration_there_is_none():
    with pytest.raises(RuntimeError, match="no MONAI configuration is running"):
        running_parser()


def test_an_uncaught_error_ends_with_our_words(capsys):
    ConfigParser({"part": "$Asks()"}, globals={"Asks": Asks}).get_parsed_content("part")
    try:
        try:
            raise BrainMRIError("expected this\nfound that\ndo so")
        except BrainMRIError as ours:
            raise RuntimeError("Failed to instantiate") from ours
    except RuntimeError as wrapped:
        sys.excepthook(type(wrapped), wrapped, wrapped.__traceback__)
    lines = capsys.readouterr().err.splitlines()
    assert "RuntimeError: Failed to instantiate" in lines
    assert lines[-3:] == ["expected this", "found that", "do so"]
