"""How far a brief is, told to its issue: a workflow state, a comment with links, an attachment.

cryptocontent tells only when **its own** state changes. So a person's move in Linear stays until then, and
what we told comes back (as a webhook, as a changed issue) without being told again. A state without a name in
the source's configuration is told by the workflow's types, and leaves an issue alone that is in a state of
that type already: the team's finer states are the team's.

What is told goes out outside of any transaction and is written down afterwards, in `LinearIssue.told`. A
process that dies in between tells it again, which changes nothing there: the same state is set, the
attachment is found by its address, and the comment's id follows from the issue, the step and what is told.
"""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.content.generations import ENDED
from cryptocontent.content.outbox import FILES
from cryptocontent.content.text import content_hash
from cryptocontent.integrations.linear import Linear, Missing, Rejected
from cryptocontent.settings import Settings
from cryptocontent.storage.database import batched, writing
from cryptocontent.storage.models import (
    Article,
    Brief,
    Generation,
    GenerationBrief,
    LinearIssue,
    Publication,
    Source,
)
from cryptocontent.storage.types import utc_now

_TYPES = {
    "briefed": "unstarted",
    "generating": "started",
    "draft": "started",
    "in_review": "started",
    "changes_requested": "started",
    "approved": "started",
    "scheduled": "started",
    "published": "completed",
    "failed": "started",
    "archived": "",
}
STATES = tuple(_TYPES)
"""The states of a brief, in their order."""
_COMMENTED = {
    "draft": "**Draft ready**",
    "in_review": "**Ready for review**",
    "changes_requested": "**Changes are requested**",
    "approved": "**Approved**",
    "scheduled": "**Scheduled**",
    "published": "**Published**",
    "failed": "**It could not be written**",
    "archived": "**Archived**",
}
_PATIENCE = timedelta(minutes=10)
"""How long the news that an article is published waits for its targets, whose addresses belong to it."""
_MOST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a brief is. `urls`: where its article can be read, by target."""

    state: str
    error: str = ""
    article_id: str = ""
    slug: str = ""
    title: str = ""
    scheduled: str = ""
    urls: Mapping[str, str] = field(default_factory=dict)
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Push:
    """What Linear is to be told of one issue, and what will have been told then. `before` is what had been
    told when this was decided."""

    issue_id: str
    state: Mapping[str, Any] | None
    comments: tuple[tuple[str, str], ...]  # id and text
    attachment: Mapping[str, Any] | None
    before: Mapping[str, Any]
    after: dict[str, Any]


def progress_of(session: Session, brief_ids: Sequence[str]) -> dict[str, Progress]:
    """How far each brief is."""
    found: dict[str, Progress] = {}
    for ids in batched(brief_ids, 500):
        under_way = set(
            session.scalars(
                select(GenerationBrief.brief_id)
                .join(Generation, Generation.id == GenerationBrief.generation_id)
                .where(
                    GenerationBrief.brief_id.in_(ids),
                    GenerationBrief.status.in_(("queued", "held", "waiting")),
                    Generation.status.not_in(ENDED),
                )
            )
        )
        rows = session.execute(
            select(Brief, Article).outerjoin(Article, Article.brief_id == Brief.id).where(Brief.id.in_(ids))
        ).all()
        published = [article for _, article in rows if article is not None and article.status == "published"]
        publications = _publications(session, published)
        for brief, article in rows:
            found[brief.id] = _progress(brief, article, brief.id in under_way, publications)
    return found


def _publications(session: Session, articles: Sequence[Article]) -> dict[str, list[Publication]]:
    versions = {one.published_version_id: one.id for one in articles}
    found: dict[str, list[Publication]] = {}
    query = select(Publication).where(Publication.version_id.in_(list(versions))).order_by(Publication.target)
    for one in session.scalars(query):
        found.setdefault(one.article_id, []).append(one)
    return found


def _progress(
    brief: Brief, article: Article | None, under_way: bool, publications: Mapping[str, list[Publication]]
) -> Progress:
    error = (brief.last_error or "")[:_MOST_ERROR]
    if article is None:
        state = "generating" if under_way else "failed" if error else "briefed"
        return Progress(state, error if state == "failed" else "")
    state = article.status
    if state == "draft":
        state = "generating" if under_way else "failed" if error else "draft"
    mine = publications.get(article.id, [])
    late = article.published_at is None or utc_now() - article.published_at > _PATIENCE
    return Progress(
        state,
        error if state == "failed" else "",
        article.id,
        article.slug,
        article.title,
        article.scheduled_at.isoformat(timespec="minutes") if article.scheduled_at else "",
        {one.target: one.url for one in mine if one.url},
        late or all(one.status != "pending" for one in mine if one.target != FILES),
    )


def comment_id(*parts: str | int) -> str:
    """A UUID of version 4, as Linear wants them, that follows from what it is for."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def target_state(
    config: Mapping[str, Any], workflow: Sequence[Mapping[str, Any]], state: str, current: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """The workflow state to put an issue into whose brief is now in `state`; None to leave it where it is.
    `current`: the `name` and `type` of the state that it is in."""
    named = config.get("states", {}).get(state)
    if named is not None:
        found = next((one for one in workflow if one["name"] == named), None)
        return found if found is not None and named != current["name"] else None
    kind = _TYPES[state]
    if kind == current["type"] or (state == "briefed" and current["type"] not in ("triage", "backlog")):
        return None
    return next((one for one in workflow if one["type"] == kind), None)


def state_names(config: Mapping[str, Any], workflow: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """For people: into which workflow state an issue is put by each state of its brief; "" for none."""
    elsewhere = {"name": "", "type": "backlog"}
    targets = {state: target_state(config, workflow, state, elsewhere) for state in STATES}
    return {state: target["name"] if target else "" for state, target in targets.items()}


def due_pushes(session: Session, settings: Settings, source: Source) -> list[Push]:
    """What Linear has not been told yet."""
    query = select(LinearIssue).where(
        LinearIssue.source_id == source.id, LinearIssue.status.in_(("brief", "refused"))
    )
    rows = list(session.scalars(query.order_by(LinearIssue.issue_id)))
    progress = progress_of(session, [row.brief_id for row in rows if row.brief_id])
    pushes = [_push(settings, source, row, progress.get(row.brief_id or "")) for row in rows]
    return [push for push in pushes if push is not None]


def _push(settings: Settings, source: Source, row: LinearIssue, progress: Progress | None) -> Push | None:
    told, after = row.told, dict(row.told)
    step = int(told.get("step", 0)) + 1
    comments: list[tuple[str, str]] = []
    state = attachment = None
    if row.status == "refused":
        problems = content_hash(row.problem)
        if told.get("refused") != problems:
            comments.append((comment_id(source.project_id, row.issue_id, "refused", problems), _refusal(row)))
            after["refused"] = problems
    held = row.status == "brief" and bool(row.problem)
    if held != bool(told.get("held")):
        after["held"] = held
        if held:
            text = f"**This change is kept, and not applied**: {row.problem}."
            comments.append((comment_id(source.project_id, row.issue_id, step, "held"), text))
    if progress is not None and progress.settled:
        if told.get("state") != progress.state:
            state = target_state(
                source.config, source.cursor.get("workflow", []), progress.state, _current(row)
            )
            after |= {"state": progress.state, "type": state["type"] if state else "", "seen": _seen(row)}
            if progress.state in _COMMENTED:
                seed = (source.project_id, row.issue_id, step, progress.state)
                comments.append((comment_id(*seed), _comment(settings, progress)))
        attachment = _attachment(settings, progress)
        shown = content_hash(attachment) if attachment else ""
        if told.get("shown", "") == shown:
            attachment = None
        else:
            after["shown"] = shown
    if after == dict(told):
        return None
    after |= {"step": step, "error": ""}
    return Push(row.issue_id, state, tuple(comments), attachment, told, after)


def _seen(row: LinearIssue) -> str:
    return row.updated_at.isoformat()


def _current(row: LinearIssue) -> dict[str, str]:
    """The state that an issue is in: where we put it, if we heard nothing newer since."""
    kind = str(row.content.get("state_type", ""))
    if row.told.get("seen") == _seen(row) and row.told.get("type"):
        return {"name": "", "type": row.told["type"]}
    return {"name": row.state, "type": kind}


def _refusal(row: LinearIssue) -> str:
    problems = "\n".join(f"- {line}" for line in row.problem.splitlines())
    what = "Its brief stays as it was" if row.brief_id else "No brief was made of it"
    return f"**This issue can't become a brief yet.** {what}. To mend:\n\n{problems}"


def article_url(settings: Settings, article_id: str) -> str:
    """Where people open an article, "" without PUBLIC_URL."""
    return f"{settings.public_url.rstrip('/')}/articles/{article_id}" if settings.public_url else ""


def _comment(settings: Settings, progress: Progress) -> str:
    text = _COMMENTED[progress.state]
    if progress.article_id:
        url = article_url(settings, progress.article_id)
        title = progress.title.replace("[", "\\[").replace("]", "\\]")
        text += f": [{title}]({url})" if url else f": {progress.title} (`{progress.slug}`)"
    if progress.state == "scheduled" and progress.scheduled:
        text += f"\n\nIt goes out at {progress.scheduled}."
    if progress.error:
        text += f"\n\n> {' '.join(progress.error.split())}"
    links = "\n".join(f"- {target}: {url}" for target, url in progress.urls.items())
    return f"{text}\n\n{links}" if links else text


def _attachment(settings: Settings, progress: Progress) -> dict[str, Any] | None:
    """The link to the article at its issue: to the Studio, else to where it was published."""
    if not progress.article_id:
        return None
    published = next((one for one in progress.urls.values() if one.startswith("http")), "")
    url = article_url(settings, progress.article_id) or published
    if not url:
        return None
    subtitle = progress.state.replace("_", " ").capitalize()
    if published and published != url:
        subtitle += f" · {published}"
    metadata = {"article": progress.article_id, "state": progress.state}
    return {"url": url, "title": progress.title, "subtitle": subtitle, "metadata": metadata}


def tell(linear: Linear, push: Push) -> str:
    """Tell Linear; returns what is wrong if it won't ever take it. `Unavailable` if it may later."""
    try:
        if push.state is not None:
            linear.move(push.issue_id, push.state["id"])
        if push.attachment is not None:
            linear.attach(push.issue_id, **push.attachment)
        for one, body in push.comments:
            linear.comment(push.issue_id, one, body)
    except (Missing, Rejected) as error:
        return str(error)
    return ""


def write_down(engine: Engine, source_id: str, push: Push, error: str = "") -> bool:
    """Keep what was told. Whether it was kept: not if another process told something meanwhile."""
    with writing(engine) as session:
        row = session.scalars(
            select(LinearIssue).filter_by(source_id=source_id, issue_id=push.issue_id).with_for_update()
        ).one_or_none()
        if row is None or row.told.get("step", 0) != push.before.get("step", 0):
            return False
        row.told = push.after | {"error": error}
    return True
