"""Which of the challenge's lesion-wise scores are meant for a case."""

from __future__ import annotations

import re
from collections.abc import Sequence

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.metrics.lesionwise import RULES

__all__ = ["lesionwise_tasks"]

# Convention → task; all others are gliomas before treatment.
TASKS = {
    "brats2024-gli": "GLI-post",
    "brats-met": "MET",
    "brats2025-met": "MET",
    "brats2023-ped": "PED",
    "brats2024-ped": "PED",
    "brats-goat": "GoAT",
    "men-rt": "MEN-RT",
}


def lesionwise_tasks(convention: str, case: str, versions: Sequence[str] | None = None) -> dict[str, str]:
    """Version → the task by whose rules a case is scored.

    Gliomas before treatment are a task of 2023 and 2025, but not of 2024, whose gliomas were treated.

    Args:
        convention: name of the data set's convention.
        case: id, which tells gliomas, meningiomas and the sub-Saharan set of 2023 apart.
        versions: those that are wanted; all that have the task when left out.

    Raises:
        BrainMRIError: when a version that is wanted does not have the task.

    Example:
        >>> lesionwise_tasks("brats2020", "BraTS20_Training_001")
        {'brats2023': 'GLI', 'brats2025': 'GLI'}
    """
    named = re.match(r"BraTS-(MEN|SSA)-\d", case, re.IGNORECASE) if convention == "brats2023" else None
    task = named[1].upper() if named else TASKS.get(convention, "GLI")
    there = [version for version, tasks in RULES.items() if task in tasks]
    if isinstance(versions, str):
        versions = [versions]
    for version in versions or ():
        if version not in there:
            raise BrainMRIError(
                f"there are no lesion-wise scores {version!r} for {task}, which {case} ({convention}) is a case of.\n"
                f"Name some of {', '.join(there)} with --lesionwise."
            )
    return {version: task for version in there if versions is None or version in versions}
