"""Arrays → PNG files."""

from brainmri_monai.report.figures.agreement import plot_agreement
from brainmri_monai.report.figures.attention import attention_path, plot_attention
from brainmri_monai.report.figures.boxes import plot_boxes
from brainmri_monai.report.figures.case_slices import plot_case_slices
from brainmri_monai.report.figures.comparison import plot_comparison
from brainmri_monai.report.figures.confusion import plot_confusion
from brainmri_monai.report.figures.curves import plot_pr, plot_roc
from brainmri_monai.report.figures.filters import plot_filters
from brainmri_monai.report.figures.grad_cam import plot_grad_cam
from brainmri_monai.report.figures.history import plot_history
from brainmri_monai.report.figures.mistakes import Mistake, plot_mistakes
from brainmri_monai.report.figures.overlay import plot_overlay
from brainmri_monai.report.figures.region_reliability import plot_region_reliability
from brainmri_monai.report.figures.reliability import plot_reliability
from brainmri_monai.report.figures.risk_coverage import plot_risk_coverage

__all__ = [
    "Mistake",
    "attention_path",
    "plot_agreement",
    "plot_attention",
    "plot_boxes",
    "plot_case_slices",
    "plot_comparison",
    "plot_confusion",
    "plot_filters",
    "plot_grad_cam",
    "plot_history",
    "plot_mistakes",
    "plot_overlay",
    "plot_pr",
    "plot_region_reliability",
    "plot_reliability",
    "plot_risk_coverage",
    "plot_roc",
]
