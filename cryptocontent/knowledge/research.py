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


def merge_hits(
    hits: Sequence[Sequence[Hit]], limit: int = PASSAGES_PER_BRIEF
) -> list[tuple[str, list[float]]]:
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


def stale(engine: Engine, brief_ids: Sequence[str]) -> set[str]:
    """The briefs whose frozen research is missing, or older than the knowledge base or the template."""
    return {item.brief.id for item in _asked(engine, brief_ids) if not item.fresh}


@dataclass(frozen=True, slots=True)
class _Asked:
    brief: Brief
    knowledge_version: int
    research: Research | None
    queries: list[Query]
    query_hash: str

    @property
    def fresh(self) -> bool:
        return self.research is not None and (self.research.knowledge_version, self.research.query_hash) == (
            self.knowledge_version,
            self.query_hash,
        )


def _asked(engine: Engine, brief_ids: Sequence[str]) -> list[_Asked]:
    asked = []
    with reading(engine) as session:
        for ids in batched(brief_ids, 500):
            rows = session.execute(
                select(Brief, TemplateVersion, Project.knowledge_version, Research)
                .join(TemplateVersion, TemplateVersion.id == Brief.template_version_id)
                .join(Project, Project.id == Brief.project_id)
                .outerjoin(Research, Research.id == Brief.research_id)
                .where(Brief.id.in_(ids))
            )
            for brief, template, knowledge_version, research in rows:
                plan = outline(TemplateSpec.model_validate(template.spec), brief.variables, brief.title)
                queries = queries_for(brief.project_id, plan, brief.keywords)
                digest = content_hash([query.text for query in queries])
                asked.append(_Asked(brief, knowledge_version, research, queries, digest))
    return asked


def freeze(
    engine: Engine, search: Callable[[list[Query]], Sequence[Sequence[Hit]]], brief_ids: Sequence[str]
) -> tuple[dict[str, Frozen], dict[str, str]]:
    """Make sure that each brief has fresh research. `search(queries) -> hits per query` is called once
    for all that need it. Returns the frozen research by brief (which may hold no passage: then there is
    nothing to write from), and for briefs that cannot have any the reason."""
    asked = _asked(engine, brief_ids)
    frozen: dict[str, Frozen] = {}
    due: list[_Asked] = []
    for item in asked:
        if item.research is None or not item.fresh:
            due.append(item)
            continue
        references = len({passage["reference_id"] for passage in item.research.passages})
        frozen[item.brief.id] = Frozen(item.research.id, len(item.research.passages), references, False)
    missing = {brief: "no such brief" for brief in set(brief_ids) - {item.brief.id for item in asked}}
    if due:
        hits = iter(search([query for item in due for query in item.queries]))
        found = {item.brief.id: merge_hits([next(hits) for _ in item.queries]) for item in due}
        frozen |= _store(engine, due, found)
    return frozen, missing


def _store(
    engine: Engine, due: Sequence[_Asked], found: Mapping[str, list[tuple[str, list[float]]]]
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
        for item in due:
            brief = item.brief
            passages = [
                {
                    "passage_id": passage,
                    "reference_id": places[passage][0],
                    "revision_id": places[passage][1],
                    "scores": scores,
                }
                for passage, scores in found[brief.id]
                if passage in places
            ]
            # Scores drift a little with every change of the knowledge base. Only other passages make
            # other research, and so other articles.
            digest = content_hash(sorted((item["passage_id"], item["revision_id"]) for item in passages))
            same = session.scalar(select(Research).filter_by(brief_id=brief.id, content_hash=digest))
            if same is None:
                row = {"id": new_id(), "brief_id": brief.id, "content_hash": digest, "query_hash": item.query_hash}
                row |= {"passages": passages, "knowledge_version": item.knowledge_version, "created_at": utc_now()}
                session.execute(insert(Research), [row])
                research_id = str(row["id"])
            else:
                same.knowledge_version, same.query_hash = item.knowledge_version, item.query_hash
                research_id = same.id
            session.execute(update(Brief).filter_by(id=brief.id).values(research_id=research_id))
            references = len({passage["reference_id"] for passage in passages})
            frozen[brief.id] = Frozen(research_id, len(passages), references, brief.research_id != research_id)
    return frozen
