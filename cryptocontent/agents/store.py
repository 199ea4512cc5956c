"""Reading the work of many briefs, and writing what a stage made of them.

A stage result, the version that holds its content, its citations, messages, findings and audit
entry are one transaction: there is never one without the others. Reading is a handful of queries
for a whole batch.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.agents.work import (
    Draft,
    ResearchImage,
    ResearchPassage,
    SeoPackage,
    Work,
    WorkBrief,
    WorkFinding,
    WorkMessage,
)
from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.content.documents import cited_numbers, render_article
from cryptocontent.content.templates import TemplateSpec, outline
from cryptocontent.content.text import content_hash, slugify
from cryptocontent.storage.database import batched, insert_ignoring_conflicts, pairs, reading, writing
from cryptocontent.storage.models import (
    Article,
    Brief,
    Citation,
    Finding,
    Image,
    Message,
    Passage,
    Reference,
    ReferenceRevision,
    Research,
    RevisionImage,
    StageResult,
    TemplateVersion,
    Version,
)
from cryptocontent.storage.types import utc_now


class StageOutput(BaseModel):
    """What of a `Work` a stage may change: the part that is stored."""

    draft: Draft
    seo: SeoPackage | None
    findings: tuple[WorkFinding, ...]
    messages: tuple[WorkMessage, ...]
    metrics: dict[str, float]
    cost_usd: float

    @classmethod
    def of(cls, work: Work) -> "StageOutput":
        """The stored part of `work`."""
        return cls.model_construct(**{name: getattr(work, name) for name in cls.model_fields})

    def onto(self, work: Work) -> Work:
        """`work` as it was when this output was stored."""
        return work.model_copy(update={name: getattr(self, name) for name in StageOutput.model_fields})


@dataclass(frozen=True, slots=True)
class Inputs:
    """A brief ready for the pipeline: its work before the first stage, and the hash of all that is in
    it. `provenance` names the rows that it was made from."""

    work: Work
    input_hash: str
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished stage of one brief, to be stored."""

    inputs: Inputs
    stage: str
    key: str
    previous_key: str | None
    engine: str
    agent_version: str
    work: Work
    messages_before: int
    seconds: float
    final: bool


def article_id_of(brief_id: str) -> str:
    """An article's id follows from its brief's, so that two processes never make two articles."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"article:{brief_id}").hex


def version_id_of(article_id: str, key: str) -> str:
    """A stage's version has an id that follows from its key: made once, however often it is tried."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"version:{article_id}:{key}").hex


def load_inputs(engine: Engine, brief_ids: Sequence[str]) -> tuple[dict[str, Inputs], dict[str, str]]:
    """The inputs of each brief, and for those that have none the reason (no such brief, no research)."""
    inputs: dict[str, Inputs] = {}
    missing: dict[str, str] = {}
    with reading(engine) as session:
        rows: list[Any] = []
        for ids in batched(brief_ids, 500):
            rows += session.execute(
                select(Brief, TemplateVersion, Research)
                .join(TemplateVersion, TemplateVersion.id == Brief.template_version_id)
                .outerjoin(Research, Research.id == Brief.research_id)
                .where(Brief.id.in_(ids))
            ).all()
        passages = _passages(session, [research for _, _, research in rows if research is not None])
    for brief, template, research in rows:
        if research is None:
            missing[brief.id] = "research is missing: materialize `research` for this brief first"
            continue
        if not research.passages:
            missing[brief.id] = "research found no passages: import references on this subject first"
            continue
        spec = TemplateSpec.model_validate(template.spec)
        work = Work(
            brief=WorkBrief(
                id=brief.id,
                project_id=brief.project_id,
                outline=outline(spec, brief.variables, brief.title),
                keywords=tuple(brief.keywords),
                variables=brief.variables,
                due_date=brief.due_date,
            ),
            research=tuple(
                passages[item["passage_id"]].model_copy(
                    update={"number": number, "ordinal": item["ordinal"], "scores": tuple(item["scores"])}
                )
                for number, item in enumerate(research.passages, 1)
            ),
        )
        inputs[brief.id] = Inputs(
            work,
            _input_hash(brief.id, brief.content_hash, template.content_hash, research.content_hash),
            {
                "brief": brief.id,
                "brief_hash": brief.content_hash,
                "template": spec.name,
                "template_version": template.number,
                "research": research.id,
                "passages": len(research.passages),
            },
        )
    for brief_id in set(brief_ids) - inputs.keys() - missing.keys():
        missing[brief_id] = "no such brief"
    return inputs, missing


def _input_hash(brief_id: str, brief_hash: str, template_hash: str, research_hash: str) -> str:
    return content_hash([brief_id, brief_hash, template_hash, research_hash])


def input_hashes(engine: Engine, brief_ids: Sequence[str]) -> dict[str, str]:
    """The input hash of each brief that has research, as `load_inputs` has it, read without passages."""
    hashes: dict[str, str] = {}
    with reading(engine) as session:
        for ids in batched(brief_ids, 500):
            rows = session.execute(
                select(Brief.id, Brief.content_hash, TemplateVersion.content_hash, Research.content_hash)
                .join(TemplateVersion, TemplateVersion.id == Brief.template_version_id)
                .join(Research, Research.id == Brief.research_id)
                .where(Brief.id.in_(ids))
            )
            hashes |= {row[0]: _input_hash(*row) for row in rows}
    return hashes


def _passages(session: Session, researches: Sequence[Research]) -> dict[str, ResearchPassage]:
    revisions = {
        item["passage_id"]: item["revision_id"] for research in researches for item in research.passages
    }
    images = _images(session, sorted(set(revisions.values())))
    found: dict[str, ResearchPassage] = {}
    for ids in batched(sorted(revisions), 500):
        rows = session.execute(
            select(Passage, Reference)
            .join(Reference, Reference.id == Passage.reference_id)
            .where(Passage.id.in_(ids))
        )
        for passage, reference in rows:
            found[passage.id] = ResearchPassage(
                number=0,
                passage_id=passage.id,
                reference_id=reference.id,
                revision_id=revisions[passage.id],
                title=reference.title,
                heading_path=tuple(passage.heading_path),
                kind=passage.kind,
                text=passage.text,
                scores=(),
                url=reference.url,
                licence=reference.licence,
                images=images.get(revisions[passage.id], ()),
            )
    return found


def _images(session: Session, revision_ids: Sequence[str]) -> dict[str, tuple[ResearchImage, ...]]:
    images: dict[str, tuple[ResearchImage, ...]] = {}
    for ids in batched(revision_ids, 500):
        rows = session.execute(
            select(RevisionImage, Image)
            .join(ReferenceRevision, ReferenceRevision.id == RevisionImage.revision_id)
            .join(Reference, Reference.id == ReferenceRevision.reference_id)
            .join(Image, (Image.sha256 == RevisionImage.sha256) & (Image.project_id == Reference.project_id))
            .where(RevisionImage.revision_id.in_(ids))
            .order_by(RevisionImage.sha256)
        )
        for place, image in rows:
            described = ResearchImage(
                sha256=image.sha256, alt=place.alt, width=image.width, height=image.height
            )
            images[place.revision_id] = (*images.get(place.revision_id, ()), described)
    return images


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
        "cost_usd": item.work.cost_usd,
        "seconds": item.seconds,
        "run_id": run_id,
        "created_at": now,
    }


def _save_versions(
    session: Session, fresh: Sequence[Outcome], run_id: str, now: Any
) -> dict[str, list[Change]]:
    ids = [article_id_of(item.inputs.work.brief.id) for item in fresh]
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
            select(Article.id)
            .join(Version, Version.id == Article.version_id)
            .where(Article.id.in_(ids), Version.author_kind == "person")
        )
    )
    versions, citations, messages, findings = [], [], [], []
    changes: dict[str, list[Change]] = defaultdict(list)
    for item in fresh:
        work, article = item.work, articles[article_id_of(item.inputs.work.brief.id)]
        number = newest.get(article.id, 0) + 1
        newest[article.id] = number
        version_id = version_id_of(article.id, item.key)
        markdown = render_article(
            work.draft.title, work.draft.body, [passage.source() for passage in work.research]
        )
        digest = content_hash(markdown)
        parent = version_id_of(article.id, item.previous_key) if item.previous_key else article.version_id
        versions.append(
            {
                "id": version_id,
                "article_id": article.id,
                "number": number,
                "parent_id": parent,
                "author_kind": "stage",
                "author": item.stage,
                "stage_key": item.key,
                "title": work.draft.title,
                "markdown": markdown,
                "content_hash": digest,
                "details": {"metrics": work.metrics, "seo": work.seo.model_dump() if work.seo else None},
                "provenance": item.inputs.provenance
                | {
                    "stage": item.stage,
                    "engine": item.engine,
                    "agent_version": item.agent_version,
                    "stage_key": item.key,
                    "cost_usd": work.cost_usd,
                    "run": run_id,
                },
                "created_at": now,
            }
        )
        citations += _citation_rows(version_id, work)
        messages += _message_rows(article.id, version_id, item, now)
        findings += _finding_rows(version_id, work, markdown)
        if article.id not in by_person:
            # What a person wrote stays the current version until a person decides otherwise.
            article.version_id, article.title, article.updated_at = version_id, work.draft.title, now
            if item.final and work.seo:
                article.slug = _free_slug(session, article, work.seo.slug)
                article.status = (
                    "draft" if any(finding.severity == "block" for finding in work.findings) else "in_review"
                )
        change = {
            "version": number,
            "stage": item.stage,
            "after": digest,
            "stage_key": item.key,
            "run": run_id,
        }
        actor = Actor("stage", item.stage)
        changes[article.project_id].append(Change(actor, "version.created", f"article:{article.id}", change))
    session.execute(insert(Version), versions)
    for table, rows in ((Citation, citations), (Message, messages), (Finding, findings)):
        if rows:
            session.execute(insert(table), rows)
    return changes


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
        if passage is not None:
            rows.append(
                {
                    "version_id": version_id,
                    "number": number,
                    "passage_id": passage.passage_id,
                    "reference_id": passage.reference_id,
                    "revision_id": passage.revision_id,
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
        for message in item.work.messages[item.messages_before :]
    ]


def _finding_rows(version_id: str, work: Work, markdown: str) -> list[dict[str, Any]]:
    rows = []
    for finding in work.findings:
        start = markdown.find(finding.excerpt) if finding.excerpt else -1
        rows.append(
            {
                "version_id": version_id,
                "rule": finding.rule,
                "severity": finding.severity,
                "message": finding.message,
                "excerpt": finding.excerpt,
                "start": start if start >= 0 else None,
                "end": start + len(finding.excerpt) if start >= 0 else None,
                "evidence": finding.evidence,
            }
        )
    return rows
