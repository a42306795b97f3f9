"""Generated brains with tumours that look like the real thing: for demos, tests and benchmarks."""

from __future__ import annotations

from brainmri_monai.data.phantom.patients import generate_patients
from brainmri_monai.data.phantom.volumes import generate_volumes

__all__ = ["generate_patients", "generate_volumes"]
