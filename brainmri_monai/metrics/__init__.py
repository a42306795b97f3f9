"""Metrics that MONAI lacks."""

from brainmri_monai.metrics.bootstrap import bootstrap, paired_bootstrap
from brainmri_monai.metrics.calibration import brier_score, expected_calibration_error, fit_temperature
from brainmri_monai.metrics.classification import class_scores, confusion_matrix, overall_scores
from brainmri_monai.metrics.lesionwise import lesionwise_scores
from brainmri_monai.metrics.ranking import average_precision, roc_auc
from brainmri_monai.metrics.regions import region_scores
from brainmri_monai.metrics.selective import (
    Abstention,
    RiskCoverage,
    area_under_risk_coverage,
    confidence_for_risk,
    excess_area,
    risk_bound,
    risk_coverage,
)
from brainmri_monai.metrics.two_step import GRADES, Answers, score, statistics

__all__ = [
    "GRADES",
    "Abstention",
    "Answers",
    "RiskCoverage",
    "area_under_risk_coverage",
    "average_precision",
    "bootstrap",
    "brier_score",
    "class_scores",
    "confidence_for_risk",
    "confusion_matrix",
    "excess_area",
    "expected_calibration_error",
    "fit_temperature",
    "lesionwise_scores",
    "overall_scores",
    "paired_bootstrap",
    "region_scores",
    "risk_bound",
    "risk_coverage",
    "roc_auc",
    "score",
    "statistics",
]
