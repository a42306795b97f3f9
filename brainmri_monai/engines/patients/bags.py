"""Batches of bags: padding, mask, and features that are computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from brainmri_monai.engines.precision import PrecisionInferer
from brainmri_monai.engines.progress import progress_bar

__all__ = ["EmbeddedDataset", "collate_bags"]


def collate_bags(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Batch bags of different sizes, padded with zeros at the end.

    MONAI's ``pad_list_data_collate`` pads too, but makes no mask.

    Args:
        samples: each with ``id``, ``image``, a bag whose last axis is its N slices (C H W N, or F N once embedded),
            and ``label`` where it is known.

    Returns:
        ``id``, a list; ``image``, B … N; ``mask``, B N, True where a slice exists; ``label``, B 2.
    """
    images = [torch.as_tensor(sample["image"]) for sample in samples]
    longest = max(image.shape[-1] for image in images)
    # slices first and channels last in memory: a slice then lies as the convolutions want it
    batch = images[0].new_zeros(len(images), longest, *images[0].shape[1:-1], images[0].shape[0])  # B N (H W) C
    mask = torch.zeros(len(images), longest, dtype=torch.bool)
    for image, row, exists in zip(images, batch, mask, strict=True):
        n = image.shape[-1]
        row[:n] = image.movedim(-1, 0).movedim(1, -1)
        exists[:n] = True
    collated = {"id": [sample["id"] for sample in samples], "image": batch.movedim(-1, 1).movedim(2, -1), "mask": mask}
    if "label" in samples[0]:
        collated["label"] = torch.tensor([sample["label"] for sample in samples])
    return collated


class EmbeddedDataset(Dataset):
    """The vectors of a data set's slices, computed once by an encoder that stays as it is.

    Each sample's ``image`` becomes F N; ``transform`` may choose among its slices anew in each epoch.

    Args:
        data: data set of bags whose ``image`` is C H W N, all slices, without augmentation.
        encoder: maps slices M C H W to vectors M F; it is put into evaluation mode, and its gradients are turned off.
        inferer: decides the precision.
        device: where the encoder runs.
        transform: applied to each sample each time it is taken, such as ``SelectSlicesd``.
        chunk: slices that are encoded at once.
    """

    def __init__(
        self,
        data: Dataset,
        encoder: nn.Module,
        inferer: PrecisionInferer,
        device: str | torch.device,
        transform: Any = None,
        chunk: int = 64,
    ) -> None:
        encoder.eval().requires_grad_(False)
        self.samples = []
        bar = progress_bar(len(data), "embedding", "patients")
        for i in range(len(data)):
            sample = dict(data[i])
            slices = sample["image"].movedim(-1, 0)  # N C H W
            with torch.inference_mode():
                parts = [inferer(part.to(device), encoder) for part in slices.split(chunk)]
            sample["image"] = torch.cat(parts).T.cpu().clone()  # F N
            self.samples.append(sample)
            bar.update()
        bar.close()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = self.samples[index]
        return self.transform(sample) if self.transform is not None else sample
