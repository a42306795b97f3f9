"""Losses that MONAI lacks."""

from brainmri_monai.losses.regions import RegionLoss
from brainmri_monai.losses.two_step import TwoStepLoss

__all__ = ["RegionLoss", "TwoStepLoss"]
