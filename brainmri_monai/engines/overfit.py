"""The sanity check that a network can learn a handful of patients by heart."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from brainmri_monai.data.datalist import Datalist
from brainmri_monai.errors import BrainMRIError

__all__ = ["few_samples", "require_overfit"]

LEARNT = ("val_type_accuracy", "val_grade_teacher_forced_accuracy")


def few_samples(datalist: Datalist, patients: int) -> list[dict[str, Any]]:
    """Training patients with a known grade, taken from the types in turn.

    Raises:
        BrainMRIError: when there are not so many.
    """
    by_type: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for sample in datalist.samples("training"):
        if sample["label"][1] >= 0:
            by_type[sample["label"][0]].append(sample)
    turns = chain.from_iterable(zip_longest(*by_type.values()))
    chosen = [sample for sample in turns if sample is not None][:patients]
    if len(chosen) < patients:
        raise BrainMRIError(
            f"{patients} training patients with a grade are needed for this check, and there are {len(chosen)}.\n"
            f"Give --overfit_patients {len(chosen)} or more data."
        )
    return chosen


def require_overfit(output_dir: str | Path) -> None:
    """Look into ``history.json`` whether type and grade were learnt by heart.

    Raises:
        BrainMRIError: when either accuracy of the last epoch is below 1.
    """
    last = json.loads((Path(output_dir) / "history.json").read_text(encoding="utf-8"))[-1]
    reached = ", ".join(f"{name.removeprefix('val_')} {last[name]:.2f}" for name in LEARNT)
    if any(last[name] < 1 for name in LEARNT):
        raise BrainMRIError(
            f"the network did not learn the patients by heart: {reached} after {last['epoch']} epochs.\n"
            "Labels, loss, learning rate or network may be wrong: look at history.json."
        )
    print(f"learnt by heart: {reached}")
