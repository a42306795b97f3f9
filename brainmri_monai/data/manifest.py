"""A table that lists patients: a CSV file with the columns patient, type, grade and path."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from brainmri_monai.errors import BrainMRIError

__all__ = ["Row", "find_manifest", "read_header", "read_manifest", "read_rows"]


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
        BrainMRIError: when it lacks a column, is not UTF-8 text, or has a quotation mark that is not closed.
    """
    delimiter, columns = read_header(table)
    if _missing(columns):
        expected, found = ",".join(Row._fields[1:]), delimiter.join(columns)
        raise BrainMRIError(
            f"expected the columns {expected}, found {found}\n{table}\nName the columns in the first line."
        )
    try:
        for line, cells in read_rows(table, delimiter):
            row = dict(zip(columns, cells, strict=False))
            if any(row.values()):
                found = Row(line, *(row.get(column, "") for column in Row._fields[1:]))
                if any("\n" in cell for cell in found[1:]):
                    raise _open_quote(line, table, "a cell goes on in the next line")
                yield found
    except UnicodeError as error:
        raise BrainMRIError(f"the table is not UTF-8 text: {error}\n{table}\nSave it again as CSV UTF-8.") from error


def read_rows(table: Path, delimiter: str, errors: str = "strict") -> Iterator[tuple[int, list[str]]]:
    """Give the rows below the first: the line that each begins in, from 1, and its cells.

    Args:
        table: UTF-8, or UTF-16 with its mark.
        delimiter: see :func:`read_header`.
        errors: what is done with bytes that are no text, as for ``open``.

    Raises:
        BrainMRIError: for a quotation mark that is not closed.
        UnicodeError: when it is no such text, and ``errors`` is ``strict``.
    """
    line = 1
    with open(table, encoding=_encoding(table), errors=errors, newline="") as stream:
        reader = csv.reader(stream, delimiter=delimiter, strict=True)
        try:
            next(reader, None)
            line = reader.line_num + 1
            for cells in reader:
                yield line, [cell.strip() for cell in cells]
                line = reader.line_num + 1
        except csv.Error as error:
            raise _open_quote(line, table, str(error)) from error


def read_header(table: Path) -> tuple[str, list[str]]:
    """Give the delimiter, a comma or (as spreadsheets write it too) a semicolon or tab, and the columns."""
    with open(table, encoding=_encoding(table), errors="replace") as stream:
        first = stream.readline()
    delimiter = max(",;\t", key=first.count)
    return delimiter, [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]


def _encoding(table: Path) -> str:
    """UTF-8, or UTF-16 where the file begins with its mark, as in the "Unicode text" of spreadsheets."""
    with open(table, "rb") as stream:
        return "utf-16" if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _open_quote(line: int, table: Path, why: str) -> BrainMRIError:
    return BrainMRIError(f'a quotation mark is open at the end of line {line}: {why}\n{table}\nClose or remove the ".')


def _missing(columns: list[str]) -> set[str]:
    return {*Row._fields[1:]} - {*columns}
