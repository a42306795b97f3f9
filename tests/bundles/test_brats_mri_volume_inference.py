"""Inference of the volume bundle on small cases, run as a user runs it."""

import json
import os
import shutil
from copy import deepcopy
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out
from outcomes import read
from toy_volumes import SHAPE, TOY, dice, draw_case, labels_of, table_of, truth, write_case, write_toy

from brainmri_monai.data.brats.conventions import find_convention
from brainmri_monai.data.brats.datalist import CaseList
from brainmri_monai.data.brats.labels import paint
from brainmri_monai.data.bundles import config_files
from brainmri_monai.engines import load_network, load_weights

FORMS = pytest.mark.parametrize("form", [[], ["--portable"]], ids=["fast", "portable"])


def test_inference_has_all_ids_that_monai_asks_for(volume_bundle, segresnet, tmp_path):
    write_case(tmp_path / "data/case")
    options = {"bundle_root": str(volume_bundle), "dataset_dir": str(tmp_path / "data"), "ckpt_dir": str(segresnet)}
    files = [str(file) for file in config_files(volume_bundle, "inference", portable=True)]
    workflow = ConfigWorkflow(config_file=files, workflow_type="inference", output_dir=str(tmp_path / "out"), **options)
    workflow.initialize()
    assert not workflow.check_properties()


def test_metadata_fits_its_schema(volume_bundle, tmp_path):
    card = read(volume_bundle / "configs/metadata.json")
    assert card["version"] in card["changelog"]
    jsonschema.validate(card, read(Path(__file__).parent / "meta_schema_20240725.json"))
    formats = card["network_data_format"]
    assert list(formats["inputs"]["image"]["channel_def"].values()) == ["T1c", "T1", "T2", "FLAIR"]
    regions = read(volume_bundle / "configs/inference.json")["regions"]
    described = deepcopy(card)
    CaseList(tmp_path, "brats2020", regions, {}, {}).describe(described, {})  # as a run of these regions is
    assert described == card


def test_network_takes_and_gives_what_the_metadata_says(volume_bundle):
    configs = volume_bundle / "configs"
    files = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / "inference.json")}
    verify_net_in_out(net_id="network_def", device="cpu", **files)


def test_weights_that_come_with_the_bundle_are_halves_of_its_network(volume_bundle):
    weights = volume_bundle / "models/model.pt"
    assert weights.stat().st_size < 10_000_000
    network_def = ConfigParser(read(volume_bundle / "configs/inference.json")).get_parsed_content("network_def")
    network = load_network(network_def, weights).eval()
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert {value.dtype for name, value in load_weights(weights).items() if "body" in name} == {torch.float16}
    assert (network.temperature != 1).all()  # fitted
    with torch.inference_mode():
        assert (network(torch.zeros(1, 4, 32, 32, 32)) < 0).all()  # nothing in an even volume


def test_parts_that_others_run_are_monais_alone(volume_bundle):
    inference = read(volume_bundle / "configs/inference.json")
    for part in ("preprocessing", "postprocessing", "inferer"):
        text = json.dumps(inference[part])
        assert "brainmri" not in text
        assert "engines." not in text
        assert ConfigParser(inference).get_parsed_content(part)  # without data and weights


@pytest.mark.parametrize("convention", ["brats2023", "brats2024-gli", "brats2024-ped", "men-rt"])
def test_portable_label_map_is_that_of_the_package(volume_bundle, convention):
    regions = [name for name in find_convention(convention).regions if name not in ("NET", "CC")]
    parser = ConfigParser(read(volume_bundle / "configs/inference.json") | {"regions": regions})
    postprocessing = parser.get_parsed_content("postprocessing")
    probability = torch.rand(len(regions), 8, 8, 8, generator=torch.Generator().manual_seed(0))
    label = postprocessing.transforms[-1]({"pred": probability})["pred"]
    assert label.any()
    np.testing.assert_array_equal(label[0].numpy(), paint(probability.numpy() > 0.5, regions))


@pytest.mark.parametrize("batch", [1, 2])
def test_eager_scripted_and_reloaded_network_agree(brainmri, segresnet, volume_bundle, tmp_path, batch):
    root = shutil.copytree(volume_bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns("models"))
    shutil.copytree(segresnet, root / "models")
    code, _, err = brainmri("run", root, "export", "--output_dir", tmp_path)
    assert code == 0, err
    network = ConfigParser(read(root / "configs/inference.json")).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(segresnet / "model.pt", weights_only=True))
    image = torch.rand(batch, 4, 16, 24, 32, generator=torch.Generator().manual_seed(batch))
    reloaded, scripted = torch.jit.load(tmp_path / "model.ts"), torch.jit.script(network)
    with torch.inference_mode():
        for other in (reloaded, scripted):
            torch.testing.assert_close(other(image), network(image), atol=1e-3, rtol=1e-4)


def test_table_tells_what_was_found(segment, tmp_path):
    write_case(tmp_path / "data/BraTS20_Training_001")
    noise = np.indices((4, *SHAPE)).sum(axis=0) // np.array([1, 2, 3, 4])[:, None, None, None] % 2  # z is ±1
    plain = (draw_case() > 0) * (90 + 20 * noise).astype(np.int16)
    write_case(tmp_path / "data/BraTS20_Training_002", plain)
    code, _, err = segment(tmp_path / "data", pictures=True)
    assert code == 0, err
    table = table_of(tmp_path / "out")
    columns = ["pred", "confidence", "decision", "tc_ml", "wt_ml", "et_ml", "missing", "convention", "seconds"]
    assert list(table.columns) == columns
    assert list(table["pred"]) == ["TC+WT+ET", "none"]
    found = truth()
    expected = [(found == 1).sum() + (found == 3).sum(), (found > 0).sum(), (found == 3).sum()]
    np.testing.assert_allclose(
        table.loc["BraTS20_Training_001", ["tc_ml", "wt_ml", "et_ml"]].astype(float) * 1000, expected
    )
    assert table["confidence"].between(0.9, 1).all()
    for case in table.index:
        assert (tmp_path / f"out/{case}/{case}_overlay.png").stat().st_size > 5000


@FORMS
def test_monais_runner_does_the_same(monai_bundle, volume_bundle, toy, tmp_path, form):
    write_case(tmp_path / "data/BraTS20_Training_001")
    files = "configs/inference.json" if form else "['configs/inference.json','configs/fast.json']"
    options = {"dataset_dir": tmp_path / "data/BraTS20_Training_001", "output_dir": tmp_path / "out", "ckpt_dir": toy}
    options["network_def#body"] = json.dumps(TOY)
    done = monai_bundle(volume_bundle, "run", "inference", config_file=files, **options)
    assert done.returncode == 0, done.stderr
    expected = np.array([0, 1, 2, 4])[truth()]
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "BraTS20_Training_001"), expected)
    assert (tmp_path / "out/BraTS20_Training_001/BraTS20_Training_001_overlay.png").is_file()


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA names no folder with brats_tcga")
def test_real_patients_are_answered_on_their_grid(segment, tmp_path):
    root = Path(os.environ["BRAINMRI_DATA"]) / "brats_tcga"
    weights = write_toy(tmp_path / "weights/model.pt", 1.5).parent
    state = torch.load(weights / "model.pt", weights_only=True)
    state["body.bias"][[0, 2]] = -1000  # FLAIR alone
    torch.save(state, weights / "model.pt")
    code, _, err = segment(root, weights=weights, pictures=True)
    assert code == 0, err
    for case in ("TCGA-DU-7294", "TCGA-FG-6692"):
        found, flair = (
            nib.load(file)
            for file in (tmp_path / f"out/{case}/{case}_seg.nii.gz", root / f"{case}/{case}_flair.nii.gz")
        )
        np.testing.assert_array_equal(found.affine, flair.affine)
        whole = np.asarray(found.dataobj) > 0
        images = [np.asarray(nib.load(file).dataobj) for file in root.glob(f"{case}/*_[tf][1-2l]*.nii.gz")]
        assert len(images) == 4
        assert not whole[~np.any(images, axis=0)].any()
        label = np.asarray(nib.load(root / f"{case}/{case}_seg.nii.gz").dataobj) > 0
        assert dice(whole, label) > 0.3  # the tumour is bright in FLAIR
