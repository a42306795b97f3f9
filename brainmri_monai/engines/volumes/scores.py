"""Scores of segmented cases against their label maps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Engine, Events

from brainmri_monai.data.brats.labels import from_portable
from brainmri_monai.engines.distributed import gather
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.volumes.labelled import LabelledVolumes
from brainmri_monai.engines.volumes.prediction import Segmentation, VolumePrediction, volumes_ml
from brainmri_monai.engines.volumes.saving import write_like
from brainmri_monai.metrics.lesionwise import lesionwise_scores
from brainmri_monai.metrics.lesionwise_tasks import lesionwise_tasks
from brainmri_monai.metrics.regions import region_scores
from brainmri_monai.metrics.reliability import bin_voxels
from brainmri_monai.transforms.volumes import region_masks

__all__ = ["VolumeScores"]


class VolumeScores:
    """Score and save each case that an evaluator has segmented.

    Args:
        cases: the tested cases.
        prediction: what segments them.
        folder: where the label maps go, as ``<case>.nii.gz``, in the values of the data set.
        lesionwise: versions of the lesion-wise scores; all that are meant for the data set when left out.

    Raises:
        BrainMRIError: when a version is not meant for the data set.
    """

    def __init__(
        self,
        cases: LabelledVolumes,
        prediction: VolumePrediction,
        folder: str | Path,
        lesionwise: Sequence[str] | None = None,
    ) -> None:
        self.cases = cases
        self.prediction = prediction
        self.folder = Path(folder)
        name = cases.convention.name
        self.tasks = {case: lesionwise_tasks(name, case, lesionwise) for case in cases.all}

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)

    def _start(self, engine: Engine) -> None:
        self.seen: list[dict[str, Any]] = []

    def _add(self, engine: Engine) -> None:
        for answer in engine.state.output:
            seconds = time.perf_counter() - self.cases.started[answer.id]
            try:
                self.seen.append(self._score(answer, seconds))
            except Exception as error:  # such as a label map that cannot be read
                self.cases.failed[answer.id] = reason(error)

    def all_seen(self) -> list[dict[str, Any]]:
        """What all processes have scored, in the order of the cases: ``row`` of the table, and ``bins`` R 3 BINS."""
        seen = {one["row"]["id"]: one for one in gather(self.seen)}
        return [seen[case] for case in self.cases.all if case in seen]

    def _score(self, answer: Segmentation, seconds: float) -> dict[str, Any]:
        regions, case = self.prediction.regions, self.cases.cases[answer.id]
        truth = self.cases.truth(answer.id)
        write_like(case, from_portable(answer.label, self.cases.convention), self.folder / f"{case.id}.nii.gz")
        predicted_ml, true_ml = (volumes_ml(label, answer.affine) for label in (answer.label, truth))
        scores = self._regions(answer, truth)
        row = {"id": case.id, "pred": _found(predicted_ml, regions), "confidence": answer.confidence}
        row |= {"decision": "answered", "label": _found(true_ml, regions), "patient": case.patient}
        row["dice_mean"] = float(np.mean([scores[region]["dice"] for region in regions]))
        for region in regions:
            of_region = {**scores[region], "volume_ml": predicted_ml[region], "true_volume_ml": true_ml[region]}
            row |= {f"{score}_{region.lower()}": value for score, value in of_region.items()}
        row["seconds"] = round(seconds, 3)
        return {"row": row, "bins": self._bins(answer, truth)}

    def _regions(self, answer: Segmentation, truth: np.ndarray) -> dict[str, dict[str, float]]:
        """Region → score → value."""
        regions, spacing = self.prediction.regions, np.linalg.norm(answer.affine[:3, :3], axis=0)
        scores = region_scores(
            region_masks(answer.label, regions), region_masks(truth, regions), spacing, regions=regions
        )
        names = list(dict.fromkeys([*regions, "TC", "WT", "RC"]))  # some rules join lesions through other tissues
        predicted, true = region_masks(answer.label, names), region_masks(truth, names)
        for version, task in self.tasks[answer.id].items():
            found = lesionwise_scores(predicted, true, spacing, regions=names, version=version, task=task)
            for region in regions:
                scores[region] |= found[region]
        return scores

    def _bins(self, answer: Segmentation, truth: np.ndarray) -> np.ndarray:
        probabilities = self.prediction.put_back(answer.probabilities, answer.image).numpy()
        inside = probabilities.any(axis=0)
        return bin_voxels(probabilities[:, inside], region_masks(truth, self.prediction.regions)[:, inside])


def _found(millilitres: dict[str, float], regions: Sequence[str]) -> str:
    return "+".join(region for region in regions if millilitres[region] > 0) or "none"
