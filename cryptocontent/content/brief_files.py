"""Files of briefs: CSV and XLSX read into rows of cells, with the place of everything that is wrong.

What comes in is not trusted: size, rows, columns, the unpacked size of an XLSX and its XML are bounded, and
formulas are refused, for nobody here computes them. Which columns mean what is `briefs`' business.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from cryptocontent.content.templates import TemplateError

MAX_BYTES = 20_000_000
"""Bytes that a file may have."""
MAX_UNPACKED = 60_000_000
"""Bytes that the parts of an XLSX file may have when they are unpacked."""
MAX_ROWS = 10_000
"""Briefs that one import may hold."""
MAX_COLUMNS = 200
"""Columns that a file may have."""
MAX_CELL = 20_000
"""Characters that a cell may have."""
SHEET = "briefs"
"""The sheet of an XLSX file that is read; without one of this name it is the first."""

_MAX_PARTS = 500
# Rows without content below the last brief: spreadsheets keep them once they were formatted.
_MAX_EMPTY_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row was refused. `line` counts from 1 and includes the header (0: no line in particular); in
    an XLSX file it is the number of the row."""

    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        place = f"line {self.line}, " if self.line else ""
        return f"{place}{self.column}={self.value!r}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row that has content: its line, and its cells by column (text from CSV; text, numbers, dates or
    truth values from XLSX). Empty cells are left out."""

    line: int
    cells: dict[str, Any]


@dataclass(slots=True)
class Table:
    """What a file holds: its columns in order, its rows, and what is wrong with them so far."""

    header: list[str] = field(default_factory=list)
    header_problems: list[RowProblem] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)


def read_table(data: bytes) -> Table:
    """The rows of a CSV (UTF-8) or XLSX file; which of them it is, its first bytes say. `TemplateError` if
    it can't be read at all."""
    if len(data) > MAX_BYTES:
        raise TemplateError(f"the file has {len(data):,} bytes; at most {MAX_BYTES:,}")
    if data.startswith(b"PK"):
        return _read_xlsx(data)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise TemplateError("the file is an old .xls or has a password; save it as .xlsx or CSV without one")
    return _read_csv(data)


def shown(value: Any) -> str:
    """A cell as a message shows it."""
    text = str(value)
    return text if len(text) <= 100 else f"{text[:99]}…"


# CSV


def _read_csv(data: bytes) -> Table:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TemplateError("the file is not UTF-8 text but UTF-16; save it as CSV UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateError(
            f"the file is not UTF-8 text (line {line}, byte {error.start}); save it as CSV UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise TemplateError(f"line {line}: a zero character; the file is not CSV text")
    return _table(_csv_rows(text), "line")


def _csv_rows(text: str) -> Iterator[tuple[int, list[Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    line = 1
    try:
        for cells in reader:
            yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        # A quote that is never closed runs to the end of the file: the row that it opens in is what helps.
        raise TemplateError(f"line {line}: the row that begins here is no CSV: {error}") from None


def _delimiter(text: str) -> str:
    """Comma, or what a spreadsheet of a country with a decimal comma writes instead."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return "," if "," in header else next((mark for mark in ";\t" if mark in header), ",")


# XLSX


def _read_xlsx(data: bytes) -> Table:
    import openpyxl

    _check_package(data)
    problems: list[RowProblem] = []
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
        try:
            sheets = {sheet.title.strip().casefold(): sheet for sheet in reversed(book.worksheets)}
            if not sheets:
                raise TemplateError("the file has no sheet with cells")
            sheet = sheets.get(SHEET, book.worksheets[0])
            table = _table(_xlsx_rows(sheet, problems), "row")
        finally:
            book.close()
    except TemplateError:
        raise
    except Exception as error:  # a broken file makes openpyxl fail in whatever way it comes to it
        reason = f"{type(error).__name__}: {error}"
        raise TemplateError(f"the file is no sound XLSX workbook ({shown(reason)})") from None
    table.problems += problems
    return table


def _check_package(data: bytes) -> None:
    """Refuse what would unpack to more than it should, before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            parts = package.infolist()
            if len(parts) > _MAX_PARTS:
                raise TemplateError(f"the file has {len(parts):,} parts; at most {_MAX_PARTS:,}")
            # Reading stops at the size that a part states, so what is stated is what counts.
            if (unpacked := sum(part.file_size for part in parts)) > MAX_UNPACKED:
                raise TemplateError(f"the file unpacks to {unpacked:,} bytes; at most {MAX_UNPACKED:,}")
            if "[Content_Types].xml" not in package.namelist():
                raise TemplateError("the file is a ZIP archive, not an XLSX workbook")
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        if isinstance(error, TemplateError):
            raise
        raise TemplateError(f"the file is no sound XLSX workbook: {error}") from None


def _xlsx_rows(sheet: Any, problems: list[RowProblem]) -> Iterator[tuple[int, list[Any]]]:
    empty = 0
    # What a file says of its sheet's size is not to be relied on.
    sheet.reset_dimensions()
    for line, row in enumerate(sheet.iter_rows(max_col=MAX_COLUMNS + 1), 1):
        cells = [_cell(cell, line, sheet.title, problems) for cell in row]
        if all(cell in (None, "") for cell in cells):
            empty += 1
            if empty > _MAX_EMPTY_ROWS:
                raise TemplateError(f"row {line}: the sheet goes on without content; delete its empty rows")
        yield line, cells


def _cell(cell: Any, line: int, sheet: str, problems: list[RowProblem]) -> Any:
    value = cell.value
    if value is None:
        return None
    if cell.data_type in ("f", "e"):
        what = "a formula; paste its value instead" if cell.data_type == "f" else "an error, not a value"
        formula = value if isinstance(value, str) else getattr(value, "text", None) or "{…}"
        problems.append(
            RowProblem(line, f"{sheet}!{cell.coordinate}", shown(formula), f"the cell holds {what}")
        )
        return None
    return value.strip() if isinstance(value, str) else value


# Both


def _table(lines: Iterable[tuple[int, list[Any]]], word: str) -> Table:
    """Rows of cells as a table; the first that has content is the header."""
    table = Table()
    names: list[str] | None = None
    for line, cells in lines:
        while cells and cells[-1] in (None, ""):
            cells.pop()
        if not cells:
            continue
        if len(cells) > MAX_COLUMNS:
            raise TemplateError(f"{word} {line} has more than {MAX_COLUMNS} columns")
        if names is None:
            names = [str("" if cell is None else cell) for cell in cells]
            _check_header(names, line, table)
            continue
        if len(table.rows) >= MAX_ROWS:
            raise TemplateError(f"{word} {line}: the file has more than {MAX_ROWS:,} briefs; split it")
        table.rows.append(_row(line, names, cells, table.problems))
    return table


def _check_header(names: list[str], line: int, table: Table) -> None:
    problems = table.header_problems
    for number, name in enumerate(names):
        if not name:
            problems.append(RowProblem(line, f"column {number + 1}", "", "the column has no name"))
        elif name in names[:number]:
            problems.append(RowProblem(line, name, name, "the column stands twice"))
    table.header = list(dict.fromkeys(name for name in names if name))


def _row(line: int, names: list[str], cells: list[Any], problems: list[RowProblem]) -> Row:
    found: dict[str, Any] = {}
    for name, cell in zip(names, cells, strict=False):
        if isinstance(cell, str) and len(cell) > MAX_CELL:
            reason = f"the cell has {len(cell):,} characters; at most {MAX_CELL:,}"
            problems.append(RowProblem(line, name, shown(cell), reason))
        elif name and name not in found and cell not in (None, ""):
            found[name] = cell
    if len(cells) > len(names):
        beyond = ", ".join(shown(cell) for cell in cells[len(names) :] if cell not in (None, ""))
        reason = f"the row has {len(cells)} cells, the header {len(names)}"
        problems.append(RowProblem(line, "(beyond the header)", beyond, reason))
    return Row(line, found)
