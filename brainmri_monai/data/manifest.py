"""A table that lists patients: a CSV file with the columns patient, type, grade and path."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from brainmri_monai.errors import BrainMRIError

__all__ = ["Row", "find_manifest", "read_header", "read_manifest"]


class Row(NamedTuple):
    """One patient of a table, as written there; ``line`` counts from 1, the header included."""

    line: int
    patient: str
    type: str
    grade: str
    path: str


def find_manifest(files: Sequence[Path]) -> Path | None:
    """Find the one CSV file that has the columns of a manifest.

    Raises:
        BrainMRIError: when there are several.
    """
    tables = [f for f in files if f.suffix.lower() == ".csv" and f.is_file() and not _missing(read_header(f)[1])]
    if len(tables) > 1:
        names = ", ".join(repr(table.name) for table in tables)
        raise BrainMRIError(
            f"expected one table of patients, found {names}\n{tables[0].parent}\nName the table, not its folder."
        )
    return tables[0] if tables else None


def read_manifest(table: Path) -> Iterator[Row]:
    """Read the rows that are not empty; columns may stand in any order, beside others.

    Raises:
        BrainMRIError: when it lacks a column or is not UTF-8 text.
    """
    delimiter, columns = read_header(table)
    if _missing(columns):
        expected, found = ",".join(Row._fields[1:]), delimiter.join(columns)
        raise BrainMRIError(
            f"expected the columns {expected}, found {found}\n{table}\nName the columns in the first line."
        )
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BrainMRIError(f"the table is not UTF-8 text: {error}\n{table}\nSave it again as CSV UTF-8.") from error
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    next(reader)
    for cells in reader:
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        if any(row.values()):
            yield Row(reader.line_num, *(row.get(column, "") for column in Row._fields[1:]))


def read_header(table: Path) -> tuple[str, list[str]]:
    """Give the delimiter, a comma or (as spreadsheets write it in much of Europe) a semicolon, and the columns."""
    with open(table, encoding="utf-8-sig", errors="replace") as stream:
        first = stream.readline()
    delimiter = ";" if first.count(";") > first.count(",") else ","
    return delimiter, [name.strip().strip('"').lower() for name in first.split(delimiter)]


def _missing(columns: list[str]) -> set[str]:
    return {*Row._fields[1:]} - {*columns}
