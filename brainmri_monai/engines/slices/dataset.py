"""Batches of slices straight from one array."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from brainmri_monai.data.slices.datalist import SliceList
from brainmri_monai.data.slices.folders import find_slices
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.engines.precision import PrecisionInferer
from brainmri_monai.engines.progress import progress_bar
from brainmri_monai.engines.slices.reading import read_set
from brainmri_monai.networks.slice_classifier import SliceClassifier

__all__ = ["EmbeddedSlices", "SliceBatches", "as_it_is"]

Batch = dict[str, Any]


class SliceBatches(Dataset):
    """Slices of a part, which torch's ``DataLoader`` fetches a batch at a time.

    MONAI's data sets and transforms take one sample after the other; at this size that takes longer than a small
    network's step.

    Args:
        datalist: of the run.
        part: which part of it.
        store: keeps the prepared slices.
        size: rows and columns of a prepared slice.
        transform: applied to each batch: ``id``, ``image`` B 1 H W with values in [0, 1], and ``label`` B.
        at_most: so many of the slices, evenly spread, where a sample is enough.
    """

    def __init__(
        self,
        datalist: SliceList,
        part: str,
        store: ArrayStore,
        size: int,
        transform: Callable[[Batch], Batch] | None = None,
        at_most: int | None = None,
    ) -> None:
        samples = datalist.samples(part)
        step = max(1, -(-len(samples) // at_most)) if at_most else 1
        self.samples = samples[::step]
        read = read_set(find_slices(datalist.root), store, size)
        self.rows = read.rows([sample["id"] for sample in self.samples])
        self.pictures = read.pictures
        self.labels = torch.tensor([sample["label"] for sample in self.samples])
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        """One slice, as a batch."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A batch; the network takes three channels, and sees the same grey values in each."""
        pixels = torch.from_numpy(self.pictures[self.rows[np.asarray(indices)]])  # B H W
        batch = {
            "id": [self.samples[index]["id"] for index in indices],
            "image": pixels[:, None].float().div_(255),
            "label": self.labels[list(indices)],
        }
        batch = self.transform(batch) if self.transform else batch
        batch["image"] = batch["image"].expand(-1, 3, -1, -1)
        return batch


class EmbeddedSlices(Dataset):
    """The features of a data set's slices, computed once by a network whose body stays as it is.

    Args:
        data: slices, without augmentation.
        network: gives the features; it is put into evaluation mode.
        inferer: decides the precision.
        device: where the network runs.
    """

    def __init__(
        self, data: SliceBatches, network: SliceClassifier, inferer: PrecisionInferer, device: str | torch.device
    ) -> None:
        self.data = data
        network.eval()
        bar = progress_bar(len(data), "embedding slices", "slices")
        features = []
        with torch.inference_mode():
            for indices in torch.arange(len(data)).split(64):
                batch = data.__getitems__(indices.tolist())
                features.append(inferer(batch["image"].to(device), network.features).cpu())
                bar.update(len(indices))
        bar.close()
        self.features = torch.cat(features).clone()  # N F

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Batch:
        """One slice, as a batch."""
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """A batch whose ``image`` is features, B F."""
        chosen = list(indices)
        names = [self.data.samples[index]["id"] for index in chosen]
        return {"id": names, "image": self.features[chosen], "label": self.data.labels[chosen]}


def as_it_is(batch: Batch) -> Batch:
    """What ``SliceBatches`` gives is a batch already."""
    return batch
