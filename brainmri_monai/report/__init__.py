"""Arrays → figures → one HTML page."""

from brainmri_monai.report.drawing import draw_answers, log_options, report_run
from brainmri_monai.report.figures import plot_overlay
from brainmri_monai.report.page import write_comparison_report, write_report

__all__ = ["draw_answers", "log_options", "plot_overlay", "report_run", "write_comparison_report", "write_report"]
