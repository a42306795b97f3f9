import json
from pathlib import Path

import pytest

from brainmri_monai.data.bundles import absolute, bundle_names, check_options, config_files, find_bundle
from brainmri_monai.errors import BrainMRIError

MIL = "brain_tumor_mil_classification"


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A small bundle with three workflows and one override."""
    configs = {
        "metadata.json": {"version": "1"},
        "train.json": {
            "imports": [],
            "epochs": 30,
            "lr": 0.1,
            "train": {"trainer": {"max_epochs": "@epochs", "lr": "@lr", "network": "@network"}},
            "training": "$@train#trainer.run()",
        },
        "evaluate.json": {"bootstrap": 10},
        "inference.json": {"dataset_dir": "", "handlers": [{"name": "x"}]},
        "fast.json": {"precision": "auto"},
        "mean.json": {"network#pool": "mean"},
    }
    for name, content in configs.items():
        path = tmp_path / "tiny" / "configs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path / "tiny"


def names(files: list[Path]) -> list[str]:
    return [file.name for file in files]


def test_a_bundle_is_found_by_name_and_by_folder(bundle, monkeypatch):
    assert MIL in bundle_names()
    assert find_bundle(MIL).name == MIL
    assert find_bundle(str(bundle)) == bundle
    monkeypatch.chdir(bundle.parent)
    assert find_bundle("tiny") == bundle


def test_an_unknown_bundle_is_refused_with_the_nearest():
    with pytest.raises(BrainMRIError, match=f"no bundle or run 'brain_tumor_mil'; did you mean {MIL}"):
        find_bundle("brain_tumor_mil")
    with pytest.raises(BrainMRIError, match=f"no bundle or run 'xyz'.\nThere are: .*{MIL}"):
        find_bundle("xyz")


def test_a_workflow_is_made_of_its_configurations(bundle):
    assert names(config_files(bundle, "training")) == ["train.json"]
    assert names(config_files(bundle, "evaluate")) == ["train.json", "evaluate.json"]
    assert names(config_files(bundle, "inference")) == ["inference.json", "fast.json"]
    assert names(config_files(bundle, "inference", portable=True)) == ["inference.json"]


def test_overrides_are_given_by_name_or_path(bundle, tmp_path):
    own = tmp_path / "own.json"
    own.write_text("{}")
    for override in ("mean", "mean.json", str(bundle / "configs/mean.json")):
        assert names(config_files(bundle, "training", [override])) == ["train.json", "mean.json"]
    assert config_files(bundle, "training", ["mean", str(own)])[1:] == [bundle / "configs/mean.json", own]


def test_the_evaluation_has_the_last_word_and_the_last_override_comes_after_the_others(bundle, tmp_path):
    (tmp_path / "own.json").write_text("{}")
    files = config_files(bundle, "evaluate", ["mean", str(tmp_path / "own.json")])
    assert names(files) == ["train.json", "mean.json", "own.json", "evaluate.json"]


def test_an_unknown_override_is_refused_with_those_that_there_are(bundle):
    with pytest.raises(BrainMRIError, match=r"no configuration 'median' to lay over another in .*\nGive mean, or"):
        config_files(bundle, "training", ["median"])


def test_a_missing_configuration_is_said(bundle):
    (bundle / "configs/evaluate.json").unlink()
    with pytest.raises(BrainMRIError, match=r"evaluate.json is missing: .* cannot run 'evaluate'"):
        config_files(bundle, "evaluate")


@pytest.mark.parametrize(
    "option",
    ["lr", "train#trainer#max_epochs", "train::trainer", "network#pool", "handlers#0#name", "tracking", "logging_file"],
)
def test_known_options_pass(bundle, option):
    files = [bundle / "configs" / name for name in ("train.json", "inference.json", "mean.json")]
    check_options(files, {option: 1})


@pytest.mark.parametrize(
    ("option", "nearest"),
    [("epoch", "did you mean --epochs?"), ("learningrate", "unknown option --learningrate.")],
)
def test_an_unknown_option_is_refused_with_the_nearest(bundle, option, nearest):
    with pytest.raises(BrainMRIError) as error:
        check_options([bundle / "configs/train.json"], {option: 1})
    assert nearest in str(error.value)
    assert "Options: epochs, lr;" in str(error.value)  # those of one value; sections and steps are not listed


def test_parts_and_what_is_made_of_them_are_not_listed_as_options():
    with pytest.raises(BrainMRIError) as error:
        check_options(config_files(find_bundle(MIL), "training"), {"epoch": 3})
    listed = str(error.value).splitlines()[1].removeprefix("Options: ").partition(";")[0].split(", ")
    assert {"epochs", "bag_policy", "device", "fold"} <= set(listed)
    assert not {"types", "network", "trained", "network_def", "loss"} & set(listed)


@pytest.mark.parametrize("option", ["train#trainer#epochs", "handlers#1", "lr#x", "train#"])
def test_a_part_that_does_not_exist_is_refused(bundle, option):
    with pytest.raises(BrainMRIError, match="unknown option"):
        check_options([bundle / "configs/train.json", bundle / "configs/inference.json"], {option: 1})


def test_options_of_the_real_bundle_that_the_design_names_exist():
    files = config_files(find_bundle(MIL), "training")
    named = "bundle_root dataset_dir output_dir ckpt_dir epochs batch_size lr seed fold precision device fresh"
    check_options(files, {**dict.fromkeys(named.split(), "$0"), "dataset_dir": None})


@pytest.mark.parametrize("name", bundle_names())
@pytest.mark.parametrize("option", ["lr", "epochs", "patience", "fresh", "train#trainer#max_epochs", "optimizer"])
def test_what_an_evaluation_does_not_read_is_refused_there(name, option):
    files = config_files(find_bundle(name), "evaluate")
    with pytest.raises(BrainMRIError, match=f"--{option} is of the training, and changes nothing for evaluate"):
        check_options(files, {option: "$0"}, "evaluate")


@pytest.mark.parametrize("name", bundle_names())
def test_what_an_evaluation_reads_passes_there(name):
    files = config_files(find_bundle(name), "evaluate")
    named = "bundle_root dataset_dir output_dir ckpt_dir seed precision device bootstrap run_folder#fresh tracking"
    check_options(files, {**dict.fromkeys(named.split(), "$0"), "dataset_dir": None}, "evaluate")


@pytest.mark.parametrize("option", ["image_size", "dropout", "types", "network_def#encoder#norm"])
@pytest.mark.parametrize("portable", [True, False])
def test_what_the_weights_were_trained_with_is_not_changed_by_an_inference(option, portable):
    files = config_files(find_bundle(MIL), "inference", portable=portable)
    with pytest.raises(BrainMRIError, match=f"--{option} is fixed by the training of the weights"):
        check_options(files, {option: "$0"}, "inference")
    check_options(files, {option: "$0", "ckpt_dir": "/weights/of/ones/own"}, "inference")
    check_options(files, {"image_size": 224}, "inference")


@pytest.mark.parametrize("override", ["evaluate", "train", "metadata.json"])
def test_a_workflow_or_the_card_is_no_override(override):
    with pytest.raises(BrainMRIError, match=f"no configuration '{override}' to lay over") as error:
        config_files(find_bundle(MIL), "training", [override])
    assert "Give densenet, frozen, " in str(error.value)


def test_paths_become_absolute_from_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    options = {"dataset_dir": "data/x", "output_dir": "~/runs", "ckpt_dir": "", "pretrained": "a.pt", "metric": "loss"}
    assert absolute(options | {"epochs": 3, "ensemble": ["a.pt", "/b.pt"]}) == {
        "dataset_dir": str(tmp_path / "data/x"),
        "output_dir": "/home/someone/runs",
        "ckpt_dir": "",
        "pretrained": str(tmp_path / "a.pt"),
        "metric": "loss",
        "epochs": 3,
        "ensemble": [str(tmp_path / "a.pt"), "/b.pt"],
    }


@pytest.mark.parametrize(("text", "said"), [("{,}", "is not JSON: .*line 1 column 2"), ("[1]", "holds a list")])
def test_a_configuration_that_is_none_is_said(tmp_path, text, said):
    (tmp_path / "own.json").write_text(text)
    with pytest.raises(BrainMRIError, match=f"own.json {said}"):
        check_options([tmp_path / "own.json"], {})


@pytest.mark.parametrize(
    ("override", "option"), [("seed_cnn", "warmup_epochs"), ("vgg16_frozen", "mixup")], ids=lambda word: word
)
def test_an_option_that_an_override_does_not_read_is_refused(override, option):
    root = find_bundle("brain_tumor_slice_classification")
    with pytest.raises(BrainMRIError, match=f"--{option} is not read by these configurations"):
        check_options(config_files(root, "training", [override]), {option: 2})
    check_options(config_files(root, "training"), {option: 2})
