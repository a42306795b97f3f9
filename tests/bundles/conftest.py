"""The volume bundle with a network of which the answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.nets import SegResNet
from toy_volumes import BUNDLE, TOY, write_toy

from brainmri_monai.data.bundles import find_bundle
from brainmri_monai.networks import RegionNetwork


@pytest.fixture(scope="session")
def volume_bundle() -> Path:
    return find_bundle(BUNDLE)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """The folder of the toy network's weights."""
    return write_toy(tmp_path_factory.mktemp("toy") / "model.pt").parent


@pytest.fixture(scope="module")
def segresnet(tmp_path_factory) -> Path:
    """The folder of random weights of the bundle's own network, whose answers are far from 0."""
    torch.manual_seed(0)
    network = RegionNetwork(SegResNet(3, 16, 4, 3, blocks_down=[1, 2, 2, 4], blocks_up=[1, 1, 1]))
    with torch.no_grad():
        network.body.conv_final[-1].conv.weight.mul_(50)
    folder = tmp_path_factory.mktemp("segresnet")
    torch.save(network.state_dict(), folder / "model.pt")
    return folder


@pytest.fixture
def segment(brainmri, toy, tmp_path):
    """``brainmri run … inference`` with the toy network, without pictures unless asked for, into ``tmp_path/out``."""

    def run(data: Path, *words, out: Path | None = None, weights: Path = toy, pictures=False):
        options = ["--dataset_dir", data, "--ckpt_dir", weights, "--output_dir", out or tmp_path / "out"]
        options += [] if pictures else ["--overlay", "false"]
        if (weights / "model.pt").is_file() and (weights / "model.pt").stat().st_size < 100_000:
            options += ["--network_def#body", str(TOY)]
        return brainmri("run", BUNDLE, "inference", *options, *words)

    return run
