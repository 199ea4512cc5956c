"""Briefs: what is to be written. Imported from CSV or XLSX, all or nothing unless asked otherwise, never
twice.

A brief's identity is its template, title and variables; its id is readable, follows from that
identity, and is its Dagster partition key. Importing a changed row (keywords, due date, priority, a
newer template version) updates the brief it names.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.content.brief_files import Row, RowProblem, Table, read_table, shown
from cryptocontent.content.templates import (
    Known,
    TemplateError,
    TemplateSpec,
    current_templates,
    known_in,
    outline,
)
from cryptocontent.content.templates.spec import FIXED_COLUMNS, MAX_TITLE
from cryptocontent.content.templates.values import hint, plain_text, read_date
from cryptocontent.content.templates.variables import read_variables
from cryptocontent.content.text import content_hash, slugify
from cryptocontent.storage.models import Brief, Template, TemplateVersion
from cryptocontent.storage.types import utc_now

PRIORITIES = ("low", "normal", "high")
MAX_KEYWORDS = 50
"""Keywords that a brief may have."""
MAX_KEYWORD = 100
"""Characters that a keyword may have."""

__all__ = [
    "PRIORITIES",
    "ImportReport",
    "NewBrief",
    "RowChecker",
    "RowProblem",
    "add_brief",
    "current_templates",
    "import_briefs",
    "make_brief",
    "revise_brief",
    "same_brief",
    "save_briefs",
]


@dataclass(frozen=True, slots=True)
class NewBrief:
    """A checked row, ready to be stored. `identity` is the hash of template, title and variables. Who writes
    and for which campaign, only a planning tool says."""

    id: str
    title: str
    template: str
    template_version_id: str
    variables: dict[str, Any]
    keywords: list[str]
    due_date: date | None
    priority: str
    content_hash: str
    identity: str
    assignee: str | None = None
    campaign_id: str | None = None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or with a dry run would do."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    problems: tuple[RowProblem, ...] = ()


class RowChecker:
    """Checks rows of cells against the project's templates, and makes briefs of the good ones. Templates,
    rules and tags are read once, when it is made."""

    def __init__(self, session: Session, project_id: str) -> None:
        self.project_id = project_id
        self.templates = current_templates(session, project_id)
        specs = [spec for _, spec in self.templates.values()]
        self.known: Known = known_in(session, project_id, specs)

    @property
    def columns(self) -> list[str]:
        """Every column that a file may have, in order."""
        variables = (name for _, spec in self.templates.values() for name in spec.variables)
        return list(dict.fromkeys((*FIXED_COLUMNS, *variables)))

    def template(self, name: str) -> tuple[TemplateVersion, TemplateSpec]:
        """The newest version of a template; `ValueError` naming the project's templates."""
        if name not in self.templates:
            there = ", ".join(sorted(self.templates)) or "none"
            meant = hint(name, self.templates) if name else ""
            raise ValueError(f"no such template; there are: {there}{meant}")
        return self.templates[name]

    def check(self, row: Row) -> tuple[NewBrief | None, list[RowProblem]]:
        """The row's brief, or everything that is wrong with the row."""
        problems: list[RowProblem] = []
        cells = row.cells

        def read(column: str, how: Any, empty: Any) -> Any:
            if (value := cells.get(column)) in (None, ""):
                return empty
            try:
                return how(value)
            except ValueError as error:
                problems.append(RowProblem(row.line, column, shown(value), str(error)))
                return empty

        priority = read("priority", _priority, "normal")
        due = read("due_date", read_date, None)
        keywords = read("keywords", _keywords, [])
        own_title = read("title", _title, "")
        try:
            version, spec = self.template(plain_text(cells.get("template", "")))
        except ValueError as error:
            problems.append(RowProblem(row.line, "template", shown(cells.get("template", "")), str(error)))
            return None, problems
        given = {name: value for name, value in cells.items() if name not in FIXED_COLUMNS}
        variables, wrong = read_variables(spec.variables, given, self.known)
        for name, value, reason in wrong:
            if name not in spec.variables:
                reason = f"template {spec.name!r} has no such variable; {reason}"
            problems.append(RowProblem(row.line, name, shown(value), reason))
        if problems:
            return None, problems
        try:
            title = _title(outline(spec, variables, own_title).title)
        except ValueError as error:
            return None, [RowProblem(row.line, "title", own_title, str(error))]
        return make_brief(self.project_id, version, spec, title, variables, keywords, due, priority), []

    def check_all(
        self, rows: Sequence[Row], unread: Container[int] = ()
    ) -> tuple[list[NewBrief], list[RowProblem]]:
        """The briefs of the good rows, and everything that is wrong with the others. A row that says the
        same as one before is a bad one. `unread`: lines with a cell that could not be read: bad in any
        case, and not blamed for what that cell should have said."""
        briefs: list[NewBrief] = []
        problems: list[RowProblem] = []
        seen: dict[str, int] = {}
        for row in rows:
            brief, found = self.check(row)
            problems += [one for one in found if one.value or row.line not in unread]
            if brief is None or row.line in unread:
                continue
            if brief.identity in seen:
                reason = f"the same brief as in line {seen[brief.identity]}"
                problems.append(RowProblem(row.line, "title", brief.title, reason))
                continue
            seen[brief.identity] = row.line
            briefs.append(brief)
        return briefs, problems


def _priority(value: Any) -> str:
    if (text := plain_text(value)) not in PRIORITIES:
        raise ValueError(f"allowed: {', '.join(PRIORITIES)}{hint(text, PRIORITIES)}")
    return text


def _keywords(value: Any) -> list[str]:
    words = list(dict.fromkeys(word for part in plain_text(value).split(";") if (word := part.strip())))
    if len(words) > MAX_KEYWORDS:
        raise ValueError(f"{len(words)} keywords; at most {MAX_KEYWORDS}")
    if long := next((word for word in words if len(word) > MAX_KEYWORD), None):
        raise ValueError(f"the keyword {shown(long)!r} has {len(long)} characters; at most {MAX_KEYWORD}")
    return words


def _title(value: Any) -> str:
    text = " ".join(plain_text(value).split())
    if not text:
        raise ValueError("the template makes an empty title of these values")
    if len(text) > MAX_TITLE:
        raise ValueError(f"the title has {len(text)} characters; at most {MAX_TITLE}")
    return text


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
        identity=identity,
    )


def import_briefs(
    session: Session,
    project_id: str,
    data: bytes,
    actor: Actor,
    *,
    origin: str = "",
    dry_run: bool = False,
    partial: bool = False,
) -> ImportReport:
    """Import a CSV (UTF-8) or XLSX file: columns template, title, keywords separated by `;`, due_date,
    priority and one per template variable. Any bad row, and nothing is written; with `partial` the good
    rows are. All that is wrong is in `problems`; if it is the header, nothing is written in any case.
    `TemplateError` if the file can't be read at all. `origin` (else `csv` or `xlsx`) is kept with the
    briefs."""
    if not dry_run:
        lock(session, project_id)
    table = read_table(data)
    checker = RowChecker(session, project_id)
    header = _header_problems(table, checker.columns)
    briefs: list[NewBrief] = []
    found: list[RowProblem] = []
    if "template" in table.header:
        unread = {problem.line for problem in table.problems}
        allowed = set(checker.columns)
        briefs, found = checker.check_all([_only(row, allowed) for row in table.rows], unread)
    problems = sorted((*header, *table.problems, *found), key=lambda problem: problem.line)
    if header or (problems and not partial):
        return ImportReport(problems=tuple(problems))
    report = save_briefs(
        session,
        project_id,
        briefs,
        actor,
        origin=origin or ("xlsx" if data.startswith(b"PK") else "csv"),
        dry_run=dry_run,
    )
    return ImportReport(report.created, report.updated, report.unchanged, tuple(problems))


def _only(row: Row, columns: Container[str]) -> Row:
    return Row(row.line, {name: cell for name, cell in row.cells.items() if name in columns})


def _header_problems(table: Table, allowed: Sequence[str]) -> list[RowProblem]:
    problems = list(table.header_problems)
    for name in table.header:
        if name not in allowed:
            reason = f"unknown column{hint(name, allowed)}; allowed: {', '.join(allowed)}"
            problems.append(RowProblem(1, name, shown(name), reason))
    if "template" not in table.header:
        problems.append(RowProblem(1, "template", "", "the column is missing"))
    if not table.rows:
        problems.append(RowProblem(1, "(file)", "", "there are no rows"))
    return problems


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
    if not dry_run:
        lock(session, project_id)
    rows = session.execute(_with_template().where(Brief.project_id == project_id))
    stored = {brief.id: (brief, _identity(brief, name)) for brief, name in rows}
    taken = {brief_id: identity for brief_id, (_, identity) in stored.items()}
    created: list[dict[str, Any]] = []
    updated: list[dict[str, Any]] = []
    unchanged: list[str] = []
    changes: list[Change] = []
    now = utc_now()
    for ordinal, brief in enumerate(briefs):
        brief_id = _free_id(brief, taken)
        taken[brief_id] = brief.identity
        values = {
            "template_version_id": brief.template_version_id,
            "keywords": brief.keywords,
            "due_date": brief.due_date,
            "priority": brief.priority,
            "content_hash": brief.content_hash,
        }
        if brief_id not in stored:
            new = {
                "id": brief_id,
                "project_id": project_id,
                "title": brief.title,
                "variables": brief.variables,
                "origin": origin,
                "ordinal": ordinal,
                "created_at": now,
            }
            created.append(values | new)
            change = {"title": brief.title, "template": brief.template, "after": brief.content_hash}
            changes.append(Change(actor, "brief.created", f"brief:{brief_id}", change))
            continue
        old = stored[brief_id][0]
        before = {name: getattr(old, name) for name in values if getattr(old, name) != values[name]}
        if not before:
            unchanged.append(brief_id)
            continue
        updated.append(values | {"id": brief_id})
        # What a hash does not cover stands in the entry itself.
        changed = {
            name: [_plain(value), _plain(values[name])]
            for name, value in before.items()
            if name != "content_hash"
        }
        hashes = {"before": old.content_hash, "after": brief.content_hash}
        changes.append(Change(actor, "brief.updated", f"brief:{brief_id}", hashes | {"changed": changed}))
    if not dry_run:
        if created:
            session.execute(insert(Brief), created)
        if updated:
            session.execute(update(Brief), updated)
        record_all(session, project_id, changes)
    return ImportReport(
        tuple(str(row["id"]) for row in created), tuple(str(row["id"]) for row in updated), tuple(unchanged)
    )


def same_brief(session: Session, project_id: str, new: NewBrief) -> str | None:
    """The id of the project's brief that says the same by now: template, title and variables."""
    rows = session.execute(_with_template().where(Brief.project_id == project_id, Brief.title == new.title))
    return next((brief.id for brief, name in rows if _identity(brief, name) == new.identity), None)


def add_brief(session: Session, project_id: str, new: NewBrief, actor: Actor, *, origin: str) -> str:
    """Store a brief that `same_brief` does not know; returns its id. An id stays with the brief that bore it
    first, whatever that says by now."""
    lock(session, project_id)
    stem = new.id.removesuffix(new.identity[:8])
    ids = [f"{stem}{new.identity[:digits]}" for digits in _ID_DIGITS]
    rows = session.execute(_with_template().where(Brief.id.in_(ids)))
    brief_id = _free_id(new, {brief.id: _identity(brief, name) for brief, name in rows})
    values = {name: getattr(new, name) for name in _REVISABLE} | {
        "template_version_id": new.template_version_id
    }
    brief = Brief(id=brief_id, project_id=project_id, origin=origin, content_hash=new.content_hash, **values)
    session.add(brief)
    session.flush()
    change = {"title": new.title, "template": new.template, "after": new.content_hash}
    record_all(session, project_id, [Change(actor, "brief.created", f"brief:{brief_id}", change)])
    return brief_id


def revise_brief(session: Session, brief_id: str, new: NewBrief, actor: Actor) -> list[str]:
    """Have a brief say what `new` says, and keep its id: whoever plans it changed their mind. Returns the
    names of the fields that changed. What was made of it stays, and is made anew when it is generated."""
    brief = session.get_one(Brief, brief_id)
    lock(session, brief.project_id)
    session.refresh(brief)
    values = {name: getattr(new, name) for name in _REVISABLE}
    changed = {
        name: [_plain(getattr(brief, name)), _plain(value)]
        for name, value in values.items()
        if getattr(brief, name) != value
    }
    if brief.template_version_id != new.template_version_id:
        changed["template_version_id"] = [brief.template_version_id, new.template_version_id]
    if not changed:
        return []
    hashes = {"before": brief.content_hash, "after": new.content_hash}
    for name, value in values.items():
        setattr(brief, name, value)
    brief.template_version_id, brief.content_hash = new.template_version_id, new.content_hash
    session.flush()
    entry = Change(actor, "brief.updated", f"brief:{brief_id}", hashes | {"changed": changed})
    record_all(session, brief.project_id, [entry])
    return list(changed)


_REVISABLE = ("title", "variables", "keywords", "due_date", "priority", "assignee", "campaign_id")
_ID_DIGITS = (8, 16, 20)


def _with_template() -> Select[tuple[Brief, str]]:
    return (
        select(Brief, Template.name)
        .join(TemplateVersion, TemplateVersion.id == Brief.template_version_id)
        .join(Template, Template.id == TemplateVersion.template_id)
    )


def _identity(brief: Brief, template: str) -> str:
    return content_hash([template, brief.title, brief.variables])


def _free_id(brief: NewBrief, taken: Mapping[str, str]) -> str:
    """The brief's id, with as much more of its identity as tells it from another brief's: among 10,000
    briefs of one title, eight digits meet in one batch of a hundred."""
    stem = brief.id.removesuffix(brief.identity[:8])
    for digits in _ID_DIGITS:
        brief_id = f"{stem}{brief.identity[:digits]}"
        if taken.get(brief_id, brief.identity) == brief.identity:
            return brief_id
    raise TemplateError(f"no free id for the brief {brief.title!r}")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
