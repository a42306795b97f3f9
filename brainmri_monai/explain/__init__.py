"""Arrays that explain an answer."""

from brainmri_monai.explain.attention_rollout import attention_rollout
from brainmri_monai.explain.grad_cam import convolutions, grad_cam, layer_maps
from brainmri_monai.explain.maps import enlarge, mass_share
from brainmri_monai.explain.occlusion import occlusion
from brainmri_monai.explain.places import Place, layer_places
from brainmri_monai.explain.randomisation import cascading_randomisation
from brainmri_monai.explain.uncertainty import MonteCarloDropout

__all__ = [
    "MonteCarloDropout",
    "Place",
    "attention_rollout",
    "cascading_randomisation",
    "convolutions",
    "enlarge",
    "grad_cam",
    "layer_maps",
    "layer_places",
    "mass_share",
    "occlusion",
]
