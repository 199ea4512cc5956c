"""Spreadsheets as references: tables in Markdown, or market facts where a sheet has their header."""

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from cryptocontent.errors import Refused
from cryptocontent.knowledge.market_facts import COLUMNS
from cryptocontent.knowledge.sources.seam import Document, Facts, Ignored

MOST_SHEETS, MOST_ROWS, MOST_COLUMNS = 20, 1_000, 40
_MOST_CELL = 1_000
_EXPANSION = 20  # an honest workbook is XML, which packs about tenfold; more is a bomb
_MOST_FACTS = 100_000
Row = Sequence[Any]


def read_workbook(
    name: str, data: bytes, limit: int, metadata: Mapping[str, Any]
) -> Document | Facts | Ignored:
    """An XLSX file. If a sheet has the header of market facts, the facts of all such sheets, and nothing else
    of it; else a document with a table per sheet. `Refused` if it is broken."""
    from openpyxl import load_workbook

    _check(data, limit)
    try:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = {
            sheet.title: sheet.iter_rows(values_only=True)
            for sheet in book.worksheets
            if sheet.sheet_state == "visible"
        }
        return _content(name, sheets, metadata)
    except Refused:
        raise
    except Exception as error:  # openpyxl raises whatever it likes at a broken file
        raise Refused(f"{name} is a broken workbook ({type(error).__name__})") from None


def read_csv(name: str, data: bytes, metadata: Mapping[str, Any]) -> Document | Facts | Ignored:
    """A CSV file in UTF-8, as a workbook with one sheet. `Refused` if it is none."""
    try:
        text = data.decode("utf-8-sig")
        return _content(name, {"": csv.reader(io.StringIO(text, newline=""), strict=True)}, metadata)
    except UnicodeDecodeError as error:
        raise Refused(f"{name} is not UTF-8 text (byte {error.start})") from None
    except csv.Error as error:
        raise Refused(f"{name} is no CSV file: {error}") from None


def _check(data: bytes, limit: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile:
        raise Refused("it is broken: not an XLSX workbook") from None
    if expanded > limit * _EXPANSION:
        raise Refused(f"it expands to {expanded:,} bytes")


def _content(
    name: str, sheets: Mapping[str, Iterable[Row]], metadata: Mapping[str, Any]
) -> Document | Facts | Ignored:
    facts: list[list[str]] = []
    tables: list[str] = []
    for number, (title, rows) in enumerate(sheets.items()):
        filled = (row for row in rows if any(_text(cell) for cell in row))
        header = [_text(cell).strip() for cell in next(filled, ())]
        while header and not header[-1]:
            header.pop()
        if sorted(header) == sorted(COLUMNS):
            facts += _facts(name, header, filled)
        elif header and number < MOST_SHEETS:
            tables.append(_table(title, header, filled))
    if facts:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([list(COLUMNS), *facts])
        return Facts(out.getvalue().encode())
    if not tables:
        return Ignored("its sheets are empty")
    if len(sheets) > MOST_SHEETS:
        tables.append(f"The first {MOST_SHEETS} of {len(sheets)} sheets are shown.")
    return Document(f"{name}.md", "\n\n".join(tables).encode(), dict(metadata))


def _facts(name: str, header: Sequence[str], rows: Iterable[Row]) -> list[list[str]]:
    found: list[list[str]] = []
    for row in rows:
        if len(found) == _MOST_FACTS:
            raise Refused(f"{name}: more than {_MOST_FACTS:,} market facts")
        cells = dict(zip(header, map(_exact, row), strict=False))
        found.append([cells.get(column, "") for column in COLUMNS])
    return found


def _table(title: str, header: Sequence[str], rows: Iterable[Row]) -> str:
    width = min(len(header), MOST_COLUMNS)
    lines = [f"## {_cell(title)}\n"] if title else []
    lines += [_line(header[:width]), _line(["---"] * width)]
    left = 0
    for number, row in enumerate(rows):
        if number < MOST_ROWS:
            cells = [_text(cell) for cell in row[:width]]
            lines.append(_line(cells + [""] * (width - len(cells))))
        else:
            left += 1
    if left:
        lines.append(f"\nThe first {MOST_ROWS:,} of {MOST_ROWS + left:,} rows are shown.")
    if width < len(header):
        lines.append(f"\nThe first {width} of {len(header)} columns are shown.")
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    """Text that Markdown takes as it stands."""
    text = " ".join(text.split())[:_MOST_CELL]
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def _text(value: Any) -> str:
    """A cell for readers: 0.1 as 0.1, 3.0 as 3, dates as in ISO 8601."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        midnight = (value.hour, value.minute, value.second) == (0, 0, 0)
        return value.date().isoformat() if midnight else value.isoformat(" ", "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


def _exact(value: Any) -> str:
    """A cell for programs. A spreadsheet's times know no zone: they are taken as UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).isoformat()
    if isinstance(value, float):
        return repr(value)
    return _text(value)
