"""From a network trained on volumes to calibrated weights, a table of its scores, and their summary."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from monai.engines import Evaluator

from brainmri_monai.data.brats.datalist import CaseList
from brainmri_monai.engines.distributed import is_main_process
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.engines.volumes.calibration import VolumeCalibration, doubts_of_fit
from brainmri_monai.engines.volumes.scores import VolumeScores
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.bootstrap import RESAMPLES
from brainmri_monai.metrics.cohort import cohort_error, describe_cases
from brainmri_monai.metrics.reliability import describe_bins
from brainmri_monai.metrics.table import write_table

__all__ = ["VolumeEvaluation"]


class VolumeEvaluation:
    """Fit the network's buffers on the validation cases, score the test cases, and write what came out.

    Args:
        run: the folder of the finished run.
        datalist: of the run, or of an external test (see ``engines.tested_cases``).
        calibrator: runs over the validation cases.
        calibration: attached to it.
        evaluator: runs over the test cases.
        scores: attached to it.
        resamples: of the bootstrap over patients.
    """

    def __init__(
        self,
        run: RunFolder,
        datalist: CaseList,
        calibrator: Evaluator,
        calibration: VolumeCalibration,
        evaluator: Evaluator,
        scores: VolumeScores,
        resamples: int = RESAMPLES,
    ) -> None:
        self.run = run
        self.datalist = datalist
        self.calibrator = calibrator
        self.calibration = calibration
        self.evaluator = evaluator
        self.scores = scores
        self.resamples = resamples
        self.external = datalist.split["method"] == "external"
        self.fits = run.fits and not self.external
        self.fitted_on = 0
        if not self.fits:
            run.require_no_fit("calibration_voxels")

    @property
    def folder(self) -> Path:
        """Where the results go: the run's folder, or for an external test one below it."""
        return self.run.results(self.datalist)

    def calibrate(self) -> None:
        """Fit temperatures and minimum volumes on the validation cases and save them with the weights.

        An external test leaves them as they are: its patients must not shape the model.
        """
        if not self.fits:
            return
        self.calibrator.run()
        _tell(self.calibration.cases.all_failed())
        self.fitted_on = self.calibration.fit()
        self.run.save_calibrated(self.calibration.network)

    def test(self) -> None:
        """Score the test cases; write their label maps, ``test_predictions.csv`` and ``metrics_test.json``.

        Raises:
            BrainMRIError: when no case could be scored.
        """
        self.evaluator.run()
        seen, failed = self.scores.all_seen(), self.scores.cases.all_failed()
        _tell(failed)
        if not seen:
            first = next(iter(failed.items()), ("the test part", "it is empty"))
            raise BrainMRIError(f"none of the {len(failed)} cases could be scored; {first[0]}: {first[1]}.")
        if not is_main_process():
            return
        table = pd.DataFrame([one["row"] for one in seen])
        metrics = self.summary(table, np.stack([one["bins"] for one in seen]), failed)
        write_table(table, self.folder / "test_predictions.csv")
        main = {f"dice_{region.lower()}": scores["dice"]["mean"] for region, scores in metrics["scores"].items()}
        path = self.run.save_scores(self.datalist, metrics, main)
        print(f"tested {metrics['cases']} cases of {metrics['patients']} patients: {path}")
        print(short_table(metrics))
        for note in metrics["notes"]:
            print(f"note: {note}")

    def finish(self) -> None:
        """
        Raises:
            SystemExit: with code 1, when a test case failed; the results of the others are written.
        """
        if self.scores.cases.all_failed():
            sys.exit(1)

    def summary(self, table: pd.DataFrame, bins: np.ndarray, failed: Mapping[str, str]) -> dict[str, Any]:
        """What ``metrics_test.json`` holds.

        Args:
            table: one row a case.
            bins: n R 3 BINS, of each case (see ``metrics.reliability``).
            failed: case → reason.
        """
        regions, network = self.datalist.types, self.calibration.network
        found = describe_cases(table, regions, failed, self.resamples)
        temperature = dict(zip(regions, network.temperature.tolist(), strict=True))
        minimum_ml = dict(zip(regions, [round(ml, 6) for ml in network.minimum_ml.tolist()], strict=True))
        doubts = doubts_of_fit(temperature, minimum_ml, self.fitted_on) if self.fits else []
        return found | {
            "external": self.external,
            "convention": self.datalist.layout,
            "notes": found["notes"] + doubts + self.datalist.split["notes"],
            "calibration": {
                "fitted_on": self.fitted_on,
                "temperature": temperature,
                "minimum_ml": minimum_ml,
                "ece": cohort_error(bins, list(table["patient"]), regions, self.resamples),
                "bins": {region: describe_bins(bins[:, r].sum(axis=0)) for r, region in enumerate(regions)},
            },
        }


def short_table(metrics: Mapping[str, Any]) -> str:
    """The mean of the main scores with their intervals, one line a region."""
    known = next(iter(metrics["scores"].values()))
    versions = [name for name in known if re.fullmatch(r"lesionwise_dice_brats\d+", name)]
    names = {"dice": "Dice", "hd95": "HD95 (mm)", "sensitivity": "sensitivity", "specificity": "specificity"}
    names |= {name: f"lesion-wise Dice {name.rpartition('_')[2]}" for name in versions}
    lines = []
    for name, title in names.items():
        cells = [f"{region} {_interval(of[name]['mean'])}" for region, of in metrics["scores"].items()]
        lines.append(f"  {title:28}" + "   ".join(f"{cell:26}" for cell in cells).rstrip())
    return "\n".join(lines)


def _interval(entry: Mapping[str, float | None]) -> str:
    if entry["value"] is None:
        return "undefined"
    digits = 1 if abs(entry["value"]) >= 2 else 3
    low, high = entry["low"], entry["high"]
    return f"{entry['value']:.{digits}f}" + (f" [{low:.{digits}f}, {high:.{digits}f}]" if low is not None else "")


def _tell(failed: Mapping[str, str]) -> None:
    if is_main_process():
        for case, why in failed.items():
            print(f"failed: {case}: {why}", file=sys.stderr)
