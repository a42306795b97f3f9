"""How a run goes."""

from brainmri_monai.engines.averaging import WeightAverage
from brainmri_monai.engines.checkpoint import TrainingRecord
from brainmri_monai.engines.clipping import GradientClip
from brainmri_monai.engines.collect import Collect
from brainmri_monai.engines.loading import ThreadLoader
from brainmri_monai.engines.options import require_size
from brainmri_monai.engines.overfit import few_samples, require_overfit
from brainmri_monai.engines.patients.bags import EmbeddedDataset, collate_bags
from brainmri_monai.engines.patients.evaluation import TwoStepEvaluation
from brainmri_monai.engines.patients.inference import SaveExplained, SavePredictions
from brainmri_monai.engines.patients.patients import CaseStream, slice_store, tested_patients, training_patients
from brainmri_monai.engines.patients.prediction import BagPrediction
from brainmri_monai.engines.patients.validation import TwoStepScores
from brainmri_monai.engines.precision import PrecisionInferer, choose_precision
from brainmri_monai.engines.progress import Progress
from brainmri_monai.engines.run_folder import RunFolder, default_output_dir
from brainmri_monai.engines.seeding import EpochSeed
from brainmri_monai.engines.shipped_weights import ShippedWeights
from brainmri_monai.engines.slices.datalists import tested_slices, training_slices
from brainmri_monai.engines.slices.dataset import EmbeddedSlices, SliceBatches, as_it_is
from brainmri_monai.engines.slices.evaluation import SliceEvaluation
from brainmri_monai.engines.slices.inference import SavePortableSlices, SaveSlices, SliceStream
from brainmri_monai.engines.slices.prediction import SlicePrediction
from brainmri_monai.engines.slices.reading import picture_store
from brainmri_monai.engines.slices.validation import SliceScores, SliceTrainingScores
from brainmri_monai.engines.volumes.calibration import VolumeCalibration
from brainmri_monai.engines.volumes.cases import training_cases, volume_store
from brainmri_monai.engines.volumes.evaluation import VolumeEvaluation
from brainmri_monai.engines.volumes.inferer import VolumeInferer
from brainmri_monai.engines.volumes.labelled import LabelledVolumes
from brainmri_monai.engines.volumes.prediction import VolumePrediction
from brainmri_monai.engines.volumes.results import VolumeResults
from brainmri_monai.engines.volumes.saving import SaveVolumes
from brainmri_monai.engines.volumes.scores import VolumeScores
from brainmri_monai.engines.volumes.stream import VolumeStream
from brainmri_monai.engines.volumes.tested_cases import tested_cases
from brainmri_monai.engines.volumes.validation import RegionScores
from brainmri_monai.engines.weights import load_encoder, load_network, load_networks, load_published, load_weights

__all__ = [
    "BagPrediction",
    "CaseStream",
    "Collect",
    "EmbeddedDataset",
    "EmbeddedSlices",
    "EpochSeed",
    "GradientClip",
    "LabelledVolumes",
    "PrecisionInferer",
    "Progress",
    "RegionScores",
    "RunFolder",
    "SaveExplained",
    "SavePortableSlices",
    "SavePredictions",
    "SaveSlices",
    "SaveVolumes",
    "ShippedWeights",
    "SliceBatches",
    "SliceEvaluation",
    "SlicePrediction",
    "SliceScores",
    "SliceStream",
    "SliceTrainingScores",
    "ThreadLoader",
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
    "as_it_is",
    "choose_precision",
    "collate_bags",
    "default_output_dir",
    "few_samples",
    "load_encoder",
    "load_network",
    "load_networks",
    "load_published",
    "load_weights",
    "picture_store",
    "require_overfit",
    "require_size",
    "slice_store",
    "tested_cases",
    "tested_patients",
    "tested_slices",
    "training_cases",
    "training_patients",
    "training_slices",
    "volume_store",
]
