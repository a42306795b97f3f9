"""Arrays → figures → one HTML page."""

from brainmri_monai.report.page import write_comparison_report, write_report

__all__ = ["write_comparison_report", "write_report"]
