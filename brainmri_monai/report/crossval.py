"""Every fold trained and evaluated, and a report on the out-of-fold predictions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from brainmri_monai.data.bundles import absolute, check_options, config_files, find_bundle
from brainmri_monai.engines.launch import launch
from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json
from brainmri_monai.metrics.table import read_table, write_table
from brainmri_monai.report.kinds import kind_of
from brainmri_monai.report.reading import is_current, is_drawn

__all__ = ["cross_validate"]


def cross_validate(
    bundle: str, output_dir: str | Path, folds: int, overrides: Sequence[str], options: Mapping[str, Any]
) -> Path:
    """Run each fold in ``<output_dir>/fold<k>``, then score all cases by the models that did not see them.

    Called again, it goes on where it was interrupted; a finished one stays as it is.

    Args:
        bundle: its name or folder.
        output_dir: holds the folds, their common store of prepared data, and the report.
        folds: number of folds.
        overrides: configurations laid over the training, by name or path.
        options: of the configuration.

    Returns:
        The path of the report.

    Raises:
        BrainMRIError: for a mistake in the options or the data; or when a fold holds another run.
        SystemExit: with code 1, when a test case failed; the report tells of the others.
    """
    taken = sorted({"fold", "folds", "output_dir", "ckpt_dir"} & options.keys())
    if taken:
        raise BrainMRIError(f"--{taken[0]} is set by crossval itself.\nGive --folds and --output_dir of the whole.")
    if options.get("site") is not None:
        raise BrainMRIError("--site tests on one hospital, crossval on every patient.\nGive one of them.")
    root, output_dir = find_bundle(bundle), Path(output_dir).absolute()
    config_files(root, "evaluate")  # what has no test has no folds: told before the work
    training = config_files(root, "training", overrides)
    check_options(training, options)
    options = {"cache_dir": str(output_dir / "cache"), **absolute(options), "folds": folds}

    for fold in range(folds):
        print(f"--- fold{fold}, {fold + 1} of {folds}", flush=True)
        folder = output_dir / f"fold{fold}"
        own = {**options, "bundle_root": str(root), "fold": fold, "output_dir": str(folder)}
        launch("training", training, own)
        if not _is_evaluated(folder):
            _evaluate(folder)
    page = output_dir / "report.html"
    if is_current(page, (output_dir / f"fold{fold}/report.html" for fold in range(folds))):
        print(f"this cross-validation is finished: {page}")
    else:
        page = report_folds(output_dir, folds)
    if any(kind_of(output_dir / f"fold{fold}")[1].get("failed") for fold in range(folds)):
        sys.exit(1)
    return page


def report_folds(output_dir: Path, folds: int) -> Path:
    """Pool the predictions of evaluated folds into ``metrics_crossval.json``, figures and a report.

    Raises:
        BrainMRIError: when two folds tested the same case.
    """
    folders = [output_dir / f"fold{fold}" for fold in range(folds)]
    tables = [read_table(folder / "test_predictions.csv") for folder in folders]
    table = pd.concat([t.assign(fold=fold) for fold, t in enumerate(tables)], ignore_index=True)
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise BrainMRIError(
            f"{twice.iloc[0]} was tested by two folds of {output_dir}, which were split otherwise.\n"
            "Start over in an empty folder."
        )
    kind, _ = kind_of(folders[0])
    write_json(output_dir / "metrics_crossval.json", kind.pool(folders, table))
    write_table(table, output_dir / "test_predictions.csv")
    page = kind.report(output_dir)
    print(f"cross-validation of {len(table)} cases: {output_dir / 'metrics_crossval.json'}\nreport: {page}")
    return page


def _evaluate(folder: Path) -> None:
    try:
        launch("evaluate", config_files(folder, "evaluate"), {"bundle_root": str(folder)})
    except SystemExit as end:
        if end.code != 1:  # a case failed: the other folds are not to wait for it
            raise


def _is_evaluated(folder: Path) -> bool:
    """Whether the evaluation came to its end, which is the report, after the training."""
    return is_current(folder / "metrics_test.json", [folder / "history.json"]) and is_drawn(folder)
