"""Every fold trained and evaluated, and a report on the out-of-fold predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri_monai.data.bundles import absolute, check_options, config_files, find_bundle
from brainmri_monai.engines.launch import launch
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json
from brainmri_monai.metrics.table import read_table, to_answers, write_table
from brainmri_monai.metrics.two_step import Answers, score, statistics
from brainmri_monai.report.drawing import draw_answers
from brainmri_monai.report.page import write_report
from brainmri_monai.report.reading import read_json

__all__ = ["cross_validate"]


def cross_validate(
    bundle: str, output_dir: str | Path, folds: int, overrides: Sequence[str], options: Mapping[str, Any]
) -> Path:
    """Run each fold in ``<output_dir>/fold<k>``, then score all patients by the models that did not see them.

    Called again, it goes on where it was interrupted. Ranking scores are computed within each fold and averaged, since
    the outputs of different models do not rank together.

    Args:
        bundle: its name or folder.
        output_dir: holds the folds, their common store of slices, and the report.
        folds: number of folds.
        overrides: configurations laid over the training, by name or path.
        options: of the configuration.

    Returns:
        The path of the report.

    Raises:
        BrainMRIError: for a mistake in the options or the data; or when a fold holds another run.
    """
    taken = sorted({"fold", "folds", "output_dir", "ckpt_dir"} & options.keys())
    if taken:
        raise BrainMRIError(f"--{taken[0]} is set by crossval itself.\nGive --folds and --output_dir of the whole.")
    root, output_dir = find_bundle(bundle), Path(output_dir).absolute()
    training = config_files(root, "training", overrides)
    check_options(training, options)
    if not _scores_types(training):
        raise BrainMRIError(
            f"crossval pools answers of type and grade, and {root.name} does not give them.\n"
            "Run its folds one by one: training --fold 0 --output_dir …, then evaluate."
        )
    options = {"cache_dir": str(output_dir / "cache"), **absolute(options), "folds": folds}

    for fold in range(folds):
        print(f"--- fold {fold + 1} of {folds}", flush=True)
        folder = output_dir / f"fold{fold}"
        own = {**options, "bundle_root": str(root), "fold": fold, "output_dir": str(folder)}
        launch("training", training, own)
        if not _is_evaluated(folder):
            launch("evaluate", config_files(folder, "evaluate"), {"bundle_root": str(folder)})
    return report_folds(output_dir, folds)


def report_folds(output_dir: Path, folds: int) -> Path:
    """Pool the predictions of evaluated folds into ``metrics_crossval.json``, figures and a report."""
    folders = [output_dir / f"fold{fold}" for fold in range(folds)]
    types = read_json(folders[0] / "metrics_test.json")["tasks"]["type"]["classes"]
    tables = [read_table(folder / "test_predictions.csv") for folder in folders]
    table = pd.concat([t.assign(fold=fold) for fold, t in enumerate(tables)], ignore_index=True)
    answers = to_answers(table, types)
    metrics = score(answers, types, folds=table["fold"].to_numpy())
    metrics["folds"] = [{"fold": fold, **_by_task(to_answers(t, types))} for fold, t in enumerate(tables)]
    metrics["notes"].append("ranking scores are averages over the folds; the curves pool all out-of-fold predictions")
    write_table(table, output_dir / "test_predictions.csv")
    attention = [pd.read_csv(folder / "attention.csv", dtype={"id": str}) for folder in folders]
    write_table(pd.concat(attention, ignore_index=True), output_dir / "attention.csv")
    write_json(output_dir / "metrics_crossval.json", metrics)
    draw_answers(answers, types, output_dir / "figures")
    page = write_report(output_dir)
    print(f"cross-validation of {len(table)} patients: {output_dir / 'metrics_crossval.json'}\nreport: {page}")
    return page


def _scores_types(training: Sequence[Path]) -> bool:
    """Whether a training tells types of tumour apart, by its options."""
    return any("types" in json.loads(file.read_text(encoding="utf-8")) for file in training)


def _is_evaluated(folder: Path) -> bool:
    """Whether the evaluation came to its end, which is the report, after the training."""
    steps = [folder / name for name in ("history.json", "metrics_test.json", "report.html")]
    if not all(step.exists() for step in steps):
        return False
    times = [step.stat().st_mtime for step in steps]
    return times == sorted(times)


def _by_task(answers: Answers) -> dict[str, dict[str, float | None]]:
    values = statistics(answers)
    return {
        task: {
            name.removeprefix(f"{task}_"): value if value == value else None  # NaN has no JSON
            for name, value in values.items()
            if name.startswith(f"{task}_")
        }
        for task in answers.tasks()
    }
