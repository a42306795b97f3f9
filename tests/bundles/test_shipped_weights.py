"""``evaluate --shipped``: the weights that a bundle came with, scored on labelled data."""

import json
import os
import shutil
from pathlib import Path

import pytest
from outcomes import read

from brainmri_monai.data.bundles import bundle_names, find_bundle
from brainmri_monai.data.datalist import Datalist
from brainmri_monai.engines.weights import load_weights

MIL, SLICES, VOLUMES = (
    "brain_tumor_mil_classification",
    "brain_tumor_slice_classification",
    "brats_mri_volume_segmentation",
)


@pytest.fixture
def score_shipped(brainmri, tmp_path):
    """``brainmri run BUNDLE evaluate --shipped`` into ``tmp_path/out``."""

    def run(bundle: str, data: Path | None, *words):
        where = ["--dataset_dir", data] if data else []
        return brainmri("run", bundle, "evaluate", "--shipped", *where, "--output_dir", tmp_path / "out", *words)

    return run


def files_of(bundle: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (find_bundle(bundle) / "models").iterdir()}


def rename(root: Path, new: str) -> Path:
    """Call the first patient of a cohort like another."""
    first = min(root.glob("*/P01"))
    return first.rename(first.with_name(new))


@pytest.mark.parametrize("name", bundle_names())
def test_each_bundle_knows_what_its_weights_were_made_of(name):
    models = find_bundle(name) / "models"
    content = read(models / "datalist.json")
    kind = type("Any", (Datalist,), {"option": next(key for key in ("types", "classes", "regions") if key in content)})
    datalist = kind.load(models / "datalist.json")
    assert datalist.digest == content["digest"]
    assert all(datalist.parts.values())
    assert not Path(content["root"]).is_absolute()
    assert load_weights(models / "model.pt")
    assert datalist.types == read(models.parent / "configs/inference.json")[kind.option]


def test_patients(score_shipped, write_cohort, tmp_path):
    data, before = write_cohort(tmp_path / "my patients", {"astrocytoma-g2": 3, "meningioma-g1": 3}), files_of(MIL)
    words = ["--mc_samples", 2, "--bootstrap", 20]
    code, out, err = score_shipped(MIL, data, *words)
    assert code == 0, err
    folder = tmp_path / "out/external/my_patients"
    assert "tested 6 patients" in out
    assert f"note: tested were the weights that {MIL} 0.1.0 came with" in out
    assert read(folder / "metrics_test.json")["calibration"]["fitted_on"] == 0
    assert read(folder / "run.json")["bundle"] == MIL
    assert "saved with the weights" in (folder / "report.html").read_text(encoding="utf-8")
    assert files_of(MIL) == before
    rename(data, read(find_bundle(MIL) / "models/datalist.json")["training"][0]["id"])
    code, _, err = score_shipped(MIL, data, *words)
    assert code == 2
    assert "was among the patients that the network was trained on" in err


@pytest.mark.usefixtures("no_slice_report")
def test_slices(score_shipped, write_slice_set, tmp_path):
    data, before = write_slice_set(tmp_path / "mine", {"glioma": 4, "no": 4}), files_of(SLICES)
    code, _, err = score_shipped(SLICES, data, "--bootstrap", 20)
    assert code == 0, err
    metrics = read(tmp_path / "out/external/mine/metrics_test.json")
    assert (metrics["external"], metrics["slices"]) == (True, 8)
    assert any("whether they are twins of slices of the training is not known" in note for note in metrics["notes"])
    assert files_of(SLICES) == before


def test_volumes_by_the_network_of_the_inference(score_shipped, write_volumes, tmp_path):
    """Training takes a U-Net unless told otherwise; the weights are of a SegResNet."""
    data = write_volumes(tmp_path / "mine", first=900, cases=[("HGG", "CBICA"), ("LGG", "CBICA")])
    before = files_of(VOLUMES)
    code, out, err = score_shipped(VOLUMES, data, "--bootstrap", 20)
    assert code == 0, err
    assert "tested 2 cases of 2 patients" in out
    results = tmp_path / "out/external/mine"
    assert read(results / "metrics_test.json")["external"]
    options = read(results / "run.json")["options"]
    assert (options["ckpt_dir"], options["bootstrap"]) == (str(find_bundle(VOLUMES) / "models"), 20)
    assert not options.keys() & {"epochs", "lr", "patch_size"}  # nothing was trained
    assert files_of(VOLUMES) == before


def test_regions_are_those_that_the_weights_were_trained_on(score_shipped, write_volumes, tmp_path):
    data = write_volumes(tmp_path / "mine", first=900, cases=[("HGG", "CBICA")])
    for regions in ("['WT','TC','ET']", "['WT']"):  # in another order each would be scored as another
        code, _, err = score_shipped(VOLUMES, data, "--regions", regions)
        assert code == 2
        assert "the weights were trained with regions ['TC', 'WT', 'ET'], not ['WT'" in err


@pytest.mark.usefixtures("no_report")
def test_the_own_test_of_the_weights_is_scored_again_where_the_data_are_at_hand(
    score_shipped, evaluated_run, bundle, tmp_path
):
    """A bundle whose weights and datalist are of a run at hand stands for one that is shipped."""
    shipped = shutil.copytree(bundle, tmp_path / "bundle", ignore=shutil.ignore_patterns("models"))
    (shipped / "models").mkdir()
    shutil.copy(evaluated_run / "models/model.pt", shipped / "models")
    datalist = read(evaluated_run / "datalist.json")
    root, datalist["root"] = datalist["root"], "elsewhere"
    (shipped / "models/datalist.json").write_text(json.dumps(datalist), encoding="utf-8")
    for file in (shipped / "configs/inference.json", shipped / "configs/train.json"):
        options = read(evaluated_run / "configs/train.json")
        config = read(file) | {name: options[name] for name in ("image_size", "network_def")}
        file.write_text(json.dumps(config), encoding="utf-8")
    before = (shipped / "models/model.pt").read_bytes()
    code, out, err = score_shipped(shipped, Path(root), "--mc_samples", 2)
    assert code == 0, err
    ours, theirs = (read(path / "metrics_test.json") for path in (tmp_path / "out/own_test", evaluated_run))
    assert not ours["external"]
    assert f"tested were the weights that {MIL} 0.1.0 came with" in ours["notes"]
    ours, theirs = (metrics["tasks"]["type"]["brier"]["value"] for metrics in (ours, theirs))
    assert ours == pytest.approx(theirs)
    assert (shipped / "models/model.pt").read_bytes() == before, out


def test_what_cannot_be_scored_is_told(score_shipped, brainmri, evaluated_run, cohort, tmp_path):
    code, _, err = score_shipped(MIL, None)
    assert code == 2
    assert "Give labelled data with --dataset_dir" in err
    code, _, err = brainmri("run", evaluated_run, "evaluate", "--shipped", "--dataset_dir", cohort)
    assert code == 2
    assert "is a run, not a bundle as shipped" in err
    code, _, err = brainmri("run", MIL, "evaluate", "--shipped", "--dataset_dir", cohort, "--output_dir", evaluated_run)
    assert code == 2
    assert "holds a run, and the weights that the bundle came with are asked for" in err
    code, _, err = score_shipped(MIL, cohort, "--config", "mean")
    assert code == 2
    assert "the shipped weights have a network of their own" in err
    code, _, err = score_shipped(SLICES, cohort, "--ensemble", "['model.pt']")
    assert code == 2
    assert "which weights are to be tested?" in err
    code, _, err = score_shipped(MIL, cohort, "--ckpt_dir", evaluated_run / "models")
    assert code == 2
    assert "--ckpt_dir and --shipped: which weights are to be tested?" in err
    code, _, err = score_shipped(MIL, cohort, "--image_size", 64)
    assert code == 2
    assert "the weights were trained with image_size 224, not 64.\nGive --image_size 224, or leave it out." in err


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="needs the data of BRAINMRI_DATA")
def test_real_volumes(score_shipped, tmp_path):
    code, out, err = score_shipped(VOLUMES, Path(os.environ["BRAINMRI_DATA"]) / "brats_tcga")
    assert code == 0, err
    assert "tested 2 cases of 2 patients" in out
    dice = read(tmp_path / "out/external/brats_tcga/metrics_test.json")["scores"]["WT"]["dice"]["mean"]["value"]
    assert dice > 0.8
