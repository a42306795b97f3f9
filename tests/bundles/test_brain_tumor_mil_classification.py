"""The bundle's workflows on a small cohort, run as a user runs them."""

import csv
import json
import shutil
from pathlib import Path

import jsonschema
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, load_bundle_config, verify_net_in_out
from monai.data import load_net_with_metadata
from outcomes import read
from PIL import Image
from sklearn.metrics import balanced_accuracy_score

from brainmri_monai.data.bundles import config_files
from brainmri_monai.data.phantom import generate_patients
from brainmri_monai.engines.launch import launch
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics import score
from brainmri_monai.metrics.table import read_table, to_answers

SEED_FIGURES = [
    f"{curve}_{task}.png" for curve in ("roc", "pr", "cm") for task in ("type", "grade_teacher_forced", "grade_end2end")
]
PARTS = ("training", "validation", "test")


@pytest.fixture(scope="module")
def volumes(tmp_path_factory) -> Path:
    """Three NIfTI volumes that are not square, one of them with three channels, each in a patient's folder."""
    root, random = tmp_path_factory.mktemp("volumes"), np.random.default_rng(3)
    affine = np.diag([-1.0, -2.0, 3.0, 1.0]) @ np.eye(4)
    for name, shape in {"lps": (40, 56, 7), "colour": (48, 36, 5, 3)}.items():
        (root / name).mkdir()
        nib.save(nib.Nifti1Image(random.integers(0, 900, shape).astype(np.int16), affine), root / name / "scan.nii.gz")
    return root


# the bundle -----------------------------------------------------------------------------------------------------------


def test_training_has_all_ids_that_monai_asks_for(bundle, cohort, tmp_path):
    files = [str(file) for file in config_files(bundle, "training")]
    options = {"bundle_root": str(bundle), "dataset_dir": str(cohort), "output_dir": str(tmp_path / "run")}
    workflow = ConfigWorkflow(config_file=files, workflow_type="train", image_size=32, **options)
    workflow.initialize()
    assert not workflow.check_properties()


def test_inference_has_all_ids_that_monai_asks_for(trained_run, cohort):
    options = {"bundle_root": str(trained_run), "dataset_dir": str(cohort)}
    files = [str(file) for file in config_files(trained_run, "inference", portable=True)]
    workflow = ConfigWorkflow(config_file=files, workflow_type="inference", **options)
    workflow.initialize()
    assert not workflow.check_properties()


def test_metadata_fits_its_schema(bundle, trained_run):
    schema = read(Path(__file__).parent / "meta_schema_20240725.json")
    for root in (bundle, trained_run):
        card = read(root / "configs/metadata.json")
        assert card["schema"].endswith("meta_schema_20240725.json")
        assert card["version"] in card["changelog"]
        jsonschema.validate(card, schema)


def test_network_takes_and_gives_what_the_metadata_says(trained_run):
    configs = trained_run / "configs"
    for n in (1, 9):
        verify_net_in_out(
            net_id="network_def",
            meta_file=str(configs / "metadata.json"),
            config_file=str(configs / "inference.json"),
            any=n,
            device="cpu",
        )


def test_parts_that_others_run_are_monais_alone(bundle):
    inference = read(bundle / "configs/inference.json")
    for part in ("preprocessing", "postprocessing", "inferer"):
        text = json.dumps(inference[part])
        assert "brainmri" not in text
        assert "engines." not in text
        assert ConfigParser({**inference, "image_size": 32})[part]


# what a run leaves behind ---------------------------------------------------------------------------------------------


def test_run_writes_what_it_decided(evaluated_run, cohort):
    run = read(evaluated_run / "run.json")
    assert run["bundle"] == "brain_tumor_mil_classification"
    assert run["finished"]
    assert run["seed"] == 7
    assert run["options"]["epochs"] == 2
    assert run["options"]["dataset_dir"] == str(cohort)
    assert run["digests"].keys() == {"data", "split", "config"}
    assert run["packages"]["monai"]
    history = read(evaluated_run / "history.json")
    assert [row["epoch"] for row in history] == [1, 2]
    assert {"train_loss", "val_loss", "val_type_balanced_accuracy", "lr", "seconds"} <= history[0].keys()


def test_no_patient_is_in_two_parts(trained_run, cohort):
    datalist = read(trained_run / "datalist.json")
    patients = [entry["patient"] for part in PARTS for entry in datalist[part]]
    assert len(patients) == len(set(patients)) == 24
    types = ["astrocytoma", "meningioma", "oligodendroglioma"]
    assert datalist["types"] == types
    for part in PARTS:
        assert sorted({entry["type"] for entry in datalist[part]}) == types
    assert all((cohort / file).is_file() for part in PARTS for entry in datalist[part] for file in entry["image"])


def test_predictions_hold_one_row_for_each_test_patient(evaluated_run):
    table = read_table(evaluated_run / "test_predictions.csv")
    types = ["astrocytoma", "meningioma", "oligodendroglioma"]
    grades = [f"p_grade_{g}" for g in (1, 2, 3, 4)]
    columns = ["id", "pred", "confidence", *[f"p_{name}" for name in types], "decision", "label", "grade_pred", *grades]
    columns += ["grade_hard", "grade_label", "grade_teacher_forced", "entropy", "mutual_information", "slices"]
    assert set(columns) <= set(table.columns)
    assert list(table.columns[:7]) == columns[:7]
    assert sorted(table["id"]) == sorted(entry["id"] for entry in read(evaluated_run / "datalist.json")["test"])
    np.testing.assert_allclose(table[[f"p_{name}" for name in types]].sum(axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(table[grades].sum(axis=1), 1, atol=1e-4)
    assert (table["entropy"] >= table["mutual_information"]).all()


def test_the_main_scores_enter_the_card(evaluated_run):
    tasks = read(evaluated_run / "metrics_test.json")["tasks"]
    of_tasks = {"type": tasks["type"], "grade": tasks["grade_end2end"]}
    expected = {f"{name}_roc_auc_macro": scores["roc_auc_macro"]["value"] for name, scores in of_tasks.items()}
    expected = {name: pytest.approx(value, abs=1e-4) for name, value in expected.items() if value is not None}
    assert read(evaluated_run / "configs/metadata.json")["eval_metrics"] == expected


def test_attention_of_a_patient_sums_to_one_over_all_slices(evaluated_run, cohort):
    attention = pd.read_csv(evaluated_run / "attention.csv", dtype={"id": str})
    assert list(attention.columns) == ["id", "slice", "file", "weight"]
    for _, rows in attention.groupby("id"):
        assert list(rows["slice"]) == [1, 2, 3, 4, 5]
        assert rows["weight"].sum() == pytest.approx(1, abs=1e-4)
        assert all((cohort / file).is_file() for file in rows["file"])


def test_figures_have_the_names_of_the_seed(evaluated_run):
    tested = [entry["id"] for entry in read(evaluated_run / "datalist.json")["test"]]
    expected = [*SEED_FIGURES, "reliability_type.png", "reliability_grade.png", "history.png"]
    expected += [f"attention/{patient}.png" for patient in tested]
    for name in expected:
        with Image.open(evaluated_run / "figures" / name) as figure:
            figure.verify()
    assert (evaluated_run / "report.html").is_file()
    assert list((evaluated_run / "events").glob("events.out.tfevents.*"))


def test_metrics_follow_from_the_table(evaluated_run):
    metrics = read(evaluated_run / "metrics_test.json")
    table = read_table(evaluated_run / "test_predictions.csv")
    types = read(evaluated_run / "datalist.json")["types"]
    again = score(to_answers(table, types), types, resamples=20, seed=7)
    assert metrics["patients"] == again["patients"] == len(table)
    flat, flat_again = (pd.json_normalize(m["tasks"]).iloc[0].to_dict() for m in (metrics, again))
    assert flat.keys() == flat_again.keys()
    for name, value in flat.items():
        if isinstance(value, float):
            assert flat_again[name] == pytest.approx(value, abs=1e-4, nan_ok=True), name
        else:
            assert flat_again[name] == value, name
    hits = (table["pred"] == table["label"]).mean()
    assert metrics["tasks"]["type"]["accuracy"]["value"] == pytest.approx(hits)
    both = (table["pred"] == table["label"]) & (table["grade_pred"] == table["grade_label"])
    assert metrics["end2end_all_correct"]["value"] == pytest.approx(both.mean())


def test_temperatures_are_saved_with_the_weights(evaluated_run):
    fitted = read(evaluated_run / "metrics_test.json")["calibration"]
    weights = torch.load(evaluated_run / "models/model.pt", weights_only=True)
    for name in ("type_temperature", "grade_temperature"):
        assert float(weights[f"head.{name}"]) == pytest.approx(fitted[name], rel=1e-6)
    assert fitted["fitted_on"] == len(read(evaluated_run / "datalist.json")["validation"])


# a finished run is a bundle -------------------------------------------------------------------------------------------


def test_run_is_a_bundle_with_its_own_types(trained_run):
    names = {"0": "astrocytoma", "1": "meningioma", "2": "oligodendroglioma"}
    card = read(trained_run / "configs/metadata.json")
    assert card["label_classes"] == card["pred_classes"] == "0: astrocytoma, 1: meningioma, 2: oligodendroglioma"
    output = card["network_data_format"]["outputs"]["pred"]
    assert output["num_channels"] == 3
    assert output["channel_def"] == names
    inference = read(trained_run / "configs/inference.json")
    assert inference["types"] == list(names.values())
    assert inference["image_size"] == 32
    assert str(Path(__file__).parents[2]) not in json.dumps(read(trained_run / "configs/train.json"))


@pytest.fixture(scope="module")
def moved_run(evaluated_run, tmp_path_factory) -> Path:
    """The run, copied elsewhere without its cache."""
    return shutil.copytree(
        evaluated_run, tmp_path_factory.mktemp("elsewhere") / "moved run", ignore=shutil.ignore_patterns("cache")
    )


def test_moved_run_evaluates_from_its_own_folder(moved_run, evaluated_run, monai_bundle):
    (moved_run / "metrics_test.json").unlink()
    files = "['configs/train.json','configs/evaluate.json']"
    done = monai_bundle(moved_run, "run", "evaluate", config_file=files, mc_samples=2, bootstrap=20)
    assert done.returncode == 0, done.stderr
    before, now = (read(run / "metrics_test.json") for run in (evaluated_run, moved_run))
    assert now["tasks"] == before["tasks"]


def test_moved_run_predicts_from_its_own_folder(moved_run, evaluated_run, cohort, monai_bundle):
    """README: inference by MONAI's runner, portable; the answers are those of the evaluation."""
    done = monai_bundle(moved_run, "run", "inference", config_file="configs/inference.json", dataset_dir=cohort)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 24
    predicted = read_table(moved_run / "inference/predictions.csv").set_index("id")
    tested = read_table(evaluated_run / "test_predictions.csv").set_index("id")
    assert len(predicted) == 24
    for column in ("p_astrocytoma", "p_grade_2", "p_meningioma_g1"):
        np.testing.assert_allclose(predicted.loc[tested.index, column], tested[column], atol=1e-3)


def test_fast_inference_explains_from_monais_runner(evaluated_run, cohort, monai_bundle, tmp_path):
    patient = next(cohort.glob("meningioma-g1/*"))
    files = "['configs/inference.json','configs/fast.json']"
    options = {"dataset_dir": patient, "output_dir": tmp_path, "mc_samples": 2}
    done = monai_bundle(evaluated_run, "run", "inference", config_file=files, **options)
    assert done.returncode == 0, done.stderr
    answers = read(tmp_path / "predictions.json")
    assert answers["failed"] == {}
    (answer,) = answers["predictions"]
    assert answer["id"] == patient.name
    assert sum(one["weight"] for one in answer["attention"]) == pytest.approx(1, abs=1e-4)
    assert (tmp_path / "attention.csv").is_file()


# inference ------------------------------------------------------------------------------------------------------------


def predict(run: Path, dataset_dir: Path, output_dir: Path, *, portable: bool) -> pd.DataFrame:
    options = {"bundle_root": str(run), "dataset_dir": str(dataset_dir), "output_dir": str(output_dir)}
    if not portable:
        options["precision"] = "float32"
    launch("inference", config_files(run, "inference", portable=portable), options)
    return read_table(output_dir / "predictions.csv").set_index("id").sort_index()


def test_portable_and_fast_inference_agree(evaluated_run, volumes, cohort, write_slices, tmp_path):
    cases = shutil.copytree(volumes, tmp_path / "cases")
    random = np.random.default_rng(5)
    write_slices(cases / "colour slices", random.integers(0, 200, (6, 30, 50, 3), dtype=np.uint8))
    write_slices(cases / "grey slices", random.integers(0, 200, (4, 64, 40), dtype=np.uint8), ".jpg")
    write_slices(cases / "transparent", random.integers(0, 200, (5, 40, 50, 4), dtype=np.uint8))
    portable = predict(evaluated_run, cases, tmp_path / "portable", portable=True)
    fast = predict(evaluated_run, cases, tmp_path / "fast", portable=False)
    assert list(portable.index) == list(fast.index) == ["colour", "colour slices", "grey slices", "lps", "transparent"]
    numbers = [column for column in portable if column.startswith("p_")]
    np.testing.assert_allclose(portable[numbers], fast[numbers], atol=1e-3)


@pytest.mark.parametrize("portable", [True, False])
def test_failing_case_is_reported_and_the_others_go_on(evaluated_run, cohort, brainmri, tmp_path, portable):
    cases = shutil.copytree(cohort / "meningioma-g1", tmp_path / "cases")
    broken = sorted(cases.iterdir())[1]
    for file in broken.iterdir():
        file.write_bytes(file.read_bytes()[:60])
    words = ["run", evaluated_run, "inference", "--dataset_dir", cases, "--output_dir", tmp_path / "out"]
    code, _, err = brainmri(*words, *(["--portable"] if portable else ["--mc_samples", "2"]))
    assert code == 1
    assert f"failed: {broken.name}: the picture cannot be decoded" in err
    assert "1 failed, 3 predicted\nA patient with a broken file gets no answer" in err
    assert "Traceback" not in err
    assert len(read_table(tmp_path / "out/predictions.csv")) == 3


@pytest.mark.parametrize("portable", [True, False])
def test_a_volume_with_nan_gets_no_answer(evaluated_run, brainmri, tmp_path, portable):
    random = np.random.default_rng(0)
    for name in ("broken", "whole"):
        volume = random.normal(100, 10, (40, 40, 6)).astype(np.float32)
        if name == "broken":
            volume[20, 20, 3] = np.nan
        (tmp_path / "cases" / name).mkdir(parents=True)
        nib.save(nib.Nifti1Image(volume, np.diag([-1.0, -1.0, 5.0, 1.0])), tmp_path / "cases" / name / "scan.nii.gz")
    words = ["run", evaluated_run, "inference", "--dataset_dir", tmp_path / "cases", "--output_dir", tmp_path / "out"]
    code, _, err = brainmri(*words, *(["--portable"] if portable else ["--mc_samples", "2"]))
    assert code == 1
    assert "failed: broken: 1 of 9600 values are NaN or infinite" in err
    assert read_table(tmp_path / "out/predictions.csv")["id"].tolist() == ["whole"]


# export ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(evaluated_run, monai_bundle, tmp_path_factory) -> Path:
    """README: ckpt_export from the run's folder."""
    path = tmp_path_factory.mktemp("exported") / "model.ts"
    done = monai_bundle(
        evaluated_run,
        "ckpt_export",
        "network_def",
        filepath=path,
        ckpt_file="models/model.pt",
        meta_file="configs/metadata.json",
        config_file="configs/inference.json",
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def eager(evaluated_run) -> torch.nn.Module:
    parser = ConfigParser(load_bundle_config(str(evaluated_run), "inference.json").get())
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(evaluated_run / "models/model.pt", weights_only=True))
    return network.eval()


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("slices", [1, 7])
def test_eager_scripted_and_reloaded_network_agree(exported, eager, batch, slices):
    image = torch.rand(batch, 3, 36, 44, slices, generator=torch.Generator().manual_seed(slices))
    mask = torch.ones(batch, slices, dtype=torch.bool)
    mask[-1, 1:] = False
    scripted, reloaded = torch.jit.script(eager), torch.jit.load(exported)
    for given in ((image,), (image, mask)):
        for other in (scripted, reloaded):
            torch.testing.assert_close(other(*given), eager(*given), atol=1e-5, rtol=0)
            for method in ("type_logits", "grade_logits", "attention"):
                ours, theirs = getattr(eager, method)(*given), getattr(other, method)(*given)
                torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=0)


def test_exported_file_tells_its_classes_and_how_to_run_it(exported, evaluated_run):
    _, card, extra = load_net_with_metadata(str(exported), more_extra_files=("inference.json",))
    assert card["label_classes"] == read(evaluated_run / "configs/metadata.json")["label_classes"]
    inference = json.loads(extra["inference.json"])
    assert {"preprocessing", "postprocessing", "inferer", "device"} <= inference.keys()


def test_export_command_writes_beside_the_weights(moved_run, brainmri):
    code, out, _ = brainmri("run", moved_run, "export")
    assert code == 0
    assert str(moved_run / "models/model.ts") in out
    assert torch.jit.load(moved_run / "models/model.ts")


@pytest.mark.usefixtures("no_report")
def test_weights_may_lie_elsewhere(cohort, launch_training, launch_evaluate, brainmri, tmp_path):
    run = launch_training(cohort, tmp_path / "run", ckpt_dir=str(tmp_path / "weights"))
    launch_evaluate(run)
    for words in (["export"], ["inference", "--dataset_dir", next(cohort.glob("*/*")), "--mc_samples", "2"]):
        code, _, err = brainmri("run", run, *words)
        assert code == 0, err
    assert not (run / "models/model.pt").exists()


# overrides and odd cohorts --------------------------------------------------------------------------------------------

OVERRIDES = {  # and what they put into the network
    "mean": "MeanPool",
    "max": "MaxPool",
    "gated": "GatedAttentionPool",
    "transformer": "TransformerPool",
    "seed_cnn": '{"_target_": "brainmri_monai.networks.SmallCNN"}',
    "mobilenet": "MobileNetV2",
    "densenet": "DenseNet121",
    "frozen": "AttentionPool",
}


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("override", OVERRIDES)
def test_override_trains_and_evaluates(override, cohort, launch_training, launch_evaluate, tmp_path):
    run = launch_training(cohort, tmp_path / "run", override)
    metrics = launch_evaluate(run)
    assert metrics["patients"] == len(read(run / "datalist.json")["test"])
    parts = json.dumps(read(run / "configs/inference.json")["network_def"])
    assert OVERRIDES[override] in parts


@pytest.mark.usefixtures("no_report")
def test_frozen_encoder_stays_as_it_was(cohort, launch_training, tmp_path):
    def weights(run: Path) -> dict[str, torch.Tensor]:
        return torch.load(run / "models/last.pt", weights_only=True)["network"]

    before = weights(launch_training(cohort, tmp_path, "frozen"))
    after = weights(launch_training(cohort, tmp_path, "frozen", epochs=2))
    encoder = [name for name in before if name.startswith("encoder.")]
    assert encoder
    assert all(torch.equal(before[name], after[name]) for name in encoder)
    assert not torch.equal(before["head.type_classifier.weight"], after["head.type_classifier.weight"])


@pytest.mark.usefixtures("no_report")
def test_type_of_two_patients_is_absent_from_the_test_and_named(
    write_cohort, launch_training, launch_evaluate, tmp_path
):
    data = write_cohort(tmp_path / "data", {"astrocytoma-g2": 6, "meningioma-g1": 6, "rare-g3": 2})
    run = launch_training(data, tmp_path / "run")
    metrics = launch_evaluate(run)
    datalist = read(run / "datalist.json")
    assert datalist["types"] == ["astrocytoma", "meningioma", "rare"]
    assert any(entry["type"] == "rare" for entry in datalist["training"])
    assert any("rare" in note for note in datalist["split"]["notes"])
    absent = [name for name in datalist["types"] if name not in {entry["type"] for entry in datalist["test"]}]
    assert metrics["tasks"]["type"]["absent"] == absent == ["rare"]
    assert any("type rare" in note for note in metrics["notes"])
    assert metrics["tasks"]["type"]["per_class"]["rare"]["roc_auc"] is None


def test_absent_classes_stop_no_figure(write_cohort, launch_training, launch_evaluate, tmp_path):
    data = write_cohort(tmp_path / "data", {"astrocytoma-g2": 5, "meningioma-g2": 5, "rare-g2": 2})
    run = launch_training(data, tmp_path / "run")
    launch_evaluate(run)
    assert all((run / "figures" / name).is_file() for name in SEED_FIGURES)
    assert (run / "report.html").is_file()


@pytest.mark.usefixtures("no_report")
def test_all_four_grades_take_part(write_cohort, launch_training, launch_evaluate, tmp_path):
    labels = {f"{kind}-g{grade}": 4 for kind in ("astrocytoma", "meningioma") for grade in (1, 2, 3, 4)}
    run = launch_training(write_cohort(tmp_path / "data", labels), tmp_path / "run")
    metrics = launch_evaluate(run)
    assert metrics["tasks"]["grade_end2end"]["classes"] == ["1", "2", "3", "4"]
    assert {entry["grade"] for entry in read(run / "datalist.json")["training"]} == {1, 2, 3, 4}


@pytest.mark.usefixtures("no_report")
def test_patient_without_grade_takes_part_in_type_alone(cohort, launch_training, launch_evaluate, tmp_path):
    manifest = tmp_path / "patients.csv"
    with manifest.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["patient", "type", "grade", "path"])
        for number, folder in enumerate(sorted(cohort.glob("*/*"))):
            kind, _, grade = folder.parent.name.partition("-g")
            table.writerow([folder.name, kind, grade if number % 2 else "", folder])
    run = launch_training(manifest, tmp_path / "run")
    metrics = launch_evaluate(run)
    assert read(run / "datalist.json")["name"] == "patients.csv"
    tested = read(run / "datalist.json")["test"]
    graded = [entry for entry in tested if entry["grade"]]
    assert metrics["tasks"]["type"]["n"] == len(tested)
    assert metrics["tasks"]["grade_end2end"]["n"] == len(graded)
    rows = read_table(run / "test_predictions.csv").set_index("id")
    assert sum(rows["grade_label"] == "") == len(tested) - len(graded)


@pytest.mark.usefixtures("no_report")
def test_no_grade_at_all_is_no_obstacle(cohort, launch_training, launch_evaluate, brainmri, tmp_path):
    rows = [f"{folder.name},{folder.parent.name.partition('-g')[0]},,{folder}" for folder in cohort.glob("*/*")]
    manifest = tmp_path / "patients.csv"
    manifest.write_text("\n".join(["patient,type,grade,path", *rows]), encoding="utf-8")
    metrics = launch_evaluate(launch_training(manifest, tmp_path / "run"))
    assert metrics["tasks"]["grade_end2end"]["n"] == 0
    assert metrics["end2end_all_correct"]["value"] is None
    assert "no test patient has a known grade" in metrics["notes"]
    assert "no training patient has a grade: the grades that it answers mean nothing" in metrics["notes"]
    for more in ([], ["--portable"]):
        words = ["--dataset_dir", next(cohort.glob("*/*")), "--output_dir", tmp_path / "out", *more]
        code, out, err = brainmri("run", tmp_path / "run", "inference", *words)
        assert code == 0, err
        assert "this network was never taught the grade" in out


@pytest.mark.usefixtures("no_report")
def test_a_task_without_weight_is_told(cohort, launch_training, tmp_path):
    run = launch_training(cohort, tmp_path / "run", type_weight=0)
    assert "--type_weight is 0: the types that it answers mean nothing" in read(run / "run.json")["notes"]
    assert read(run / "configs/inference.json")["unlearnt"] == ["type"]


# external test --------------------------------------------------------------------------------------------------------


def test_external_test_stands_apart(evaluated_run, write_cohort, launch_evaluate, brainmri, tmp_path):
    run = shutil.copytree(evaluated_run, tmp_path / "run")
    other = write_cohort(tmp_path / "other site", {"astrocytoma-g2": 2, "meningioma-g1": 2}, seed=9, prefix="X")
    before = {name: (run / name).read_bytes() for name in ("metrics_test.json", "datalist.json", "models/model.pt")}
    broken = next(other.glob("*/X01/*.png"))
    broken.write_bytes(b"")
    launch_evaluate(run, dataset_dir=str(other))
    assert {name: (run / name).read_bytes() for name in before} == before
    (external,) = (run / "external").iterdir()
    metrics = read(external / "metrics_test.json")
    assert metrics["external"]
    assert not any("not calibrated" in note for note in metrics["notes"])
    assert metrics["patients"] == 4
    assert metrics["tasks"]["type"]["absent"] == ["oligodendroglioma"]
    assert sorted(read_table(external / "test_predictions.csv")["id"]) == ["X01", "X02", "X03", "X04"]
    words = ["--dataset_dir", other, "--mc_samples", 2, "--bootstrap", 20]
    state = torch.load(run / "models/model.pt")
    torch.save(
        {name: torch.ones_like(t) if "temperature" in name else t for name, t in state.items()}, run / "models/model.pt"
    )  # as where a copy of them was calibrated
    assert "note: these weights are not calibrated" in brainmri("run", run, "evaluate", *words)[1]
    (run / "metrics_test.json").unlink()  # as after more epochs
    assert "note: these weights are not calibrated" in brainmri("run", run, "evaluate", *words)[1]
    assert [entry["where"] for entry in read(external / "datalist.json")["excluded"]] == [
        broken.relative_to(other).as_posix()
    ]
    assert (external / "report.html").is_file()


@pytest.mark.usefixtures("no_report")
def test_other_external_data_of_the_same_name_have_their_own_folder(
    evaluated_run, write_cohort, launch_evaluate, tmp_path
):
    run = shutil.copytree(evaluated_run, tmp_path / "run")
    for hospital, seed in (("a", 9), ("b", 10), ("a", 9)):
        data = tmp_path / hospital / "patients"
        if not data.exists():
            write_cohort(data, {"astrocytoma-g2": 2, "meningioma-g1": 2}, seed=seed, prefix=hospital)
        launch_evaluate(run, dataset_dir=str(data))
    tested = {folder.name: read_table(folder / "test_predictions.csv")["id"][0] for folder in run.glob("external/*")}
    assert tested == {"patients": "a01", "patients-2": "b01"}


@pytest.mark.usefixtures("no_report")
def test_external_test_on_known_patients_is_refused(evaluated_run, write_cohort, launch_evaluate, tmp_path):
    known = read(evaluated_run / "datalist.json")["training"][0]
    root = Path(read(evaluated_run / "datalist.json")["root"])
    other = write_cohort(tmp_path / "other", {"astrocytoma-g2": 2, "meningioma-g1": 2}, seed=9, prefix="X")
    folder = next(other.glob("astrocytoma-g2/*"))
    folder.rename(folder.with_name(known["patient"]))
    with pytest.raises(BrainMRIError, match=f"patient {known['patient']} .* was among"):
        launch_evaluate(evaluated_run, dataset_dir=str(other))
    folder.with_name(known["patient"]).rename(folder)
    shutil.copyfile(root / known["image"][0], folder / "9.png")
    with pytest.raises(BrainMRIError, match=f"patient {folder.name} .* has an image"):
        launch_evaluate(evaluated_run, dataset_dir=str(other))
    with Image.open(folder / "9.png") as picture:
        picture.save(folder / "9.bmp")
    (folder / "9.png").unlink()
    with pytest.raises(BrainMRIError, match=f"patient {folder.name} .* has the pictures of {known['patient']}"):
        launch_evaluate(evaluated_run, dataset_dir=str(other))


@pytest.mark.usefixtures("no_report")
def test_scores_do_not_outlive_their_weights(evaluated_run, cohort, launch_training, tmp_path):
    run = shutil.copytree(evaluated_run, tmp_path / "run")
    assert (run / "metrics_test.json").exists()
    (run / "models/model.ts").touch()
    launch_training(cohort, run, epochs=3)
    assert read(run / "history.json")[-1]["epoch"] == 3
    for name in ("metrics_test.json", "test_predictions.csv", "attention.csv", "figures", "models/model.ts"):
        assert not (run / name).exists()


# sanity ---------------------------------------------------------------------------------------------------------------


def test_overfit_learns_six_patients_by_heart(cohort, launch_training, launch_evaluate, no_report, tmp_path, capsys):
    run = launch_training(cohort, tmp_path, "overfit", overfit_steps=150, epochs="@overfit_steps")
    assert "learnt by heart" in capsys.readouterr().out
    last = read(run / "history.json")[-1]
    assert last["epoch"] == 150
    assert last["val_type_accuracy"] == last["val_grade_teacher_forced_accuracy"] == 1
    launch_evaluate(run)
    slices = {entry["id"]: len(entry["image"]) for entry in read(run / "datalist.json")["test"]}
    assert read_table(run / "attention.csv").groupby("id").size().to_dict() == slices  # all, not those of a bag


def test_overfit_that_fails_is_an_error(cohort, launch_training, tmp_path):
    with pytest.raises(BrainMRIError, match=r"did not learn the patients by heart: type_accuracy 0\."):
        launch_training(cohort, tmp_path, "overfit", lr=1e-12, epochs=2)


def test_overfit_asks_for_enough_patients(cohort, launch_training, tmp_path):
    with pytest.raises(BrainMRIError, match="99 training patients with a grade are needed"):
        launch_training(cohort, tmp_path, "overfit", overfit_patients=99)


def test_the_demonstration_weights_know_most_types_of_new_generated_patients_and_not_all(tmp_path, brainmri):
    generate_patients(tmp_path / "patients", patients=24, seed=2, spacing=2)
    told = {p["id"]: p["type"] for p in read(tmp_path / "patients/dataset.json")["patients"]}
    options = ["--output_dir", tmp_path / "out", "--mc_samples", "1"]
    code, _, err = brainmri(
        "run", "brain_tumor_mil_classification", "inference", "--dataset_dir", tmp_path / "patients", *options
    )
    assert code == 0, err
    table = pd.read_csv(tmp_path / "out/predictions.csv", dtype={"id": str})
    assert 0.75 <= balanced_accuracy_score([told[name] for name in table["id"]], table["pred"]) < 1
