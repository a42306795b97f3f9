"""Dictionary transforms that MONAI lacks."""

from brainmri_monai.transforms.slices import BAG_POLICIES, LoadSlicesd, SelectSlicesd, prepare_slices
from brainmri_monai.transforms.volumes import LoadCased, LoadPatchd, ModalityDropoutd, ToRegionsd, prepare_case

__all__ = [
    "BAG_POLICIES",
    "LoadCased",
    "LoadPatchd",
    "LoadSlicesd",
    "ModalityDropoutd",
    "SelectSlicesd",
    "ToRegionsd",
    "prepare_case",
    "prepare_slices",
]
