"""From the files of a BraTS case to patches of a normalised volume."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    CropForegroundd,
    MapTransform,
    NormalizeIntensityd,
    Orientationd,
    RandomizableTransform,
    Spacingd,
)
from torch import Tensor

from brainmri_monai.data.brats.cases import Case
from brainmri_monai.data.brats.conventions import MODALITIES, Convention
from brainmri_monai.data.brats.labels import to_portable
from brainmri_monai.data.brats.volumes import read_case, read_label
from brainmri_monai.data.store import ArrayStore
from brainmri_monai.errors import BrainMRIError

__all__ = [
    "REGIONS",
    "LoadCased",
    "LoadPatchd",
    "ModalityDropoutd",
    "ToRegionsd",
    "load_case",
    "prepare_case",
    "region_masks",
    "require_answerable",
    "require_regions",
    "volume_preprocessing",
]

SMALLEST = 5000  # voxels of a brain: with fewer the deepest level of a network may be a single voxel, with no norm
REGIONS = {"TC": (1, 3), "WT": (1, 2, 3), "ET": (3,), "RC": (4,), "GTV": (1,)}
"""Region → its values in the portable label map (see ``data.brats.labels.PORTABLE``)."""


def require_regions(regions: Sequence[str]) -> None:
    """
    Raises:
        BrainMRIError: for a region that is not in ``REGIONS``.
    """
    unknown = sorted(set(regions) - REGIONS.keys())
    if unknown:
        raise BrainMRIError(f"unknown region {unknown[0]!r}.\nRegions: {', '.join(REGIONS)}.")


def region_masks(label: np.ndarray, regions: Sequence[str]) -> np.ndarray:
    """A portable label map H W D → R H W D, boolean: the regions, names in ``REGIONS``."""
    return np.stack([np.isin(label, REGIONS[region]) for region in regions])


def volume_preprocessing(spacing: float = 1.0, label: bool = False) -> Compose:
    """What a case goes through before a network sees it, in MONAI's transforms: the same ones as in ``inference.json``.

    Brought to LPS and to the spacing, cut to the box of the brain, and each modality to mean 0 and deviation 1 over the
    brain. The background stays 0.

    Args:
        spacing: side of a voxel in mm; what has it already is not resampled.
        label: whether there is a ``label`` beside the ``image``.

    Returns:
        A transform of samples with ``image`` C H W D, and ``label`` 1 H W D, as MetaTensors.
    """
    keys, modes = (["image", "label"], ["bilinear", "nearest"]) if label else (["image"], ["bilinear"])
    return Compose(
        [
            Orientationd(keys, axcodes="LPS", labels=None),
            Spacingd(keys, pixdim=[spacing] * 3, mode=modes),
            CropForegroundd(keys, source_key="image", select_fn=_is_brain, allow_smaller=True),
            NormalizeIntensityd("image", nonzero=True, channel_wise=True),
        ]
    )


def prepare_case(case: Case, convention: Convention, spacing: float = 1.0) -> np.ndarray:
    """Read a case and its label map, and preprocess them.

    Args:
        case: one that has a label map.
        convention: of the label map.
        spacing: side of a voxel in mm.

    Returns:
        H W D 5, float16: the four modalities, and the label map in the values of ``PORTABLE``, which halves hold
        exactly. A patch lies in long runs of bytes, and can be read without the rest.

    Raises:
        BrainMRIError: when a file cannot be read, the files do not fit together, or see :func:`require_answerable`.
    """
    image, affine = read_case(case)
    label = to_portable(read_label(case, convention), convention)
    sample = {
        "image": MetaTensor(torch.from_numpy(image), affine=torch.from_numpy(affine)),
        "label": MetaTensor(torch.from_numpy(label)[None].float(), affine=torch.from_numpy(affine)),
    }
    sample = volume_preprocessing(spacing, label=True)(sample)
    require_answerable(dict(zip(MODALITIES, sample["image"].as_tensor(), strict=True)), case.modalities)
    stacked = torch.cat([sample["image"].as_tensor(), sample["label"].as_tensor()])  # 5 H W D
    return stacked.half().permute(1, 2, 3, 0).contiguous().numpy()


def require_answerable(channels: Mapping[str, Tensor], modalities: Sequence[str]) -> None:
    """
    Args:
        channels: modality → h w d, preprocessed.
        modalities: those that the case has.

    Raises:
        BrainMRIError: when a network has no answer to it, although readers let it pass: no numbers, a modality that is
            empty or the copy of another, hardly any brain.
    """
    for name, channel in channels.items():
        # a channel without variance normalises to 0; the sum of one with a NaN is one
        total = channel.abs().sum()
        if not total.isfinite():
            raise BrainMRIError(f"NaN or infinite values in {name}.\nExport it again, or leave the case out.")
        if total == 0 and name in modalities:
            raise BrainMRIError(
                f"the modality {name} is empty, or has one value alone.\nExport it again, or leave the case out."
            )
    for one, other in combinations(modalities, 2):
        if torch.equal(channels[one], channels[other]):
            raise BrainMRIError(f"{one} and {other} hold the same voxels.\nCopy the right file.")
    brain = max(int((channel != 0).sum()) for channel in channels.values())
    if brain < SMALLEST:
        raise BrainMRIError(
            f"hardly any brain in this case: {brain} voxels are not 0.\n"
            "Look at the images, leave the case out, or give a smaller --spacing."
        )


def load_case(store: ArrayStore, case: Case, convention: Convention, spacing: float = 1.0) -> np.ndarray:
    """A prepared case (see :func:`prepare_case`) as a memory map, prepared now if the store lacks it.

    What label values mean and how the channels of a 4D file are ordered is said by others than the files, and another
    answer is another array.
    """
    return store.get(
        [*case.files, case.label],
        lambda _: prepare_case(case, convention, spacing),
        read_as=f"{dict(convention.labels)} {case.modalities}",
    )


class LoadCased(MapTransform):
    """Load a prepared case as a whole: ``image`` 4 H W D, and ``label`` 1 H W D.

    Args:
        keys: key of the cases.
        store: of prepared cases.
        convention: of the label maps.
        spacing: side of a voxel in mm.
    """

    def __init__(self, keys: KeysCollection, store: ArrayStore, convention: Convention, spacing: float = 1.0) -> None:
        super().__init__(keys)
        self.store = store
        self.convention = convention
        self.spacing = spacing

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            volume = load_case(self.store, data[key], self.convention, self.spacing)
            image = torch.from_numpy(volume).permute(3, 0, 1, 2).float()
            data[key], data["label"] = image[:4], image[4:]
        return data


class LoadPatchd(RandomizableTransform, LoadCased):
    """Cut a patch from a prepared case, reading little more from the disk than the patch.

    MONAI's ``RandCropByPosNegLabeld`` looks at the whole label map in each epoch.

    Args:
        keys: key of the cases; it becomes the image, C *size*, and ``label`` the label map, 1 *size*.
        store: of prepared cases.
        convention: of the label maps.
        size: of the patch, in voxels. A smaller case is padded with background.
        tumour: share of patches around a voxel of tumour; the tissue is drawn first, so that a small one counts as much
            as a large one. The others lie anywhere in the brain's box.
        spacing: side of a voxel in mm.
        divisible: voxels of the patch along a side that become one at the deepest level of the network; its norms need
            more than one voxel there.
    """

    KEPT = 1000  # voxels of each tissue that a patch may lie around; more would cost memory and add nothing

    def __init__(
        self,
        keys: KeysCollection,
        store: ArrayStore,
        convention: Convention,
        size: Sequence[int],
        tumour: float = 0.67,
        spacing: float = 1.0,
        divisible: int = 8,
    ) -> None:
        LoadCased.__init__(self, keys, store, convention, spacing)
        RandomizableTransform.__init__(self)
        if any(side % divisible for side in size) or max(size) < 2 * divisible:
            raise BrainMRIError(
                f"the patch {tuple(size)} does not fit this network.\n"
                f"Give --patch_size with sides that {divisible} divides, one of them from {2 * divisible}."
            )
        self.size = tuple(size)
        self.tumour = tumour
        self.centres: dict[str, list[np.ndarray]] = {}  # id of a case → N 3 of each tissue

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            case: Case = data[key]
            volume = load_case(self.store, case, self.convention, self.spacing)
            patch = self._cut(volume, self._corner(case, volume))
            data[key], data["label"] = patch[:4], patch[4:]
        return data

    def _corner(self, case: Case, volume: np.ndarray) -> list[int]:
        """Where the patch begins."""
        room = [max(side - n, 0) for side, n in zip(volume.shape[:3], self.size, strict=True)]
        tissues = self.centres.get(case.id)
        if tissues is None:
            tissues = self.centres[case.id] = self._find(volume[..., 4])
        if not tissues or self.R.random() >= self.tumour:
            return [int(self.R.randint(n + 1)) for n in room]
        voxels = tissues[self.R.randint(len(tissues))]
        centre = voxels[self.R.randint(len(voxels))]
        # anywhere around the voxel, or the network would learn that tumours lie in the middle
        moved = [int(c) - int(self.R.randint(n // 4, n - n // 4)) for c, n in zip(centre, self.size, strict=True)]
        return [min(max(corner, 0), n) for corner, n in zip(moved, room, strict=True)]

    def _find(self, label: np.ndarray) -> list[np.ndarray]:
        found = []
        for value in np.unique(label[label != 0]):
            voxels = np.argwhere(label == value).astype(np.int16)
            found.append(voxels[:: max(len(voxels) // self.KEPT, 1)])
        return found

    def _cut(self, volume: np.ndarray, corner: Sequence[int]) -> Tensor:
        """5 *size*, float32, laid out with the channels last."""
        cut = volume[tuple(slice(start, start + n) for start, n in zip(corner, self.size, strict=True))]
        patch = torch.zeros(*self.size, cut.shape[3])
        patch[tuple(slice(n) for n in cut.shape[:3])] = torch.from_numpy(np.ascontiguousarray(cut)).float()
        return patch.permute(3, 0, 1, 2)


class ToRegionsd(MapTransform):
    """Portable label maps 1 H W D → regions R H W D, which overlap.

    MONAI's ``ConvertToMultiChannelBasedOnBratsClassesd`` takes 4 for enhancing tumour; here it is a resection cavity.

    Args:
        keys: keys of the label maps.
        regions: names in ``REGIONS``.

    Raises:
        BrainMRIError: when there is no such region.
    """

    def __init__(self, keys: KeysCollection, regions: Sequence[str] = ("TC", "WT", "ET")) -> None:
        super().__init__(keys)
        require_regions(regions)
        self.values = [torch.tensor(REGIONS[region]) for region in regions]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        for key in self.key_iterator(data):
            data[key] = torch.cat([torch.isin(data[key], values.to(data[key])) for values in self.values]).float()
        return data


class ModalityDropoutd(RandomizableTransform, MapTransform):
    """Set modalities to 0, as where they were not acquired; one of those that are there stays at least.

    Args:
        keys: keys of images C H W D.
        prob: of each modality to be dropped.
    """

    def __init__(self, keys: KeysCollection, prob: float = 0.0) -> None:
        MapTransform.__init__(self, keys)
        RandomizableTransform.__init__(self)
        self.probability = prob

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        dropped = self.R.random(len(MODALITIES)) < self.probability
        stays = self.R.random(len(MODALITIES))
        for key in self.key_iterator(data) if dropped.any() else ():
            there = np.flatnonzero(data[key].flatten(1).any(dim=1).cpu().numpy())
            gone = dropped.copy()
            if len(there) and gone[there].all():
                gone[there[stays[there].argmax()]] = False
            data[key] = data[key].clone()
            data[key][torch.from_numpy(gone)] = 0
        return data


def _is_brain(image: Tensor) -> Tensor:
    return image != 0
