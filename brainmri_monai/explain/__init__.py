"""Arrays that explain an answer."""

from brainmri_monai.explain.uncertainty import MonteCarloDropout

__all__ = ["MonteCarloDropout"]
