"""`cryptocontent brief header`, `matrix` and `import`, as an editor uses them."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from openpyxl import load_workbook

from tests.cli.homes import SAMPLE, Home, Result, query, run, shared_home

ROWS = "template,topic,due_date\nexplainer,Good,2027-01-01\nexplainer,Bad,tomorrow\n"


def _bulk(home: Path) -> Mapping[str, Result]:
    (home / "topics.txt").write_text("Blobs\n\nGas, and fees\n")
    (home / "mixed.csv").write_text(ROWS)
    matrix = ("brief", "matrix", "explainer", "--var", "topic=@topics.txt", "--var", "angle=cost,speed")
    steps = {
        "project": run(home, "project", "create", "own"),
        "templates": run(home, "template", "add", *sorted((SAMPLE / "templates").glob("*.yaml"))),
        "header": run(home, "brief", "header", "--template", "explainer"),
        "workbook": run(home, "brief", "header", "--to", "fill-in.xlsx"),
        "workbook again": run(home, "brief", "header", "--to", "fill-in.xlsx"),
        "other format": run(home, "brief", "header", "--format", "ods"),
        "matrix dry": run(home, *matrix, "--dry-run"),
    }
    book = load_workbook(home / "fill-in.xlsx")
    page = book["briefs"]
    columns = [cell.value for cell in page[1]]
    for name, value in (("template", "explainer"), ("topic", "From a workbook"), ("priority", "low")):
        page.cell(2, columns.index(name) + 1).value = value
    book.save(home / "filled.xlsx")
    return steps | {
        "filled": run(home, "brief", "import", "filled.xlsx"),
        "matrix": run(home, *matrix, "--title", "{{ topic }}: {{ angle }}", "--json"),
        "matrix bad": run(home, *matrix[:5], "--var", "angel=cost"),
        "mixed": run(home, "brief", "import", "mixed.csv"),
        "mixed partial": run(home, "brief", "import", "mixed.csv", "--partial"),
    }


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return shared_home(tmp_path_factory, "bulk-home", _bulk)


def test_the_header_is_printed_or_written_as_a_workbook_that_imports(bulk: Home) -> None:
    assert bulk.steps["header"].out == "template,title,keywords,due_date,priority,topic,angle\n"
    assert "fill-in.xlsx" in bulk.steps["workbook"].out
    bulk.steps["workbook again"].refused(1, "fill-in.xlsx", "there already")
    bulk.steps["other format"].refused(1, "'ods'", "csv, xlsx")
    assert load_workbook(io.BytesIO((bulk.folder / "fill-in.xlsx").read_bytes())).sheetnames[0] == "briefs"
    assert bulk.steps["filled"].out == "1 new, 0 changed, 0 unchanged\n"


def test_a_matrix_makes_every_combination(bulk: Home) -> None:
    assert bulk.steps["matrix dry"].out == "would be 4 new, 0 changed, 0 unchanged\n"
    created = bulk.steps["matrix"].json()["created"]
    titles = {title for (title,) in query(bulk.database, "SELECT title FROM briefs WHERE origin = 'matrix'")}
    assert len(created) == 4
    assert titles == {"Blobs: cost", "Blobs: speed", "Gas, and fees: cost", "Gas, and fees: speed"}
    bulk.steps["matrix bad"].refused(1, "angel='cost'", "did you mean 'angle'")
    assert bulk.steps["matrix bad"].out == "nothing was imported: 1 problem\n"


def test_partial_takes_the_good_rows_and_still_ends_with_an_error(bulk: Home) -> None:
    for step in ("mixed", "mixed partial"):
        bulk.steps[step].refused(1, "mixed.csv: line 3, due_date='tomorrow'")
    assert bulk.steps["mixed"].out == "nothing was imported: 1 problem\n"
    assert bulk.steps["mixed partial"].out == (
        "1 new, 0 changed, 0 unchanged; the rest was left out: 1 problem\n"
    )
    assert query(bulk.database, "SELECT count(*) FROM briefs WHERE origin = 'csv'") == [(1,)]
