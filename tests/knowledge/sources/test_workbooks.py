"""Spreadsheets: which become market facts, what the tables of the others look like, and how far they go."""

import csv
import io
import zipfile
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.errors import Refused
from cryptocontent.knowledge.loaders import load_data
from cryptocontent.knowledge.market_facts import COLUMNS
from cryptocontent.knowledge.sources.seam import Document, Facts, Ignored
from cryptocontent.knowledge.sources.workbooks import read_csv, read_workbook
from tests.fakes.google import xlsx

LIMIT = 25_000_000


def read(sheets: dict[str, Any]) -> Document | Facts | Ignored:
    return read_workbook("Book", xlsx(sheets), LIMIT, {"title": "Book"})


def markdown(content: object) -> str:
    assert isinstance(content, Document)
    return content.data.decode()


def test_each_sheet_is_a_table() -> None:
    text = markdown(
        read(
            {
                "Upgrades": [
                    ("Name", "On", "At"),
                    ("London", date(2021, 8, 5), datetime(2021, 8, 5, 12, 33)),
                ],
                "Fees": [(), ("What", "Share"), ("burned", 0.1), ("paid", 3.0), (None, None), ("all", True)],
                "Empty": [],
            }
        )
    )
    assert text == (
        "## Upgrades\n\n| Name | On | At |\n| --- | --- | --- |\n"
        "| London | 2021-08-05 | 2021-08-05 12:33 |\n\n"
        "## Fees\n\n| What | Share |\n| --- | --- |\n| burned | 0.1 |\n| paid | 3 |\n| all | True |"
    )


def test_what_is_cut_is_told() -> None:
    text = markdown(
        read({"Long": [("n",), *((n,) for n in range(1_005))], "Wide": [tuple(f"c{n}" for n in range(45))]})
    )
    assert "The first 1,000 of 1,005 rows are shown." in text and "| 999 |" in text and "| 1000 |" not in text
    assert "The first 40 of 45 columns are shown." in text
    many = markdown(read({f"s{n}": [("a",), (n,)] for n in range(25)}))
    assert "The first 20 of 25 sheets are shown." in many and "## s19" in many and "## s20" not in many


def test_sheets_with_the_header_of_facts_become_facts_in_whatever_order_and_types() -> None:
    header = ("as_of", "asset_id", "metric", "value", "unit", "source")
    content = read(
        {
            "one": [header, (datetime(2026, 3, 2, 12), "bitcoin", "price", 67123.45, "USD", "Desk")],
            "notes": [("anything",), ("else",)],
            "two": [COLUMNS, ("bitcoin", "supply", 19_900_000, "BTC", "Desk", "2026-03-02T12:00:00Z")],
        }
    )
    assert isinstance(content, Facts)
    assert content.csv.decode().splitlines() == [
        ",".join(COLUMNS),
        "bitcoin,price,67123.45,USD,Desk,2026-03-02T12:00:00+00:00",  # a sheet's times know no zone
        "bitcoin,supply,19900000,BTC,Desk,2026-03-02T12:00:00Z",
    ]


def test_hidden_sheets_are_passed_over_and_empty_books_are_no_references() -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.worksheets[0].append(["shown"])
    hidden = book.create_sheet("hidden")
    hidden.append(["secret"])
    hidden.sheet_state = "hidden"
    out = io.BytesIO()
    book.save(out)
    assert "secret" not in markdown(read_workbook("Book", out.getvalue(), LIMIT, {}))
    assert read({"a": [], "b": [(None, "")]}) == Ignored("its sheets are empty")


def test_csv_files_are_read_likewise() -> None:
    table = read_csv("a.csv", '\ufeffName,Note\r\nLondon,"a,\nb"\r\n'.encode(), {})
    assert markdown(table) == "| Name | Note |\n| --- | --- |\n| London | a, b |"
    line = b"bitcoin,price,1,USD,Desk,2026-03-02T12:00:00Z\n"
    assert isinstance(read_csv("f.csv", f"{','.join(COLUMNS)}\n".encode() + line, {}), Facts)


def test_broken_and_swollen_books_are_refused() -> None:
    bomb = io.BytesIO(xlsx({"a": [("x",)]}))
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", b"0" * 30_000_000)
    for data, limit, wrong in (
        (b"no workbook", LIMIT, "not an XLSX workbook"),
        (bomb.getvalue(), 1_000_000, "expands to 30,"),
        (_zip({"a.txt": b"x"}), LIMIT, "broken workbook"),
    ):
        with pytest.raises(Refused, match=wrong):
            read_workbook("Book", data, limit, {})
    for data in (b"\xff\xfe\x00", b'a,b\n"x"y,z\n'):
        with pytest.raises(Refused):
            read_csv("a.csv", data, {})


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12), min_size=1, max_size=4
        ),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_is_in_the_cells_a_table_stays_a_table(rows: list[list[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    content = read_csv("a.csv", text.getvalue().encode(), {"title": "A"})
    if isinstance(content, Document):
        lines = content.data.decode().splitlines()
        bars = {
            len(line.replace("\\\\", "").replace("\\|", "").split("|"))
            for line in lines
            if line.startswith("|")
        }
        assert len(bars) == 1
        assert "<" not in content.data.decode()


def test_a_table_comes_through_the_loader_as_it_is() -> None:
    content = read({"u": [("Name", "Note"), ("a|b", "<script>x</script> *y* [z](http://e.example)")]})
    assert isinstance(content, Document)
    loaded = load_data(content.name, content.data, LIMIT, content.metadata)
    assert loaded.title == "Book" and "a\\|b" in loaded.markdown and "<script>" not in loaded.markdown
