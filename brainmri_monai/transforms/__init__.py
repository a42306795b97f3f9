"""Dictionary transforms that MONAI lacks."""

from brainmri_monai.transforms.augmentation import AugmentBatch, MixUpBatch
from brainmri_monai.transforms.case_reading import ReadCased
from brainmri_monai.transforms.components import drop_small_components
from brainmri_monai.transforms.pictures import LoadPictured, prepare_picture
from brainmri_monai.transforms.slices import BAG_POLICIES, LoadSlicesd, SelectSlicesd, prepare_slices
from brainmri_monai.transforms.volumes import (
    LoadCased,
    LoadPatchd,
    ModalityDropoutd,
    ToRegionsd,
    prepare_case,
    region_masks,
    volume_preprocessing,
)

__all__ = [
    "BAG_POLICIES",
    "AugmentBatch",
    "LoadCased",
    "LoadPatchd",
    "LoadPictured",
    "LoadSlicesd",
    "MixUpBatch",
    "ModalityDropoutd",
    "ReadCased",
    "SelectSlicesd",
    "ToRegionsd",
    "drop_small_components",
    "prepare_case",
    "prepare_picture",
    "prepare_slices",
    "region_masks",
    "volume_preprocessing",
]
