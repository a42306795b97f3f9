"""A run as a bundle of its own: its ``configs/``, with its own classes, network and sizes filled in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from torch import nn

from brainmri_monai.data.datalist import Datalist
from brainmri_monai.engines.config import without_tracking
from brainmri_monai.files import write_json

__all__ = ["RunBundle"]

# an inference takes these from the training
SHARED = ("image_size", "spacing", "divisible", "roi_size", "overlap", "dropout", "modality_dropout", "network_def")
COPIED = ("evaluate.json", "fast.json", "multi_gpu_train.json", "multi_gpu_evaluate.json", "logging.conf")
COPIED = (*(f"configs/{name}" for name in COPIED), "LICENSE")
PLAIN = (str, int, float, bool, type(None))


class RunBundle:
    """What a run takes from its bundle, and writes into its own folder.

    Args:
        path: the folder of the run.
        source: the bundle that is run; the same as ``path`` for a run that goes on from its own folder.
        parser: the configuration that is running.
    """

    def __init__(self, path: Path, source: Path, parser: ConfigParser) -> None:
        self.path = path
        self.source = source
        self.parser = parser

    @property
    def name(self) -> str:
        """The name in the bundle's metadata, also of a bundle that lies in a folder of another name."""
        return self.card().get("name", self.source.name)

    def card(self) -> dict[str, Any]:
        """The metadata of the bundle that is run."""
        return _read(self.source / "configs/metadata.json")

    def inference(self) -> dict[str, Any]:
        """The configuration of the inference of the bundle that is run."""
        return _read(self.source / "configs/inference.json")

    def evaluation(self) -> dict[str, Any]:
        """What is laid over the configuration of the training for an evaluation."""
        return _read(self.source / "configs/evaluate.json")

    def network(self) -> nn.Module:
        """The network that the weights in the bundle's ``models/`` belong to."""
        return ConfigParser(self.inference()).get_parsed_content("network_def")

    def config(self) -> dict[str, Any]:
        """The configuration that is running, as written, with all overrides."""
        config = without_tracking(self.parser.get())
        config.pop("_meta_", None)
        return config

    def options(self) -> dict[str, Any]:
        """The resolved top-level options."""
        options = {}
        for key, raw in self.config().items():
            if isinstance(raw, PLAIN) or (isinstance(raw, list) and not any(map(_is_expression, raw))):
                value = self.parser.get_parsed_content(key)
                if isinstance(value, (*PLAIN, torch.device)) or (isinstance(value, list) and _is_plain(value)):
                    options[key] = str(value) if isinstance(value, torch.device) else value
        return options

    def write(self, datalist: Datalist, ckpt_dir: Path) -> None:
        """Write the bundle of a run on these data whose weights go into ``ckpt_dir``."""
        configs = self.path / "configs"
        filled = {"bundle_root": ".", **datalist.told}
        train = self.config()
        train |= {name: value for name, value in filled.items() if name in train}
        train |= {"dataset_dir": "", "output_dir": "@bundle_root", "fresh": False}  # or its own run would be deleted
        if ckpt_dir != self.path / "models":
            filled["ckpt_dir"] = train["ckpt_dir"] = str(ckpt_dir)
        write_json(configs / "train.json", train)

        options = self.options()
        inference = self.inference() | filled
        inference |= {key: options.get(key, train[key]) for key in SHARED if key in inference and key in train}
        write_json(configs / "inference.json", inference)

        card = self.card()
        datalist.describe(card, options)
        card["eval_metrics"] = {}
        card["data_source"] = f"{datalist.name}, {len(datalist.entries)} cases (digest {datalist.digest})"
        write_json(configs / "metadata.json", card)

        if self.source != self.path:
            for name in COPIED:
                if (self.source / name).exists():
                    shutil.copyfile(self.source / name, self.path / name)
            fast = configs / "fast.json"
            if fast.exists():
                write_json(fast, _read(fast) | {"precision": train["precision"]})

    def add_scores(self, main: Mapping[str, Mapping]) -> None:
        """Write the main scores, name → an entry of the metrics with its ``value``, into the card of the run."""
        path = self.path / "configs/metadata.json"
        if not path.exists():
            return
        known = {name: entry["value"] for name, entry in main.items() if entry["value"] is not None}
        write_json(path, _read(path) | {"eval_metrics": {name: round(value, 4) for name, value in known.items()}})


def _is_plain(values: list[Any]) -> bool:
    return all(_is_plain(value) if isinstance(value, list) else isinstance(value, PLAIN) for value in values)


def _is_expression(item: Any) -> bool:
    """Whether it does something, as the steps of a workflow do; or is no plain value."""
    return not isinstance(item, PLAIN) or str(item).startswith(("$", "@", "%"))


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))
