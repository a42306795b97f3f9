"""What an inference leaves behind: predictions, explanations, and a word on each case that failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ignite.engine import Engine, Events
from numpy.typing import NDArray

from brainmri_monai.engines.collect import Collect
from brainmri_monai.engines.patients.evaluation import attention_table, prediction_table
from brainmri_monai.engines.patients.patients import CaseStream
from brainmri_monai.engines.patients.prediction import joint_of
from brainmri_monai.files import write_json
from brainmri_monai.metrics.table import to_table, write_table
from brainmri_monai.metrics.two_step import Answers

__all__ = ["SaveExplained", "SavePredictions"]


class SavePredictions:
    """Write ``predictions.csv`` from the portable pipeline, whose postprocessing gives ``log_joint``, T G.

    Args:
        folder: where to.
        types: names of the T types.
        cases: the cases; it keeps those that failed.
        unlearnt: what the network was never taught, ``type`` or ``grade``.
    """

    def __init__(self, folder: str | Path, types: list[str], cases: CaseStream, unlearnt: Sequence[str] = ()) -> None:
        self.folder = Path(folder)
        self.types = types
        self.cases = cases
        self.unlearnt = unlearnt
        self.ids: list[str] = []
        self.joint: list[NDArray] = []

    def attach(self, engine: Engine) -> None:
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        for sample, output in zip(engine.state.batch, engine.state.output, strict=True):  # decollated
            self.ids.append(sample["id"])
            self.joint.append(output["log_joint"].exp().cpu().numpy())

    def finish(self) -> None:
        """Write the table and say what failed.

        Raises:
            SystemExit: with code 1, when a case failed; the results of the others are written.
        """
        table = None
        _remove_earlier(self.folder)
        if self.ids:
            table = to_table(self.ids, _unlabelled(np.stack(self.joint)), self.types, labelled=False)
            write_table(table, self.folder / "predictions.csv")
        _conclude(self.folder, table, self.cases, self.unlearnt)


class SaveExplained:
    """Write ``predictions.csv``, ``predictions.json`` and ``attention.csv``.

    Args:
        folder: where to.
        types: names of the T types.
        cases: the cases; it keeps those that failed.
        collect: attached to the evaluator.
        unlearnt: as for :class:`SavePredictions`.
    """

    def __init__(
        self,
        folder: str | Path,
        types: list[str],
        cases: CaseStream,
        collect: Collect,
        unlearnt: Sequence[str] = (),
    ) -> None:
        self.folder = Path(folder)
        self.types = types
        self.cases = cases
        self.collect = collect
        self.unlearnt = unlearnt

    def finish(self) -> None:
        """Write the files and say what failed.

        Raises:
            SystemExit: with code 1, when a case failed; the results of the others are written.
        """
        table, answers = None, []
        _remove_earlier(self.folder)
        seen = self.collect.predictions
        if seen:
            table = prediction_table(seen, _unlabelled(joint_of(seen)), self.types, labelled=False)
            files = {case.id: [str(file) for file in case.image] for case in self.cases.cases.patients}
            attention = attention_table(seen, files)
            write_table(table, self.folder / "predictions.csv")
            write_table(attention, self.folder / "attention.csv")
            rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records"))
            slices = attention.groupby("id")[["slice", "file", "weight"]]
            weights = {name: rows.to_dict("records") for name, rows in slices}
            answers = [row | {"attention": weights[row["id"]]} for row in rows]
        write_json(self.folder / "predictions.json", {"predictions": answers, "failed": self.cases.failed})
        _conclude(self.folder, table, self.cases, self.unlearnt)


def _unlabelled(joint: NDArray) -> Answers:
    unknown = np.full(len(joint), -1)
    return Answers(joint, unknown, unknown)


def _remove_earlier(folder: Path) -> None:
    """So that no answer of an earlier inference stands beside those of this one, or in their place."""
    for name in ("predictions.csv", "predictions.json", "attention.csv"):
        (folder / name).unlink(missing_ok=True)


def _conclude(folder: Path, table: pd.DataFrame | None, cases: CaseStream, unlearnt: Sequence[str]) -> None:
    if table is not None:
        for row in table.itertuples():
            print(f"{row.id}: {row.pred} ({row.confidence:.2f}), grade {row.grade_pred}")
        print(f"{len(table)} predicted: {folder / 'predictions.csv'}")
        for task in unlearnt:
            print(f"note: this network was never taught the {task}: the {task}s that it answers mean nothing")
    for case, reason in cases.failed.items():
        print(f"failed: {case}: {reason}", file=sys.stderr)
    if cases.failed:
        print(f"{len(cases.failed)} failed, {0 if table is None else len(table)} predicted", file=sys.stderr)
        print("A patient with a broken file gets no answer: restore the file, or remove it.", file=sys.stderr)
        raise SystemExit(1)
