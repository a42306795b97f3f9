import json
import os
import pickle
import resource

import pytest
import torch
from monai.bundle import ConfigParser

from brainmri_monai.engines import load_encoder, load_network, load_weights
from brainmri_monai.engines.weights import load_networks, save
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.networks import AttentionPool, MeanPool, SmallCNN, TwoStepMIL


def network(types: int = 2) -> TwoStepMIL:
    return TwoStepMIL(types, encoder=SmallCNN(), pool=MeanPool())


def require_equal(state: dict, other: dict) -> None:
    assert state.keys() == other.keys()
    for name in state:
        torch.testing.assert_close(state[name], other[name], atol=0, rtol=0)


def message(load, path) -> str:
    with pytest.raises(BrainMRIError) as error:
        load(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) <= 3
    return str(error.value)


def test_saved_weights_load_again(tmp_path):
    first, second = network(), network()
    save(first.state_dict(), tmp_path / "model.pt")
    assert load_network(second, tmp_path / "model.pt") is second
    require_equal(second.state_dict(), first.state_dict())
    assert os.listdir(tmp_path) == ["model.pt"]


def test_the_checkpoint_of_a_training_is_told_from_weights(tmp_path):
    save({"network": network().state_dict(), "optimizer": {}}, tmp_path / "last.pt")
    assert "model.pt" in message(lambda path: load_network(network(), path), tmp_path / "last.pt")


class Code:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("writer", ["torch.save", "pickle"])
def test_code_in_a_checkpoint_is_refused_and_does_not_run(tmp_path, writer):
    path, trace = tmp_path / "model.pt", tmp_path / "the code ran"
    content = {"weight": torch.ones(2), "extra": Code(f"touch '{trace}'")}
    if writer == "torch.save":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    assert "could run code" in message(load_weights, path)
    assert not trace.exists()


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_said(tmp_path, share):
    path = tmp_path / "model.pt"
    save(network().state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "cannot be read as a checkpoint" in message(load_weights, path)


@pytest.mark.parametrize("content", [b"hello world", b"<!DOCTYPE html>", b"\0" * 64, b"version https://git-lfs"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "model.pt").write_bytes(content)
    assert "model.pt" in message(load_weights, tmp_path / "model.pt")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_file_is_refused_without_unsafe_advice(tmp_path):
    torch.jit.script(SmallCNN()).save(tmp_path / "model.ts")
    text = message(load_weights, tmp_path / "model.ts")
    assert "TorchScript" in text
    assert "False" not in text


@pytest.mark.parametrize(
    "content", [torch.ones(3), [torch.ones(3)], {1: torch.ones(3)}], ids=["tensor", "list", "ints"]
)
def test_what_is_no_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "model.pt")
    for load in (load_weights, lambda path: load_network(network(), path), lambda path: load_encoder(network(), path)):
        assert "holds no state dict" in message(load, tmp_path / "model.pt")


def test_a_missing_file_is_said(tmp_path):
    assert "no weights at" in message(load_weights, tmp_path / "model.pt")


def test_a_folder_is_said(tmp_path):
    assert "Is a directory" in message(load_weights, tmp_path)


def test_another_number_of_types_names_the_tensor(tmp_path):
    save(network(types=3).state_dict(), tmp_path / "model.pt")
    text = message(lambda path: load_network(network(types=2), path), tmp_path / "model.pt")
    assert "'head.grade_classifier.bias' is (12,) in the file and (8,) in the network, and 3 more" in text


def test_another_architecture_names_a_tensor_that_is_missing(tmp_path):
    save(TwoStepMIL(2, encoder=SmallCNN(), pool=AttentionPool()).state_dict(), tmp_path / "model.pt")
    text = message(lambda path: load_network(network(), path), tmp_path / "model.pt")
    assert "'head.pool.score.0.bias' is (128,) in the file and missing in the network" in text
    save({}, tmp_path / "model.pt")
    text = message(lambda path: load_network(network(), path), tmp_path / "model.pt")
    assert "missing in the file" in text


def test_a_refused_checkpoint_changes_no_weight(tmp_path):
    ours = network()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    save(network(types=3).state_dict(), tmp_path / "model.pt")
    with pytest.raises(BrainMRIError):
        load_network(ours, tmp_path / "model.pt")
    require_equal(ours.state_dict(), before)


def test_plain_entries_beside_the_weights_do_no_harm(tmp_path):
    state = network().state_dict()
    save({**state, "epoch": 3}, tmp_path / "model.pt")
    require_equal(load_network(network(), tmp_path / "model.pt").state_dict(), state)


def test_an_encoder_loads_under_its_own_names_and_leaves_the_head(tmp_path, capsys):
    encoder, ours = SmallCNN(), network()
    head = {name: tensor.clone() for name, tensor in ours.head.state_dict().items()}
    save(encoder.state_dict(), tmp_path / "encoder.pt")
    load_encoder(ours, tmp_path / "encoder.pt")
    require_equal(ours.encoder.state_dict(), encoder.state_dict())
    require_equal(ours.head.state_dict(), head)
    assert "8 of 8 tensors\n" in capsys.readouterr().out


def test_the_encoder_of_a_whole_network_loads(tmp_path):
    other, ours = network(types=5), network(types=2)
    save(other.state_dict(), tmp_path / "model.pt")
    load_encoder(ours, tmp_path / "model.pt")
    require_equal(ours.encoder.state_dict(), other.encoder.state_dict())


def test_a_classifier_of_another_length_is_left_out_and_named(tmp_path, capsys):
    save(SmallCNN(num_classes=1000).state_dict(), tmp_path / "encoder.pt")
    load_encoder(network(), tmp_path / "encoder.pt")
    assert "6 of 8 tensors, without 10.weight, 10.bias" in capsys.readouterr().out


def test_without_a_file_nothing_is_loaded():
    ours = network()
    before = {name: tensor.clone() for name, tensor in ours.state_dict().items()}
    require_equal(load_encoder(ours, "").state_dict(), before)


def test_weights_of_which_nothing_fits_are_refused(tmp_path):
    save({"layer1.weight": torch.ones(3)}, tmp_path / "encoder.pt")
    text = message(lambda path: load_encoder(network(), path), tmp_path / "encoder.pt")
    assert "fits the encoder, whose first tensor is '0.weight'" in text


def test_a_full_disk_is_told_and_the_last_weights_stay(tmp_path):
    """A limit on the size of files stands in for the disk: torch says the same of both."""
    save({"weight": torch.zeros(10)}, tmp_path / "model.pt")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(BrainMRIError, match=r"cannot write .*model\.pt: File too large"):
            save({"weight": torch.zeros(100_000)}, tmp_path / "model.pt")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]
    assert len(load_weights(tmp_path / "model.pt")["weight"]) == 10


def test_members_of_an_ensemble_answer_for_the_same(tmp_path, monkeypatch):
    save(network().state_dict(), tmp_path / "models/model.pt")
    (tmp_path / "configs").mkdir()
    monkeypatch.setattr("brainmri_monai.engines.weights.running_parser", lambda: ConfigParser({"types": ["a", "b"]}))
    for types in (["a", "b"], ["b", "a"]):
        (tmp_path / "configs/inference.json").write_text(json.dumps({"types": types}))
        if types == ["a", "b"]:
            assert len(load_networks(network(), [tmp_path, tmp_path / "models/model.pt"])) == 2
        else:
            with pytest.raises(BrainMRIError, match="has types"):
                load_networks(network(), [tmp_path])
