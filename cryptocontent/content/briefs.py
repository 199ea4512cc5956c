"""Briefs: what is to be written. Imported from CSV all or nothing, never twice.

A brief's identity is its template, title and variables; its id is readable, follows from that
identity, and is its Dagster partition key. Importing a changed row (keywords, due date, priority, a
newer template version) updates the brief it names.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, record_all
from cryptocontent.content.templates import TemplateError, TemplateSpec, check_variables, outline
from cryptocontent.content.text import content_hash, slugify
from cryptocontent.storage.models import Brief, Template, TemplateVersion
from cryptocontent.storage.types import utc_now

PRIORITIES = ("low", "normal", "high")
_FIXED_COLUMNS = ("template", "title", "keywords", "due_date", "priority")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row was refused. `line` counts from 1 and includes the header."""

    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.column}={self.value!r}: {self.reason}"


@dataclass(frozen=True, slots=True)
class NewBrief:
    """A checked row, ready to be stored."""

    id: str
    title: str
    template: str
    template_version_id: str
    variables: dict[str, Any]
    keywords: list[str]
    due_date: date | None
    priority: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or with a dry run would do."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    problems: tuple[RowProblem, ...] = ()


def current_templates(session: Session, project_id: str) -> dict[str, tuple[TemplateVersion, TemplateSpec]]:
    """The newest version of each of the project's templates, by name."""
    rows = session.execute(
        select(Template.name, TemplateVersion)
        .join(TemplateVersion, TemplateVersion.id == Template.version_id)
        .where(Template.project_id == project_id)
    )
    return {name: (version, TemplateSpec.model_validate(version.spec)) for name, version in rows}


def _read_rows(data: bytes) -> tuple[list[str], list[tuple[int, dict[str | None, Any]]]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(f"the file is not UTF-8 text (byte {error.start})") from None
    reader = csv.DictReader(io.StringIO(text), strict=True)
    rows: list[tuple[int, dict[str | None, Any]]] = []
    try:
        header = [name.strip() for name in reader.fieldnames or []]
        reader.fieldnames = header
        for row in reader:
            rows.append((reader.line_num, dict(row)))
    except csv.Error as error:
        raise TemplateError(f"line {reader.line_num}: {error}") from None
    return header, rows


def _check_row(
    line: int,
    row: Mapping[str | None, Any],
    project_id: str,
    templates: Mapping[str, tuple[TemplateVersion, TemplateSpec]],
) -> tuple[NewBrief | None, list[RowProblem]]:
    problems: list[RowProblem] = []

    def refuse(column: str, value: Any, reason: str) -> None:
        problems.append(RowProblem(line, column, str(value or ""), reason))

    if row.get(None):
        refuse("(beyond the header)", row[None], "the row has more cells than the header")
        return None, problems
    cells = {str(name): (value or "").strip() for name, value in row.items()}
    template_name = cells.get("template", "")
    if template_name not in templates:
        refuse(
            "template",
            template_name,
            f"no such template; there are: {', '.join(sorted(templates)) or 'none'}",
        )
        return None, problems
    version, spec = templates[template_name]
    priority = cells.get("priority") or "normal"
    if priority not in PRIORITIES:
        refuse("priority", priority, f"allowed: {', '.join(PRIORITIES)}")
    due: date | None = None
    if cells.get("due_date"):
        try:
            due = date.fromisoformat(cells["due_date"])
        except ValueError:
            refuse("due_date", cells["due_date"], "not a date such as 2026-01-31")
    given = {name: value for name, value in cells.items() if name not in _FIXED_COLUMNS and value}
    try:
        variables = check_variables(spec, given)
        title = outline(spec, variables, cells.get("title", "")).title
    except TemplateError as error:
        name = next((name for name in (*spec.variables, *given) if f"{name!r}" in str(error)), "title")
        refuse(name, given.get(name, ""), str(error))
        return None, problems
    if problems:
        return None, problems
    keywords = [word.strip() for word in cells.get("keywords", "").split(";") if word.strip()]
    return make_brief(project_id, version, spec, title, variables, keywords, due, priority), []


def make_brief(
    project_id: str,
    version: TemplateVersion,
    spec: TemplateSpec,
    title: str,
    variables: dict[str, Any],
    keywords: Sequence[str],
    due_date: date | None,
    priority: str,
) -> NewBrief:
    """A brief from checked values; its id and content hash follow from them."""
    identity = content_hash([spec.name, title, variables])
    return NewBrief(
        id=f"{project_id}--{slugify(title, 50)}-{identity[:8]}",
        title=title,
        template=spec.name,
        template_version_id=version.id,
        variables=variables,
        keywords=list(keywords),
        due_date=due_date,
        priority=priority,
        content_hash=content_hash([identity, version.content_hash, list(keywords)]),
    )


def import_briefs(
    session: Session,
    project_id: str,
    data: bytes,
    actor: Actor,
    *,
    origin: str = "csv",
    dry_run: bool = False,
) -> ImportReport:
    """Import a CSV file (UTF-8; columns template, title, keywords separated by `;`, due_date, priority
    and one per template variable). Any bad row, and nothing is written: all are in `problems`."""
    templates = current_templates(session, project_id)
    header, rows = _read_rows(data)
    problems: list[RowProblem] = []
    allowed = {*_FIXED_COLUMNS, *(name for _, spec in templates.values() for name in spec.variables)}
    for name in header:
        if name not in allowed:
            problems.append(
                RowProblem(1, name, name, f"unknown column; allowed: {', '.join(sorted(allowed))}")
            )
    if "template" not in header:
        problems.append(RowProblem(1, "template", "", "the column is missing"))
    if not rows:
        problems.append(RowProblem(1, "(file)", "", "there are no rows"))
    briefs: list[NewBrief] = []
    seen: dict[str, int] = {}
    for line, row in rows if not problems else []:
        brief, found = _check_row(line, row, project_id, templates)
        problems += found
        if brief is not None:
            if brief.id in seen:
                problems.append(
                    RowProblem(line, "title", brief.title, f"the same brief as in line {seen[brief.id]}")
                )
            seen.setdefault(brief.id, line)
            briefs.append(brief)
    if problems:
        return ImportReport(problems=tuple(problems))
    return save_briefs(session, project_id, briefs, actor, origin=origin, dry_run=dry_run)


def save_briefs(
    session: Session,
    project_id: str,
    briefs: Sequence[NewBrief],
    actor: Actor,
    *,
    origin: str,
    dry_run: bool = False,
) -> ImportReport:
    """Store new briefs, update changed ones, leave equal ones alone."""
    known = {
        brief.id: brief for brief in session.scalars(select(Brief).where(Brief.project_id == project_id))
    }
    created, updated, unchanged = [], [], []
    changes: list[Change] = []
    now = utc_now()
    for ordinal, brief in enumerate(briefs):
        values = {
            "template_version_id": brief.template_version_id,
            "keywords": brief.keywords,
            "due_date": brief.due_date,
            "priority": brief.priority,
            "content_hash": brief.content_hash,
        }
        stored = known.get(brief.id)
        if stored is None:
            created.append(
                values
                | {
                    "id": brief.id,
                    "project_id": project_id,
                    "title": brief.title,
                    "variables": brief.variables,
                    "origin": origin,
                    "ordinal": ordinal,
                    "created_at": now,
                }
            )
            change = {"title": brief.title, "template": brief.template, "after": brief.content_hash}
            changes.append(Change(actor, "brief.created", f"brief:{brief.id}", change))
        elif any(getattr(stored, name) != value for name, value in values.items()):
            updated.append(brief.id)
            change = {"before": stored.content_hash, "after": brief.content_hash, "priority": brief.priority}
            changes.append(Change(actor, "brief.updated", f"brief:{brief.id}", change))
            if not dry_run:
                session.execute(update(Brief).where(Brief.id == brief.id).values(values))
        else:
            unchanged.append(brief.id)
    if not dry_run:
        if created:
            session.execute(insert(Brief), created)
        record_all(session, project_id, changes)
    return ImportReport(tuple(str(row["id"]) for row in created), tuple(updated), tuple(unchanged))


def csv_header(session: Session, project_id: str) -> str:
    """The header line of the project's import file."""
    names = dict.fromkeys(_FIXED_COLUMNS)
    for _, spec in current_templates(session, project_id).values():
        names |= dict.fromkeys(spec.variables)
    return ",".join(names)
