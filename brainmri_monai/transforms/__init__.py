"""Dictionary transforms that MONAI lacks."""

from brainmri_monai.transforms.slices import BAG_POLICIES, LoadSlicesd, SelectSlicesd, prepare_slices

__all__ = ["BAG_POLICIES", "LoadSlicesd", "SelectSlicesd", "prepare_slices"]
