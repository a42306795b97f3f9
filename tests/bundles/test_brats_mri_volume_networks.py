"""Each network of the volume bundle learns, is evaluated, and is exported."""

import json
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser, load_bundle_config

from brainmri_monai.data.bundles import config_files, find_bundle
from brainmri_monai.deploy.torchscript import export
from brainmri_monai.engines.launch import launch

BUNDLE = "brats_mri_volume_segmentation"
SMALL = {
    "unet": {"network_def#body#channels": [4, 8, 16], "network_def#body#strides": [2, 2]},
    "segresnet": {"network_def#body#init_filters": 8, "network_def#body#blocks_down": [1, 1, 1]}
    | {"network_def#body#blocks_up": [1, 1]},
    "dynunet": {"network_def#body#filters": [4, 4, 8, 8, 8]},
    "attention_unet": {"network_def#body#channels": [4, 4, 8, 8, 8]},
    "swin_unetr": {"network_def#body#feature_size": 12, "network_def#body#depths": [2, 1, 1, 1]}
    | {"patch_size": [32, 64, 32], "roi_size": [32, 64, 32]},
    "mednext": {"network_def#body#init_filters": 4},
}
"""Override → what makes its network small; the first is what ``train.json`` has."""

TRACED = ("dynunet", "swin_unetr", "mednext")


@pytest.fixture(scope="module", params=SMALL)
def trained(request, write_volumes, tmp_path_factory) -> tuple[str, Path]:
    """The override's name, and a run of one epoch of two steps."""
    name, root = request.param, find_bundle(BUNDLE)
    folder = tmp_path_factory.mktemp(name)
    data = write_volumes(folder / "data", cases=[("HGG", "TCIA01")] * 4)
    options = {"bundle_root": str(root), "dataset_dir": str(data), "output_dir": str(folder / "run"), "epochs": 1}
    options |= {"patch_size": [32] * 3, "patches_per_case": 1, "precision": "float32", **SMALL[name]}
    launch("training", config_files(root, "training", [] if name == "unet" else [name]), options)
    return name, folder / "run"


def test_network_learns_and_is_evaluated_from_its_run(trained):
    _, run = trained
    launch("evaluate", config_files(run, "evaluate"), {"bundle_root": str(run), "bootstrap": 5})
    (row,) = json.loads((run / "history.json").read_text(encoding="utf-8"))
    assert 0 < row["train_loss"] < 4
    metrics = json.loads((run / "metrics_test.json").read_text(encoding="utf-8"))
    assert metrics["cases"] == 1
    assert not metrics["failed"]


def test_exported_network_answers_as_the_eager_one(trained, capsys):
    name, run = trained
    path = export(run)
    said = capsys.readouterr().out
    assert ("so it was traced" in said) == (name in TRACED)
    assert ("windows of 32×64×32 voxels alone" in said) == (name == "swin_unetr")
    parser = ConfigParser(load_bundle_config(str(run), "inference.json").get())
    eager = parser.get_parsed_content("network_def")
    eager.load_state_dict(torch.load(run / "models/model.pt", weights_only=True))
    exported, eager = torch.jit.load(path), eager.eval()
    sides = [(32, 64, 32)] if name == "swin_unetr" else [(32, 32, 32), (32, 48, 64)]
    for batch in (1, 3):
        for side in sides:
            image = torch.rand(batch, 4, *side, generator=torch.Generator().manual_seed(batch))
            with torch.no_grad():
                torch.testing.assert_close(exported(image), eager(image))


def test_deep_supervision_learns_from_each_level(trained):
    name, run = trained
    if name not in ("dynunet", "mednext"):
        pytest.skip("has no deep supervision")
    before, after = (torch.load(run / "models" / file, weights_only=True) for file in ("model.pt", "last.pt"))
    moments = after["optimizer"]["state"].values()
    assert before.keys() == after["network"].keys()
    unused = sum(float(moment["exp_avg_sq"].abs().max()) == 0 for moment in moments)
    assert len(after["optimizer"]["param_groups"][0]["params"]) == len(moments)  # each has had a gradient
    assert unused < len(moments) / 10
