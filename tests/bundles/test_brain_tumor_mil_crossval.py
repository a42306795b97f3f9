"""Cross-validations of the bundle for patients, and comparisons of its runs, on a small cohort."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from outcomes import read

from brainmri_monai.report.compare import compare
from brainmri_monai.report.crossval import cross_validate
from brainmri_monai.report.reading import read_run

BUNDLE = "brain_tumor_mil_classification"
TINY = {"image_size": 32, "bag_size": 3, "epochs": 1}


@pytest.fixture(scope="module")
def crossval(cohort, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "crossval"
    cross_validate(BUNDLE, folder, 2, ["mean"], {"dataset_dir": str(cohort), **TINY})
    return folder


def test_each_patient_is_answered_once_by_a_model_that_had_not_seen_it(crossval, cohort):
    table = pd.read_csv(crossval / "test_predictions.csv", dtype={"id": str})
    assert sorted(table["id"]) == sorted(path.name for path in cohort.glob("*/*"))
    for fold, own in table.groupby("fold"):
        tested = read(crossval / f"fold{fold}/datalist.json")["test"]
        assert sorted(own["id"]) == sorted(entry["id"] for entry in tested)
    attention = pd.read_csv(crossval / "attention.csv", dtype={"id": str})
    assert set(attention["id"]) == set(table["id"])


def test_finished_crossval_stays_as_it_is_and_says_so(crossval, cohort, capfd):
    def drawn() -> dict[Path, int]:
        files = [
            *crossval.rglob("*.png"),
            *crossval.rglob("*.html"),
            *crossval.rglob("*.json"),
            *crossval.rglob("*.csv"),
        ]
        return {file: file.stat().st_mtime_ns for file in files}

    before = drawn()
    cross_validate(BUNDLE, crossval, 2, ["mean"], {"dataset_dir": str(cohort), **TINY})
    assert drawn() == before
    assert f"this cross-validation is finished: {crossval / 'report.html'}" in capfd.readouterr().out


def test_times_on_the_page_are_those_of_all_folds(crossval):
    runs = [read(crossval / f"fold{fold}/run.json") for fold in (0, 1)]
    run = read_run(crossval).run
    assert (run["created"], run["finished"]) == (runs[0]["created"], runs[1]["finished"])
    assert run["seconds"] == sum(each["seconds"] for each in runs)


def test_ranking_scores_are_averages_over_the_folds(crossval):
    metrics = read(crossval / "metrics_crossval.json")
    assert metrics["patients"] == 24
    folds = [read(crossval / f"fold{fold}/metrics_test.json")["tasks"]["type"]["roc_auc_macro"] for fold in (0, 1)]
    expected = sum(fold["value"] for fold in folds) / 2
    assert metrics["tasks"]["type"]["roc_auc_macro"]["value"] == pytest.approx(expected, abs=1e-4)
    assert [fold["type"]["roc_auc_macro"] for fold in metrics["folds"]] == pytest.approx(
        [fold["value"] for fold in folds], abs=1e-4
    )


def test_report_shows_folds_curves_and_attention(crossval):
    page = (crossval / "report.html").read_text(encoding="utf-8")
    assert "Fold by fold" in page
    assert (crossval / "figures/roc_type.png").is_file()
    assert page.count("attention weights") == 24


def test_run_does_not_differ_from_its_copy(crossval, tmp_path):
    compare([crossval, shutil.copytree(crossval, tmp_path / "copy")], tmp_path / "out")
    comparison = read(tmp_path / "out/comparison.json")
    assert comparison["patients"] == 24
    assert comparison["metrics"][0]["metric"] == "type balanced accuracy"
    assert {metric["differences"][1]["value"] for metric in comparison["metrics"]} == {0}
    own = read(crossval / "metrics_crossval.json")["tasks"]["type"]["balanced_accuracy"]
    assert comparison["metrics"][0]["values"] == [own, own], "the same intervals as in the report of the run"
    assert (tmp_path / "out/report.html").is_file()


def test_a_run_and_itself_are_not_compared(crossval, brainmri, tmp_path):
    code, _, err = brainmri("compare", crossval, crossval, "--output_dir", tmp_path)
    assert code == 2
    assert f"{crossval} is given twice" in err


def test_answers_of_one_fold_are_not_those_of_another(crossval, brainmri, tmp_path):
    code, _, err = brainmri("compare", crossval / "fold0", crossval / "fold1", "--output_dir", tmp_path)
    assert code == 2
    assert "were tested on different cases" in err
