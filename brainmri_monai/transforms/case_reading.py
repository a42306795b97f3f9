"""The fast way from a case's files to one tensor."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import MetaKeys

from brainmri_monai.data.brats.volumes import read_case

__all__ = ["ReadCased"]


class ReadCased(MapTransform):
    """The ``case`` of a sample → its four modalities C H W D, read on all cores, in the order of ``MODALITIES``.

    It takes the place of MONAI's ``LoadImaged``, which reads one file after the other and makes float64 of them.

    Args:
        keys: where the image goes.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        data = dict(data)
        voxels, affine = read_case(data.pop("case"))
        data.pop("channels", None)  # the reader has ordered them
        for key in self.keys:
            meta = {
                MetaKeys.ORIGINAL_CHANNEL_DIM: 0,
                MetaKeys.ORIGINAL_AFFINE: affine,
                MetaKeys.SPATIAL_SHAPE: voxels.shape[1:],
            }
            data[key] = MetaTensor(torch.from_numpy(voxels), affine=torch.from_numpy(affine), meta=meta)
        return data
