"""Arrays → figures → one HTML page."""

from brainmri_monai.report.drawing import draw_answers, log_options, report_run
from brainmri_monai.report.figures import plot_overlay
from brainmri_monai.report.page import write_comparison_report, write_report
from brainmri_monai.report.slice_maps import explain_answers
from brainmri_monai.report.slice_page import write_slice_report
from brainmri_monai.report.slices import report_slices
from brainmri_monai.report.volume_page import write_volume_report
from brainmri_monai.report.volumes import report_volumes

__all__ = [
    "draw_answers",
    "explain_answers",
    "log_options",
    "plot_overlay",
    "report_run",
    "report_slices",
    "report_volumes",
    "write_comparison_report",
    "write_report",
    "write_slice_report",
    "write_volume_report",
]
