"""From a trained network to fitted buffers, a table of predictions and the scores of the test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.engines import Evaluator
from scipy.special import softmax

from brainmri_monai.data.slices.datalist import KEPT_TOGETHER, NO_PATIENTS, SliceList
from brainmri_monai.engines.collect import Collect
from brainmri_monai.engines.distributed import is_main_process
from brainmri_monai.engines.run_folder import RunFolder
from brainmri_monai.engines.slices.prediction import least_confidence, probabilities_of
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.bootstrap import RESAMPLES
from brainmri_monai.metrics.calibration import fit_temperature
from brainmri_monai.metrics.selective import Abstention, confidence_for_risk, tolerated_risk
from brainmri_monai.metrics.slice_table import to_slice_answers, to_slice_table
from brainmri_monai.metrics.slices import SliceAnswers, score_slices, summarise_answers
from brainmri_monai.metrics.table import write_table
from brainmri_monai.networks.slice_classifier import SliceClassifier

__all__ = ["SliceEvaluation"]


class SliceEvaluation:
    """Fit the network's buffers on the validation slices, answer the test slices, and write what came out.

    Args:
        run: the folder of the finished run.
        datalist: of the run, or of an external test (see ``engines.slices.datalists.tested_slices``).
        networks: with their weights loaded: the run's own, whose buffers are fitted, or an ensemble.
        calibrator: evaluates the validation slices.
        familiar: batches of training slices, which the detector is to know.
        evaluator: evaluates the test slices.
        collect: attached to both evaluators.
        risk: share of wrong answers that may be given.
        foreign: share of the training slices that the detector may call no brain MRI.
        resamples: of the bootstrap over groups.
    """

    def __init__(
        self,
        run: RunFolder,
        datalist: SliceList,
        networks: Sequence[SliceClassifier],
        calibrator: Evaluator,
        familiar: Iterable[dict[str, Any]],
        evaluator: Evaluator,
        collect: Collect,
        risk: float = 0.01,
        foreign: float = 0.005,
        resamples: int = RESAMPLES,
    ) -> None:
        self.run = run
        self.datalist = datalist
        self.networks = networks
        self.calibrator = calibrator
        self.familiar = familiar
        self.evaluator = evaluator
        self.collect = collect
        self.risk = risk
        self.foreign = foreign
        self.resamples = resamples
        self.external = datalist.split["method"] == "external"
        self.fits = run.fits and not self.external
        run.require_work(datalist, ["test", *(["validation"] if self.fits else [])])
        if not self.fits:
            run.require_no_fit("risk", "foreign")
        elif len({datalist.twins[entry["id"]] for entry in datalist.parts["training"]}) < 3:
            raise BrainMRIError(
                "the training has fewer than three groups of twins: what a brain MRI looks like cannot be learnt.\n"
                "Train with more slices."
            )
        self.group_of = {entry["id"]: entry["group"] for entry in datalist.entries}
        self.abstention: Abstention | None = None
        self.fitted_on = self.fitted_groups = 0
        if run.parser.get("ensemble") and not self.external:
            raise BrainMRIError(
                "an ensemble may have been trained on the test slices of this run, as its other folds were.\n"
                "Give other data with --dataset_dir, or leave out --ensemble."
            )

    @property
    def folder(self) -> Path:
        """Where the results go: the run's folder, or for an external test one below it."""
        return self.run.results(self.datalist)

    def calibrate(self) -> None:
        """Fit temperature, least confidence and detector, and save them with the weights.

        The temperature is for all slices, as the calibration error counts them all; what is promised of the answers
        takes slices that are independent, so that of twins one counts.

        An external test leaves them as they are: its slices must not shape the model.
        """
        if not self.fits:
            return
        (network,) = self.networks
        with torch.no_grad():
            device = network.temperature.device
            batches = [(batch["id"], network.detector.describe(batch["image"].to(device))) for batch in self.familiar]
            twins = self.datalist.twins
            groups = torch.tensor([twins[name] for names, _ in batches for name in names], device=device)
            network.detector.fit(torch.cat([statistics for _, statistics in batches]), groups, self.foreign)
            self.calibrator.run()
            seen = self.collect.predictions
            labels = np.array([answer.label for answer in seen])
            logits = np.stack([answer.log_p for answer in seen]) * float(network.temperature)
            network.temperature.fill_(fit_temperature(logits, labels))
        probabilities = softmax(logits / float(network.temperature), axis=1)
        first = np.unique([twins[answer.id] for answer in seen], return_index=True)[1]  # they count once
        correct = probabilities.argmax(axis=1) == labels
        self.abstention = confidence_for_risk(probabilities.max(axis=1)[first], correct[first], self.risk)
        # the slice that set it is answered: float32 may lie above
        network.minimum_confidence.fill_(float(np.nextafter(np.float32(self.abstention.confidence), np.float32(0))))
        self.fitted_on, self.fitted_groups = len(seen), len(first)
        self.run.save_calibrated(network)

    def test(self) -> None:
        """Answer the test slices; write ``test_predictions.csv`` and ``metrics_test.json``."""
        self.evaluator.run()
        if not is_main_process():
            return
        seen = self.collect.predictions
        table = to_slice_table(
            [answer.id for answer in seen],
            probabilities_of(seen),
            self.datalist.types,
            [answer.decision for answer in seen],
            [answer.distance for answer in seen],
            [answer.label for answer in seen],
            [self.group_of[answer.id] for answer in seen],
        )
        answers = to_slice_answers(table, self.datalist.types)
        metrics = self.summary(answers, list(table["id"]), list(table["decision"]))
        write_table(table, self.folder / "test_predictions.csv")
        scores = metrics["tasks"]["class"]
        path = self.run.save_scores(self.datalist, metrics, {k: scores[k] for k in ("accuracy", "macro_f1", "ece")})
        print(f"tested {metrics['slices']} slices in {metrics['groups']} groups: {path}")
        _print_scores(scores)
        if "without_twins" in metrics:
            print(f"without the {metrics['twins_of_training']} slices that have a twin in the training:")
            _print_scores(metrics["without_twins"]["tasks"]["class"])
        for note in metrics["notes"]:
            print(f"note: {note}")

    def summary(self, answers: SliceAnswers, ids: Sequence[str], decisions: Sequence[str]) -> dict[str, Any]:
        """What ``metrics_test.json`` holds."""
        metrics = score_slices(answers, self.datalist.types, self.resamples)
        metrics |= summarise_answers(answers, decisions) | {"external": self.external}
        split = self.datalist.split
        twins_alone = split["method"] not in ("official", "external") and split["groups"] == "twins"
        metrics["notes"] += [NO_PATIENTS, *([KEPT_TOGETHER] if twins_alone else []), *split["notes"]]
        twins = self.datalist.twins_of_training()
        if twins:
            alone = np.array([name not in twins for name in ids])
            metrics["twins_of_training"] = len(ids) - int(alone.sum())
            if alone.any():
                metrics["without_twins"] = score_slices(answers[alone], self.datalist.types, self.resamples)
        each = [_constants(network) for network in self.networks]
        metrics["calibration"] = {"fitted_on": self.fitted_on, **(each[0] if len(each) == 1 else {"members": each})}
        metrics["calibration"]["minimum_confidence"] = float(least_confidence(self.networks))
        uncalibrated = sum(not network.is_calibrated for network in self.networks)
        if uncalibrated and len(each) > 1:
            metrics["notes"].append(f"{uncalibrated} of {len(each)} networks were never evaluated: they never doubt")
        if self.abstention:
            fitted = {"groups": self.fitted_groups, "risk": self.risk, "abstention": vars(self.abstention)}
            metrics["calibration"] |= fitted
            if not self.abstention.promised:
                metrics["notes"].append(_no_promise(self.risk, self.abstention))
        elif metrics["calibration"]["minimum_confidence"] > 1:
            metrics["notes"].append(
                "no slice is answered: where these weights were evaluated, no confidence was sufficient"
            )
        return metrics


def _constants(network: SliceClassifier) -> dict[str, float | None]:
    limit = network.detector.limit
    return {
        "temperature": float(network.temperature),
        "minimum_confidence": float(network.minimum_confidence),
        "limit": float(limit) if torch.isfinite(limit) else None,
    }


def _no_promise(risk: float, abstention: Abstention) -> str:
    if not abstention.coverage:
        return (
            f"no slice is answered: at no confidence were at most {tolerated_risk(risk):.0%} of the validation slices "
            "wrong, and enough of them to tell"
        )
    return (
        f"a risk of {risk:.2%} cannot be promised from so few validation slices: above the least confidence "
        f"{abstention.coverage:.0%} of them are answered, {abstention.risk:.2%} wrongly, and the bound is "
        f"{abstention.bound:.2%}"
    )


def _print_scores(scores: dict[str, Any]) -> None:
    names = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc_macro", "ece", "answered", "accuracy_answered")
    for name in (*names, "confident_mistakes"):
        print(f"  {name.replace('_', ' '):32} {_interval(scores[name])}")


def _interval(entry: dict[str, float | None]) -> str:
    if entry["value"] is None:
        return "undefined"
    return f"{entry['value']:.4f}" + (f" [{entry['low']:.4f}, {entry['high']:.4f}]" if entry["low"] is not None else "")
