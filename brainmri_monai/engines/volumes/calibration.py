"""What is fitted on validation cases after the training: how sure a network may be, and what is noise."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from brainmri_monai.engines.distributed import gather
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.volumes.labelled import LabelledVolumes
from brainmri_monai.engines.volumes.prediction import Segmentation, VolumePrediction, voxel_ml
from brainmri_monai.metrics.calibration import fit_temperature
from brainmri_monai.metrics.cleanup import best_minimum, measure_components
from brainmri_monai.networks.region_network import RegionNetwork
from brainmri_monai.transforms.volumes import region_masks

__all__ = ["VolumeCalibration"]

SURE = 1e-7  # float32 knows no probability nearer to 0 or 1


class VolumeCalibration:
    """Collect what the validation cases tell of each region, and fit a network's buffers to it.

    Args:
        network: whose buffers are fitted.
        prediction: with this network.
        cases: the validation cases.
        voxels: how many of the brain's box count in each case. They are far from independent, and all would outweigh
            the prior of the temperature (see :func:`~brainmri_monai.metrics.calibration.fit_temperature`).
        seed: of the choice of voxels.
    """

    def __init__(
        self,
        network: RegionNetwork,
        prediction: VolumePrediction,
        cases: LabelledVolumes,
        voxels: int = 5000,
        seed: int = 0,
    ) -> None:
        self.network = network
        self.prediction = prediction
        self.cases = cases
        self.voxels = voxels
        self.seed = seed

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.EPOCH_STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._add)

    def _start(self, engine: Engine) -> None:
        self.seen: list[dict[str, Any]] = []
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
        pairs = zip(probabilities > 0.5, truth, strict=True)
        return {
            "id": answer.id,
            "components": [measure_components(p, t, ml) for p, t in pairs],
            **self._sample(answer.id, probabilities, truth),
        }

    def _sample(self, case: str, probabilities: NDArray, truth: NDArray) -> dict[str, NDArray]:
        """R n each; the same voxels whatever process sees the case."""
        inside = np.flatnonzero(probabilities.any(axis=0))  # outside of the box there is nothing to be sure of
        random = np.random.default_rng([self.seed, zlib.crc32(case.encode())])
        chosen = random.choice(inside, min(self.voxels, len(inside)), replace=False)
        p = probabilities.reshape(len(probabilities), -1)[:, chosen].astype(float).clip(SURE, 1 - SURE)
        return {"logits": np.log(p / (1 - p)), "truth": truth.reshape(len(truth), -1)[:, chosen]}

    def fit(self) -> int:
        """Set the network's buffers; they stay as they are when no case could be seen.

        Returns:
            The number of cases.
        """
        seen = sorted(gather(self.seen), key=lambda one: one["id"])
        if not seen:
            return 0
        logits, truth = (np.concatenate([one[key] for one in seen], axis=1) for key in ("logits", "truth"))  # R N
        # a sigmoid of x is the softmax of 0 and x
        temperatures = [
            fit_temperature(np.stack([np.zeros_like(x), x], axis=1), y.astype(int))
            for x, y in zip(logits, truth, strict=True)
        ]
        minima = [best_minimum([one["components"][r] for one in seen]) for r in range(len(logits))]
        self.network.temperature.copy_(torch.tensor(temperatures))
        self.network.minimum_ml.copy_(torch.tensor(minima))
        return len(seen)
