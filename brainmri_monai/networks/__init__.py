"""Networks that MONAI lacks."""

from brainmri_monai.networks.alexnet128 import AlexNet128
from brainmri_monai.networks.cnn256 import CNN256
from brainmri_monai.networks.custom_cnn import CustomCNN
from brainmri_monai.networks.input_detector import InputDetector
from brainmri_monai.networks.mobilenet_v2 import MobileNetV2
from brainmri_monai.networks.picture_statistics import picture_statistics
from brainmri_monai.networks.pooling import AttentionPool, GatedAttentionPool, MaxPool, MeanPool, TransformerPool
from brainmri_monai.networks.region_network import RegionNetwork
from brainmri_monai.networks.slice_classifier import DECISIONS, SliceClassifier
from brainmri_monai.networks.small_cnn import SmallCNN
from brainmri_monai.networks.two_step_mil import NUM_GRADES, TwoStepHead, TwoStepMIL
from brainmri_monai.networks.vgg16 import VGG16
from brainmri_monai.networks.vision_transformer import VisionTransformer

__all__ = [
    "CNN256",
    "DECISIONS",
    "NUM_GRADES",
    "VGG16",
    "AlexNet128",
    "AttentionPool",
    "CustomCNN",
    "GatedAttentionPool",
    "InputDetector",
    "MaxPool",
    "MeanPool",
    "MobileNetV2",
    "RegionNetwork",
    "SliceClassifier",
    "SmallCNN",
    "TransformerPool",
    "TwoStepHead",
    "TwoStepMIL",
    "VisionTransformer",
    "picture_statistics",
]
