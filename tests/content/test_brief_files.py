"""Files of briefs are read whole or refused by place; what an editor's spreadsheet does is understood."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor
from cryptocontent.content import brief_files
from cryptocontent.content.brief_files import read_table
from cryptocontent.content.brief_sheets import csv_header, xlsx_header
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateError, TemplateSpec, save_template
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief
from tests.content.test_templates import GOOD

WHO = Actor("test", "t")
OTHER = GOOD | {
    "name": "profile",
    "title": "{{ asset }} in {{ year }}",
    "variables": {
        "asset": {"type": "asset_id", "description": "what it is about"},
        "year": {"type": "number", "min": 2000, "max": 2040, "integer": True},
        "formula": {"type": "enum", "values": ["=1+1", "plain, with a comma"], "default": "=1+1"},
    },
    "sections": [{"heading": "What", "query": "{{ asset }}", "words": {"min": 50, "max": 200}}],
}

CELL = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029"), max_size=30
).map(str.strip)


def workbook(*rows: list[Any], sheet: str = "briefs", change: Callable[[Any], None] | None = None) -> bytes:
    book = Workbook()
    page: Any = book.active
    page.title = sheet
    for row in rows:
        page.append(row)
    if change:
        change(page)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.fixture
def project(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", TemplateSpec.model_validate(GOOD), WHO)
        save_template(session, "p", TemplateSpec.model_validate(OTHER), WHO)
    return engine


# CSV


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=8), st.sampled_from(",;\t"))
def test_a_csv_file_comes_back_as_it_was_written(rows: list[list[str]], delimiter: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    writer.writerows([["template", "topic", "level"], *rows])
    table = read_table(text.getvalue().encode("utf-8-sig"))
    assert (table.header, table.problems, table.header_problems) == (["template", "topic", "level"], [], [])
    names = ("template", "topic", "level")
    wanted = [
        (line, {name: cell for name, cell in zip(names, row, strict=True) if cell})
        for line, row in enumerate(rows, 2)
        if any(row)
    ]
    assert [(row.line, row.cells) for row in table.rows] == wanted


def test_a_row_is_named_by_the_line_that_it_begins_in() -> None:
    table = read_table(b'template,topic\n\na,"two\nlines"\n,,\nb,x\n')
    assert [(row.line, row.cells["template"]) for row in table.rows] == [(3, "a"), (6, "b")]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ("template,topic\na,caf\u00e9\n".encode("latin-1"), r"not UTF-8 text \(line 2"),
        ("template,topic\na,b\n".encode("utf-16"), "UTF-16"),
        (b"template,topic\na,b\0c\n", "line 2: a zero character"),
        (b'template,topic\na,b\nc,"never closed\nd,e\n', "line 3: the row that begins here"),
        (b"template,topic\na,%b\n" % (b"x" * 200_000), "line 2: .*field larger"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old .xls"),
        (b"template" + b",c" * 300 + b"\n", "more than 200 columns"),
        (b"template\n" + b"a\n" * 10_001, "line 10002: .*more than 10,000 briefs"),
        (b"x" * (brief_files.MAX_BYTES + 1), "at most 20,000,000"),
    ],
)
def test_a_file_that_is_no_sound_csv_is_refused_by_line(data: bytes, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        read_table(data)


def test_columns_twice_without_name_and_cells_beyond_them_are_named() -> None:
    table = read_table(b"template,topic,,topic\na,b,c,d,e\nf,g,,,\nlong," + b"x" * 20_001 + b"\n")
    assert [(one.column, one.reason) for one in table.header_problems] == [
        ("column 3", "the column has no name"),
        ("topic", "the column stands twice"),
    ]
    assert [(one.line, one.column) for one in table.problems] == [(2, "(beyond the header)"), (4, "topic")]
    assert table.rows[1].cells == {"template": "f", "topic": "g"}, "empty cells beyond it say nothing"


# XLSX


def test_cells_of_a_workbook_keep_their_types() -> None:
    table = read_table(
        workbook(["template", "year", "due_date", "n"], [None], ["a", 2024, datetime(2027, 1, 2), 1.5])
    )
    assert [(row.line, row.cells) for row in table.rows] == [
        (3, {"template": "a", "year": 2024, "due_date": datetime(2027, 1, 2), "n": 1.5})
    ]


def test_the_sheet_of_briefs_is_read_wherever_it_stands() -> None:
    book = Workbook()
    first: Any = book.active
    first.append(["notes"])
    book.create_sheet("Briefs").append(["template"])
    out = io.BytesIO()
    book.save(out)
    assert read_table(out.getvalue()).header == ["template"]
    assert read_table(workbook(["template"], sheet="anything")).header == ["template"]


def test_formulas_and_errors_are_refused_by_cell_and_the_rest_of_the_row_is_checked(project: Engine) -> None:
    def change(page: Any) -> None:
        page["B2"] = '=HYPERLINK("http://x.example","y")'
        page["C3"].value, page["C3"].data_type = "#N/A", "e"
        page["B4"].data_type = "s"

    data = workbook(
        ["template", "topic", "year"],
        ["explainer", "", "soon"],
        ["explainer", "Fees", 2024],
        ["explainer", "=not a formula", 2025],
        change=change,
    )
    with writing(project) as session:
        report = import_briefs(session, "p", data, WHO, partial=True)
    assert [(one.line, one.column) for one in report.problems] == [
        (2, "briefs!B2"),
        (2, "year"),
        (3, "briefs!C3"),
    ]
    assert "formula" in report.problems[0].reason and "error" in report.problems[2].reason
    assert len(report.created) == 1, "text that begins with = is text"


def test_a_day_with_a_time_and_a_truth_value_are_refused(project: Engine) -> None:
    data = workbook(
        ["template", "topic", "due_date", "keywords"], ["explainer", True, datetime(2027, 1, 2, 3), None]
    )
    with writing(project) as session:
        report = import_briefs(session, "p", data, WHO)
    assert [(one.column, one.value) for one in report.problems] == [
        ("due_date", "2027-01-02 03:00:00"),
        ("topic", "True"),
    ]


def _zip(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, data in parts.items():
            package.writestr(name, data)
    return out.getvalue()


def _with_part(name: str, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(workbook(["template"], ["a"]))) as package:
        parts = {one: package.read(one) for one in package.namelist()}
    return _zip(parts | {name: data})


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY a%d "%b">' % (n, b"&a%b;" % (b"%d" % (n - 1) if n else b"") * 10) for n in range(9))
    + b"]><worksheet><sheetData><row><c><v>&a8;</v></c></row></sheetData></worksheet>"
)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (_zip({"a.txt": b"x"}), "ZIP archive"),
        (b"PK\x03\x04 garbage", "no sound XLSX"),
        (_with_part("xl/media/bomb", bytes(brief_files.MAX_UNPACKED)), "unpacks to"),
        (_zip({f"part{n}": b"" for n in range(600)}), "600 parts"),
        (_with_part("xl/worksheets/sheet1.xml", LAUGHS), "no sound XLSX"),
        (_with_part("xl/worksheets/sheet1.xml", b"<worksheet><sheetData><row>"), "no sound XLSX"),
        (
            _with_part(
                "xl/worksheets/sheet1.xml",
                b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
                b'<row r="999999999"><c r="A999999999"><v>1</v></c></row></sheetData></worksheet>',
            ),
            "goes on without content",
        ),
        (workbook(["template"], *[["a"]] * 10_001), "row 10002: .*more than 10,000"),
        (workbook(["c"] * 201), "more than 200 columns"),
    ],
    ids=["zip", "garbage", "bomb", "parts", "laughs", "cut", "far-row", "rows", "columns"],
)
def test_a_file_that_is_no_sound_workbook_is_refused(data: bytes, complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        read_table(data)


# The files to fill in


def test_the_workbook_to_fill_in_is_importable_when_it_is_filled_in(project: Engine) -> None:
    with reading(project) as session:
        data, header = xlsx_header(session, "p"), csv_header(session, "p")
    book = load_workbook(io.BytesIO(data))
    page = book["briefs"]
    columns = [cell.value for cell in page[1]]
    assert ",".join(map(str, columns)) == header
    rows: list[dict[str, Any]] = [
        {
            "template": "explainer",
            "topic": "Blobs",
            "level": "expert",
            "year": 2024,
            "due_date": date(2027, 1, 2),
        },
        {"template": "profile", "asset": "bitcoin", "year": 2030, "keywords": "btc; halving"},
        {"template": "profile", "asset": "ethereum", "year": 2030, "formula": "plain, with a comma"},
    ]
    for line, row in enumerate(rows, 2):
        for name, value in row.items():
            page.cell(line, columns.index(name) + 1).value = value
    out = io.BytesIO()
    book.save(out)
    with writing(project) as session:
        report = import_briefs(session, "p", out.getvalue(), WHO)
    assert not report.problems and len(report.created) == 3
    with reading(project) as session:
        briefs = {brief.title: brief for brief in session.scalars(select(Brief))}
    assert briefs["Blobs, explained"].due_date == date(2027, 1, 2)
    assert briefs["bitcoin in 2030"].variables == {"asset": "bitcoin", "year": 2030, "formula": "=1+1"}
    assert briefs["bitcoin in 2030"].keywords == ["btc", "halving"]
    assert {brief.origin for brief in briefs.values()} == {"xlsx"}


def test_the_workbook_offers_what_is_allowed_and_explains_each_column(project: Engine) -> None:
    with reading(project) as session:
        book = load_workbook(io.BytesIO(xlsx_header(session, "p")))
    page, lists = book["briefs"], book["lists"]
    letters = {cell.value: cell.column_letter for cell in page[1]}
    offered: dict[str, list[Any]] = {}
    kinds: dict[str, str] = {}
    for rule in page.data_validations.dataValidation:
        name = next(one for one, letter in letters.items() if str(rule.sqref).startswith(f"{letter}2:"))
        kinds[name] = rule.type
        if rule.type == "list":
            place = rule.formula1.split("!")[1].replace("$", "")
            offered[name] = [row[0].value for row in lists[place]] if ":" in place else [lists[place].value]
    assert offered["template"] == ["explainer", "profile"]
    assert offered["priority"] == ["low", "normal", "high"]
    assert offered["level"] == ["new", "expert"]
    assert offered["formula"] == ["=1+1", "plain, with a comma"]
    assert "bitcoin" in offered["asset"]
    assert (kinds["due_date"], kinds["day"], kinds["year"]) == ("date", "date", "decimal")
    assert page.column_dimensions[letters["topic"]].number_format == "@"
    assert page.column_dimensions[letters["due_date"]].number_format == "yyyy-mm-dd"
    assert not [cell for row in lists.iter_rows() for cell in row if cell.data_type == "f"]
    explained = {(row[0], row[1]): row[2:] for row in book["columns"].iter_rows(min_row=2, values_only=True)}
    assert {name for name, _ in explained} == set(letters)
    assert "whole number between 2000 and 2040" in str(explained["year", "profile"][1])
    assert (
        explained["asset", "profile"][0] == "yes" and explained["asset", "profile"][2] == "what it is about"
    )
