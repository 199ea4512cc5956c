"""Research: the passages frozen for one brief, so that a re-run writes from the same sources.

A brief is searched for as a whole and once per section of its outline. What is frozen is
refreshed only when the project's knowledge or the brief's template changed since.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, insert, select, update

from cryptocontent.content.templates import Outline, TemplateSpec, outline
from cryptocontent.content.text import content_hash
from cryptocontent.knowledge.index import Hit, Query
from cryptocontent.storage.database import batched, reading, writing
from cryptocontent.storage.models import Brief, Passage, Project, Reference, Research, TemplateVersion
from cryptocontent.storage.types import new_id, utc_now

PASSAGES_PER_BRIEF = 60
HITS_PER_QUERY = 40


@dataclass(frozen=True, slots=True)
class Frozen:
    """A brief's research: its row, how many passages it holds, and whether this call changed it."""

    research_id: str
    passages: int
    references: int
    changed: bool


def queries_for(project_id: str, plan: Outline, keywords: Sequence[str]) -> list[Query]:
    """What to search for: the brief as a whole first, then each section."""
    topic = " ".join([plan.title, *keywords])
    texts = [topic, *(f"{plan.title} {section.query}" for section in plan.sections)]
    return [Query(text=text, project=project_id, limit=HITS_PER_QUERY) for text in texts]


def merge_hits(hits: Sequence[Sequence[Hit]], limit: int = PASSAGES_PER_BRIEF) -> list[tuple[str, list[float]]]:
    """Passages with their score under each query (0: not found), best first by their highest share of a
    query's best score, so that every section brings its own."""
    scores: dict[str, list[float]] = {}
    for index, found in enumerate(hits):
        for hit in found:
            scores.setdefault(hit.passage_id, [0.0] * len(hits))[index] = round(float(hit.score), 6)
    best = [max((hit.score for hit in found), default=1.0) or 1.0 for found in hits]

    def rank(item: tuple[str, list[float]]) -> tuple[float, str]:
        return (-max(score / top for score, top in zip(item[1], best, strict=True)), item[0])

    return sorted(scores.items(), key=rank)[:limit]


def freeze(
    engine: Engine, search: Callable[[list[Query]], Sequence[Sequence[Hit]]], brief_ids: Sequence[str]) -> tuple[dict[str, Frozen], dict[str, str]]:
    """Make sure that each brief has fresh research. `search(queries) -> hits per query` is called once
    for all that need it. Returns the frozen research by brief (which may hold no passage: then there is
    nothing to write from), and for briefs that cannot have any the reason."""
    with reading(engine) as session:
        rows = session.execute(
            select(Brief, TemplateVersion, Project.knowledge_version, Research)
            .join(TemplateVersion, TemplateVersion.id == Brief.template_version_id)
            .join(Project, Project.id == Brief.project_id)
            .outerjoin(Research, Research.id == Brief.research_id)
            .where(Brief.id.in_(brief_ids))
        ).all()
    frozen: dict[str, Frozen] = {}
    stale: list[tuple[Brief, str, int, list[Query]]] = []
    for brief, template, knowledge_version, research in rows:
        plan = outline(TemplateSpec.model_validate(template.spec), brief.variables, brief.title)
        queries = queries_for(brief.project_id, plan, brief.keywords)
        asked = content_hash([query.text for query in queries])
        fresh = research is not None and research.knowledge_version == knowledge_version and research.query_hash == asked
        if fresh:
            references = len({item["reference_id"] for item in research.passages})
            frozen[brief.id] = Frozen(research.id, len(research.passages), references, False)
        else:
            stale.append((brief, asked, knowledge_version, queries))
    missing = {brief: "no such brief" for brief in set(brief_ids) - {row[0].id for row in rows}}
    if stale:
        hits = iter(search([query for _, _, _, queries in stale for query in queries]))
        found = {brief.id: merge_hits([next(hits) for _ in queries]) for brief, _, _, queries in stale}
        frozen |= _store(engine, stale, found)
    return frozen, missing


def _store(
    engine: Engine,
    stale: Sequence[tuple[Brief, str, int, list[Query]]],
    found: Mapping[str, list[tuple[str, list[float]]]],
) -> dict[str, Frozen]:
    frozen: dict[str, Frozen] = {}
    with writing(engine) as session:
        places: dict[str, tuple[str, str | None]] = {}
        for ids in batched(sorted({passage for items in found.values() for passage, _ in items}), 500):
            query = (
                select(Passage.id, Reference.id, Reference.revision_id)
                .join(Reference, Reference.id == Passage.reference_id)
                .where(Passage.id.in_(ids))
            )
            places |= {passage: (reference, revision) for passage, reference, revision in session.execute(query)}
        for brief, asked, knowledge_version, _ in stale:
            passages = [
                {"passage_id": passage, "reference_id": places[passage][0], "revision_id": places[passage][1], "scores": scores}
                for passage, scores in found[brief.id]
                if passage in places
            ]
            # Scores drift a little with every change of the knowledge base. Only other passages make
            # other research, and so other articles.
            digest = content_hash(sorted((item["passage_id"], item["revision_id"]) for item in passages))
            same = session.scalar(select(Research).filter_by(brief_id=brief.id, content_hash=digest))
            if same is None:
                row = {
                    "id": new_id(),
                    "brief_id": brief.id,
                    "content_hash": digest,
                    "query_hash": asked,
                    "passages": passages,
                    "knowledge_version": knowledge_version,
                    "created_at": utc_now(),
                }
                session.execute(insert(Research), [row])
                research_id = str(row["id"])
            else:
                same.knowledge_version, same.query_hash = knowledge_version, asked
                research_id = same.id
            changed = brief.research_id != research_id
            session.execute(update(Brief).filter_by(id=brief.id).values(research_id=research_id))
            references = len({item["reference_id"] for item in passages})
            frozen[brief.id] = Frozen(research_id, len(passages), references, changed)
    return frozen
