"""What is fitted on validation cases after the training: how sure a network may be, and what is noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from ignite.engine import Engine, Events

from brainmri_monai.data.brats.volumes import voxel_ml
from brainmri_monai.engines.distributed import gather
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.volumes.labelled import LabelledVolumes
from brainmri_monai.engines.volumes.prediction import Segmentation, VolumePrediction
from brainmri_monai.metrics.calibration import TEMPERATURES
from brainmri_monai.metrics.cleanup import MINIMA, best_minimum, measure_components
from brainmri_monai.metrics.reliability import count_logits, temperature_of
from brainmri_monai.networks.region_network import RegionNetwork
from brainmri_monai.transforms.volumes import region_masks

__all__ = ["VolumeCalibration", "doubts_of_fit"]

FEW = 5  # validation cases, below which what is fitted on them is rough


class VolumeCalibration:
    """Collect what the validation cases tell of each region, and fit a network's buffers to it.

    Args:
        network: whose buffers are fitted.
        prediction: with this network.
        cases: the validation cases.
        voxels: as how many independent voxels those of a case count at most, in the temperature (see
            :func:`~brainmri_monai.metrics.reliability.temperature_of`).
    """

    def __init__(
        self,
        network: RegionNetwork,
        prediction: VolumePrediction,
        cases: LabelledVolumes,
        voxels: int = 1000,
    ) -> None:
        self.network = network
        self.prediction = prediction
        self.cases = cases
        self.voxels = voxels

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)

    def _start(self, engine: Engine) -> None:
        self.seen: list[dict[str, Any]] = []
        self.before = self.network.temperature.clone(), self.network.minimum_ml.clone()
        self.network.temperature.fill_(1.0)
        self.network.minimum_ml.zero_()

    def _add(self, engine: Engine) -> None:
        for answer in engine.state.output:
            try:
                self.seen.append(self._look(answer))
            except Exception as error:  # such as a label map that was taken away
                self.cases.failed[answer.id] = reason(error)

    def _look(self, answer: Segmentation) -> dict[str, Any]:
        truth = region_masks(self.cases.truth(answer.id), self.prediction.regions)
        probabilities = self.prediction.put_back(answer.probabilities, answer.image).numpy()  # R H W D
        ml = voxel_ml(answer.affine)
        inside = probabilities.any(axis=0)  # of the brain's box
        return {
            "id": answer.id,
            "components": [measure_components(p > 0.5, t, ml) for p, t in zip(probabilities, truth, strict=True)],
            "logits": [count_logits(p[inside], t[inside]) for p, t in zip(probabilities, truth, strict=True)],
        }

    def fit(self) -> int:
        """Set the network's buffers; they stay as they are when no case could be seen.

        Returns:
            The number of cases.
        """
        seen = sorted(gather(self.seen), key=lambda one: one["id"])
        if not seen:
            self.network.temperature.copy_(self.before[0])
            self.network.minimum_ml.copy_(self.before[1])
            return 0
        regions = range(len(self.prediction.regions))
        temperatures = [temperature_of([one["logits"][r] for one in seen], self.voxels) for r in regions]
        minima = [best_minimum([one["components"][r] for one in seen]) for r in regions]
        self.network.temperature.copy_(torch.tensor(temperatures))
        self.network.minimum_ml.copy_(torch.tensor(minima))
        return len(seen)


def doubts_of_fit(temperature: Mapping[str, float], minimum_ml: Mapping[str, float], cases: int) -> list[str]:
    """What is to be said of numbers that were fitted on so many cases; nothing where they can be trusted.

    Args:
        temperature, minimum_ml: of each region.
        cases: of the validation.
    """
    low, high = TEMPERATURES
    ends = [
        f"the temperature of {name}, {t:.2g}" for name, t in temperature.items() if not 1.01 * low < t < high * 0.99
    ]
    ends += [f"the minimum volume of {name}, {ml:g} ml" for name, ml in minimum_ml.items() if ml >= MINIMA[-1]]
    notes = [f"{end}, lies at the end of what is searched: look at the validation cases" for end in ends]
    if cases < FEW:
        notes.append(f"temperatures and minimum volumes were fitted on {cases} validation cases, which are few")
    return notes
