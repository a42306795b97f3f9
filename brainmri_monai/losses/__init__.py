"""Losses that MONAI lacks."""

from brainmri_monai.losses.two_step import TwoStepLoss

__all__ = ["TwoStepLoss"]
