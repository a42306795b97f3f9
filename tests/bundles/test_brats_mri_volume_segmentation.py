"""Training and evaluation of the volume bundle on small cases, run as a user runs them."""

import base64
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from outcomes import read
from PIL import Image

from brainmri_monai.data.brats.conventions import find_convention
from brainmri_monai.data.brats.datalist import CaseList
from brainmri_monai.data.brats.labels import to_portable
from brainmri_monai.data.bundles import config_files, find_bundle
from brainmri_monai.engines.checkpoint import TrainingRecord
from brainmri_monai.engines.launch import launch
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics import lesionwise_scores, region_scores
from brainmri_monai.transforms import region_masks

BUNDLE = "brats_mri_volume_segmentation"
REGIONS = ["TC", "WT", "ET"]
PARTS = ("training", "validation", "test")
TINY = {
    "patch_size": [32, 32, 32],
    "patches_per_case": 1,
    "network_def#body#channels": [8, 16],
    "network_def#body#strides": [2],
    "lr": 0.01,
}


def train(dataset_dir: Path, output_dir: Path, **options) -> Path:
    root = find_bundle(BUNDLE)
    given = {"bundle_root": str(root), "dataset_dir": str(dataset_dir), "output_dir": str(output_dir), "epochs": 1}
    launch("training", config_files(root, "training"), {**given, **TINY, **options})
    return output_dir


def evaluate(run: Path, **options) -> None:
    launch("evaluate", config_files(run, "evaluate"), {"bundle_root": str(run), "bootstrap": 20, **options})


def table_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "test_predictions.csv", dtype={"id": str}, keep_default_na=False).set_index("id")


def label_of(path: Path) -> np.ndarray:
    return to_portable(np.asarray(nib.load(path).dataobj), find_convention("brats2018"))


@pytest.fixture(scope="module")
def cohort(write_volumes, tmp_path_factory) -> Path:
    return write_volumes(tmp_path_factory.mktemp("volumes") / "data")


@pytest.fixture(scope="module")
def run(cohort, tmp_path_factory, monai_bundle) -> Path:
    """Trained here, so that something is found, and evaluated as the README says; not to be changed."""
    folder = train(cohort, tmp_path_factory.mktemp("runs") / "run", epochs=8, patches_per_case=2)
    files = "['configs/train.json','configs/evaluate.json']"
    done = monai_bundle(folder, "run", "evaluate", config_file=files, bootstrap=20)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy(run, tmp_path) -> Path:
    return shutil.copytree(run, tmp_path / "copied run")


# what an evaluation writes --------------------------------------------------------------------------------------------


def test_table_has_a_row_for_each_test_case_and_the_columns_of_the_design(run):
    table = table_of(run)
    assert sorted(table.index) == sorted(e["id"] for e in read(run / "datalist.json")["test"])
    assert list(table.columns[:5]) == ["pred", "confidence", "decision", "label", "patient"]
    scores = ["dice", "hd95", "sensitivity", "specificity", "volume_ml", "true_volume_ml"]
    scores += [f"lesionwise_{name}_{version}" for name in ("dice", "hd95") for version in ("brats2023", "brats2025")]
    assert {f"{score}_{region.lower()}" for score in scores for region in REGIONS} <= set(table.columns)
    assert "seconds" in table
    assert table["label"].str.contains("WT").all()


def test_scores_are_those_of_the_saved_segmentations(run, cohort):
    for case, row in table_of(run).iterrows():
        found = label_of(run / f"segmentations/{case}.nii.gz")
        (truth_file,) = cohort.glob(f"*/{case}/*_seg.nii.gz")
        masks = [region_masks(label, REGIONS) for label in (found, label_of(truth_file))]
        expected = region_scores(*masks, (1, 1, 1), regions=REGIONS)
        for version in ("brats2023", "brats2025"):
            more = lesionwise_scores(*masks, (1, 1, 1), regions=REGIONS, version=version, task="GLI")
            expected = {region: expected[region] | more[region] for region in REGIONS}
        for region, scores in expected.items():
            for name, value in scores.items():
                given = row[f"{name}_{region.lower()}"]
                assert float("nan" if given == "" else given) == pytest.approx(value, rel=1e-4, nan_ok=True), name
            assert float(row[f"volume_ml_{region.lower()}"]) == pytest.approx(
                masks[0][REGIONS.index(region)].sum() / 1000
            )
        assert row["dice_mean"] == pytest.approx(np.mean([expected[region]["dice"] for region in REGIONS]), rel=1e-4)


def test_segmentations_are_those_of_the_inference(run, cohort, tmp_path):
    case = table_of(run).index[0]
    (folder,) = cohort.glob(f"*/{case}")
    options = {"bundle_root": str(run), "dataset_dir": str(folder), "output_dir": str(tmp_path), "overlay": False}
    options |= {"convention": "brats2018"}
    launch("inference", config_files(run, "inference"), options)
    inferred, tested = nib.load(tmp_path / f"{case}/{case}_seg.nii.gz"), nib.load(run / f"segmentations/{case}.nii.gz")
    np.testing.assert_array_equal(inferred.affine, tested.affine)
    np.testing.assert_array_equal(np.asarray(inferred.dataobj), np.asarray(tested.dataobj))


def test_metrics_summarise_the_table(run):
    metrics, table = read(run / "metrics_test.json"), table_of(run)
    assert metrics["cases"] == metrics["patients"] == len(table)
    assert metrics["regions"] == REGIONS
    for region in REGIONS:
        for name in ("dice", "hd95", "lesionwise_dice_brats2023"):
            column = table[f"{name}_{region.lower()}"].astype(float)
            entry = metrics["scores"][region][name]
            assert entry["mean"]["value"] == pytest.approx(column.mean(), rel=1e-4)
            assert entry["median"]["value"] == pytest.approx(column.median(), rel=1e-4)
            assert entry["mean"]["low"] <= entry["mean"]["value"] <= entry["mean"]["high"]
        bins = metrics["calibration"]["bins"][region]
        assert len(bins) == 10
        voxels = sum(one["voxels"] for one in bins)
        gaps = sum(one["voxels"] * abs(one["share"] - one["probability"]) for one in bins if one["voxels"])
        assert metrics["calibration"]["ece"][region]["value"] == pytest.approx(gaps / voxels, rel=1e-6)


def test_fitted_numbers_are_saved_with_the_weights(run):
    fitted = read(run / "metrics_test.json")["calibration"]
    weights = torch.load(run / "models/model.pt", weights_only=True)
    for name in ("temperature", "minimum_ml"):
        assert weights[name].tolist() == pytest.approx(list(fitted[name].values()), abs=1e-6)
    assert fitted["fitted_on"] == len(read(run / "datalist.json")["validation"])
    assert (weights["temperature"] != 1).any()
    note = f"fitted on {fitted['fitted_on']} validation cases, which are few"
    assert note in " ".join(read(run / "metrics_test.json")["notes"])
    assert note in (run / "report.html").read_text(encoding="utf-8")


def test_evaluation_again_gives_the_same(run, copy):
    evaluate(copy)
    assert read(copy / "metrics_test.json") == read(run / "metrics_test.json")
    before, now = (torch.load(one / "models/model.pt", weights_only=True) for one in (run, copy))
    assert all(torch.equal(before[name], now[name]) for name in before)


def test_versions_of_lesionwise_scores_can_be_chosen(copy):
    evaluate(copy, lesionwise=["brats2023"])
    assert not [name for name in table_of(copy) if "brats2025" in name]
    with pytest.raises(BrainMRIError, match="no lesion-wise scores 'brats2024' for GLI"):
        evaluate(copy, lesionwise=["brats2024"])


# external tests -------------------------------------------------------------------------------------------------------


def test_another_data_set_is_an_external_test_and_a_broken_case_is_skipped(copy, write_volumes, tmp_path, capfd):
    other = write_volumes(tmp_path / "another set", seed=5, first=50, cases=[("HGG", "CBICA"), ("LGG", "CBICA")] * 2)
    (broken,) = other.glob("*/*_053_1/*_t2.nii.gz")
    broken.write_bytes(broken.read_bytes()[:-2000])
    (lost,) = write_volumes(other, seed=6, first=54, cases=[("HGG", "CBICA")]).glob("*/*_054_1/*_t2.nii.gz")
    lost.unlink()
    lost.symlink_to(tmp_path / "gone")
    (unlabelled,) = write_volumes(other, seed=7, first=55, cases=[("HGG", "CBICA")]).glob("*/*_055_1/*_seg.nii.gz")
    unlabelled.unlink()
    before = (copy / "models/model.pt").read_bytes()
    capfd.readouterr()
    with pytest.raises(SystemExit, match="1"):
        evaluate(copy, dataset_dir=str(other))
    out, err = capfd.readouterr()
    folder = copy / "external/another_set"
    assert (copy / "models/model.pt").read_bytes() == before
    assert list(table_of(folder).index) == [f"Brats18_CBICA_{n:03d}_1" for n in (50, 51, 52)]
    metrics = read(folder / "metrics_test.json")
    assert metrics["external"]
    assert list(metrics["failed"]) == ["Brats18_CBICA_053_1"]
    assert "failed: Brats18_CBICA_053_1" in err
    assert "left out: Brats18_CBICA_054_1" in out
    assert "left out: Brats18_CBICA_055_1: it has no label map" in out
    assert "1 of 3 cases have no ET" in out
    row = table_of(folder).loc["Brats18_CBICA_051_1"]
    assert row["dice_et"] == float(row["volume_ml_et"] == 0)
    assert "another set" in (folder / "report.html").read_text(encoding="utf-8")


def test_a_case_without_a_modality_is_left_out_unless_the_network_learns_to_do_without(write_volumes, tmp_path, capfd):
    data = write_volumes(tmp_path / "data")
    next(data.glob("*/*/*_t2.nii.gz")).unlink()
    cases = len(list(data.glob("*/*")))
    strict = train(data, tmp_path / "strict")
    assert len(CaseList.load(strict / "datalist.json").entries) == cases - 1
    assert "lacks t2" in capfd.readouterr().out
    lenient = train(data, tmp_path / "lenient", modality_dropout=0.5)
    assert len(CaseList.load(lenient / "datalist.json").entries) == cases
    assert [read(run / "configs/inference.json")["modality_dropout"] for run in (strict, lenient)] == [0.0, 0.5]


def test_too_few_cases_are_told_after_what_was_left_out(write_volumes, tmp_path, capfd):
    data = write_volumes(tmp_path / "data", cases=[("HGG", "TCIA01")] * 3)
    (broken,) = data.glob("*/*_002_1/*_t2.nii.gz")
    broken.write_bytes(broken.read_bytes()[:-2000])
    with pytest.raises(BrainMRIError, match="too few patients"):
        train(data, tmp_path / "run")
    assert "left out: Brats18_TCIA01_002_1: the volume cannot be read to its end" in capfd.readouterr().out


def test_a_copied_modality_is_left_out_before_the_training(write_volumes, tmp_path, capfd):
    data = write_volumes(tmp_path / "data")
    t2 = sorted(data.glob("*/*/*_t2.nii.gz"))[0]
    shutil.copyfile(str(t2).replace("_t2.", "_t1."), t2)
    entries = CaseList.load(train(data, tmp_path / "run") / "datalist.json").entries
    assert t2.parent.name not in {entry["id"] for entry in entries}
    assert f"left out: {t2.parent.name}: t1 and t2 hold the same voxels" in capfd.readouterr().out


def test_the_gross_tumour_volume_is_not_asked_for_among_the_regions_of_gliomas(cohort, tmp_path):
    with pytest.raises(BrainMRIError, match="the regions GTV are not those of these labels"):
        train(cohort, tmp_path / "run", regions=["GTV"])


def test_a_run_with_cavities_is_a_bundle_with_cavities(cohort, tmp_path):
    folder = train(cohort, tmp_path / "run", regions=[*REGIONS, "RC"])
    card = read(folder / "configs/metadata.json")
    outputs = card["network_data_format"]["outputs"]["pred"]
    assert (outputs["num_channels"], outputs["value_range"]) == (4, [0, 1])
    assert list(outputs["channel_def"].values()) == [*REGIONS, "RC"]
    assert card["label_classes"].endswith("3: ET (enhancing tumour), 4: RC (resection cavity)")
    assert read(folder / "configs/inference.json")["regions"] == [*REGIONS, "RC"]


def test_a_datalist_of_other_labels_is_refused(cohort, tmp_path):
    folder = train(cohort, tmp_path / "run")
    for name in ("models/last.pt", "history.json"):
        (folder / name).unlink()  # as before the first epoch: nothing but the datalist is there
    content = read(folder / "datalist.json") | {"layout": "brats2023"}
    (folder / "datalist.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BrainMRIError, match=r"has labels by brats2023 .*, and now they are by brats2018"):
        train(cohort, tmp_path / "run")


def test_regions_are_those_of_the_weights(cohort, tmp_path):
    folder = tmp_path / "run"
    for regions, said in ((["WT", "XX"], "unknown region 'XX'"), (["WT", "WT"], "each once"), ([], "each once")):
        with pytest.raises(BrainMRIError, match=said):
            train(cohort, folder, regions=regions)
    train(cohort, folder, regions=["WT"])
    with pytest.raises(BrainMRIError, match="a run with regions"):
        train(cohort, folder, regions=["WT", "TC"], epochs=2)
    for name in ("models/last.pt", "history.json"):
        (folder / name).unlink()  # as before the first epoch
    train(cohort, folder, regions=["WT", "TC"])
    assert read(folder / "datalist.json")["regions"] == ["WT", "TC"]
    assert read(folder / "run.json")["options"]["regions"] == ["WT", "TC"]


def test_an_evaluation_of_other_regions_or_labels_is_refused_and_leaves_the_weights(run, copy):
    with pytest.raises(BrainMRIError, match=r"trained with regions \['TC', 'WT', 'ET'\], not \['WT'"):
        evaluate(copy, regions=["WT", "TC", "ET"])
    with pytest.raises(BrainMRIError, match="the labels of this run are by brats2018, not msd"):
        evaluate(copy, convention="msd")
    assert (copy / "models/model.pt").read_bytes() == (run / "models/model.pt").read_bytes()


def test_a_full_disk_ends_the_training_and_leaves_nobody_out(cohort, tmp_path, monkeypatch):
    def full(file, array):
        raise OSError(f"{array.size} requested and 0 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(BrainMRIError, match=r"cannot write .*\.npy: No space left on device"):
        train(cohort, tmp_path / "run")
    assert not (tmp_path / "run/datalist.json").exists()


def test_a_hospital_and_a_fold_are_not_both_the_test(cohort, tmp_path):
    with pytest.raises(BrainMRIError, match="--site or --fold, not both"):
        train(cohort, tmp_path / "run", site="CBICA", fold=1)


def test_check_reads_the_split_of_a_run(run, cohort, brainmri):
    code, out, _ = brainmri("check", cohort, "--datalist", run / "datalist.json")
    assert code == 0, out
    assert "brats2018" in out


def test_data_that_have_moved_are_still_the_runs_own(copy, cohort, run, tmp_path):
    moved = shutil.copytree(cohort, tmp_path / "moved")
    evaluate(copy, dataset_dir=str(moved))
    assert read(copy / "metrics_test.json")["scores"] == read(run / "metrics_test.json")["scores"]
    assert not (copy / "external").exists()


def test_known_patients_are_refused(copy, cohort, write_volumes, tmp_path):
    entry = read(copy / "datalist.json")["training"][0]
    other = write_volumes(tmp_path / "other", seed=5, first=50, cases=[("HGG", "CBICA")])
    image = Path(entry["image"][0])
    shutil.copytree(cohort / image.parent, other / image.parent)
    with pytest.raises(BrainMRIError, match=f"patient {entry['patient']} of .* was among the patients"):
        evaluate(copy, dataset_dir=str(other))
    shutil.rmtree(other / image.parent)
    (file,) = other.glob("*/*/*_flair.nii.gz")
    same = next(cohort / file for file in entry["image"] if file.endswith("_flair.nii.gz"))
    shutil.copyfile(same, file)
    with pytest.raises(BrainMRIError, match="has an image that the network was trained on"):
        evaluate(copy, dataset_dir=str(other))


def test_data_without_labels_are_refused(copy, write_volumes, tmp_path):
    other = write_volumes(tmp_path / "other", seed=5, first=50, cases=[("HGG", "CBICA")])
    next(other.glob("*/*/*_seg.nii.gz")).unlink()
    with pytest.raises(BrainMRIError, match="has a label map to score against"):
        evaluate(copy, dataset_dir=str(other), convention="brats2018")


# training -------------------------------------------------------------------------------------------------------------


def state_of(run: Path) -> dict[str, torch.Tensor]:
    last, best = (torch.load(run / "models" / name, weights_only=True) for name in ("last.pt", "model.pt"))
    states = {"last": last["network"], "best": best, "average": last.get("average", {})}
    return {f"{part}/{name}": tensor for part, state in states.items() for name, tensor in state.items()}


def history_of(run: Path) -> list[dict]:
    return [{key: value for key, value in row.items() if "second" not in key} for row in read(run / "history.json")]


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_interrupted_and_resumed_training_equals_an_uninterrupted_one(cohort, tmp_path, monkeypatch, decay):
    options = {"average_decay": decay, "modality_dropout": 0.2, "epochs": 2, "cache_dir": str(tmp_path / "cache")}
    whole = train(cohort, tmp_path / "whole", **options)

    def interrupt(*arguments) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRecord, "_stop_early", interrupt)  # the first epoch is saved
        with pytest.raises(KeyboardInterrupt):
            train(cohort, tmp_path / "resumed", **options)
    assert len(history_of(tmp_path / "resumed")) == 1
    resumed = train(cohort, tmp_path / "resumed", **options)
    one, other = state_of(whole), state_of(resumed)
    assert one.keys() == other.keys()
    assert any(name.startswith("average") for name in one) == bool(decay)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert history_of(whole) == history_of(resumed)


def test_a_hospital_is_held_out(cohort, tmp_path):
    run = train(cohort, tmp_path / "run", site="TCIA02")
    datalist = read(run / "datalist.json")
    assert {entry["site"] for entry in datalist["test"]} == {"TCIA02"}
    assert {entry["site"] for part in PARTS[:2] for entry in datalist[part]} == {"TCIA01"}
    evaluate(run)
    assert len(table_of(run)) == 4


def test_two_processes_score_each_case_once(run, copy, brainmri):
    code, _, err = brainmri("run", copy, "evaluate", "--processes", "2", "--bootstrap", "20")
    assert code == 0, err
    assert read(copy / "metrics_test.json") == read(run / "metrics_test.json")


def test_a_case_that_fails_in_one_of_two_processes_ends_with_the_code_for_it(copy, write_volumes, brainmri, tmp_path):
    """The second process has that case alone, and nothing to score."""
    other = write_volumes(tmp_path / "other", seed=5, first=50, cases=[("HGG", "CBICA"), ("LGG", "CBICA")])
    (broken,) = other.glob("*/*_051_1/*_t2.nii.gz")
    broken.write_bytes(broken.read_bytes()[:-2000])
    words = ["--dataset_dir", other, "--processes", 2, "--bootstrap", 20]
    code, _, err = brainmri("run", copy, "evaluate", *words)
    assert code == 1, err
    assert err.count("failed: Brats18_CBICA_051_1: ") == 1
    assert "error:" not in err
    folder = copy / "external/other"
    assert list(table_of(folder).index) == ["Brats18_CBICA_050_1"]
    assert list(read(folder / "metrics_test.json")["failed"]) == ["Brats18_CBICA_051_1"]
    assert (folder / "report.html").is_file()


# the report -----------------------------------------------------------------------------------------------------------

chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pictures_of(page: str) -> list[str]:
    return re.findall(r'<img src="(data:image/[^"]+)"', page)


def test_page_holds_each_figure_and_links_to_each_case(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    tested = table_of(run)
    for name in ("history", "boxes", "volumes", "reliability"):
        assert (run / f"figures/{name}.png").is_file()
    assert len(pictures_of(page)) == 4 + len(tested)
    for uri in pictures_of(page):
        with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
            image.load()
    ids = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= ids
    worst_first = [page.index(f">{case}</a>") for case in tested.sort_values("dice_mean").index]
    assert worst_first == sorted(worst_first)
    assert "http" not in re.sub(r"data:[^\"]+", "", page).replace("http-equiv", "")


def test_page_of_a_run_that_was_not_evaluated_says_so(cohort, tmp_path):
    page = (train(cohort, tmp_path / "run") / "report.html").read_text(encoding="utf-8")
    assert "has not been evaluated yet" in page
    assert len(pictures_of(page)) == 1  # the history


@pytest.mark.skipif(chromium is None, reason="needs the browser chromium, which is not installed")
def test_browser_shows_every_picture(run, tmp_path):
    pictures = pictures_of((run / "report.html").read_text(encoding="utf-8"))
    count = "document.body.dataset.broken = [...document.images].filter(i => !i.naturalWidth).length"
    checked = tmp_path / "pictures.html"
    images = "".join(f'<img src="{uri}">' for uri in [*pictures, "data:image/png;base64,AAAA"])
    checked.write_text(f"<body>{images}<script>onload = () => {{ {count} }}</script>", encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--dump-dom"]
    shown = [
        subprocess.run([chromium, *options, path.as_uri()], capture_output=True, timeout=120, check=True)
        for path in (checked, run / "report.html")
    ]
    assert 'data-broken="1"' in shown[0].stdout.decode()  # the one that is broken on purpose
    assert b":CONSOLE" not in shown[1].stderr
    assert "Case by case" in shown[1].stdout.decode()
