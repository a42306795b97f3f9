"""Weights on disk: tensors and plain types alone, and the right ones for the network."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch
from torch import nn

from brainmri_monai.engines.config import running_parser
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import replacing

__all__ = ["load_encoder", "load_network", "load_networks", "load_published", "load_weights", "save", "weight_files"]

Network = TypeVar("Network", bound=nn.Module)
ALIKE = ("types", "classes", "regions", "image_size", "spacing")  # options that make answers comparable


def save(state: dict[str, Any], path: Any) -> None:
    """Write tensors and plain types, atomically.

    Raises:
        BrainMRIError: when the folder cannot be written or the disk is full.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch's writer speaks of positions, and hides what the disk said
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_weights(path: Any, map_location: str | torch.device = "cpu", mmap: bool = False) -> dict[str, Any]:
    """Read a checkpoint that holds tensors and plain types alone; with ``mmap`` the tensors when they are used.

    Raises:
        BrainMRIError: when the file is missing or broken, or holds anything else, such as code.
    """
    try:
        state = torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except FileNotFoundError as error:
        raise BrainMRIError(f"no weights at {path}.\nTrain first, or give the folder of a finished run.") from error
    except UnpicklingError as error:
        raise BrainMRIError(
            f"{path} is not loaded: it holds more than tensors and plain types, and could run code.\n"
            "Save the weights as a plain state dict: torch.save(network.state_dict(), path)."
        ) from error
    except Exception as error:  # broken bytes make the unpickler raise nearly anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0].split(". ")[0]  # then comes unsafe advice
        raise BrainMRIError(
            f"{path} cannot be read as a checkpoint: {reason}.\n"
            "It may be truncated: copy it again, or give what torch.save(network.state_dict(), path) wrote."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise BrainMRIError(
            f"{path} holds no state dict, but an object of the type {type(state).__name__}.\n"
            "Save the weights as a plain state dict: torch.save(network.state_dict(), path)."
        )
    return state


def load_network(network: Network, path: str | Path) -> Network:
    """Load a state dict into a network.

    Raises:
        BrainMRIError: when the file is no checkpoint, that of a training, or one of another architecture; names the
            first difference.
    """
    state = load_weights(path)
    if "optimizer" in state:
        raise BrainMRIError(
            f"{path} is what a training goes on from, last.pt, and no plain weights.\n"
            "Give the model.pt that the training wrote beside it."
        )
    ours = network.state_dict()
    differing = _difference(state, ours, sorted(ours.keys() | state.keys()))
    if differing:
        raise BrainMRIError(
            f"{path} holds another network: {differing}.\n"
            "Name the configuration that it was trained with, or use the configs folder of its run."
        )
    network.load_state_dict({name: state[name] for name in ours})  # others, which are no tensors, do no harm
    return network


def weight_files(paths: Sequence[str | Path]) -> list[Path]:
    """The files of weights that are named, by themselves or by their runs.

    Raises:
        BrainMRIError: when what is given is not a list of paths.
    """
    if isinstance(paths, str) or not all(isinstance(path, (str, Path)) for path in paths):
        raise BrainMRIError(
            f"expected a list of checkpoints, found {paths!r}.\nGive --ensemble \"['a/model.pt','b/model.pt']\"."
        )
    return [Path(path) / "models/model.pt" if Path(path).is_dir() else Path(path) for path in paths]


def load_networks(network: Network, paths: Sequence[str | Path]) -> list[Network]:
    """Load several state dicts into as many copies of a network, as for an ensemble.

    Args:
        network: stays as it is.
        paths: of the weights, or of runs.

    Raises:
        BrainMRIError: see :func:`weight_files` and :func:`load_network`; or when a run among them answers for other
            classes or takes other images than the configuration that is running.
    """
    files = weight_files(paths)
    for file in files:
        _require_alike(file)
    return [load_network(copy.deepcopy(network), file) for file in files]


def _require_alike(weights: Path) -> None:
    """Compare what weights were trained for with the running configuration, where both are known."""
    config = weights.parent.parent / "configs/inference.json"
    try:
        ours = running_parser().get()
    except RuntimeError:  # outside of a configuration nothing is known
        return
    theirs = json.loads(config.read_text(encoding="utf-8")) if config.is_file() else {}
    for name in (name for name in ALIKE if name in ours and name in theirs):
        if ours[name] != theirs[name] and not str(ours[name]).startswith("$"):
            raise BrainMRIError(
                f"{weights} has {name} {theirs[name]}, and the others {ours[name]}.\n"
                "Give weights of runs with the same options."
            )


def load_encoder(network: Network, pretrained: str | Path) -> Network:
    """Load published or pretrained weights into the ``encoder`` of a network.

    Args:
        network: has an ``encoder``.
        pretrained: a state dict of the encoder, as torchvision publishes them, or of a whole network of ours; nothing
            is loaded when it is empty. Tensors of another name or shape, such as a classifier's, are left out.

    Raises:
        BrainMRIError: when the file is no checkpoint, or nothing in it fits.
    """
    if not str(pretrained):
        return network
    state = {name.removeprefix("encoder."): tensor for name, tensor in load_weights(pretrained).items()}
    ours = network.encoder.state_dict()
    fitting = {name: state[name] for name in ours if name in state and _shape(state[name]) == _shape(ours[name])}
    if not fitting:
        raise BrainMRIError(
            f"nothing in {pretrained} fits the encoder, whose first tensor is '{next(iter(ours))}'.\n"
            "Give the weights of the same network, under its parameter names."
        )
    network.encoder.load_state_dict(ours | fitting)
    left = [name for name in ours if name not in fitting]
    print(
        f"pretrained encoder: {len(fitting)} of {len(ours)} tensors{', without ' + ', '.join(left[:4]) if left else ''}"
    )
    return network


def load_published(network: Network, pretrained: str | Path, new: str = "", part: str = "") -> Network:
    """Load published weights, such as torchvision's, into a network with the same parameter names.

    Args:
        network: changed in place.
        pretrained: a state dict; nothing is loaded when it is empty. It may hold one layer more, the classifier that
            the network has in another place.
        new: name of the layer, or group of layers, that keeps its own values, such as a classifier of other classes.
        part: of the network, which alone is loaded, such as the body of a classifier; all of it when left out.

    Raises:
        BrainMRIError: when the file is no checkpoint, lacks a tensor of the network, has it in another shape, or has
            more layers; names the first. Or when there is no ``new`` layer.
    """
    if not str(pretrained):
        return network
    loaded = network.get_submodule(part)
    state, ours = load_weights(pretrained), loaded.state_dict()

    def is_wanted(name: str) -> bool:
        return not f"{name}.".startswith(f"{new}.") and not name.endswith("num_batches_tracked")  # old files have none

    if new and not any(f"{name}.".startswith(f"{new}.") for name in [*ours, *state]):
        raise BrainMRIError(
            f"--new_layers {new}: {type(loaded).__name__} has no such layer.\n"
            f"Its layers are {', '.join(dict.fromkeys(name.split('.')[0] for name in ours))}, and what is in them."
        )
    wanted = [name for name in ours if is_wanted(name)]
    differing = _difference(state, ours, wanted)
    if differing:
        raise BrainMRIError(
            f"{pretrained} does not fit {type(loaded).__name__}: {differing}.\n"
            "Give the published weights of the same network, under its parameter names."
        )
    more = [name for name in state if is_wanted(name) and name not in ours and _shape(state[name]) != "missing"]
    if len({name.rpartition(".")[0] for name in more}) > 1:
        raise BrainMRIError(
            f"{pretrained} holds more than {type(loaded).__name__}, such as '{more[0]}': it is of a larger network.\n"
            "Give the published weights of the same network, under its parameter names."
        )
    loaded.load_state_dict(ours | {name: state[name] for name in wanted})
    print(f"pretrained: {len(wanted)} tensors{f', {new} starts anew' if new else ''}")
    return network


def _difference(state: dict[str, Any], ours: dict[str, Any], names: Sequence[str]) -> str:
    """The first of the named tensors that differs in shape between a file and a network; empty when none does."""
    differing = [
        f"'{name}' is {_shape(state.get(name))} in the file and {_shape(ours.get(name))} in the network"
        for name in names
        if _shape(state.get(name)) != _shape(ours.get(name))
    ]
    more = f", and {len(differing) - 1} more" if len(differing) > 1 else ""
    return differing[0] + more if differing else ""


def _shape(tensor: object) -> object:
    return tuple(tensor.shape) if hasattr(tensor, "shape") else "missing"
