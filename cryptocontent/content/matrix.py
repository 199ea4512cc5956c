"""Matrix expansion: one template times lists of values is a brief for every combination."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock
from cryptocontent.content.brief_files import MAX_BYTES, MAX_ROWS, Row, RowProblem, shown
from cryptocontent.content.briefs import ImportReport, RowChecker, save_briefs
from cryptocontent.content.templates import Known, TemplateSpec
from cryptocontent.content.templates.rendering import TextError, render, text_problem
from cryptocontent.content.templates.spec import FIXED_COLUMNS
from cryptocontent.content.templates.variables import read_variables
from cryptocontent.errors import NotFound, Refused

MAX_COMBINATIONS = MAX_ROWS
"""Briefs that one matrix may make."""
_RENDERED = ("title", "keywords")


@dataclass(frozen=True, slots=True)
class Value:
    """A value of one variable; `line` is its place in its list or file, from 1."""

    value: Any
    line: int


def read_values(text: str) -> list[Value]:
    """The values of `--var NAME=…`: separated by commas, or `@FILE` with one per line (UTF-8; lines without
    content are passed over; commas belong to the value). Leading and trailing spaces go.

    `Refused` if the file can't be read, or there is no value."""
    if text.startswith("@"):
        path = Path(text[1:])
        try:
            if path.stat().st_size > MAX_BYTES:
                raise Refused(f"{path}: larger than {MAX_BYTES:,} bytes")
            parts = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise Refused(f"{path}: not UTF-8 text (byte {error.start})") from None
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from None
    else:
        parts = text.split(",")
    values = [Value(part.strip(), line) for line, part in enumerate(parts, 1) if part.strip()]
    if not values:
        raise Refused(f"{text!r}: no value; give values separated by commas, or @FILE with one per line")
    return values


def import_matrix(
    session: Session,
    project_id: str,
    template: str,
    values: Mapping[str, Sequence[Any]],
    actor: Actor,
    *,
    common: Mapping[str, Any] | None = None,
    origin: str = "matrix",
    dry_run: bool = False,
    partial: bool = False,
) -> ImportReport:
    """A brief of `template` for every combination of `values` (variable → its values, each plain or a
    `Value`), with the cells of `common` (title, keywords, due_date, priority) in each; title and keywords
    are Jinja2 with the brief's variables, as a template's texts are. Checked and stored as an import is:
    all or nothing, or with `partial` the good ones; what is there already is not made again.

    `Refused` if there are more than `MAX_COMBINATIONS`; `NotFound` for an unknown template. A problem's
    line is the value's place in its list."""
    if not dry_run:
        lock(session, project_id)
    checker = RowChecker(session, project_id)
    try:
        _, spec = checker.template(template)
    except ValueError as error:
        raise NotFound(f"template {template!r}: {error}") from None
    if wrong := sorted(set(common or {}) - set(FIXED_COLUMNS[1:])):
        raise Refused(f"{wrong[0]!r} can't be common to all; allowed: {', '.join(FIXED_COLUMNS[1:])}")
    lists = {
        name: [one if isinstance(one, Value) else Value(one, line) for line, one in enumerate(given, 1)]
        for name, given in values.items()
    }
    if empty := [name for name, given in lists.items() if not given]:
        raise Refused(f"variable {empty[0]!r} has no value; a matrix needs at least one of each")
    count = prod(len(given) for given in lists.values())
    if count > MAX_COMBINATIONS:
        sizes = " × ".join(f"{len(given)} {name}" for name, given in lists.items())
        raise Refused(f"{sizes} are {count:,} briefs; at most {MAX_COMBINATIONS:,}")
    good: dict[str, list[Value]] = {}
    problems: list[RowProblem] = []
    for name, given in lists.items():
        good[name], found = _sound(checker, template, name, given)
        problems += found
    missing = {name: one for name, one in spec.variables.items() if name not in lists}
    for name, value, reason in read_variables(missing, {}, checker.known)[1]:
        problems.append(RowProblem(0, name, shown(value), reason))
    texts = {name: str(text) for name in _RENDERED if (text := (common or {}).get(name))}
    lists_known = [name for name, one in spec.variables.items() if one.type == "list"]
    for name, text in texts.items():
        if reason := text_problem(text, spec.variables, lists_known):
            problems.append(RowProblem(0, name, shown(text), reason))
    if problems and (not partial or any(not problem.line for problem in problems)):
        return ImportReport(problems=tuple(problems))
    rows: list[Row] = []
    for number, combination in enumerate(product(*good.values()), 1):
        cells = {name: one.value for name, one in zip(good, combination, strict=True)}
        filled, unfit = _filled(texts, spec, cells, checker.known)
        problems += unfit
        if not unfit:
            rows.append(Row(number, {**(common or {}), **filled, "template": template, **cells}))
    briefs, found = checker.check_all(rows)
    # A combination is no line of anything; what is wrong with many of them stands once for each cause.
    problems = [
        *dict.fromkeys(problems),
        *dict.fromkeys(RowProblem(0, one.column, one.value, one.reason) for one in found),
    ]
    if problems and not partial:
        return ImportReport(problems=tuple(problems))
    report = save_briefs(session, project_id, briefs, actor, origin=origin, dry_run=dry_run)
    return ImportReport(report.created, report.updated, report.unchanged, tuple(problems))


def _filled(
    texts: Mapping[str, str], spec: TemplateSpec, cells: Mapping[str, Any], known: Known
) -> tuple[dict[str, str], list[RowProblem]]:
    """The texts with a combination's variables filled in, and why that can't be done."""
    if not texts:
        return {}, []
    variables, _ = read_variables(spec.variables, cells, known)
    filled: dict[str, str] = {}
    problems: list[RowProblem] = []
    for name, text in texts.items():
        try:
            filled[name] = render(text, variables)
        except TextError as error:
            problems.append(RowProblem(0, name, shown(text), str(error)))
    return filled, problems


def _sound(
    checker: RowChecker, template: str, name: str, given: Sequence[Value]
) -> tuple[list[Value], list[RowProblem]]:
    """The values that the variable takes, each once, and what is wrong with the others."""
    variables = checker.templates[template][1].variables
    problems: list[RowProblem] = []
    good: list[Value] = []
    seen: dict[str, int] = {}
    if name not in variables:
        reason = read_variables(variables, {name: given[0].value}, checker.known)[1][0][2]
        return [], [RowProblem(0, name, shown(given[0].value), f"template {template!r}: {reason}")]
    for one in given:
        values, found = read_variables({name: variables[name]}, {name: one.value}, checker.known)
        if found:
            problems.append(RowProblem(one.line, name, shown(one.value), found[0][2]))
        elif first := seen.get(repr(values[name])):
            reason = f"the same value as in line {first}"
            problems.append(RowProblem(one.line, name, shown(one.value), reason))
        else:
            good.append(one)
            seen[repr(values[name])] = one.line
    return good, problems


def named_values(pairs: Sequence[str]) -> dict[str, list[Value]]:
    """`NAME=VALUES` pairs as `read_values` reads them; `Refused` for one without `=` or a name twice."""
    found: dict[str, list[Value]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise Refused(f"{pair!r}: give NAME=VALUE,VALUE… or NAME=@FILE")
        if name in found:
            raise Refused(f"variable {name!r} is given twice")
        found[name] = read_values(text.strip())
    return found
