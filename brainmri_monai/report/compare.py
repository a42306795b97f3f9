"""Runs side by side, on the same patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from brainmri_monai.errors import BrainMRIError
from brainmri_monai.files import write_json
from brainmri_monai.metrics.bootstrap import RESAMPLES, Statistics, bootstrap, note_of_few, paired_bootstrap
from brainmri_monai.metrics.table import read_table
from brainmri_monai.report.kinds import Kind, Score, kind_of
from brainmri_monai.report.page import write_comparison_report

__all__ = ["compare"]


def compare(runs: Sequence[str | Path], output_dir: str | Path) -> Path:
    """Write ``comparison.json`` and ``report.html``: each run's scores, and their differences to the first run's.

    Args:
        runs: folders of evaluated runs or cross-validations, two or more, with the same test cases.
        output_dir: where the files go.

    Returns:
        The path of the report.

    Raises:
        BrainMRIError: when a run is not evaluated, or the runs were tested on other cases or have other answers.
    """
    folders = [Path(run).absolute() for run in runs]
    twice = next((run for run, count in Counter(folder.resolve() for folder in folders).items() if count > 1), None)
    if twice is not None:
        raise BrainMRIError(f"{twice} is given twice.\nGive each run once.")
    kind, every = _kind(folders)
    first, *others = [read_table(folder / "test_predictions.csv") for folder in folders]
    tables = [first]
    for folder, table in zip(folders[1:], others, strict=True):
        _require_same_cases(folders[0], first, folder, table)
        tables.append(table.set_index("id").loc[first["id"]].reset_index())  # whose draws are those of its own report
        _require_same_labels(kind, folders[0], first, folder, tables[-1])
    scores = _common_scores(kind, tables)
    samples = [kind.statistics(table, metrics) for table, metrics in zip(tables, every, strict=True)]
    statistics, units = [_remembered(_only(scores, sample)) for sample, _ in samples], samples[0][1]
    values = [bootstrap(s, units, RESAMPLES) for s in statistics]
    differences = [None, *(paired_bootstrap(statistics[0], s, units, RESAMPLES) for s in statistics[1:])]
    comparison = {
        "runs": [
            {"name": name, "path": str(folder), kind.unit: units}
            for name, folder in zip(_names(folders), folders, strict=True)
        ],
        "metrics": [
            {
                "metric": f"{score.title} ({score.unit})" if score.unit else score.title,
                "unit": score.unit,
                "values": [v[name] for v in values],
                "differences": [d and d[name] for d in differences],
            }
            for name, score in scores.items()
        ],
        kind.unit: units,
        "unit": kind.unit,
        "method": f"paired bootstrap over {kind.unit}, {RESAMPLES} resamples",
        "notes": note_of_few(units, f"of the {kind.unit}", kind.unit),
    }
    output_dir = Path(output_dir)
    write_json(output_dir / "comparison.json", comparison)
    page = write_comparison_report(output_dir)
    print(_table(comparison))
    for note in comparison["notes"]:
        print(f"note: {note}")
    print(f"report: {page}")
    return page


def _kind(folders: Sequence[Path]) -> tuple[Kind, list[dict[str, Any]]]:
    """What the runs answer, which is the same for all, and the metrics of each."""
    kinds, metrics = zip(*map(kind_of, folders), strict=True)
    other = next((folder for folder, kind in zip(folders, kinds, strict=True) if kind is not kinds[0]), None)
    if other is not None:
        raise BrainMRIError(
            f"{folders[0]} and {other} have answers of different kinds.\nCompare runs of bundles for the same task."
        )
    return kinds[0], list(metrics)


def _require_same_cases(first: Path, expected: pd.DataFrame, folder: Path, table: pd.DataFrame) -> None:
    if sorted(expected["id"]) != sorted(table["id"]):
        only = sorted(set(expected["id"]) ^ set(table["id"]))
        raise BrainMRIError(
            f"{first} and {folder} were tested on different cases: {len(expected)} and {len(table)}, "
            f"such as {', '.join(only[:3])}.\nCompare runs of the same split, or cross-validations of the same data."
        )


def _require_same_labels(kind: Kind, first: Path, expected: pd.DataFrame, folder: Path, table: pd.DataFrame) -> None:
    truth = [name for name in kind.truth(expected) if name in table]
    if not truth or not expected[truth].equals(table[truth]):
        raise BrainMRIError(f"{first} and {folder} have different labels.\nEvaluate both on the same data again.")


def _common_scores(kind: Kind, tables: Sequence[pd.DataFrame]) -> dict[str, Score]:
    first, *others = map(kind.scores, tables)
    return {name: score for name, score in first.items() if all(name in other for other in others)}


def _only(names: dict[str, Score], statistics: Statistics) -> Statistics:
    """Without the scores that another run lacks."""

    def chosen_scores(chosen: NDArray) -> dict[str, float]:
        values = statistics(chosen)
        return {name: values[name] for name in names}

    return chosen_scores


def _remembered(statistics: Statistics) -> Statistics:
    """A run's values and its differences to others are of the same draws: each is computed once."""
    known: dict[bytes, dict[str, float]] = {}

    def of_draw(chosen: NDArray) -> dict[str, float]:
        draw = chosen.tobytes()
        if draw not in known:
            known[draw] = statistics(chosen)
        return known[draw]

    return of_draw


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path that tells the runs apart."""
    names = [folder.name for folder in folders]
    return names if len(set(names)) == len(names) else [f"{folder.parent.name}/{folder.name}" for folder in folders]


def _table(comparison: dict[str, Any]) -> str:
    """The comparison for the terminal: a row a metric, a column a run, and the differences to the first."""
    names = [run["name"] for run in comparison["runs"]]
    rows = []
    for metric in comparison["metrics"]:
        row = {"metric": metric["metric"]}
        for name, value, difference in zip(names, metric["values"], metric["differences"], strict=True):
            row[name] = _interval(value)
            if difference is not None:
                row[f"{name} - {names[0]}"] = _interval(difference)
        rows.append(row)
    return pd.DataFrame(rows).to_string(index=False)


def _interval(entry: dict[str, float | None]) -> str:
    if entry["value"] is None:
        return "undefined"
    return f"{entry['value']:.3f}" + (f" [{entry['low']:.3f}, {entry['high']:.3f}]" if entry["low"] is not None else "")
