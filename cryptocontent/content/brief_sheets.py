"""The files that an editor fills in with briefs: a CSV header, or an XLSX workbook that knows the columns'
types, offers what is allowed, and explains every column on a sheet of its own."""

import csv
import io
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from cryptocontent.content.brief_files import MAX_ROWS, SHEET
from cryptocontent.content.briefs import PRIORITIES, RowChecker
from cryptocontent.content.templates import Known, TemplateSpec, Variable, sample_value
from cryptocontent.content.templates.spec import FIXED_COLUMNS, MAX_TITLE
from cryptocontent.errors import NotFound

_FIXED = {
    "template": ("the name of a template", "yes"),
    "title": (f"empty: the template's title; at most {MAX_TITLE} characters", ""),
    "keywords": ("separated by ;", ""),
    "due_date": ("a date such as 2026-01-31", ""),
    "priority": (f"one of {', '.join(PRIORITIES)}; empty: normal", ""),
}
_LISTS = "lists"
# Cells that are text keep what is typed: `1-2` is no date, and `=x` no formula.
_FORMATS = {"date": "yyyy-mm-dd", "number": "General"}


@dataclass(slots=True)
class _Column:
    """A column of the workbook, with what every template that has it says of it."""

    name: str
    uses: list[tuple[TemplateSpec, Variable]] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        return {"date"} if self.name == "due_date" else {variable.type for _, variable in self.uses}

    def number_format(self) -> str:
        kinds = self.kinds
        return _FORMATS.get(next(iter(kinds)), "@") if len(kinds) == 1 else "@"

    def choices(self, names: list[str], known: Known) -> list[str]:
        """What a cell may hold, if that can be listed."""
        if self.name == "template":
            return names
        if self.name == "priority":
            return list(PRIORITIES)
        found: dict[str, None] = {}
        for _, variable in self.uses:
            match variable.type:
                case "enum":
                    found |= dict.fromkeys(variable.values)
                case "asset_id":
                    found |= dict.fromkeys(sorted(known.assets))
                case "reference_tag":
                    found |= dict.fromkeys(sorted(known.tags or ()))
                case _:
                    return []
        return list(found)


def csv_header(session: Session, project_id: str, template: str | None = None) -> str:
    """The header line of the project's import file, or of one for briefs of one template; `NotFound` for
    an unknown template."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(_checker(session, project_id, template).columns)
    return text.getvalue()


def _checker(session: Session, project_id: str, template: str | None) -> RowChecker:
    checker = RowChecker(session, project_id)
    if template is not None:
        try:
            checker.templates = {template: checker.template(template)}
        except ValueError as error:
            raise NotFound(f"template {template!r}: {error}") from None
    return checker


def xlsx_header(session: Session, project_id: str, template: str | None = None) -> bytes:
    """A workbook to fill in: sheet `briefs` with a typed header, sheet `columns` that explains it. For all
    of the project's templates, or for one; `NotFound` if there is no such template."""
    from openpyxl import Workbook

    checker = _checker(session, project_id, template)
    specs = [spec for _, spec in checker.templates.values()]
    columns = [_Column(name) for name in checker.columns]
    for column in columns:
        if column.name not in FIXED_COLUMNS:
            column.uses = [
                (spec, spec.variables[column.name]) for spec in specs if column.name in spec.variables
            ]
    book = Workbook()
    sheet: Any = book.active
    sheet.title = SHEET
    explained = book.create_sheet("columns")
    lists = book.create_sheet(_LISTS)
    lists.sheet_state = "hidden"
    _write_explanations(explained, columns, checker.known)
    for number, column in enumerate(columns, 1):
        _write_column(sheet, lists, number, column, column.choices(sorted(checker.templates), checker.known))
    sheet.freeze_panes = "B2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _put(cell: Any, text: str, *, bold: bool = False) -> None:
    """Text as text: a value that begins with `=` would else become a formula."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Alignment, Font

    cell.value = ILLEGAL_CHARACTERS_RE.sub("", text)
    cell.data_type = "s"
    cell.alignment = Alignment(vertical="top", wrap_text=not bold)
    if bold:
        cell.font = Font(bold=True)


def _write_column(sheet: Any, lists: Any, number: int, column: _Column, choices: list[str]) -> None:
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    letter = get_column_letter(number)
    _put(sheet.cell(1, number), column.name, bold=True)
    dimension = sheet.column_dimensions[letter]
    dimension.width = max(14, min(40, len(column.name) + 6))
    dimension.number_format = column.number_format()
    rule: Any = None
    if choices:
        for line, choice in enumerate(choices, 1):
            _put(lists.cell(line, number), choice)
        # A range, not the choices themselves: those may have 255 characters in all, and no comma.
        place = f"{_LISTS}!${letter}$1:${letter}${len(choices)}"
        rule = DataValidation(type="list", formula1=place, allow_blank=True)
        rule.error = f"choose one of the list, or see the sheet “columns” for {column.name}"
    elif column.kinds == {"date"}:
        rule = DataValidation(type="date", operator="greaterThan", formula1="1", allow_blank=True)
        rule.error = "a date such as 2026-01-31"
    elif column.kinds == {"number"}:
        rule = DataValidation(type="decimal", operator="between", allow_blank=True)
        rule.formula1, rule.formula2 = _number_bounds(column)
        rule.error = f"a number between {rule.formula1} and {rule.formula2}"
    if rule is not None:
        rule.errorTitle, rule.showErrorMessage = column.name[:32], True
        rule.error = rule.error[:225]
        rule.add(f"{letter}2:{letter}{MAX_ROWS + 1}")
        sheet.add_data_validation(rule)


def _number_bounds(column: _Column) -> tuple[str, str]:
    """The widest bounds of any template that has the column."""
    numbers = [variable for _, variable in column.uses if variable.type == "number"]
    lows, highs = [one.min for one in numbers], [one.max for one in numbers]
    low = min((one for one in lows if one is not None), default=-1e15)
    high = max((one for one in highs if one is not None), default=1e15)
    return f"{-1e15 if None in lows else low:.15g}", f"{1e15 if None in highs else high:.15g}"


def _write_explanations(sheet: Any, columns: list[_Column], known: Known) -> None:
    for number, (heading, width) in enumerate(
        (
            ("column", 18),
            ("template", 18),
            ("required", 10),
            ("allowed", 60),
            ("description", 50),
            ("example", 24),
        ),
        1,
    ):
        _put(sheet.cell(1, number), heading, bold=True)
        sheet.column_dimensions["ABCDEF"[number - 1]].width = width
    line = 2
    for column in columns:
        rows = [
            (
                spec.name,
                "yes" if variable.required and variable.default is None else "",
                variable.allowed() + (f"; empty: {variable.default}" if variable.default is not None else ""),
                variable.description,
                _example(variable, known),
            )
            for spec, variable in column.uses
        ]
        if column.name in _FIXED:
            allowed, required = _FIXED[column.name]
            rows = [("every template", required, allowed, "", "")]
        for row in rows:
            for number, text in enumerate((column.name, *row), 1):
                _put(sheet.cell(line, number), text)
            line += 1
    sheet.freeze_panes = "A2"


def _example(variable: Variable, known: Known) -> str:
    try:
        value = sample_value(variable, known)
    except ValueError:  # a default that the rules no longer know
        value = variable.default
    return "; ".join(value) if isinstance(value, list) else str(value)
