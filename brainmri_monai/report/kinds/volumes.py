"""Tumour regions, a row of scores a case."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri_monai.metrics.bootstrap import Statistics
from brainmri_monai.metrics.cohort import describe_cases, means_of_patients
from brainmri_monai.metrics.reliability import counts_of, describe_bins, error_of_bins
from brainmri_monai.report.kinds.kind import Kind, Score
from brainmri_monai.report.reading import read_json, read_run
from brainmri_monai.report.volume_page import write_volume_report
from brainmri_monai.report.volumes import draw_scores

__all__ = ["VOLUMES"]

LESIONWISE = re.compile(r"lesionwise_(dice|hd95)_(brats\d+)_(\w+)")


def _scores(table: pd.DataFrame) -> dict[str, Score]:
    scores = {"dice_mean": Score("Dice, mean of the regions")}
    regions = _regions(table)
    scores |= {f"dice_{region}": Score(f"Dice {region.upper()}") for region in regions}
    lesionwise = [match for name in table if (match := LESIONWISE.fullmatch(name))]
    for measure, title, unit in (("dice", "Dice", ""), ("hd95", "HD95", "mm")):
        if measure == "hd95":
            scores |= {f"hd95_{region}": Score(f"HD95 {region.upper()}", "mm") for region in regions}
        for match in lesionwise:
            if match[1] == measure:
                scores[match[0]] = Score(f"lesion-wise {title} {match[3].upper()}, {match[2]}", unit)
    return scores


def _statistics(table: pd.DataFrame, metrics: dict[str, Any]) -> tuple[Statistics, int]:
    return means_of_patients({name: table[name] for name in _scores(table)}, list(table["patient"]))


def _pool(folders: Sequence[Path], table: pd.DataFrame) -> dict[str, Any]:
    each = [read_json(folder / "metrics_test.json") for folder in folders]
    failed = {case: reason for metrics in each for case, reason in metrics["failed"].items()}
    regions = each[0]["regions"]
    bins = {r: sum(counts_of(metrics["calibration"]["bins"][r]) for metrics in each) for r in regions}
    pooled = describe_cases(table, regions, failed)
    split_notes = read_json(folders[0] / "datalist.json")["split"]["notes"]
    return pooled | {
        "external": False,
        "convention": each[0]["convention"],
        "notes": pooled["notes"] + split_notes,
        "calibration": {
            "ece": {region: {"value": error_of_bins(counts)} for region, counts in bins.items()},
            "bins": {region: describe_bins(counts) for region, counts in bins.items()},
        },
        "folds": [_fold(number, metrics) for number, metrics in enumerate(each)],
    }


def _fold(number: int, metrics: Mapping[str, Any]) -> dict[str, Any]:
    fitted = metrics["calibration"]
    return {
        "fold": number,
        "cases": metrics["cases"],
        "patients": metrics["patients"],
        "dice": {region: scores["dice"]["mean"]["value"] for region, scores in metrics["scores"].items()},
        **{name: fitted[name] for name in ("fitted_on", "temperature", "minimum_ml")},
    }


def _report(folder: Path) -> Path:
    draw_scores(read_run(folder), folder / "figures")
    return write_volume_report(folder)


def _regions(table: pd.DataFrame) -> list[str]:
    """In lower case, as they end the names of the columns."""
    return [name.removeprefix("true_volume_ml_") for name in _truth(table)]


def _truth(table: pd.DataFrame) -> list[str]:
    return [name for name in table if name.startswith("true_volume_ml_")]


VOLUMES = Kind(
    knows=lambda metrics: "regions" in metrics,
    truth=_truth,
    scores=_scores,
    statistics=_statistics,
    pool=_pool,
    report=_report,
)
