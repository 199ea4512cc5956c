"""The evidence of an article: all that stands behind each of its sentences, in one bundle.

What is in it, by file of the bundle: the brief with its template and the instructions to agents; the
research; every version with its text, author and provenance; what the versions cite, down to the hash of
the file that it came from; checks, findings and waivers; the review; the conversation; the audit entries
with the verdict on the chain; and `sentences`, which leads from each sentence of the current version to
its author and its sources. `summary` answers what Art. 50(4) of Regulation (EU) 2024/1689 (AI Act) asks of
a publisher of text made by AI: whether a person reviewed it, and who answers for it.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from cryptocontent.audit import entries, verify
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.rules import Rules, load_rules
from cryptocontent.content.sections import Section, sections
from cryptocontent.content.sources import fact_statement, targets_of
from cryptocontent.content.templates import TemplateSpec, outline
from cryptocontent.content.text import content_hash, slugify
from cryptocontent.content.tracing import Traced, trace
from cryptocontent.errors import Refused
from cryptocontent.storage.database import batched
from cryptocontent.storage.models import (
    Approval,
    Article,
    Brief,
    Citation,
    Comment,
    Finding,
    Instruction,
    MarketFact,
    Message,
    Passage,
    Publication,
    Reference,
    ReferenceRevision,
    Research,
    RevisionPassage,
    StageResult,
    Suggestion,
    Template,
    TemplateVersion,
    Version,
    VersionCheck,
    Waiver,
)
from cryptocontent.storage.types import Base, utc_now

_BUNDLE_VERSION = 1
# A zip's entries must bear a time. The real one is in `summary.json`.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def evidence(session: Session, article: Article) -> dict[str, Any]:
    """All evidence of an article, as JSON-serialisable values by part. The number of queries does not
    depend on how many versions, citations or findings there are. `Refused` if nothing was written yet."""
    versions = _all(session, Version, Version.article_id == article.id, Version.number)
    current = next((one for one in versions if one.id == article.version_id), None)
    if current is None:
        raise Refused(f"article {article.slug!r} has no version yet: there is nothing to prove")
    brief = session.get_one(Brief, article.brief_id)
    template, template_version = session.execute(
        select(Template, TemplateVersion)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(TemplateVersion.id == brief.template_version_id)
    ).one()
    rules = load_rules(session, article.project_id)
    results = _stage_results(session, versions)
    sources = _Sources(session, [one.id for one in versions], rules)
    checks = _of_versions(session, VersionCheck, VersionCheck.version_id, versions)
    findings = _of_versions(session, Finding, Finding.version_id, versions)
    approvals = _all(session, Approval, Approval.article_id == article.id, Approval.created_at)
    publications = _all(session, Publication, Publication.article_id == article.id, Publication.created_at)
    spec = TemplateSpec.model_validate(template_version.spec)
    plan = outline(spec, brief.variables, brief.title)
    targets = {number: one.id for number, one in targets_of(session, current).items()}
    traced = trace(
        Subject(markdown=current.markdown, outline=plan, rules=rules, now=utc_now()),
        versions,
        current,
        sources.targets,
    )
    return {
        "article": _row(article),
        "brief": _row(brief)
        | {"template": {"name": template.name} | _row(template_version)}
        | {"instructions": _rows(_all(session, Instruction, Instruction.brief_id == brief.id))},
        "research": _rows(_research(session, brief, versions)),
        "versions": [_version(one, results.get(one.stage_key or "")) for one in versions],
        "sources": sources.parts(),
        "checks": {"checks": _rows(checks), "findings": _rows(findings)}
        | {"waivers": _rows(_all(session, Waiver, Waiver.article_id == article.id, Waiver.created_at))},
        "review": {
            "approvals": _rows(approvals),
            "comments": _rows(_all(session, Comment, Comment.article_id == article.id)),
            "suggestions": _rows(_all(session, Suggestion, Suggestion.article_id == article.id)),
            "publications": _rows(publications),
        },
        "conversation": _rows(_all(session, Message, Message.article_id == article.id)),
        "audit": _audit(session, article, template.name, sources.references.values()),
        "sentences": [_sentence(one, current, sources, results) for one in traced],
        "summary": _summary(
            article,
            current,
            sections(current.markdown, targets),
            traced,
            {one.id: one.number for one in versions},
            approvals,
            publications,
        ),
    }


# Rows


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _row(row: Base) -> dict[str, Any]:
    return {column.key: _plain(getattr(row, column.key)) for column in row.__table__.columns}


def _rows(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return [_row(row) for row in rows]


def _all(
    session: Session, model: Any, where: ColumnElement[bool], order: InstrumentedAttribute[Any] | None = None
) -> list[Any]:
    return list(
        session.scalars(select(model).where(where).order_by(order if order is not None else model.id))
    )


def _in(session: Session, model: Any, column: Any, ids: Iterable[str]) -> list[Any]:
    found: list[Any] = []
    for some in batched(sorted(set(ids)), 500):
        found += session.scalars(select(model).where(column.in_(some)))
    return found


def _of_versions(session: Session, model: Any, column: Any, versions: Sequence[Version]) -> list[Any]:
    return sorted(_in(session, model, column, [one.id for one in versions]), key=lambda one: one.id)


def _stage_results(session: Session, versions: Sequence[Version]) -> dict[str, StageResult]:
    keys = [one.stage_key for one in versions if one.stage_key]
    return {one.key: one for one in _in(session, StageResult, StageResult.key, keys)}


def _research(session: Session, brief: Brief, versions: Sequence[Version]) -> list[Research]:
    ids = {str(one.provenance["research"]) for one in versions if one.provenance.get("research")}
    rows = _in(session, Research, Research.id, ids | ({brief.research_id} if brief.research_id else set()))
    return sorted(rows, key=lambda one: one.created_at)


def _version(version: Version, result: StageResult | None) -> dict[str, Any]:
    """A version; `hash_holds` says whether its text still is what was hashed when it was written."""
    return (
        _row(version)
        | {"hash_holds": content_hash(version.markdown) == version.content_hash}
        | {"stage_result": _result(result)}
    )


def _result(result: StageResult | None) -> dict[str, Any] | None:
    """A stage's run, without its output: the version is that. What the output was is proved by its hash."""
    if result is None:
        return None
    row = _row(result)
    return row | {"output": None, "output_hash": hashlib.sha256(result.output.encode()).hexdigest()}


class _Sources:
    """What the versions cite, read at once."""

    def __init__(self, session: Session, version_ids: Sequence[str], rules: Rules) -> None:
        self.citations = _in(session, Citation, Citation.version_id, version_ids)
        self.citations.sort(key=lambda one: (version_ids.index(one.version_id), one.number))
        wanted = {one.passage_id for one in self.citations if one.passage_id}
        self.passages = {one.id: one for one in _in(session, Passage, Passage.id, wanted)}
        revisions = {one.revision_id for one in self.citations if one.revision_id}
        found = _in(session, ReferenceRevision, ReferenceRevision.id, revisions)
        self.revisions = {one.id: one for one in found}
        references = {one.reference_id for one in self.citations if one.reference_id}
        self.references = {one.id: one for one in _in(session, Reference, Reference.id, references)}
        places = _in(session, RevisionPassage, RevisionPassage.passage_id, wanted)
        self.places = [one for one in places if one.revision_id in self.revisions]
        facts = {one.market_fact_id for one in self.citations if one.market_fact_id}
        self.facts = {one.id: one for one in _in(session, MarketFact, MarketFact.id, facts)}
        names = {asset.id: asset.name for asset in rules.assets.assets}
        self.statements = {
            one.id: fact_statement(one, names.get(one.asset_id, one.asset_id)) for one in self.facts.values()
        }
        self.targets: dict[str, dict[int, str]] = {}
        self._by_place: dict[tuple[str, int], Citation] = {}
        for one in self.citations:
            target = one.passage_id or one.market_fact_id or ""
            self.targets.setdefault(one.version_id, {})[one.number] = target
            self._by_place[one.version_id, one.number] = one

    def parts(self) -> dict[str, Any]:
        """Citations, passages, revisions (without their text: the passages are what is cited), facts."""
        return {
            "citations": _rows(self.citations),
            "passages": _rows(sorted(self.passages.values(), key=lambda one: one.id)),
            "places": _rows(sorted(self.places, key=lambda one: (one.revision_id, one.ordinal))),
            "revisions": [
                _row(one)
                | {"markdown": None, "markdown_hash": hashlib.sha256(one.markdown.encode()).hexdigest()}
                for one in sorted(self.revisions.values(), key=lambda one: one.id)
            ],
            "references": _rows(sorted(self.references.values(), key=lambda one: one.external_id)),
            "market_facts": [
                _row(one) | {"statement": self.statements[one.id]}
                for one in sorted(self.facts.values(), key=lambda one: one.id)
            ],
        }

    def behind(self, version_id: str, number: int) -> dict[str, Any]:
        """A footnote's way to its source: passage, revision with the hash of its file, reference."""
        citation = self._by_place.get((version_id, number))
        if citation is None:
            return {"number": number, "kind": "nothing"}
        if citation.market_fact_id:
            fact = self.facts[citation.market_fact_id]
            return {
                "number": number,
                "kind": "market_fact",
                "market_fact": fact.id,
                "statement": self.statements[fact.id],
                "source": fact.source,
                "as_of": _plain(fact.as_of),
            }
        passage = self.passages[citation.passage_id or ""]
        revision = self.revisions[citation.revision_id or ""]
        reference = self.references[citation.reference_id or ""]
        return {
            "number": number,
            "kind": "passage",
            "passage": passage.id,
            "text": passage.text,
            "revision": revision.id,
            "revision_number": revision.number,
            "revision_hash": revision.content_hash,
            "fetched_at": _plain(revision.fetched_at),
            "reference": reference.id,
            "source": f"{reference.source}:{reference.external_id}",
            "title": reference.title,
            "url": reference.url,
            "licence": reference.licence,
            "status": reference.status,
        }


# Sentences


def _sentence(
    one: Traced, current: Version, sources: _Sources, results: Mapping[str, StageResult]
) -> dict[str, Any]:
    """A sentence's way back: who wrote it and how, who gave it its sources, and what these are."""
    piece = one.piece
    return {
        "kind": piece.kind,
        "section": piece.section,
        "text": piece.text,
        "start": piece.start,
        "end": piece.end,
        "written": _maker(one.written, results),
        "cited": _maker(one.cited, results) if piece.numbers else None,
        "citations": [sources.behind(current.id, number) for number in piece.numbers],
    }


def _maker(version: Version, results: Mapping[str, StageResult]) -> dict[str, Any]:
    """Who made a version: a person, or an agent with its engine, version, prompt and run."""
    made: dict[str, Any] = {
        "version": version.number,
        "version_id": version.id,
        "author_kind": version.author_kind,
        "author": version.author,
        "at": _plain(version.created_at),
    }
    if version.author_kind == "person":
        return made | {"contributors": version.provenance.get("contributors", [])}
    result = results.get(version.stage_key or "")
    told = {name: version.provenance.get(name) for name in ("model", "prompt", "prompt_version")}
    return made | {
        "engine": result.engine if result else version.provenance.get("engine"),
        "agent_version": result.agent_version if result else version.provenance.get("agent_version"),
        "run": result.run_id if result else version.provenance.get("run"),
        **{name: value for name, value in told.items() if value is not None},
    }


# Audit and summary


def _audit(
    session: Session, article: Article, template: str, references: Iterable[Reference]
) -> dict[str, Any]:
    """The entries about the article, its brief, its template and the references that it cites, and whether
    the project's whole chain holds."""
    subjects = {f"article:{article.id}", f"brief:{article.brief_id}", f"template:{template}"}
    subjects |= {f"reference:{one.external_id}" for one in references}
    found = entries(session, article.project_id, subjects=subjects)
    verdict = verify(session, article.project_id)
    return {
        "entries": [{"project_id": article.project_id} | one for one in reversed(found)],
        "chain": {
            "holds": verdict.broken_at is None,
            "entries": verdict.entries,
            "broken_at": verdict.broken_at,
            "problem": verdict.problem,
        },
    }


def _summary(
    article: Article,
    current: Version,
    parts: Sequence[Section],
    traced: Sequence[Traced],
    numbers: Mapping[str, int],
    approvals: Sequence[Approval],
    publications: Sequence[Publication],
) -> dict[str, Any]:
    """Who wrote, reviewed, approved and published, and when, for Art. 50(4)."""
    by_hash = {one.section_hash: one for one in approvals}
    sentences = [one.written for one in traced if one.piece.kind == "sentence"]
    return {
        "rule": "Regulation (EU) 2024/1689, Art. 50(4): text made by AI that informs the public is disclosed "
        "as such, unless a person reviewed it and somebody bears editorial responsibility for it.",
        "article": article.slug,
        "version": current.number,
        "status": article.status,
        "made_at": _plain(utc_now()),
        "sentences": len(sentences),
        "sentences_by_agents": sum(one.author_kind == "stage" for one in sentences),
        "agents": sorted({one.author for one in sentences if one.author_kind == "stage"}),
        "people": sorted({one.author for one in sentences if one.author_kind == "person"}),
        "reviewed_in_full": all(part.hash in by_hash for part in parts),
        "sections": [_approved(part, by_hash.get(part.hash), numbers) for part in parts],
        "published": [
            {
                "version": numbers.get(one.version_id),
                "by": one.author,
                "at": _plain(one.created_at),
                "target": one.target,
                "status": one.status,
                "delivered_at": _plain(one.delivered_at),
                "url": one.url,
            }
            for one in publications
        ],
        "live_version": numbers.get(article.published_version_id or ""),
    }


def _approved(part: Section, approval: Approval | None, numbers: Mapping[str, int]) -> dict[str, Any]:
    """A section of the current version, and who approved exactly this content of it, if anybody did."""
    return {
        "section": part.name,
        "hash": part.hash,
        "approved_by": approval.author if approval else None,
        "approved_at": _plain(approval.created_at) if approval else None,
        "in_version": numbers.get(approval.version_id) if approval else None,
    }


# The bundle


def bundle(data: Mapping[str, Any]) -> bytes:
    """The evidence as a zip file: a JSON file per part, each version's text as Markdown, and
    `manifest.json` with the SHA-256 of every other file."""
    files = {f"{part}.json": _json(value) for part, value in data.items()}
    for version in data["versions"]:
        name = f"versions/{version['number']:03d}-{slugify(version['author'], 60)}.md"
        files[name] = str(version["markdown"]).encode()
    manifest = {
        "bundle_version": _BUNDLE_VERSION,
        "article": data["article"]["slug"],
        "project": data["article"]["project_id"],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("manifest.json", _json(manifest)), *sorted(files.items())):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
