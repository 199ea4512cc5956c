"""What a stage made of many briefs: reading it, and writing it.

A stage result, the version that holds its content, its citations, messages, findings and audit
entry are one transaction: there is never one without the others.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.agents.inputs import Inputs
from cryptocontent.agents.work import Draft, SeoPackage, Work, WorkMessage
from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.content.checking import Checked, finding_row, keep_all
from cryptocontent.content.documents import cited_numbers, render_article
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.text import content_hash, slugify
from cryptocontent.storage.database import batched, insert_ignoring_conflicts, pairs, reading, writing
from cryptocontent.storage.models import (
    Article,
    Brief,
    Citation,
    Event,
    Finding,
    Message,
    StageResult,
    Version,
)
from cryptocontent.storage.types import utc_now


class StageOutput(BaseModel):
    """What of a `Work` a stage may change: the part that is stored."""

    draft: Draft
    seo: SeoPackage | None
    findings: tuple[NewFinding, ...]
    messages: tuple[WorkMessage, ...]
    metrics: dict[str, float]
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float

    @classmethod
    def of(cls, work: Work) -> "StageOutput":
        """The stored part of `work`."""
        return cls.model_construct(**{name: getattr(work, name) for name in cls.model_fields})

    def onto(self, work: Work) -> Work:
        """`work` as it was when this output was stored."""
        return work.model_copy(update={name: getattr(self, name) for name in StageOutput.model_fields})


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished stage of one brief, to be stored. `before` is the work that it started from; `checked`
    what the checks say of it, if it is the last stage; `made_by` which models and prompts made it."""

    inputs: Inputs
    stage: str
    key: str
    previous_key: str | None
    engine: str
    agent_version: str
    before: Work
    work: Work
    seconds: float
    checked: Checked | None = None
    made_by: Mapping[str, Any] = field(default_factory=dict)

    @property
    def article_id(self) -> str:
        """The article that it is a version of."""
        return article_id_of(self.inputs.work.brief.id)


def article_id_of(brief_id: str) -> str:
    """An article's id follows from its brief's, so that two processes never make two articles."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"article:{brief_id}").hex


def version_id_of(article_id: str, key: str) -> str:
    """A stage's version has an id that follows from its key: made once, however often it is tried."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"version:{article_id}:{key}").hex


def stored_keys(engine: Engine, keys: Iterable[str]) -> set[str]:
    """Which of the keys have a stage result."""
    found: set[str] = set()
    with reading(engine) as session:
        for some in batched(keys, 500):
            found |= set(session.scalars(select(StageResult.key).where(StageResult.key.in_(some))))
    return found


def stored_outputs(engine: Engine, keys: Sequence[str]) -> dict[str, StageOutput]:
    """The stored outputs under these keys."""
    with reading(engine) as session:
        rows = session.execute(
            select(StageResult.key, StageResult.output).where(StageResult.key.in_(keys))
        ).all()
    return {key: StageOutput.model_validate_json(output) for key, output in rows}


def failed(engine: Engine, brief_ids: Sequence[str]) -> set[str]:
    """The briefs whose latest attempt failed."""
    found: set[str] = set()
    with reading(engine) as session:
        for ids in batched(brief_ids, 500):
            found |= set(
                session.scalars(select(Brief.id).where(Brief.id.in_(ids), Brief.last_error.is_not(None)))
            )
    return found


def record_errors(engine: Engine, errors: Mapping[str, str | None]) -> None:
    """Set why each brief failed; `None` clears it."""
    with writing(engine) as session:
        for ids in batched((brief for brief, error in errors.items() if not error), 500):
            session.execute(
                update(Brief).where(Brief.id.in_(ids), Brief.last_error.is_not(None)).values(last_error=None)
            )
        for brief_id, error in errors.items():
            if error:
                session.execute(update(Brief).filter_by(id=brief_id).values(last_error=error))


def save(engine: Engine, outcomes: Sequence[Outcome], run_id: str) -> None:
    """Store finished stages with their versions, all or nothing. A result that is there already (a
    second process finished first) stays, and nothing of this one is written."""
    with writing(engine) as session:
        # Other processes finish articles of the same projects: a slug is free only for who holds the lock.
        for project_id in sorted({item.inputs.work.brief.project_id for item in outcomes}):
            lock(session, project_id)
        known = set(
            session.scalars(
                select(StageResult.key).where(StageResult.key.in_([item.key for item in outcomes]))
            )
        )
        fresh = [item for item in outcomes if item.key not in known]
        if not fresh:
            return
        now = utc_now()
        session.execute(insert(StageResult), [_result_row(item, run_id, now) for item in fresh])
        changes = _save_versions(session, fresh, run_id, now)
        session.execute(insert(Event), [_event_row(item, now) for item in fresh])
        for project_id, entries in changes.items():
            record_all(session, project_id, entries)


def _result_row(item: Outcome, run_id: str, now: Any) -> dict[str, Any]:
    return {
        "key": item.key,
        "brief_id": item.inputs.work.brief.id,
        "stage": item.stage,
        "engine": item.engine,
        "agent_version": item.agent_version,
        "output": StageOutput.of(item.work).model_dump_json(),
        "calls": item.work.calls - item.before.calls,
        "input_tokens": item.work.input_tokens - item.before.input_tokens,
        "output_tokens": item.work.output_tokens - item.before.output_tokens,
        "cost_usd": item.work.cost_usd - item.before.cost_usd,
        "seconds": item.seconds,
        "run_id": run_id,
        "created_at": now,
    }


def _event_row(item: Outcome, now: Any) -> dict[str, Any]:
    """What people who watch are told of a finished stage."""
    said = item.work.messages[len(item.before.messages) :]
    data = {
        "stage": item.stage,
        "engine": item.engine,
        "version": version_id_of(item.article_id, item.key),
        "seconds": round(item.seconds, 3),
        "calls": item.work.calls - item.before.calls,
        "cost_usd": item.work.cost_usd - item.before.cost_usd,
        "messages": len(said),
        "summary": next((one.body for one in reversed(said) if one.kind == "summary"), ""),
    }
    return {
        "project_id": item.inputs.work.brief.project_id,
        "subject": f"article:{item.article_id}",
        "kind": "stage",
        "data": data,
        "created_at": now,
    }


def _save_versions(
    session: Session, fresh: Sequence[Outcome], run_id: str, now: Any
) -> dict[str, list[Change]]:
    ids = [item.article_id for item in fresh]
    _ensure_articles(session, fresh, now)
    articles = {
        article.id: article for article in session.scalars(select(Article).where(Article.id.in_(ids)))
    }
    newest = pairs(
        session.execute(
            select(Version.article_id, func.max(Version.number))
            .where(Version.article_id.in_(ids))
            .group_by(Version.article_id)
        )
    )
    by_person = set(
        session.scalars(
            select(Version.id)
            .join(Article, Version.id == Article.version_id)
            .where(Article.id.in_(ids), Version.author_kind == "person")
        )
    )
    versions, citations, messages = [], [], []
    changes: dict[str, list[Change]] = defaultdict(list)
    for item in fresh:
        article = articles[item.article_id]
        number = newest.get(article.id, 0) + 1
        newest[article.id] = number
        row = _version_row(item, article, number, run_id, now)
        versions.append(row)
        citations += _citation_rows(row["id"], item.work)
        messages += _message_rows(article.id, row["id"], item, now)
        restart = item.inputs.chain.restart
        if article.status != "archived" and (
            article.version_id not in by_person or (restart and article.version_id == restart.version_id)
        ):
            # What a person wrote stays the current version until a person decides otherwise.
            article.version_id, article.title, article.updated_at = row["id"], item.work.draft.title, now
            if item.checked is not None:
                _finish_article(session, article, item)
        change = {
            "version": number,
            "stage": item.stage,
            "after": row["content_hash"],
            "stage_key": item.key,
            "run": run_id,
        }
        actor = Actor("stage", item.stage)
        changes[article.project_id].append(Change(actor, "version.created", f"article:{article.id}", change))
    session.execute(insert(Version), versions)
    for table, rows in ((Citation, citations), (Message, messages)):
        if rows:
            session.execute(insert(table), rows)
    _save_findings(session, fresh)
    return changes


def _version_row(item: Outcome, article: Article, number: int, run_id: str, now: Any) -> dict[str, Any]:
    work, restart = item.work, item.inputs.chain.restart
    markdown = article_markdown(work)
    if item.previous_key:
        parent: str | None = version_id_of(article.id, item.previous_key)
    else:
        parent = restart.version_id if restart else article.version_id
    metrics = {**work.metrics, **(item.checked.metrics if item.checked else {})}
    return {
        "id": version_id_of(article.id, item.key),
        "article_id": article.id,
        "number": number,
        "parent_id": parent,
        "author_kind": "stage",
        "author": item.stage,
        "stage_key": item.key,
        "title": work.draft.title,
        "markdown": markdown,
        "content_hash": content_hash(markdown),
        "details": {"metrics": metrics, "seo": work.seo.model_dump() if work.seo else None},
        "provenance": item.inputs.provenance
        | {
            "stage": item.stage,
            "engine": item.engine,
            "agent_version": item.agent_version,
            "stage_key": item.key,
            "instructions": [one.model_dump() for one in work.asked(item.stage)],
            "calls": work.calls,
            "input_tokens": work.input_tokens,
            "output_tokens": work.output_tokens,
            "cost_usd": work.cost_usd,
            "run": run_id,
            **item.made_by,
        },
        "created_at": now,
    }


def article_markdown(work: Work) -> str:
    """The draft as a whole version: title, body, sources."""
    sources = [passage.source() for passage in work.research if passage.text]
    return render_article(work.draft.title, work.draft.body, sources)


def _finish_article(session: Session, article: Article, item: Outcome) -> None:
    if item.work.seo:
        article.slug = _free_slug(session, article, item.work.seo.slug)
    findings = (*item.work.findings, *(item.checked.findings if item.checked else ()))
    blocked = any(finding.severity == "block" for finding in findings)
    article.status = "draft" if blocked else "in_review"
    article.scheduled_at = None


def _save_findings(session: Session, fresh: Sequence[Outcome]) -> None:
    """What the stages left, and for last stages a run of the checks with what it found."""
    rows = []
    for item in fresh:
        version_id = version_id_of(item.article_id, item.key)
        markdown = article_markdown(item.work)
        rows += [finding_row(version_id, None, _placed(finding, markdown)) for finding in item.work.findings]
    if rows:
        session.execute(insert(Finding), rows)
    keep_all(
        session,
        [
            (
                item.inputs.work.brief.project_id,
                item.article_id,
                version_id_of(item.article_id, item.key),
                item.checked,
            )
            for item in fresh
            if item.checked is not None
        ],
        "stage",
    )


def _placed(finding: NewFinding, markdown: str) -> NewFinding:
    """A stage's finding with the place of its text in this version, if it is (still) there."""
    start = markdown.find(finding.excerpt) if finding.excerpt else -1
    place = (start, start + len(finding.excerpt)) if start >= 0 else (None, None)
    return finding.model_copy(update={"start": place[0], "end": place[1]})


def _ensure_articles(session: Session, fresh: Sequence[Outcome], now: Any) -> None:
    rows = [
        {
            "id": article_id_of(item.inputs.work.brief.id),
            "project_id": item.inputs.work.brief.project_id,
            "brief_id": item.inputs.work.brief.id,
            # Unique until the seo stage proposes a better one: the brief's own id.
            "slug": slugify(item.inputs.work.brief.id, 140),
            "title": item.work.draft.title,
            "status": "draft",
            "created_at": now,
            "updated_at": now,
        }
        for item in fresh
    ]
    session.execute(insert_ignoring_conflicts(session.get_bind().dialect, Article), rows)


def _free_slug(session: Session, article: Article, wanted: str) -> str:
    taken = set(
        session.scalars(
            select(Article.slug).where(
                Article.project_id == article.project_id,
                Article.slug.startswith(wanted, autoescape=True),
                Article.id != article.id,
            )
        )
    )
    slug, number = wanted, 2
    while slug in taken:
        slug, number = f"{wanted}-{number}", number + 1
    return slug


def _citation_rows(version_id: str, work: Work) -> list[dict[str, Any]]:
    rows = []
    for number in sorted(cited_numbers(work.draft.body)):
        passage = work.passage(number)
        if passage is not None and passage.text:
            rows.append(
                {
                    "version_id": version_id,
                    "number": number,
                    "passage_id": passage.passage_id or None,
                    "reference_id": passage.reference_id or None,
                    "revision_id": passage.revision_id or None,
                    "market_fact_id": passage.fact.id if passage.fact else None,
                }
            )
    return rows


def _message_rows(article_id: str, version_id: str, item: Outcome, now: Any) -> list[dict[str, Any]]:
    return [
        {
            "article_id": article_id,
            "version_id": version_id,
            "author": message.author,
            "kind": message.kind,
            "body": message.body,
            "data": message.data,
            "created_at": now,
        }
        for message in item.work.messages[len(item.before.messages) :]
    ]
