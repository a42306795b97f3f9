"""From a patient's files to a bag of slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTransform, Resize, ScaleIntensityRangePercentiles
from torch import Tensor

from brainmri_monai.data.images import read_slices
from brainmri_monai.data.options import WORDS
from brainmri_monai.data.store import ArrayStore

__all__ = ["BAG_POLICIES", "LoadSlicesd", "SelectSlicesd", "prepare_slices"]

UPPER_PERCENTILE = 99.5  # brighter pixels are vessels and artefacts; a patient's range is 0 to this
BAG_POLICIES = WORDS["bag_policy"]


def prepare_slices(image: str | Path | Sequence[str | Path], size: int) -> np.ndarray:
    """Read a patient's slices, resize each to a square, and scale the grey values of each channel over all of them.

    The steps and their order are those of the ``preprocessing`` in ``inference.json``, which does them with MONAI's
    transforms alone; here the slices may also have different sizes and modes.

    Args:
        image: slice files, one volume or one DICOM folder (see ``data.images.read_slices``).
        size: H and W of a prepared slice, in pixels.

    Returns:
        N H W C, unsigned bytes.

    Raises:
        BrainMRIError: when a file cannot be read, or is no slice or volume.
    """
    slices = read_slices(image)
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for n, picture in enumerate(slices):
        by_shape[picture.shape].append(n)
    least = np.min([picture.min(axis=(0, 1)) for picture in slices], axis=0)  # C
    # the filter before resizing takes 0 for what lies beyond the edge, so that 0 has to be the least
    least = torch.from_numpy(least).float()[:, None, None, None]
    resize = Resize((size, size, -1), mode="trilinear", anti_aliasing=True)
    volume = torch.empty(slices[0].shape[2], size, size, len(slices))  # C H W N
    for members in by_shape.values():
        stack = np.stack([slices[n] for n in members], axis=-1)  # H W C n
        volume[..., members] = resize(torch.from_numpy(stack).permute(2, 0, 1, 3).float() - least).as_tensor()
    scale = ScaleIntensityRangePercentiles(0, UPPER_PERCENTILE, 0, 255, clip=True, channel_wise=True)
    return scale(volume).as_tensor().round().byte().permute(3, 1, 2, 0).contiguous().numpy()


class LoadSlicesd(MapTransform):
    """Load a patient's slices, prepared by :func:`prepare_slices`, as one volume C H W N of unsigned bytes.

    MONAI's ``LoadImaged`` refuses slices of different sizes or modes, and would decode them again in each epoch.

    Args:
        keys: keys of the files.
        size: H and W of a prepared slice, in pixels.
        store: keeps prepared slices on disk; without it they are decoded at each call.

    Raises:
        BrainMRIError: when a file cannot be read, or is no slice or volume.
    """

    def __init__(self, keys: KeysCollection, size: int, store: ArrayStore | None = None) -> None:
        super().__init__(keys)
        self.size = size
        self.store = store

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            files = data[key]
            if self.store is None:
                slices = prepare_slices(files, self.size)
            else:
                slices = self.store.get(files, lambda files: prepare_slices(files, self.size))
            data[key] = torch.from_numpy(slices).permute(3, 1, 2, 0)  # N H W C → C H W N, a view
        return data


class SelectSlicesd(RandomizableTransform, MapTransform):
    """Choose the slices of a volume C H W N that make a bag.

    Args:
        keys: keys of the volumes.
        policy: ``uniform``, evenly spaced; ``first``; ``center``, the middle ones; ``random``, drawn anew at each call
            and kept in order; ``all``.
        size: slices in a bag; a patient with fewer gives them all. Not used by ``all``.

    Raises:
        ValueError: when the policy is unknown or the size below 1.
    """

    def __init__(self, keys: KeysCollection, policy: str = "uniform", size: int = 8) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self)
        if policy not in BAG_POLICIES:
            raise ValueError(f"policy must be one of {', '.join(BAG_POLICIES)}, got '{policy}'")
        if size < 1:
            raise ValueError(f"a bag needs at least 1 slice, got size={size}")
        self.policy = policy
        self.size = size

    def select(self, count: int) -> list[int]:
        """Indices of the chosen slices among ``count``, ascending."""
        size = min(self.size, count)
        if self.policy == "all" or size == count:
            return list(range(count))
        if self.policy == "first":
            return list(range(size))
        if self.policy == "center":
            start = (count - size) // 2
            return list(range(start, start + size))
        if self.policy == "random":
            return sorted(self.R.choice(count, size, replace=False).tolist())
        return [int((n + 0.5) * count / size) for n in range(size)]  # uniform: the middle of each of `size` equal parts

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            volume: Tensor = data[key]
            data[key] = volume[..., self.select(volume.shape[-1])]
        return data
