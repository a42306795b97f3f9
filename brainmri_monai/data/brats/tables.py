"""Grades and sites from the tables that lie beside the cases, such as ``name_mapping.csv``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from brainmri_monai.data.brats.conventions import CONVENTIONS
from brainmri_monai.data.brats.names import conventions_of, parse_case
from brainmri_monai.data.manifest import read_header, read_rows

__all__ = ["Facts", "key_of", "read_facts"]

_GRADE = re.compile(r"(.*\b)?grade", re.IGNORECASE)
_SITE = re.compile(r"(site|institution|center|centre|hospital)\b.*", re.IGNORECASE)
_OLDER = "_subject_id"  # columns of the ids that a patient has in several years
_UNKNOWN = ("", "na", "n/a", "nan", "none", "unknown", "-")


class Facts(NamedTuple):
    """What the tables say of one case or patient; None where they do not."""

    grade: str | None = None
    site: str | None = None


def key_of(case: str) -> str:
    """Give what two spellings of one id have in common: capitals and leading zeros do not matter."""
    return re.sub(r"\d+", lambda number: str(int(number[0])), case.strip().lower())


def read_facts(tables: Iterable[Path]) -> dict[str, Facts]:
    """Read which grade and site the cases have, from columns of these names beside columns of ids.

    A row of BraTS' ``name_mapping.csv`` names one patient in several years: older ids tell the site of newer ones.
    Tables without such columns, such as ``survival_info.csv``, say nothing here.

    Returns:
        Key of a case or patient (see :func:`key_of`) → facts.
    """
    facts: dict[str, Facts] = {}
    for table in tables:
        delimiter, columns = read_header(table)
        if not any(_GRADE.fullmatch(name) or _SITE.fullmatch(name) or name.endswith(_OLDER) for name in columns):
            continue
        for _, row in read_rows(table, delimiter, errors="replace"):
            if not any(row):
                continue
            cells = dict(zip(columns, row, strict=False))
            told = Facts(_first(cells, _GRADE), _first(cells, _SITE) or _site_of(row))
            for case in [*filter(conventions_of, row)] or row[:1]:  # the ids of a foreign set stand first
                known = facts.get(key_of(case), Facts())
                facts[key_of(case)] = Facts(told.grade or known.grade, told.site or known.site)
    return facts


def _first(cells: dict[str, str], column: re.Pattern[str]) -> str | None:
    """Give the first known value of the columns of such a name."""
    return next((v for name, v in cells.items() if column.fullmatch(name) and v.lower() not in _UNKNOWN), None)


def _site_of(cells: Iterable[str]) -> str | None:
    """Give the site that the newest of a patient's ids tells."""
    order = list(CONVENTIONS)
    known = [
        (order.index(c.name), site) for cell in cells for c in conventions_of(cell) if (site := parse_case(cell).site)
    ]
    return max(known)[1] if known else None
