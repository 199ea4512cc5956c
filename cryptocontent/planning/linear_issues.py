"""Issues become briefs: one brief each, whatever order their states come in, and however often.

Who decides what:

- **Linear decides what is to be written**: title, description (with the brief's fields and the note to the
  writer), due date, priority, assignee, campaign. An issue's brief is revised in place until its article is
  approved; what Linear says after that is kept, and applied if the article is reopened.
- **cryptocontent decides how far it is** (`linear_states`).
- Of two states of an issue the one with the newer `updatedAt` holds. An older one, or the same one again,
  changes nothing. Of the same instant, only removal counts as newer.

Everything that tells us of an issue comes through `apply_issues`: webhooks, polling, a whole resync.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record, text_change
from cryptocontent.content.brief_files import Row, RowProblem
from cryptocontent.content.briefs import NewBrief, RowChecker, add_brief, revise_brief, same_brief
from cryptocontent.content.generations import ENDED, close_if_finished, request_generation
from cryptocontent.integrations.linear import Issue
from cryptocontent.planning.issue_text import read_description
from cryptocontent.planning.roadmap import campaign_and_due, campaigns_of
from cryptocontent.storage.models import (
    Article,
    Brief,
    Campaign,
    Generation,
    GenerationBrief,
    Instruction,
    LinearIssue,
    Source,
)

ACTOR = Actor("sensor", "linear")
ORIGIN = "linear"
FROZEN = ("approved", "scheduled", "published", "archived")
"""The states of an article in which its brief stays as it is."""
MOST_NOTE = 4000
"""Characters of the note to the writer; a longer one is cut, and the issue holds the rest."""
_CALLED_OFF = ("canceled", "duplicate")


@dataclass(slots=True)
class Applied:
    """What became of issues: how many of each outcome (`created`, `revised`, `unchanged`, `refused`,
    `held`, `left`, `removed`, `outdated`, `elsewhere`), and the briefs that are new."""

    counts: Counter[str] = field(default_factory=Counter)
    created: list[str] = field(default_factory=list)
    unknown_campaign: bool = False


def apply_issues(
    session: Session, source: Source, issues: Iterable[Issue], *, batch_size: int, again: bool = False
) -> Applied:
    """Have the source's briefs say what these issues say, in the caller's transaction; the project is locked
    until it ends. `again`: also an issue whose state was applied before is looked at anew, since what it is
    checked against (templates, dates of the roadmap) may have changed."""
    lock(session, source.project_id)
    desk = _Desk(session, source)
    applied = Applied()
    for issue in issues:
        outcome = _apply(desk, issue, applied, again)
        applied.counts[outcome] += 1
    session.flush()
    if applied.created and source.config.get("generate"):
        request_generation(session, source.project_id, applied.created, ACTOR, batch_size=batch_size)
    return applied


class _Desk:
    """What issues are checked against, read when the first one needs it."""

    def __init__(self, session: Session, source: Source) -> None:
        self.session, self.source = session, source
        self.config: Mapping[str, Any] = source.config
        self.project_id = source.project_id
        self._checker: RowChecker | None = None
        self._campaigns: dict[str, Campaign] | None = None

    @property
    def checker(self) -> RowChecker:
        if self._checker is None:
            self._checker = RowChecker(self.session, self.project_id)
        return self._checker

    @property
    def campaigns(self) -> dict[str, Campaign]:
        if self._campaigns is None:
            on = self.config.get("roadmap")
            self._campaigns = campaigns_of(self.session, self.project_id) if on else {}
        return self._campaigns


def standing(config: Mapping[str, Any], issue: Issue, has_brief: bool) -> tuple[str, str]:
    """What an issue is to a source: `brief`, `left` or `removed`; and why it is no brief."""
    if issue.archived:
        return "removed", "the issue was archived or deleted"
    if issue.team_id != config["team_id"]:
        return "left", "the issue was moved to another team"
    if config["label_id"] and config["label_id"] not in issue.label_ids:
        return "left", f"the issue has no label {config['label']!r}"
    if config["project_id"] and config["project_id"] != issue.project_id:
        return "left", f"the issue is not in project {config['project']!r}"
    if issue.state_type in _CALLED_OFF:
        return "left", f"the issue is {issue.state}"
    if not has_brief and issue.state_type == "completed":
        return "left", f"the issue was {issue.state} before it became a brief"
    if not has_brief and issue.state_type == "triage":
        return "left", "the issue is in triage"
    return "brief", ""


def _apply(desk: _Desk, issue: Issue, applied: Applied, again: bool) -> str:
    session, source = desk.session, desk.source
    row = session.get(LinearIssue, (source.id, issue.id), populate_existing=True)
    if row is None:
        if issue.team_id != source.config["team_id"]:
            return "elsewhere"
        row = _row(desk, issue)
        if row is None:
            return "elsewhere"  # another source of the project has it
    elif not (_is_newer(issue, row) or (again and issue.updated_at == row.updated_at)):
        return "outdated"
    before = row.status
    status, why = standing(source.config, issue, row.brief_id is not None)
    row.identifier, row.url, row.title = issue.identifier[:40], issue.url[:2000], issue.title[:500]
    row.state, row.team_id, row.updated_at = issue.state[:100], issue.team_id, issue.updated_at
    if status != "brief":
        row.status, row.problem = status, why if row.brief_id else ""
        row.content = issue.model_dump(mode="json") if row.brief_id else {}
        if row.brief_id and before != status:
            _withdraw(desk, row, why)
        session.flush()
        return status if row.brief_id or before == "refused" else "elsewhere"
    row.content = issue.model_dump(mode="json")
    outcome = _write(desk, row, issue, applied)
    session.flush()
    return outcome


def _is_newer(issue: Issue, row: LinearIssue) -> bool:
    if issue.updated_at == row.updated_at:
        return issue.archived and row.status != "removed"
    return issue.updated_at > row.updated_at


def _row(desk: _Desk, issue: Issue) -> LinearIssue | None:
    """The row of an issue that this source did not know: with what a source that was removed since had of
    it; None if another source of the project has its brief. Issues that are none of ours are written down
    too: an older state of theirs, in which they were, may come later."""
    others = desk.session.execute(
        select(LinearIssue, Source.status)
        .join(Source, Source.id == LinearIssue.source_id)
        .where(
            Source.project_id == desk.project_id,
            Source.id != desk.source.id,
            LinearIssue.issue_id == issue.id,
            LinearIssue.brief_id.is_not(None),
        )
    ).all()
    row = LinearIssue(
        source_id=desk.source.id,
        issue_id=issue.id,
        identifier=issue.identifier[:40],
        updated_at=issue.updated_at,
        status="left",
        told={},
    )
    for other, status in others:
        if status != "removed":
            return None
        row.brief_id, row.instruction_id, row.told = other.brief_id, other.instruction_id, other.told
        desk.session.delete(other)
    desk.session.add(row)
    desk.session.flush()
    return row


def _write(desk: _Desk, row: LinearIssue, issue: Issue, applied: Applied) -> str:
    """Have the issue's brief say what the issue says."""
    if row.brief_id and (frozen := _frozen(desk.session, row.brief_id)):
        row.status = "brief"
        changed = row.brief_id and _differs(desk, row, issue)
        row.problem = f"the article is {frozen}: reopen it, and this is applied" if changed else ""
        return "held" if changed else "unchanged"
    new, note, problems = _checked(desk, issue, applied)
    if new is not None and (twin := same_brief(desk.session, desk.project_id, new)) not in (
        None,
        row.brief_id,
    ):
        owner = _owner(desk, twin or "")
        if owner or row.brief_id:
            of = f" of {owner}" if owner else ""
            problems.append(RowProblem(0, "title", new.title, f"brief {twin}{of} says the same already"))
            new = None
        else:
            row.brief_id = twin  # a person imported it from a file: this is its issue
    if new is None:
        row.status, row.problem = "refused", "\n".join(sorted({_line(one) for one in problems}))
        return "refused"
    row.status, row.problem = "brief", ""
    if row.brief_id is None:
        row.brief_id = add_brief(desk.session, desk.project_id, new, ACTOR, origin=ORIGIN)
        applied.created.append(row.brief_id)
        _keep_note(desk, row, issue, note)
        return "created"
    changed = bool(revise_brief(desk.session, row.brief_id, new, ACTOR))
    changed = _keep_note(desk, row, issue, note) or changed
    return "revised" if changed else "unchanged"


def _checked(desk: _Desk, issue: Issue, applied: Applied) -> tuple[NewBrief | None, str, list[RowProblem]]:
    """The brief that an issue asks for and its note, or everything that is wrong with it."""
    description = read_description(issue.description)
    campaign, due = campaign_and_due(issue, desk.campaigns)
    planned = {issue.milestone_id, issue.project_id, issue.cycle_id} - {""}
    if desk.config.get("roadmap") and not planned <= desk.campaigns.keys():
        applied.unknown_campaign = True
    priority = desk.config["priorities"].get(str(issue.priority), "normal")
    cells: dict[str, Any] = {"template": desk.config["template"]} | description.cells
    cells |= {"title": issue.title, "priority": priority, "due_date": due or ""}
    if not cells["template"]:
        reason = "no template: write `template: NAME` into a block ```brief in the description"
        return None, "", [*description.problems, RowProblem(0, "template", "", reason)]
    new, problems = desk.checker.check(Row(0, cells))
    problems = [*description.problems, *problems]
    if new is None or problems:
        return None, "", problems
    assignee = issue.assignee[:200] or None
    return replace(new, assignee=assignee, campaign_id=campaign), description.note, []


def _line(problem: RowProblem) -> str:
    value = f" `{problem.value}`" if problem.value else ""
    return f"{problem.column}{value}: {problem.reason}"


def _owner(desk: _Desk, brief_id: str) -> str:
    """The issue whose brief this is, if one's."""
    query = select(LinearIssue.identifier).where(LinearIssue.brief_id == brief_id)
    return desk.session.scalars(query).first() or ""


def _frozen(session: Session, brief_id: str) -> str:
    """The state of the brief's article, if it keeps the brief from being changed."""
    status = session.scalar(select(Article.status).filter_by(brief_id=brief_id))
    return status if status in FROZEN else ""


def _differs(desk: _Desk, row: LinearIssue, issue: Issue) -> bool:
    """Whether the issue asks for another brief than the one that it has."""
    new, note, _ = _checked(desk, issue, Applied())
    if new is None:
        return True
    brief = desk.session.get_one(Brief, row.brief_id)
    there = desk.session.get(Instruction, row.instruction_id or 0)
    return (
        (brief.title, brief.variables, brief.keywords) != (new.title, new.variables, new.keywords)
        or (brief.due_date, brief.priority) != (new.due_date, new.priority)
        or (brief.assignee, brief.campaign_id) != (new.assignee, new.campaign_id)
        or (there.body if there else "") != _cut(note, issue)
    )


def _cut(note: str, issue: Issue) -> str:
    if len(note) <= MOST_NOTE:
        return note
    rest = f" … (the rest is in {issue.url})"
    return note[: MOST_NOTE - len(rest)] + rest


def _keep_note(desk: _Desk, row: LinearIssue, issue: Issue, note: str) -> bool:
    """Give the writer the issue's free text as an instruction, one per issue, changed in place. Whether it
    changed."""
    session = desk.session
    body = _cut(note, issue)
    there = session.get(Instruction, row.instruction_id) if row.instruction_id else None
    before = there.body if there else ""
    if body == before:
        return False
    if there is not None and body:
        there.body = body
    elif there is not None:
        session.delete(there)
        row.instruction_id = None
    else:
        author = f"Linear {issue.identifier}"
        there = Instruction(brief_id=row.brief_id, stage="writer", body=body, author=author)
        session.add(there)
        session.flush()
        row.instruction_id = there.id
    session.flush()
    change = text_change(before, body)
    record(session, desk.project_id, ACTOR, "brief.note_changed", f"brief:{row.brief_id}", change)
    return True


def _withdraw(desk: _Desk, row: LinearIssue, why: str) -> None:
    """The issue is no brief of ours any more: the brief stays, and what no run has begun is not generated."""
    cancelled = _cancel(desk.session, row.brief_id or "")
    data = {"issue": row.identifier, "reason": why, "generations": cancelled}
    record(desk.session, desk.project_id, ACTOR, "brief.left", f"brief:{row.brief_id}", data)


def _cancel(session: Session, brief_id: str) -> list[str]:
    """Take a brief out of the generations in which it waits for a run; returns their ids."""
    waits = (
        GenerationBrief.brief_id == brief_id,
        GenerationBrief.status.in_(("queued", "held")),
        GenerationBrief.batch.is_(None),
    )
    query = (
        select(GenerationBrief.generation_id)
        .join(Generation, Generation.id == GenerationBrief.generation_id)
        .where(*waits, Generation.status.not_in(ENDED))
    )
    found = sorted(session.scalars(query))
    if found:
        session.execute(
            update(GenerationBrief)
            .where(*waits, GenerationBrief.generation_id.in_(found))
            .values(status="cancelled", error="its Linear issue is gone")
        )
        for generation_id in found:
            close_if_finished(session, generation_id)
    return found


def apply_again(session: Session, source: Source, rows: Collection[LinearIssue], batch_size: int) -> Applied:
    """Look anew at issues as they were last seen, without asking Linear."""
    issues = [Issue.model_validate(row.content) for row in rows if row.content]
    return apply_issues(session, source, issues, batch_size=batch_size, again=True)


def reopened(session: Session, source_id: str) -> list[LinearIssue]:
    """The issues whose newest state waits no longer for its article to be reopened."""
    query = (
        select(LinearIssue)
        .join(Article, Article.brief_id == LinearIssue.brief_id)
        .where(
            LinearIssue.source_id == source_id,
            LinearIssue.status == "brief",
            LinearIssue.problem != "",
            Article.status.not_in(FROZEN),
        )
    )
    return list(session.scalars(query))


def set_removed(session: Session, source: Source, issue_ids: Collection[str]) -> int:
    """Linear no longer knows these issues. Returns how many of ours they were."""
    lock(session, source.project_id)
    desk = _Desk(session, source)
    removed = 0
    for issue_id in sorted(issue_ids):
        row = session.get(LinearIssue, (source.id, issue_id), populate_existing=True)
        if row is None or row.status == "removed":
            continue
        row.status, row.problem = "removed", "the issue was deleted for good"
        removed += 1
        if row.brief_id:
            _withdraw(desk, row, row.problem)
    session.flush()
    return removed
