"""The regions of a tumour in a volume, by one network or several, and how sure they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, combinations
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd
from numpy.typing import NDArray
from torch import Tensor, nn

from brainmri_monai.data.brats.labels import paint
from brainmri_monai.data.brats.volumes import voxel_ml
from brainmri_monai.engines.patients.patients import reason
from brainmri_monai.engines.volumes.inferer import VolumeInferer
from brainmri_monai.engines.volumes.stream import VolumeStream
from brainmri_monai.transforms.components import drop_small_components
from brainmri_monai.transforms.volumes import REGIONS, require_regions

__all__ = ["Segmentation", "VolumePrediction", "volumes_ml"]


@dataclass(frozen=True)
class Segmentation:
    """The answer for one case.

    Args:
        id: the case.
        label: H W D, uint8, on the input's grid; 1 NCR, 2 ED, 3 ET.
        affine: 4 x 4, of that grid.
        image: 4 h w d, what the network saw.
        confidence: mean probability of the whole tumour where it was found; where none was, of there being none at the
            most suspicious voxel.
        intervals: region → least and greatest volume in ml among the answer and the members of an ensemble or flips.
        entropy: H W D, float32, mean over the regions of the entropy of the probability, in nats.
        probabilities: R h w d, on the grid of ``image``.
    """

    id: str
    label: NDArray
    affine: NDArray
    image: MetaTensor
    confidence: float
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    entropy: NDArray | None = None
    probabilities: Tensor | None = None


class VolumePrediction:
    """An ``iteration_update`` for MONAI's ``SupervisedEvaluator``: a list of one sample → a list of its segmentation.

    A case that fails is told to ``cases``, and the list is empty.

    Args:
        networks: an ensemble, whose probabilities are averaged.
        inferer: a network over a volume.
        preprocessing: what made the samples, to be undone.
        regions: the networks' channels, names in ``REGIONS``.
        cases: keeps the cases that fail.
        flips: average over the eight flips of the volume as well.
        uncertainty: give the entropy, and of several members or flips the intervals, too.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        inferer: VolumeInferer,
        preprocessing: Compose,
        regions: Sequence[str],
        cases: VolumeStream,
        flips: bool = False,
        uncertainty: bool = False,
    ) -> None:
        require_regions(regions)
        self.networks = networks
        self.inferer = inferer
        self.invert = Invertd("map", preprocessing, orig_keys="image", nearest_interp=False)
        self.regions = list(regions)
        self.cases = cases
        axes = (2, 3, 4)
        self.flips = [*chain.from_iterable(combinations(axes, n) for n in range(4))] if flips else [()]
        self.count = len(self.networks) * len(self.flips)
        self.uncertainty = uncertainty
        if uncertainty and self.count == 1:
            print("note: one network has no interval of the volumes: give --flips or --ensemble for that")

    @property
    def minimum_ml(self) -> list[float]:
        """R, the size of the smallest component of each region that counts, as fitted for the networks."""
        nothing = torch.zeros(len(self.regions))
        minima = [getattr(network, "minimum_ml", nothing).cpu() for network in self.networks]
        return torch.stack(minima).mean(dim=0).tolist()

    def __call__(self, engine: Engine, batch: list[dict[str, Any]]) -> list[Segmentation]:
        (sample,) = batch
        for network in self.networks:
            network.eval()
        try:
            with torch.inference_mode():
                return [self.segment(sample, engine.state.device)]
        except Exception as error:  # the next case may be smaller, or whatever it was
            self.cases.failed[sample["id"]] = reason(error)
            return []

    def segment(self, sample: Mapping[str, Any], device: torch.device) -> Segmentation:
        """Segment one sample, with ``id`` and ``image`` 4 h w d."""
        image: MetaTensor = sample["image"]
        mean, volumes = None, []
        for one in self.members(image.as_tensor()[None].to(device)):
            if self.count > 1 and self.uncertainty:
                volumes.append(volumes_ml(*self.label(one.cpu(), image)))
            mean = one if mean is None else mean.add_(one)
        mean = mean.div_(self.count).cpu()  # R h w d
        label, affine = self.label(mean, image)
        volumes += [volumes_ml(label, affine)] if volumes else []
        entropy = None
        if self.uncertainty:
            entropy = (torch.special.entr(mean) + torch.special.entr(1 - mean)).mean(dim=0, keepdim=True)
            entropy = self.put_back(entropy, image)[0].numpy().astype(np.float32)
        return Segmentation(
            id=sample["id"],
            label=label,
            affine=affine,
            image=image,
            confidence=confidence(mean, self.regions, found=bool(label.any())),
            intervals={name: _interval(volumes, name) for name in self.regions} if volumes else {},
            entropy=entropy,
            probabilities=mean,
        )

    def members(self, image: Tensor) -> Iterator[Tensor]:
        """The probabilities R h w d of each network and flip for an image 1 C h w d."""
        for network in self.networks:
            for axes in self.flips:
                probabilities = self.inferer(image.flip(axes) if axes else image, network).sigmoid_()
                yield (probabilities.flip(axes) if axes else probabilities)[0]

    def label(self, probabilities: Tensor, image: MetaTensor) -> tuple[NDArray, NDArray]:
        """R h w d → label map H W D on the grid of the files, without small components; and the affine of that."""
        # what was only cut, turned and padded is put back as it is: a byte a voxel in place of four
        resampled = not is_same_grid(image.affine, image.meta["original_affine"])
        back = self.put_back(probabilities if resampled else (probabilities > 0.5).byte(), image)
        regions, affine = (back.as_tensor() > 0.5).numpy(), back.affine.numpy()
        kept = drop_small_components(regions, self.minimum_ml, voxel_ml(affine), inner_regions(self.regions))
        return paint(kept, self.regions), affine

    def put_back(self, volume: Tensor, image: MetaTensor) -> MetaTensor:
        """R h w d on the grid of the network → R H W D on that of the files."""
        return self.invert({"map": MetaTensor(volume), "image": image})["map"]


def inner_regions(regions: Sequence[str]) -> list[list[int]]:
    """For each region the indices of those that lie inside it, as TC and ET inside WT."""
    values = [set(REGIONS[name]) for name in regions]
    return [[k for k, inner in enumerate(values) if inner < outer] for outer in values]


def volumes_ml(label: NDArray, affine: Any) -> dict[str, float]:
    """Region → millilitres in a portable label map with this affine."""
    counts = np.bincount(label.reshape(-1), minlength=5) * voxel_ml(affine)
    return {name: float(counts[list(values)].sum()) for name, values in REGIONS.items()}


def confidence(probabilities: Tensor, regions: Sequence[str], found: bool) -> float:
    """Of an answer: see :class:`Segmentation`. Without WT any region is the tumour.

    Args:
        probabilities: R h w d.
        regions: names of the R regions.
        found: whether the answer has a tumour; a component may have been too small to count.
    """
    whole = probabilities[regions.index("WT")] if "WT" in regions else probabilities.amax(dim=0)
    inside = whole[whole > 0.5]
    return float(inside.mean() if found and inside.numel() else 1 - whole.max())


def is_same_grid(one: Any, other: Any) -> bool:
    """Whether the voxels of two affines lie on one grid: only cut, padded, turned by right angles or mirrored."""
    between = np.linalg.solve(np.asarray(one, dtype=float), np.asarray(other, dtype=float))
    return bool(np.allclose(between, np.round(between), atol=1e-3) and np.allclose(abs(np.linalg.det(between)), 1))


def _interval(volumes: Sequence[Mapping[str, float]], region: str) -> tuple[float, float]:
    return min(one[region] for one in volumes), max(one[region] for one in volumes)
