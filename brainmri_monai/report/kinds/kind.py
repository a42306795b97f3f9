"""What cross-validations and comparisons must know of a kind of answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainmri_monai.metrics.bootstrap import Statistics

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Kind", "Score"]


@dataclass(frozen=True)
class Score:
    """A number that runs are compared by.

    Args:
        title: as people read it.
        unit: of its values, such as mm; empty for a share between 0 and 1.
    """

    title: str
    unit: str = ""


@dataclass(frozen=True)
class Kind:
    """The answers of a task: how those of several folds are pooled, and those of several runs compared.

    The tables are ``test_predictions.csv``, the metrics ``metrics_test.json`` or ``metrics_crossval.json``.

    Args:
        knows: metrics → whether they are of this kind.
        truth: table → the columns that hold the truth, alike in all runs on the same data.
        scores: table → name → what runs are compared by.
        statistics: table and metrics → what the bootstrap draws from: values of all ``scores`` on some of the units,
            and how many units there are.
        pool: folders of the folds and the table of all of them, with the column ``fold`` → the metrics; may write
            other tables of the folds, pooled, beside it.
        report: folder of a cross-validation, with its table and metrics → figures and page; gives the page.
        unit: what the bootstrap draws.
    """

    knows: Callable[[dict[str, Any]], bool]
    truth: Callable[[pd.DataFrame], list[str]]
    scores: Callable[[pd.DataFrame], dict[str, Score]]
    statistics: Callable[[pd.DataFrame, dict[str, Any]], tuple[Statistics, int]]
    pool: Callable[[Sequence[Path], pd.DataFrame], dict[str, Any]]
    report: Callable[[Path], Path]
    unit: str = "patients"
