"""Kinds of answers; a new one is a file here and a name in ``KINDS``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.report.kinds.kind import Kind, Score
from brainmri_monai.report.kinds.patients import PATIENTS
from brainmri_monai.report.kinds.slices import SLICES
from brainmri_monai.report.kinds.volumes import VOLUMES
from brainmri_monai.report.reading import read_json

__all__ = ["KINDS", "Kind", "Score", "kind_of"]

KINDS = (PATIENTS, VOLUMES, SLICES)


def kind_of(folder: Path) -> tuple[Kind, dict[str, Any]]:
    """The kind of an evaluated run or cross-validation, and its metrics.

    Raises:
        BrainMRIError: when it is not evaluated, or of none of the kinds.
    """
    metrics = read_json(folder / "metrics_crossval.json") or read_json(folder / "metrics_test.json")
    if metrics is None:
        do = "Evaluate the run first."
        if (folder / "fold0").exists():
            do = "The cross-validation was interrupted: give its command again."
        raise BrainMRIError(f"no metrics_test.json in {folder}.\n{do}")
    kind = next((kind for kind in KINDS if kind.knows(metrics)), None)
    if kind is None:
        raise BrainMRIError(
            f"the metrics in {folder} are of no kind that can be pooled or compared: {', '.join(metrics)}.\n"
            "Evaluate the run again, with the version of the package that is installed."
        )
    return kind, metrics
