"""The slice bundle's workflows on a small set, run as a user runs them."""

import json
import os
import shutil
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out
from monai.data import load_net_with_metadata
from outcomes import read
from PIL import Image, ImageOps
from torch import nn

from brainmri_monai.data.bundles import config_files, find_bundle
from brainmri_monai.data.phantom.foreign import FOREIGN, draw_foreign
from brainmri_monai.data.slices.datalist import SliceList
from brainmri_monai.engines import EmbeddedSlices, SliceBatches, picture_store
from brainmri_monai.engines.launch import launch
from brainmri_monai.engines.slices.datalists import GROUPS
from brainmri_monai.engines.slices.inference import in_words
from brainmri_monai.engines.weights import load_weights, save
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.bootstrap import bootstrap
from brainmri_monai.metrics.selective import COVERAGES, risk_bound
from brainmri_monai.metrics.table import read_table
from brainmri_monai.networks import VGG16, SliceClassifier
from brainmri_monai.report.crossval import report_folds

BUNDLE = "brain_tumor_slice_classification"
CLASSES = ["glioma", "meningioma", "notumor", "pituitary"]
PARTS = ("training", "validation", "test")
NETWORKS = ("train", "alexnet128", "vgg16", "vgg16_frozen", "vit", "cnn256", "densenet121", "efficientnet", "resnet18")
SEEDS = ("seed_cnn", "seed_alexnet", "seed_vgg16", "seed_vit")


@pytest.fixture(scope="module")
def root() -> Path:
    return find_bundle(BUNDLE)


@pytest.fixture(scope="module")
def trained(slice_set, root, tiny_slices, monai_bundle, tmp_path_factory) -> Path:
    """A run as the README's command makes it, from the bundle's folder; not to be changed."""
    run = tmp_path_factory.mktemp("runs") / "run"
    files = str(["configs/train.json", str(tiny_slices)])
    options = {"dataset_dir": slice_set, "output_dir": run, "bundle_root": root, "epochs": 6}
    done = monai_bundle(root, "run", "training", config_file=files, **options)
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module")
def evaluated(trained, monai_bundle) -> Path:
    """The same after the README's evaluation, from the run's folder."""
    files = "['configs/train.json','configs/evaluate.json']"
    done = monai_bundle(trained, "run", "evaluate", config_file=files, bootstrap=20)
    assert done.returncode == 0, done.stderr
    return trained


@pytest.fixture(scope="module")
def odd_slices(tmp_path_factory) -> Path:
    """Slices of several sizes and modes, none of them square."""
    folder, random = tmp_path_factory.mktemp("odd"), np.random.default_rng(3)
    shapes = {
        "wide.png": (30, 90), "tall.jpg": (120, 50), "colour.png": (64, 41, 3), "transparent.png": (50, 60, 4),
    }  # fmt: skip
    for name, shape in shapes.items():
        coarse = Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8))
        coarse.save(folder / name)
    return folder


# the bundle -----------------------------------------------------------------------------------------------------------


def test_training_has_all_ids_that_monai_asks_for(root, slice_set, tiny_slices, tmp_path):
    files = [str(file) for file in config_files(root, "training", [str(tiny_slices)])]
    options = {"bundle_root": str(root), "dataset_dir": str(slice_set), "output_dir": str(tmp_path / "run")}
    workflow = ConfigWorkflow(config_file=files, workflow_type="train", **options)
    workflow.initialize()
    assert not workflow.check_properties()


def test_inference_has_all_ids_that_monai_asks_for(trained, slice_set):
    files = [str(file) for file in config_files(trained, "inference", portable=True)]
    options = {"bundle_root": str(trained), "dataset_dir": str(slice_set)}
    workflow = ConfigWorkflow(config_file=files, workflow_type="inference", **options)
    workflow.initialize()
    assert not workflow.check_properties()


def test_metadata_fits_its_schema(root, trained):
    schema = read(Path(__file__).parent / "meta_schema_20240725.json")
    for folder in (root, trained):
        card = read(folder / "configs/metadata.json")
        assert card["version"] in card["changelog"]
        jsonschema.validate(card, schema)
    assert card["pred_classes"] == ", ".join(f"{n}: {name}" for n, name in enumerate(CLASSES))
    assert card["network_data_format"]["inputs"]["image"]["spatial_shape"] == [32, 32]


def test_network_takes_and_gives_what_the_metadata_says(trained):
    configs = trained / "configs"
    verify_net_in_out("network_def", str(configs / "metadata.json"), str(configs / "inference.json"), device="cpu")


def test_parts_that_others_run_are_monais_alone(root):
    inference = read(root / "configs/inference.json")
    for part in ("preprocessing", "postprocessing", "inferer"):
        text = json.dumps(inference[part])
        assert "brainmri" not in text
        assert "engines." not in text


@pytest.mark.parametrize("name", [*NETWORKS, *SEEDS])
def test_each_override_names_a_network_that_can_be_exported(root, name):
    parser = ConfigParser()
    parser.read_config([str(root / "configs" / f"{file}.json") for file in dict.fromkeys(("train", name))])
    parser["classes"] = CLASSES
    with torch.device("meta"):
        network = parser.get_parsed_content("network_def")
    assert network.head.out_features == 4
    network.to_empty(device="meta").eval()
    side = parser.get_parsed_content("image_size")
    assert network(torch.empty(1, 3, side, side, device="meta")).shape == (1, 4)
    assert parser["optimizer#_target_"] == ("torch.optim.Adam" if name in SEEDS else "torch.optim.AdamW")


# what a run leaves behind ---------------------------------------------------------------------------------------------


def test_run_writes_what_it_decided(evaluated, slice_set):
    run = read(evaluated / "run.json")
    assert run["bundle"] == BUNDLE
    assert run["finished"]
    assert run["options"]["dataset_dir"] == str(slice_set)
    history = read(evaluated / "history.json")
    assert len(history) == 6
    scores = {f"{part}_{score}" for part in ("train", "val") for score in ("loss", "accuracy", "confidence")}
    assert scores <= history[0].keys()
    datalist = read(evaluated / "datalist.json")
    assert datalist["classes"] == CLASSES
    assert sum(len(datalist[part]) for part in PARTS) == 36
    files = [file for part in PARTS for entry in datalist[part] for file in entry["image"]]
    assert all((slice_set / file).is_file() for file in files)


def test_predictions_hold_one_row_for_each_test_slice(evaluated):
    table = read_table(evaluated / "test_predictions.csv")
    chances = [f"p_{name}" for name in CLASSES]
    assert list(table.columns) == ["id", "pred", "confidence", *chances, "decision", "label", "group", "distance"]
    assert sorted(table["id"]) == sorted(entry["id"] for entry in read(evaluated / "datalist.json")["test"])
    np.testing.assert_allclose(table[chances].sum(axis=1), 1, atol=1e-4)
    assert set(table["pred"]) <= set(CLASSES)
    assert set(table["decision"]) <= {"answered", "uncertain", "not_brain_mri"}


def test_metrics_say_what_was_measured_and_what_is_not_known(evaluated):
    metrics = read(evaluated / "metrics_test.json")
    task = metrics["tasks"]["class"]
    for name in ("accuracy", "macro_f1", "roc_auc_macro", "ece", "brier", "answered", "confident_mistakes"):
        assert task[name].keys() == {"value", "low", "high"}
    assert task["per_class"]["glioma"].keys() == {
        "support", "precision", "recall", "f1", "roc_auc", "average_precision",
    }  # fmt: skip
    assert sum(map(sum, task["confusion"])) == metrics["slices"] == sum(metrics["decisions"].values())
    assert metrics["risk_coverage"][0]["coverage"] == 1
    assert any("no patient ids" in note for note in metrics["notes"])
    assert any("no slice is answered" in note for note in metrics["notes"]), "four slices tell nothing"
    said = json.dumps(metrics) + (evaluated / "report.html").read_text(encoding="utf-8")
    assert "patient-level" not in said
    assert "leak-free" not in said


def test_fitted_buffers_are_saved_with_the_weights(evaluated):
    fitted = read(evaluated / "metrics_test.json")["calibration"]
    state = torch.load(evaluated / "models/model.pt", weights_only=True)
    assert float(state["temperature"]) == pytest.approx(fitted["temperature"])
    assert float(state["temperature"]) != 1
    assert float(state["minimum_confidence"]) == pytest.approx(fitted["minimum_confidence"])
    assert float(state["minimum_confidence"]) > 0
    assert float(state["detector.limit"]) == pytest.approx(fitted["limit"])
    assert fitted["fitted_on"] == len(read(evaluated / "datalist.json")["validation"])


@pytest.mark.usefixtures("no_slice_report")
def test_threshold_is_that_of_the_validation_where_twins_count_once(
    write_slice_set, train_slices, evaluate_slices, tmp_path
):
    data = write_slice_set(tmp_path / "data", {"glioma": 24, "notumor": 24})
    for file in sorted(data.glob("*/*.png")):
        with Image.open(file) as picture:
            ImageOps.mirror(picture).save(file.with_name(f"{file.stem} mirrored.png"))
    run = train_slices(data, tmp_path / "run", epochs=12, validation_share=0.4)
    metrics = evaluate_slices(run)
    fitted = metrics["calibration"]
    found = fitted["abstention"]
    assert fitted["fitted_on"] == 2 * fitted["groups"] == len(read(run / "datalist.json")["validation"])
    assert fitted["minimum_confidence"] == pytest.approx(found["confidence"])
    assert fitted["minimum_confidence"] < found["confidence"], "the slice that set it is answered"
    answers = round(found["coverage"] * fitted["groups"])
    assert found["bound"] == pytest.approx(
        risk_bound(round(found["risk"] * answers), answers, 0.05 / len(COVERAGES))
    ), "of twins one counts"
    table = read_table(run / "test_predictions.csv")
    table = table[table["decision"] != "not_brain_mri"]
    sure = table["confidence"].astype(float) >= fitted["minimum_confidence"] - 1e-4
    assert sure.any()
    assert set(table["decision"][sure]) == {"answered"}
    assert set(table["decision"][~sure]) <= {"uncertain"}


def test_evaluating_again_gives_the_same(evaluated, evaluate_slices, tmp_path, no_slice_report):
    run = shutil.copytree(evaluated, tmp_path / "run")
    again, before = evaluate_slices(run), read(evaluated / "metrics_test.json")
    for name in ("temperature", "minimum_confidence", "limit"):
        assert again["calibration"][name] == pytest.approx(before["calibration"][name], rel=1e-4)
    assert again["tasks"]["class"]["brier"] == pytest.approx(before["tasks"]["class"]["brier"], rel=1e-4)
    assert again["decisions"] == before["decisions"]


def test_evaluating_at_another_size_is_refused(evaluated, evaluate_slices):
    before = (evaluated / "models/model.pt").read_bytes()
    with pytest.raises(BrainMRIError, match="the weights were trained with image_size"):
        evaluate_slices(evaluated, image_size=48)
    assert (evaluated / "models/model.pt").read_bytes() == before


def test_a_second_training_reads_nothing_anew(trained, slice_set, train_slices, tmp_path, monkeypatch, no_slice_report):
    monkeypatch.setattr("brainmri_monai.engines.slices.reading.usable_slices", None)
    run = train_slices(slice_set, tmp_path / "run", cache_dir=str(trained / "cache"))
    assert read(run / "datalist.json")["digest"] == read(trained / "datalist.json")["digest"]


@pytest.mark.usefixtures("no_slice_report")
@pytest.mark.parametrize("groups", GROUPS)
def test_no_group_is_divided(write_slice_set, train_slices, tmp_path, groups):
    data = write_slice_set(tmp_path / "data", {"glioma": 12, "notumor": 12})
    for file in sorted(data.glob("*/[0-5].png")):
        with Image.open(file) as picture:
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file.with_name(f"mirrored {file.name}"))
    datalist = read(train_slices(data, tmp_path / "run", groups=groups) / "datalist.json")
    part_of = {}
    for part in PARTS:
        for entry in datalist[part]:
            assert part_of.setdefault(entry["group"], part) == part
    group_of = {entry["id"]: entry["group"] for part in PARTS for entry in datalist[part]}
    assert all(group_of[name] == group_of[name.replace("mirrored ", "")] for name in group_of)


@pytest.mark.usefixtures("no_slice_report")
def test_official_test_is_reported_with_and_without_twins(write_slice_set, train_slices, evaluate_slices, tmp_path):
    folders = {f"{part}/{name}": n for part, n in (("Training", 8), ("Testing", 4)) for name in ("glioma", "notumor")}
    data = write_slice_set(tmp_path / "data", folders)
    shutil.copyfile(data / "Training/glioma/0.png", data / "Testing/glioma/0.png")
    metrics = evaluate_slices(train_slices(data, tmp_path / "run", official=True))
    assert metrics["slices"] == 8
    assert metrics["twins_of_training"] == 1
    assert metrics["without_twins"]["slices"] == 7
    assert any("1 of 8 slices of the official test have twins" in note for note in metrics["notes"])
    assert not any("kept together" in note for note in metrics["notes"])


@pytest.mark.usefixtures("no_slice_report")
@pytest.mark.parametrize("there", [True, False])
def test_mirrored_training_slices_of_an_external_test_are_told(
    write_slice_set, train_slices, evaluate_slices, tmp_path, there
):
    data = write_slice_set(tmp_path / "data", {"glioma": 8, "notumor": 8})
    run = train_slices(data, tmp_path / "run")
    evaluate_slices(run)
    other = write_slice_set(tmp_path / "other", {"glioma": 3, "notumor": 3}, seed=77)
    known = read(run / "datalist.json")["training"][0]["id"]
    with Image.open(data / known) as picture:
        picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(other / Path(known).parent / "mirrored.png")
    if not there:
        data.rename(tmp_path / "gone")
    evaluate_slices(run, dataset_dir=str(other))
    metrics = read(run / "external/other/metrics_test.json")
    said = "1 of 7 slices have twins in the training" if there else "whether they are twins of slices of the training"
    assert any(said in note for note in metrics["notes"])
    assert metrics.get("without_twins", {}).get("slices") == (6 if there else None)


@pytest.mark.usefixtures("no_slice_report")
@pytest.mark.parametrize("options", [{"mixup": 0.4}, {"label_smoothing": 0.1}, {"average_decay": 0.9}])
def test_options_of_the_training_train(slice_set, train_slices, trained, tmp_path, options):
    given = {"cache_dir": str(trained / "cache"), "epochs": 2, **options}
    run = train_slices(slice_set, tmp_path / "run", **given)
    assert len(read(run / "history.json")) == 2
    last = torch.load(run / "models/last.pt", weights_only=True)
    if "average_decay" in options:  # what is validated and kept is the average
        best = torch.load(run / "models/model.pt", weights_only=True)
        assert not torch.equal(last["network"]["head.weight"], last["average"]["head.weight"])
        assert not torch.equal(last["network"]["head.weight"], best["head.weight"])
    else:
        plain = train_slices(slice_set, tmp_path / "plain", cache_dir=given["cache_dir"], epochs=2)
        other = torch.load(plain / "models/last.pt", weights_only=True)
        assert not torch.equal(last["network"]["head.weight"], other["network"]["head.weight"])


@pytest.mark.usefixtures("no_slice_report")
def test_frozen_vgg16_trains_its_last_layer_alone(slice_set, trained, root, tmp_path):
    torch.manual_seed(1)
    published = VGG16(num_classes=10, grid=1)  # a grid of 7 has a hundred million parameters more
    torch.save(published.state_dict(), tmp_path / "vgg16.pth")
    options = {
        "bundle_root": str(root), "dataset_dir": str(slice_set), "output_dir": str(tmp_path / "run"), "epochs": 1,
        "image_size": 32, "cache_dir": str(trained / "cache"), "pretrained": str(tmp_path / "vgg16.pth"),
        "network_def#network#grid": 1,
    }  # fmt: skip
    files = config_files(root, "training", ["vgg16_frozen"])
    launch("training", files, options)
    state = torch.load(tmp_path / "run/models/model.pt", weights_only=True)
    before = published.state_dict()
    assert all(torch.equal(state[f"body.{name}"], before[name]) for name in before if "classifier.6" not in name)
    assert state["head.weight"].numel() + state["head.bias"].numel() == 16_388
    seen = []
    of_trainer = EmbeddedSlices.__getitems__
    patched = lambda self, indices: seen.append(self.features[indices[0]]) or of_trainer(self, indices)  # noqa: E731
    torch.save(VGG16(num_classes=10, grid=1).state_dict(), tmp_path / "vgg16.pth")
    with pytest.MonkeyPatch.context() as patch:  # another network lies there now
        patch.setattr(EmbeddedSlices, "__getitems__", patched)
        launch("training", files, options | {"epochs": 2})
    network = SliceClassifier(published, num_classes=10).eval()
    datalist = SliceList.load(tmp_path / "run/datalist.json")
    pictures = SliceBatches(datalist, "training", picture_store(trained / "cache", 32), 32)
    with torch.inference_mode():
        features = network.features(pictures.__getitems__(range(len(pictures)))["image"])
    assert any(torch.allclose(seen[0], one, rtol=1e-4) for one in features)
    with pytest.raises(BrainMRIError, match="--pretrained is not given, and has to be a file of published weights"):
        launch("training", files, {name: value for name, value in options.items() if name != "pretrained"})


@pytest.mark.parametrize("override", ["vgg16", "seed_vgg16"])
def test_vgg16_takes_published_features_and_a_classifier_of_its_own(root, tmp_path, override):
    published = VGG16(num_classes=1, grid=1).state_dict()
    torch.save(published, tmp_path / "vgg16.pth")
    parser = ConfigParser.load_config_files([str(file) for file in config_files(root, "training", [override])])
    parser |= {"classes": ["a", "b"], "pretrained": str(tmp_path / "vgg16.pth"), "image_size": 32, "device": "cpu"}
    parser["network_def"]["network"]["grid"] = 2
    state = ConfigParser(parser).get_parsed_content("network").state_dict()
    assert torch.equal(state["body.features.28.weight"], published["features.28.weight"])


@pytest.mark.parametrize(
    ("overrides", "size", "said"),
    [
        ([], 64, "--image_size 64 does not fit the network: .+ too small"),
        (["vit"], 100, "a multiple of 16 pixels, found 100"),
    ],
)
def test_a_size_that_a_network_does_not_take_is_told(slice_set, tmp_path, root, overrides, size, said):
    options = {
        "bundle_root": str(root), "dataset_dir": str(slice_set), "output_dir": str(tmp_path / "run"),
        "image_size": size,
    }  # fmt: skip
    with pytest.raises(BrainMRIError, match=said):
        launch("training", config_files(root, "training", overrides), options)


# resuming -------------------------------------------------------------------------------------------------------------


def history_of(run: Path) -> list[dict]:
    times = ("seconds", "samples_per_second")
    return [{name: v for name, v in row.items() if name not in times} for row in read(run / "history.json")]


@pytest.mark.usefixtures("no_slice_report")
def test_interrupted_and_resumed_training_equals_an_uninterrupted_one(
    trained, slice_set, train_slices, tmp_path, monkeypatch
):
    from brainmri_monai.engines.checkpoint import TrainingRecord

    options = {"epochs": 6, "cache_dir": str(trained / "cache")}
    save = TrainingRecord._save

    def save_and_fail(self: TrainingRecord, epoch: int) -> None:
        save(self, epoch)
        if epoch == 3:
            raise BrainMRIError("the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRecord, "_save", save_and_fail)
        with pytest.raises(BrainMRIError, match="the power failed"):
            train_slices(slice_set, tmp_path / "run", **options)
    run = train_slices(slice_set, tmp_path / "run", **options)
    ours, theirs = (torch.load(one / "models/last.pt", weights_only=True) for one in (run, trained))
    assert all(torch.equal(ours["network"][name], theirs["network"][name]) for name in theirs["network"])
    assert history_of(run) == history_of(trained)


# cross-validation, comparison, external test --------------------------------------------------------------------------


def test_cross_validation_tests_each_slice_once_and_can_be_compared(
    slice_set, trained, tiny_slices, brainmri, tmp_path, monkeypatch
):
    few = {"resamples": 20}
    monkeypatch.setattr("brainmri_monai.metrics.slices.bootstrap", lambda s, n, *_: bootstrap(s, n, **few))
    monkeypatch.setattr("brainmri_monai.report.compare.RESAMPLES", 20)
    words = ["--dataset_dir", slice_set, "--output_dir", tmp_path / "cv", "--folds", 2, "--epochs", 1, "--seed", 3]
    words += ["--config", tiny_slices, "--groups", "clusters", "--cache_dir", trained / "cache"]
    code, _, err = brainmri("crossval", BUNDLE, *words)
    assert code == 0, err
    table = read_table(tmp_path / "cv/test_predictions.csv")
    assert len(table) == table["id"].nunique() == 36
    metrics = read(tmp_path / "cv/metrics_crossval.json")
    assert metrics["slices"] == sum(fold["slices"] for fold in metrics["folds"]) == 36
    assert any("no patient ids" in note for note in metrics["notes"])
    assert any("pessimistic" in note for note in metrics["notes"])
    assert sum("no slice is answered" in note for note in metrics["notes"]) == 1, "both folds say so"
    assert any(note.startswith("fold 0: ") for note in metrics["notes"]), metrics["notes"]
    entries = read(tmp_path / "cv/fold0/datalist.json")["validation"]
    fitted = read(tmp_path / "cv/fold0/metrics_test.json")["calibration"]
    assert len({e["group"] for e in entries}) < len({e["twins"] for e in entries}) == fitted["groups"]
    shutil.copytree(tmp_path / "cv/fold0", tmp_path / "twice/fold0")
    shutil.copytree(tmp_path / "cv/fold0", tmp_path / "twice/fold1")
    with pytest.raises(BrainMRIError, match="was tested by two folds"):
        report_folds(tmp_path / "twice", 2)
    assert "Fold by fold" in (tmp_path / "cv/report.html").read_text(encoding="utf-8")
    other = shutil.copytree(tmp_path / "cv", tmp_path / "other")
    code, out, err = brainmri("compare", tmp_path / "cv", other, "--output_dir", tmp_path / "compared")
    assert code == 0, err
    assert "confident mistakes" in out
    assert read(tmp_path / "compared/comparison.json")["unit"] == "groups of slices"


def test_data_that_have_moved_are_still_the_runs_own(evaluated, slice_set, evaluate_slices, tmp_path):
    run, there = tmp_path / "run", tmp_path / "there"
    shutil.copytree(evaluated, run, ignore=shutil.ignore_patterns("external", "cache"))
    shutil.copytree(slice_set, there)
    path = run / "datalist.json"
    path.write_text(path.read_text(encoding="utf-8").replace(str(slice_set), "/gone"), encoding="utf-8")
    for options in ({"dataset_dir": str(there)}, {"dataset_dir": ""}):  # the second time it is known
        (run / "report.html").unlink()
        evaluate_slices(run, **options)
        assert (run / "report.html").exists()
    assert read(path)["root"] == str(there)
    assert not (run / "external").exists()


@pytest.mark.usefixtures("no_slice_report")
def test_external_test_stands_apart(evaluated, write_slice_set, evaluate_slices, tmp_path):
    run = shutil.copytree(evaluated, tmp_path / "run")
    other = write_slice_set(tmp_path / "other site", {"glioma": 3, "no": 3}, seed=9)
    before = {name: (run / name).read_bytes() for name in ("metrics_test.json", "datalist.json", "models/model.pt")}
    evaluate_slices(run, dataset_dir=str(other))
    assert {name: (run / name).read_bytes() for name in before} == before
    metrics = read(run / "external/other_site/metrics_test.json")
    assert metrics["external"]
    assert metrics["slices"] == 6
    assert metrics["tasks"]["class"]["absent"] == ["meningioma", "pituitary"]
    with pytest.raises(BrainMRIError, match="--risk changes nothing here"):
        evaluate_slices(run, dataset_dir=str(other), risk=0.5)


@pytest.mark.usefixtures("no_slice_report")
def test_external_test_on_slices_of_the_training_is_refused(evaluated, write_slice_set, evaluate_slices, tmp_path):
    other = write_slice_set(tmp_path / "other", {"glioma": 3, "no": 3}, seed=9)
    datalist = read(evaluated / "datalist.json")
    known = [Path(datalist["root"]) / entry["image"][0] for entry in datalist["training"] if entry["label"] == "glioma"]
    shutil.copyfile(known[0], other / "glioma/copy.png")
    with pytest.raises(
        BrainMRIError, match=r"picture glioma/copy\.png of .* was among the pictures that the network was trained on:"
    ):
        evaluate_slices(evaluated, dataset_dir=str(other))
    assert not (evaluated / "known.txt").exists()
    shutil.copyfile(known[1], other / "glioma/copy 2.png")
    with pytest.raises(BrainMRIError, match=r"as were 1 more.*\n.*known\.txt names them all"):
        evaluate_slices(evaluated, dataset_dir=str(other))
    names = (evaluated / "known.txt").read_text(encoding="utf-8").splitlines()
    assert sorted(names) == ["glioma/copy 2.png", "glioma/copy.png"]


@pytest.mark.usefixtures("no_slice_report")
def test_an_ensemble_of_one_network_answers_as_it_and_has_no_own_test(evaluated, slice_set, evaluate_slices, tmp_path):
    weights = str(evaluated / "models/model.pt")
    before = Path(weights).read_bytes()
    for ensemble in ([weights, weights], [weights]):
        with pytest.raises(BrainMRIError, match="may have been trained on the test slices"):
            evaluate_slices(evaluated, ensemble=ensemble)
    assert Path(weights).read_bytes() == before
    alone = predict(evaluated, slice_set, tmp_path / "alone")
    twice = predict(evaluated, slice_set, tmp_path / "twice", ensemble=[weights, weights])
    assert alone.equals(twice)


@pytest.mark.usefixtures("no_slice_report")
def test_what_any_member_of_an_ensemble_was_trained_on_is_no_test_for_it(
    slice_set, trained, train_slices, evaluate_slices, write_slice_set, tmp_path
):
    options = {"folds": 2, "cache_dir": str(trained / "cache")}
    first, second = (train_slices(slice_set, tmp_path / f"fold{k}", fold=k, **options) for k in range(2))
    for run in (first, second):
        evaluate_slices(run)
    lists = [read(run / "datalist.json") for run in (first, second)]
    trained_on = [{e["id"] for part in ("training", "validation") for e in one[part]} for one in lists]
    (known, turned, *_), other = sorted(trained_on[1] - trained_on[0]), tmp_path / "other"
    write_slice_set(other, {"glioma": 3, "no": 3}, seed=9)
    with Image.open(slice_set / turned) as picture:
        ImageOps.mirror(picture).save(other / "glioma/mirrored.png")
    shutil.copyfile(slice_set / known, other / "glioma/known.png")
    ensemble = [str(first), str(second / "models/model.pt")]
    with pytest.raises(BrainMRIError, match=r"glioma/known\.png of .* was among the pictures"):
        evaluate_slices(first, dataset_dir=str(other), ensemble=ensemble)
    (other / "glioma/known.png").unlink()
    evaluate_slices(first, dataset_dir=str(other))
    alone = (first / "external/other/metrics_test.json").read_bytes()
    for same in ([str(second), str(first / "models/model.pt")], ensemble):
        evaluate_slices(first, dataset_dir=str(other), ensemble=same)
    assert not (first / "external/other-ensemble-2").exists()
    assert (first / "external/other/metrics_test.json").read_bytes() == alone
    metrics = read(first / "external/other-ensemble/metrics_test.json")
    assert metrics["twins_of_training"] == 1
    assert "twins_of_training" not in json.loads(alone)
    fitted = [read(run / "metrics_test.json")["calibration"] for run in (first, second)]
    assert [one["temperature"] for one in metrics["calibration"]["members"]] == pytest.approx(
        [one["temperature"] for one in fitted]
    )
    assert any(note.startswith(f"an ensemble of 2: {first}") for note in metrics["notes"])
    stray = shutil.copyfile(second / "models/model.pt", tmp_path / "stray.pt")
    evaluate_slices(first, dataset_dir=str(other), ensemble=[str(first), str(stray)])
    notes = read(first / "external/other-ensemble-2/metrics_test.json")["notes"]
    assert any(f"what {stray} was trained on is not known" in note for note in notes)
    lists[0]["root"] = str(write_slice_set(tmp_path / "replaced", seed=4))
    (first / "datalist.json").write_text(json.dumps(lists[0]), encoding="utf-8")
    evaluate_slices(first, dataset_dir=str(other))
    notes = read(first / "external/other/metrics_test.json")["notes"]
    missing = len(trained_on[0])
    assert any(f"{missing} of {missing} slices of the training are not in {lists[0]['root']}" in note for note in notes)


# inference ------------------------------------------------------------------------------------------------------------


def predict(run: Path, dataset_dir: Path, output_dir: Path, *, portable: bool = False, **options):
    given = {"bundle_root": str(run), "dataset_dir": str(dataset_dir), "output_dir": str(output_dir), **options}
    launch("inference", config_files(run, "inference", portable=portable), given)
    return read_table(output_dir / "predictions.csv").set_index("id").sort_index()


def test_portable_and_fast_inference_agree(evaluated, odd_slices, tmp_path):
    portable = predict(evaluated, odd_slices, tmp_path / "portable", portable=True)
    fast = predict(evaluated, odd_slices, tmp_path / "fast", precision="float32")
    assert list(portable.index) == list(fast.index) == ["colour.png", "tall.jpg", "transparent.png", "wide.png"]
    numbers = [column for column in portable if column.startswith("p_")]
    np.testing.assert_allclose(portable[numbers], fast[numbers], atol=1e-3)
    assert list(portable["decision"]) == list(fast["decision"])


def test_what_the_portable_reader_would_read_otherwise_is_told(evaluated, slice_set, brainmri, tmp_path):
    slices = shutil.copytree(slice_set / "glioma_tumor", tmp_path / "slices")
    Image.new("I;16", (64, 64), 4000).save(slices / "deep.png")
    Image.new("L", (1, 1), 7).save(slices / "point.png")
    cut = slices / "0.png"
    cut.write_bytes(cut.read_bytes()[:200])
    words = ["run", evaluated, "inference", "--portable", "--dataset_dir", slices, "--output_dir", tmp_path / "out"]
    code, _, err = brainmri(*words)
    assert code == 1
    assert "failed: deep.png: MONAI's own reader takes pictures of 8 bits, this one has the mode 'I;16'" in err
    assert "failed: point.png: a slice has at least 8 x 8" in err
    assert "failed: 0.png: the picture cannot be decoded" in err
    assert "3 failed, 8 predicted" in err


@pytest.mark.parametrize(
    ("shape", "said"), [((64, 64, 1), "takes pictures alone"), ((64, 64, 3), "expected one slice")]
)
def test_a_volume_is_not_for_the_portable_reader(evaluated, brainmri, tmp_path, shape, said):
    volume = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    nib.save(nib.Nifti1Image(volume, np.eye(4)), tmp_path / "volume.nii.gz")
    words = ["run", evaluated, "inference", "--portable", "--image", tmp_path / "volume.nii.gz"]
    code, _, err = brainmri(*words, "--output_dir", tmp_path / "out")
    assert code == 1
    assert "failed: volume.nii.gz: " in err
    assert said in err
    assert "Traceback" not in err


def test_volumes_of_one_slice_are_answered_in_a_folder_as_well(evaluated, brainmri, tmp_path):
    slices = tmp_path / "slices"
    (slices / "below").mkdir(parents=True)
    volume = np.random.default_rng(0).integers(0, 255, (64, 48, 1), dtype=np.uint8)
    for name, voxels in {
        "below/three.nii.gz": volume,
        "two.nii": volume[..., 0],
        "many.nii": np.tile(volume, 3),
    }.items():
        nib.save(nib.Nifti1Image(voxels, np.diag([-1, -1, 1, 1])), slices / name)
    Image.fromarray(volume[..., 0].T).save(slices / "one.png")
    for name in ("DICOMDIR", "cut.dcm"):
        (slices / name).write_bytes(bytes(128) + b"DICM")
    (slices / "folder.jpg").mkdir()
    code, _, err = brainmri("run", evaluated, "inference", "--dataset_dir", slices, "--output_dir", tmp_path / "out")
    assert code == 1
    table = read_table(tmp_path / "out/predictions.csv").set_index("id")
    assert sorted(table.index) == ["below/three.nii.gz", "one.png", "two.nii"]
    assert table["confidence"].nunique() == 1
    assert "failed: many.nii: expected one slice, found 3" in err
    assert "failed: cut.dcm: " in err
    assert "failed: folder.jpg: a folder with the name of a picture" in err
    assert "DICOMDIR" not in err


def test_a_network_that_guesses_answers_nothing(evaluated, evaluate_slices, tmp_path):
    run = shutil.copytree(evaluated, tmp_path / "run")
    state = torch.load(run / "models/model.pt", weights_only=True)
    torch.save(
        {name: value * 0 if name.startswith("head.") else value for name, value in state.items()},
        run / "models/model.pt",
    )
    metrics = evaluate_slices(run)
    assert set(metrics["decisions"]) <= {"uncertain", "not_brain_mri"}
    assert metrics["tasks"]["class"]["answered"]["value"] == 0
    assert metrics["tasks"]["class"]["accuracy_answered"]["value"] is None
    assert any("no slice is answered" in note for note in metrics["notes"])
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'every slice is answered "uncertain"' in page.replace("&#34;", '"')


def test_one_slice_is_answered_with_class_probability_and_decision(evaluated, slice_set, brainmri, tmp_path):
    image = slice_set / "glioma_tumor/0.png"
    code, out, err = brainmri("run", evaluated, "inference", "--image", image, "--output_dir", tmp_path)
    assert code == 0, err
    table = read_table(tmp_path / "predictions.csv")
    (row,) = table.to_dict("records")
    assert f"0.png: {in_words(row['pred'], row['confidence'], row['decision'])}" in out
    assert not (tmp_path / "explained").exists()


@pytest.mark.parametrize("more", [[], ["--portable"]])
def test_weights_that_were_never_evaluated_say_so(evaluated, slice_set, brainmri, tmp_path, more):
    fresh = shutil.copytree(evaluated, tmp_path / "run")
    weights = load_weights(fresh / "models/model.pt")
    weights["detector.limit"].fill_(float("inf"))
    save(weights, fresh / "models/model.pt")
    for run, told in ((fresh, 1), (evaluated, 0)):
        words = ["--image", slice_set / "glioma_tumor/0.png", "--output_dir", tmp_path, *more]
        assert brainmri("run", run, "inference", *words)[1].count("were not evaluated yet") == told
    if not more:
        words += ["--ensemble", str([str(evaluated), str(fresh)])]
        assert (
            "1 of 2 networks were not evaluated yet: they never doubt" in brainmri("run", run, "inference", *words)[1]
        )


def test_a_decision_in_words():
    assert in_words("glioma", 0.9876, "answered") == "glioma (0.988)"
    assert in_words("glioma", 0.51, "uncertain") == "uncertain, most likely glioma (0.510)"
    assert in_words("glioma", 0.99, "not_brain_mri") == "not a brain MRI"


@pytest.mark.parametrize("how", ["gradcam", "gradcam++", "occlusion"])
def test_a_picture_of_what_speaks_for_an_answer_is_drawn_on_request(evaluated, slice_set, brainmri, tmp_path, how):
    words = ["--dataset_dir", slice_set / "glioma_tumor", "--explain", how, "--output_dir", tmp_path]
    code, out, err = brainmri("run", evaluated, "inference", *words)
    assert code == 0, err
    assert sorted(path.name for path in (tmp_path / "explained").iterdir()) == [f"{n}.png.png" for n in range(9)]
    assert str(tmp_path / "explained") in out


def test_figures_of_an_earlier_inference_are_no_slices(evaluated, slice_set, brainmri, tmp_path):
    folder = shutil.copytree(slice_set / "no_tumor", tmp_path / "slices")
    for output in (folder, folder / "runs/first", folder / "runs/second"):
        options = ["--dataset_dir", folder, "--output_dir", output, "--explain", "gradcam"]
        code, _, err = brainmri("run", evaluated, "inference", *options)
        assert code == 0, err
        assert len(read_table(output / "predictions.csv")) == 9
    code, _, err = brainmri("run", evaluated, "inference", "--dataset_dir", tmp_path, "--output_dir", tmp_path / "out")
    assert code == 0, err
    assert len(read_table(tmp_path / "out/predictions.csv")) == 9


def test_mistakes_are_drawn_with_their_maps(evaluated):
    table = read_table(evaluated / "test_predictions.csv")
    wrong = int((table["pred"] != table["label"]).sum())
    assert len(list((evaluated / "figures/mistakes").glob("*.png"))) == min(wrong, 12)
    names = {"gallery", "filters", "risk_coverage", "history", "reliability_class", "roc_class", "pr_class", "cm_class"}
    assert names == {path.stem for path in (evaluated / "figures").glob("*.png")}


def test_the_same_slice_gets_the_same_answer_in_the_test_and_in_an_inference(evaluated, slice_set, tmp_path):
    tested = read_table(evaluated / "test_predictions.csv").set_index("id").sort_index()
    found = predict(evaluated, slice_set, tmp_path).loc[tested.index]
    numbers = [column for column in found if column.startswith("p_")]
    np.testing.assert_allclose(found[numbers], tested[numbers], atol=1e-5)
    assert list(found["decision"]) == list(tested["decision"])


# export ---------------------------------------------------------------------------------------------------------------


def test_exported_network_answers_and_decides_as_the_eager_one(evaluated, monai_bundle, tmp_path):
    files = {"ckpt_file": "models/model.pt", "meta_file": "configs/metadata.json"}
    files["config_file"] = "configs/inference.json"
    done = monai_bundle(evaluated, "ckpt_export", "network_def", filepath=tmp_path / "model.ts", **files)
    assert done.returncode == 0, done.stderr
    exported, card, extra = load_net_with_metadata(str(tmp_path / "model.ts"), more_extra_files=("inference.json",))
    assert card["pred_classes"] == read(evaluated / "configs/metadata.json")["pred_classes"]
    assert {"preprocessing", "postprocessing", "inferer", "device"} <= json.loads(extra["inference.json"]).keys()
    parser = ConfigParser(read(evaluated / "configs/inference.json"))
    eager: nn.Module = parser.get_parsed_content("network_def")
    eager.load_state_dict(torch.load(evaluated / "models/model.pt", weights_only=True))
    eager.eval()
    for batch in (1, 3):
        image = torch.rand(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
        torch.testing.assert_close(exported(image), eager(image), atol=1e-5, rtol=0)
        assert torch.equal(exported.decide(image), eager.decide(image))


# the weights that come with it ----------------------------------------------------------------------------------------


def test_shipped_weights_refuse_what_is_no_brain_mri(root, tmp_path):
    random = np.random.default_rng(11)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for kind in sorted(set(FOREIGN) - {"ct_head"}):  # a known limit
        for n in range(3):
            Image.fromarray(draw_foreign(random, kind)).save(pictures / f"{kind} {n}.png")
    assert (root / "models/model.pt").stat().st_size < 15_000_000
    found = predict(root, pictures, tmp_path / "found")
    assert len(found) == 21
    assert set(found["decision"]) == {"not_brain_mri"}


@pytest.mark.skipif("BRAINMRI_DATA" not in os.environ, reason="BRAINMRI_DATA does not name the folder of the real data")
def test_shipped_weights_know_slices_of_the_public_set(root, tmp_path):
    real = Path(os.environ["BRAINMRI_DATA"]) / "tumor_slices"
    pictures = tmp_path / "pictures"
    for entry in read(root / "models/datalist.json")["test"][::8]:
        (pictures / entry["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(real / entry["image"][0], pictures / entry["label"])
    found = predict(root, pictures, tmp_path / "found")
    assert len(found) == 143
    assert np.mean([row.pred == Path(name).parts[0] for name, row in found.iterrows()]) > 0.93
    assert (found["decision"] == "answered").mean() > 0.93
