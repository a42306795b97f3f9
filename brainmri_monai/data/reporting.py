"""What the checks of data sets share: how findings are told to people and programs, and the bar while they read."""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from brainmri_monai.data.patients import Problem

__all__ = ["Report", "aligned", "listed", "measure_lines", "problem_lines", "sorted_by_severity", "tally", "with_bar"]

T = TypeVar("T")

_EXAMPLES = 3  # problems of one kind that the table shows


@dataclass(frozen=True)
class Report:
    """What a data set is, and what is wrong with it; a kind of data set adds its ``facts`` and ``table``.

    Args:
        root: its folder.
        problems: all that was found; errors first.
    """

    root: Path
    problems: list[Problem]

    @property
    def exit_code(self) -> int:
        """1 when there is an error, 0 when there are warnings alone or nothing."""
        return int(any(problem.severity == "error" for problem in self.problems))

    def to_json(self) -> str:
        """For programs: the facts, the problems and the exit code."""
        content = {**self.facts, "problems": [asdict(p) for p in self.problems], "exit_code": self.exit_code}
        return json.dumps(content, indent=2, ensure_ascii=False)


def with_bar(readings: Iterable[T], total: int, unit: str) -> Iterable[T]:
    """Show how far it is; without a terminal, a line a minute."""
    from tqdm import tqdm

    quiet = 0.0 if sys.stderr.isatty() else 60.0  # without a terminal, a line a minute
    intervals = {"delay": quiet, "mininterval": quiet or 0.1, "maxinterval": quiet or 10.0}
    return tqdm(readings, "reading", total, unit=f" {unit}", leave=False, **intervals)


def tally(values: Iterable[str]) -> dict[str, int]:
    """Count values, the most frequent first."""
    return dict(Counter(values).most_common())


def listed(tally: dict[str, int], unit: str) -> str:
    """Write a tally in one line: a single value alone, else the most frequent ones with their numbers."""
    if len(tally) < 2:
        return "".join(tally)
    shown = [f"{value} ({count} {unit})" for value, count in list(tally.items())[:_EXAMPLES]]
    rest = len(tally) - len(shown)
    return ", ".join(shown) + (f", and {rest} others" if rest else "")


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Give the lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def measure_lines(measures: Mapping[str, str]) -> list[str]:
    """Align names and values; what is empty is left out."""
    width = max(map(len, measures))
    return [f"{name:<{width}}  {value}" for name, value in measures.items() if value]


def sorted_by_severity(problems: Iterable[Problem]) -> list[Problem]:
    """Put the errors first."""
    return sorted(problems, key=lambda problem: problem.severity)


def problem_lines(problems: Sequence[Problem]) -> list[str]:
    """Write problems by kind, which is what to do about them: the first examples, how many more, the remedy."""
    kinds: dict[tuple[str, str], list[Problem]] = defaultdict(list)
    for problem in problems:
        kinds[problem.severity, problem.remedy].append(problem)
    lines = []
    for (severity, remedy), alike in kinds.items():
        texts = [f"{problem.where}: {problem.what}" for problem in alike[:_EXAMPLES]]
        if len(alike) > _EXAMPLES:
            texts.append(f"and {len(alike) - _EXAMPLES} more: --json lists all")
        lines += ["", f"{severity:<7}  {texts[0]}", *(f"{'':<9}{text}" for text in [*texts[1:], f"-> {remedy}"])]
    totals = Counter(problem.severity for problem in problems)
    counted = (
        f"{totals[severity] or 'no'} {severity}{'' if totals[severity] == 1 else 's'}"
        for severity in ("error", "warning")
    )
    return [*lines, "", ", ".join(counted)]
