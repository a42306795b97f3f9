"""Networks that MONAI lacks."""

from brainmri_monai.networks.mobilenet_v2 import MobileNetV2
from brainmri_monai.networks.pooling import AttentionPool, GatedAttentionPool, MaxPool, MeanPool, TransformerPool
from brainmri_monai.networks.region_network import RegionNetwork
from brainmri_monai.networks.small_cnn import SmallCNN
from brainmri_monai.networks.two_step_mil import NUM_GRADES, TwoStepHead, TwoStepMIL

__all__ = [
    "NUM_GRADES",
    "AttentionPool",
    "GatedAttentionPool",
    "MaxPool",
    "MeanPool",
    "MobileNetV2",
    "RegionNetwork",
    "SmallCNN",
    "TransformerPool",
    "TwoStepHead",
    "TwoStepMIL",
]
