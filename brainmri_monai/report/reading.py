"""What a finished run left on disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainmri_monai.errors import BrainMRIError

__all__ = ["RunFiles", "is_current", "is_drawn", "read_json", "read_run"]

DRAWN = ("run.json", "datalist.json", "history.json", "metrics_test.json", "test_predictions.csv", "attention.csv")


@dataclass(frozen=True)
class RunFiles:
    """The files of a run, or of a cross-validation, parsed; None (or empty) stands for a file that is not there.

    The mappings hold what the files hold: ``run.json``, ``datalist.json``, ``history.json``,
    ``metrics_test.json`` or ``metrics_crossval.json``, and the rows of ``test_predictions.csv``.
    """

    folder: Path
    run: dict[str, Any]
    datalist: dict[str, Any] | None
    history: list[dict[str, float]]
    metrics: dict[str, Any] | None
    predictions: list[dict[str, str]]


def read_run(folder: str | Path) -> RunFiles:
    """Read the run in ``folder``; a cross-validation takes ``run.json`` and ``datalist.json`` from its first fold.

    The times of a cross-validation are those of all its folds.

    Raises:
        BrainMRIError: when no ``run.json`` is there, or a file is no valid JSON.
    """
    folder = Path(folder)
    crossval = read_json(folder / "metrics_crossval.json")
    home = folder if (folder / "run.json").exists() else folder / "fold0"
    run = read_json(home / "run.json")
    if run is None:
        raise BrainMRIError(
            f"expected the files of a run, found no run.json in {folder}\n"
            "Give the output_dir of a training, or the folder of a cross-validation."
        )
    if crossval:
        runs = [read_json(path) for path in folder.glob("fold*/run.json")]
        run["created"] = min(each["created"] for each in runs)
        run["finished"] = None if any(not each["finished"] for each in runs) else max(each["finished"] for each in runs)
        run["seconds"] = sum(each["seconds"] for each in runs)
    return RunFiles(
        folder=folder,
        run=run,
        datalist=read_json(home / "datalist.json"),
        history=read_json(folder / "history.json") or [],
        metrics=crossval or read_json(folder / "metrics_test.json"),
        predictions=_read_csv(folder / "test_predictions.csv"),
    )


def is_drawn(folder: Path) -> bool:
    """Whether the page of a run is newer than all that it shows."""
    return is_current(folder / "report.html", (folder / name for name in DRAWN))


def is_current(made: Path, sources: Iterable[Path]) -> bool:
    """Whether a file is there, and none of its sources that are there is newer."""
    return made.exists() and all(
        source.stat().st_mtime_ns <= made.stat().st_mtime_ns for source in sources if source.exists()
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None when there is none.

    Raises:
        BrainMRIError: when the file is no valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise BrainMRIError(
            f"expected JSON, found {error}\nin {path}\nRestore the file, or run the step that writes it again."
        ) from error


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
