"""Cross-validations of the volume bundle, and comparisons of its runs, on small cases."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from outcomes import read

from brainmri_monai.engines import VolumeScores
from brainmri_monai.report.compare import compare
from brainmri_monai.report.crossval import cross_validate

BUNDLE = "brats_mri_volume_segmentation"
REGIONS = ["TC", "WT", "ET"]
TINY = {
    "patch_size": [32, 32, 32],
    "patches_per_case": 1,
    "network_def#body#channels": [8, 16],
    "network_def#body#strides": [2],
    "lr": 0.01,
}


def table_of(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "test_predictions.csv", dtype={"id": str}).set_index("id")


@pytest.fixture(scope="module")
def cohort(write_volumes, tmp_path_factory) -> Path:
    return write_volumes(tmp_path_factory.mktemp("volumes") / "data")


@pytest.fixture(scope="module")
def crossval(cohort, tmp_path_factory) -> Path:
    """Two folds of a network that finds something; not to be changed."""
    folder = tmp_path_factory.mktemp("runs") / "crossval"
    cross_validate(BUNDLE, folder, 2, [], {"dataset_dir": str(cohort), "epochs": 8, **TINY})
    return folder


@pytest.fixture(scope="module")
def other(cohort, crossval) -> Path:
    """The same after one epoch."""
    folder = crossval.parent / "other"
    options = {"dataset_dir": str(cohort), "epochs": 1, "cache_dir": str(crossval / "cache"), **TINY}
    cross_validate(BUNDLE, folder, 2, [], options)
    return folder


def test_each_case_is_scored_once_by_a_model_that_had_not_seen_its_patient(crossval, cohort):
    table = table_of(crossval)
    assert sorted(table.index) == sorted(path.name for path in cohort.glob("*/*"))
    for fold, own in table.groupby("fold"):
        datalist = read(crossval / f"fold{fold}/datalist.json")
        assert sorted(own.index) == sorted(entry["id"] for entry in datalist["test"])
        seen = {entry["patient"] for part in ("training", "validation") for entry in datalist[part]}
        assert not seen & set(own["patient"])


def test_summary_is_that_of_the_pooled_table(crossval):
    metrics, table = read(crossval / "metrics_crossval.json"), table_of(crossval)
    assert metrics["cases"] == metrics["patients"] == len(table)
    for region in REGIONS:
        entry = metrics["scores"][region]["dice"]["mean"]
        assert entry["value"] == pytest.approx(table[f"dice_{region.lower()}"].mean(), rel=1e-4)
        assert entry["low"] <= entry["value"] <= entry["high"]
        for fold in metrics["folds"]:
            own = table[table["fold"] == fold["fold"]]
            assert fold["cases"] == len(own)
            assert fold["dice"][region] == pytest.approx(own[f"dice_{region.lower()}"].mean(), rel=1e-4)


def test_voxels_of_all_folds_are_pooled_in_the_calibration(crossval):
    pooled = read(crossval / "metrics_crossval.json")["calibration"]
    folds = [read(crossval / f"fold{fold}/metrics_test.json")["calibration"] for fold in (0, 1)]
    for region in REGIONS:
        for number, one in enumerate(pooled["bins"][region]):
            own = [fold["bins"][region][number] for fold in folds]
            voxels = sum(b["voxels"] for b in own)
            assert one["voxels"] == voxels
            if voxels:
                assert one["share"] == pytest.approx(sum(b["voxels"] * (b["share"] or 0) for b in own) / voxels)
        errors = [fold["ece"][region]["value"] for fold in folds]
        assert pooled["ece"][region]["value"] <= max(errors) + 1e-12


def test_page_has_the_folds_and_a_figure_of_each_case(crossval):
    page = (crossval / "report.html").read_text(encoding="utf-8")
    assert "cross-validation" in page
    assert "Fold by fold" in page
    for name in ("boxes", "volumes", "reliability"):
        assert (crossval / f"figures/{name}.png").is_file()
    assert len(re.findall('<img src="data:image', page)) == 3 + len(table_of(crossval))


def test_finished_cross_validation_trains_nothing_again(crossval, cohort, brainmri):
    files = [crossval / f"fold{fold}/models" / name for fold in (0, 1) for name in ("model.pt", "last.pt")]
    before, metrics = [file.stat().st_mtime_ns for file in files], read(crossval / "metrics_crossval.json")
    words = ["--dataset_dir", cohort, "--output_dir", crossval, "--folds", 2, "--epochs", 8]
    words += [word for name, value in TINY.items() for word in (f"--{name}", value)]
    code, out, err = brainmri("crossval", BUNDLE, *words)
    assert code == 0, err
    assert "this cross-validation is finished" in out
    assert [file.stat().st_mtime_ns for file in files] == before
    assert read(crossval / "metrics_crossval.json") == metrics


def test_failed_case_is_told_and_the_other_folds_go_on(crossval, cohort, brainmri, tmp_path, monkeypatch):
    folder = shutil.copytree(crossval, tmp_path / "crossval")
    failed = read(folder / "fold0/datalist.json")["test"][0]["id"]
    (folder / "fold0/metrics_test.json").unlink()  # so that this fold is evaluated again
    score = VolumeScores._score

    def fail(self, answer, seconds):
        if answer.id == failed:
            raise OSError("the label map was taken away")
        return score(self, answer, seconds)

    monkeypatch.setattr(VolumeScores, "_score", fail)
    words = ["--dataset_dir", cohort, "--output_dir", folder, "--folds", 2, "--epochs", 8]
    words += [word for name, value in TINY.items() for word in (f"--{name}", value)]
    code, out, err = brainmri("crossval", BUNDLE, *words)
    assert code == 1, err
    assert f"failed: {failed}: " in err
    assert "cross-validation of 7 cases" in out
    metrics = read(folder / "metrics_crossval.json")
    assert list(metrics["failed"]) == [failed]
    assert "1 of 8 cases failed and are not in the scores" in metrics["notes"]


def test_site_and_folds_exclude_each_other(brainmri, cohort, tmp_path):
    words = ["--dataset_dir", cohort, "--output_dir", tmp_path / "folds", "--site", "TCIA01"]
    code, _, err = brainmri("crossval", BUNDLE, *words)
    assert code == 2
    assert "--site tests on one hospital" in err


def test_comparison_gives_the_differences_of_the_tables(crossval, other, tmp_path):
    compare([crossval, other], tmp_path)
    comparison = read(tmp_path / "comparison.json")
    one, two = table_of(crossval), table_of(other).loc[table_of(crossval).index]
    metrics = {metric["metric"]: metric for metric in comparison["metrics"]}
    columns = {"Dice, mean of the regions": "dice_mean", "HD95 WT (mm)": "hd95_wt", "Dice ET": "dice_et"}
    columns |= {"lesion-wise Dice TC, brats2023": "lesionwise_dice_brats2023_tc"}
    for title, column in columns.items():
        difference = metrics[title]["differences"][1]
        assert difference["value"] == pytest.approx((two[column] - one[column]).mean(), abs=1e-4)
        assert difference["low"] <= difference["value"] <= difference["high"]
    assert comparison["patients"] == 8
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "lesion-wise Dice TC, brats2023" in page
    assert "8 patients are few" in page
    assert (tmp_path / "figures/comparison.png").is_file()
    assert (tmp_path / "figures/comparison_mm.png").is_file()


def test_run_does_not_differ_from_its_copy(crossval, tmp_path):
    compare([crossval, shutil.copytree(crossval, tmp_path / "copy")], tmp_path / "out")
    for metric in read(tmp_path / "out/comparison.json")["metrics"]:
        difference = metric["differences"][1]
        assert difference["value"] in (0, None)
        if difference["value"] is not None:
            assert difference["p"] == 1


def test_all_time_points_of_a_patient_are_drawn_together(crossval, tmp_path):
    """When all cases are of two patients who differ, the interval spans their means."""
    folders = [shutil.copytree(crossval, tmp_path / name) for name in ("one", "two")]
    for folder, gain in zip(folders, (0.0, 0.5), strict=True):
        table = pd.read_csv(folder / "test_predictions.csv")
        table["patient"] = np.where(np.arange(len(table)) < 4, "A", "B")
        table["dice_wt"] = np.where(table["patient"] == "A", gain, 0.1)
        table.to_csv(folder / "test_predictions.csv", index=False)
    compare(folders, tmp_path / "comparison")
    metrics = {metric["metric"]: metric for metric in read(tmp_path / "comparison/comparison.json")["metrics"]}
    difference = metrics["Dice WT"]["differences"][1]
    assert (difference["low"], difference["value"], difference["high"]) == pytest.approx((0, 0.25, 0.5))


def test_runs_that_cannot_be_compared_are_told(crossval, brainmri, tmp_path):
    fold = crossval / "fold0"
    code, _, err = brainmri("compare", crossval, fold, "--output_dir", tmp_path)
    assert code == 2
    assert "were tested on different cases: 8 and 4" in err
    copy = shutil.copytree(crossval, tmp_path / "copy")
    table = pd.read_csv(copy / "test_predictions.csv")
    table["true_volume_ml_wt"] += 1
    table.to_csv(copy / "test_predictions.csv", index=False)
    code, _, err = brainmri("compare", crossval, copy, "--output_dir", tmp_path)
    assert code == 2
    assert "have different labels" in err
    (copy / "metrics_crossval.json").unlink()
    code, _, err = brainmri("compare", crossval, copy, "--output_dir", tmp_path)
    assert code == 2
    assert f"no metrics_test.json in {copy}" in err
    assert "interrupted: give its command again" in err
    (copy / "metrics_test.json").write_text(json.dumps({"tasks": {"grade_end2end": {}}}), encoding="utf-8")
    code, _, err = brainmri("compare", crossval, copy, "--output_dir", tmp_path)
    assert code == 2
    assert "answers of different kinds" in err
