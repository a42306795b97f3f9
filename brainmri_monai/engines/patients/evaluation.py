"""From a trained network to calibrated weights, a table of predictions and the scores of the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from monai.engines import Evaluator

from brainmri_monai.data.datalist import Datalist
from brainmri_monai.engines.collect import Collect
from brainmri_monai.engines.distributed import is_main_process
from brainmri_monai.engines.patients.prediction import Prediction, joint_of
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.metrics.bootstrap import RESAMPLES
from brainmri_monai.metrics.calibration import fit_temperature
from brainmri_monai.metrics.table import to_table, write_table
from brainmri_monai.metrics.two_step import Answers, score
from brainmri_monai.networks.two_step_mil import TwoStepMIL

__all__ = ["TwoStepEvaluation", "attention_table", "prediction_table"]


class TwoStepEvaluation:
    """Calibrate on the validation patients, answer the test patients, and write what came out.

    Args:
        run: the folder of the finished run.
        datalist: of the run, or of an external test (see ``engines.patients.tested_patients``).
        network: with the best weights loaded.
        calibrator: evaluates the validation patients.
        evaluator: evaluates the test patients.
        collect: attached to both.
        resamples: of the bootstrap over patients.
    """

    def __init__(
        self,
        run: RunFolder,
        datalist: Datalist,
        network: TwoStepMIL,
        calibrator: Evaluator,
        evaluator: Evaluator,
        collect: Collect,
        resamples: int = RESAMPLES,
    ) -> None:
        self.run = run
        self.datalist = datalist
        self.network = network
        self.calibrator = calibrator
        self.evaluator = evaluator
        self.collect = collect
        self.resamples = resamples
        self.external = datalist.split["method"] == "external"
        self.fits = run.fits and not self.external
        run.require_work(datalist, ["test", *(["validation"] if self.fits else [])])
        self.fitted_on = 0

    @property
    def folder(self) -> Path:
        """Where the results go: the run's folder, or for an external test one below it."""
        return self.run.results(self.datalist)

    def calibrate(self) -> None:
        """Fit the temperatures on the validation patients and save them with the weights.

        An external test leaves them as they are: its patients must not shape the model.
        """
        if not self.fits:
            return
        self.calibrator.run()
        seen = self.collect.predictions
        types = np.array([p.label[0] for p in seen])
        known = [p for p in seen if p.label[1] >= 0]
        head = self.network.head
        head.type_temperature.fill_(fit_temperature(np.stack([p.type_logits for p in seen]), types))
        if known:
            given = np.stack([p.grade_logits[p.label[0]] for p in known])
            head.grade_temperature.fill_(fit_temperature(given, np.array([p.label[1] for p in known])))
        self.fitted_on = len(seen)
        self.run.save_calibrated(self.network)

    def test(self) -> None:
        """Answer the test patients; write ``test_predictions.csv``, ``attention.csv`` and ``metrics_test.json``."""
        self.evaluator.run()
        if not is_main_process():
            return
        seen = self.collect.predictions
        labels = np.array([p.label for p in seen])
        answers = Answers(joint_of(seen), labels[:, 0], labels[:, 1])
        metrics = score(answers, self.datalist.types, self.resamples)
        metrics["external"] = self.external
        metrics["notes"] += self.datalist.split["notes"]
        metrics["calibration"] = {
            "type_temperature": float(self.network.head.type_temperature),
            "grade_temperature": float(self.network.head.grade_temperature),
            "fitted_on": self.fitted_on,
        }
        files = {e["id"]: e["image"] for e in self.datalist.parts["test"]}
        write_table(prediction_table(seen, answers, self.datalist.types), self.folder / "test_predictions.csv")
        write_table(attention_table(seen, files), self.folder / "attention.csv")
        tasks = {"type": metrics["tasks"]["type"], "grade": metrics["tasks"]["grade_end2end"]}
        main = {f"{name}_roc_auc_macro": scores["roc_auc_macro"] for name, scores in tasks.items()}
        print(f"tested {len(seen)} patients: {self.run.save_scores(self.datalist, metrics, main)}")
        for task in ("type", "grade_end2end"):
            for name in ("balanced_accuracy", "roc_auc_macro"):
                print(f"  {task + ' ' + name:32} {_interval(metrics['tasks'][task][name])}")
        print(f"  {'type and grade both correct':32} {_interval(metrics['end2end_all_correct'])}")
        for note in metrics["notes"]:
            print(f"note: {note}")


def prediction_table(
    seen: list[Prediction], answers: Answers, types: list[str], *, labelled: bool = True
) -> pd.DataFrame:
    """The table of ``metrics.table``, with ``entropy``, ``mutual_information`` and the number of ``slices``."""
    table = to_table([p.id for p in seen], answers, types, labelled=labelled)
    table["entropy"] = [p.entropy for p in seen]
    table["mutual_information"] = [p.mutual_information for p in seen]
    table["slices"] = [len(p.attention) for p in seen]
    return table


def attention_table(seen: list[Prediction], files: dict[str, list[str]]) -> pd.DataFrame:
    """One row a slice: ``id``, ``slice`` (from 1), ``file`` and ``weight``; a volume's slices share its file."""
    rows = [
        (p.id, n + 1, files[p.id][n] if len(files[p.id]) > 1 else files[p.id][0], weight)
        for p in seen
        for n, weight in enumerate(p.attention)
    ]
    return pd.DataFrame(rows, columns=["id", "slice", "file", "weight"])


def _interval(entry: dict[str, float | None]) -> str:
    if entry["value"] is None:
        return "undefined"
    return f"{entry['value']:.3f}" + (f" [{entry['low']:.3f}, {entry['high']:.3f}]" if entry["low"] is not None else "")
