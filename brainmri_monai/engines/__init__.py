"""How a run goes."""

from brainmri_monai.engines.averaging import WeightAverage
from brainmri_monai.engines.bags import EmbeddedDataset, collate_bags
from brainmri_monai.engines.cases import training_cases, volume_store
from brainmri_monai.engines.checkpoint import TrainingRecord
from brainmri_monai.engines.clipping import GradientClip
from brainmri_monai.engines.evaluation import TwoStepEvaluation
from brainmri_monai.engines.inference import SaveExplained, SavePredictions
from brainmri_monai.engines.labelled_volumes import LabelledVolumes
from brainmri_monai.engines.overfit import few_samples, require_overfit
from brainmri_monai.engines.patients import CaseStream, slice_store, tested_patients, training_patients
from brainmri_monai.engines.precision import PrecisionInferer, choose_precision
from brainmri_monai.engines.prediction import BagPrediction, Collect
from brainmri_monai.engines.progress import Progress
from brainmri_monai.engines.region_scores import RegionScores
from brainmri_monai.engines.run_folder import RunFolder, default_output_dir
from brainmri_monai.engines.seeding import EpochSeed
from brainmri_monai.engines.tested_cases import tested_cases
from brainmri_monai.engines.validation import TwoStepScores
from brainmri_monai.engines.volume_calibration import VolumeCalibration
from brainmri_monai.engines.volume_evaluation import VolumeEvaluation
from brainmri_monai.engines.volume_inferer import VolumeInferer
from brainmri_monai.engines.volume_prediction import VolumePrediction
from brainmri_monai.engines.volume_results import VolumeResults
from brainmri_monai.engines.volume_saving import SaveVolumes
from brainmri_monai.engines.volume_scores import VolumeScores
from brainmri_monai.engines.volume_stream import VolumeStream
from brainmri_monai.engines.weights import load_encoder, load_network, load_networks, load_published, load_weights

__all__ = [
    "BagPrediction",
    "CaseStream",
    "Collect",
    "EmbeddedDataset",
    "EpochSeed",
    "GradientClip",
    "LabelledVolumes",
    "PrecisionInferer",
    "Progress",
    "RegionScores",
    "RunFolder",
    "SaveExplained",
    "SavePredictions",
    "SaveVolumes",
    "TrainingRecord",
    "TwoStepEvaluation",
    "TwoStepScores",
    "VolumeCalibration",
    "VolumeEvaluation",
    "VolumeInferer",
    "VolumePrediction",
    "VolumeResults",
    "VolumeScores",
    "VolumeStream",
    "WeightAverage",
    "choose_precision",
    "collate_bags",
    "default_output_dir",
    "few_samples",
    "load_encoder",
    "load_network",
    "load_networks",
    "load_published",
    "load_weights",
    "require_overfit",
    "slice_store",
    "tested_cases",
    "tested_patients",
    "training_cases",
    "training_patients",
    "volume_store",
]
