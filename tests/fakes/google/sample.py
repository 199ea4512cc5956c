"""Documents for tests, and a folder for people who try the import."""

import io
import zipfile
from collections.abc import Sequence
from typing import Any

from tests.fakes.google.state import Google


def docx(*paragraphs: str, heading: str = "", padding: int = 0) -> bytes:
    """A Word document with a heading and paragraphs; `padding` bytes more that do not shrink."""
    import random

    import docx as library

    document = library.Document()
    if heading:
        document.add_heading(heading, 1)
    for text in paragraphs:
        document.add_paragraph(text)
    out = io.BytesIO()
    document.save(out)
    if padding:
        with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as archive:
            archive.writestr("word/padding.bin", random.Random(0).randbytes(padding))
    return out.getvalue()


def xlsx(sheets: dict[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook with these sheets of rows."""
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def sample(google: Google) -> str:
    """A shared folder with a few documents; returns its id, which is always the same."""
    folder = google.folder("Newsroom research")
    notes = google.folder("Protocols", folder)
    google.document(
        "How the base fee works",
        docx(
            "EIP-1559 introduced the base fee with the London upgrade on 5 August 2021.",
            "The base fee is burned, so block producers do not receive it.",
            heading="The base fee",
        ),
        notes,
        description="Background for explainers",
    )
    google.file(
        "staking.md",
        b"# Staking on Ethereum\n\nA validator deposits 32 ether. Withdrawals opened with Shapella.\n",
        "text/markdown",
        notes,
    )
    google.spreadsheet(
        "Prices",
        xlsx(
            {
                "prices": [
                    ("asset_id", "metric", "value", "unit", "source", "as_of"),
                    ("bitcoin", "price", 67123.45, "USD", "Desk", "2026-03-02T12:00:00Z"),
                ]
            }
        ),
        folder,
    )
    google.spreadsheet(
        "Upgrades",
        xlsx({"upgrades": [("Upgrade", "Date"), ("London", "2021-08-05"), ("Shapella", "2023-04-12")]}),
        folder,
    )
    google.other("Town hall", "presentation", folder)
    return folder
