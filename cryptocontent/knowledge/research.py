"""Research: the passages frozen for one brief, so that a re-run writes from the same sources.

A brief is searched for as a whole and once per section of its outline. What is frozen is
refreshed only when the project's knowledge or the brief's template changed since.

With it go the newest market facts of the assets that the brief names. New facts alone don't make research
stale, or every tick of the market would rewrite every article: the check `price.stale` warns instead, and
who wants an article written from the newest facts asks for them (`newest_facts`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.content.templates import Outline, TemplateSpec, outline
from cryptocontent.content.text import content_hash
from cryptocontent.knowledge.index import Hit, Query
from cryptocontent.knowledge.market_facts import newest
from cryptocontent.storage.database import batched, reading, writing
from cryptocontent.storage.models import (
    Brief,
    Passage,
    Project,
    Reference,
    Research,
    RevisionPassage,
    TemplateVersion,
)
from cryptocontent.storage.types import new_id, utc_now

# The references that a brief is mostly about are taken whole (up to a bound), so that the writer has
# connected text; the best passages of all others come beside them.
MAIN_REFERENCES = 4
PASSAGES_PER_MAIN_REFERENCE = 20
OTHER_PASSAGES = 25
PASSAGES_PER_BRIEF = 90
HITS_PER_QUERY = 400
_BRIEFS_PER_SEARCH = 25


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


def main_references(hits: Sequence[Hit]) -> list[str]:
    """The references that the whole-brief query is about, best first: by the sum of their three best hits."""
    scores: dict[str, list[float]] = {}
    for hit in hits:
        scores.setdefault(hit.reference_id, []).append(hit.score)
    total = {reference: sum(sorted(found, reverse=True)[:3]) for reference, found in scores.items()}
    return sorted(total, key=lambda reference: (-total[reference], reference))[:MAIN_REFERENCES]


def choose(
    hits: Sequence[Sequence[Hit]], members: Mapping[str, Sequence[str]]
) -> list[tuple[str, list[float]]]:
    """Passages with their score under each query (0: not found). `members` are the passages of the main
    references. Best first, by the highest share of a query's best score: every section brings its own."""
    scores: dict[str, list[float]] = {}
    for index, found in enumerate(hits):
        for hit in found:
            scores.setdefault(hit.passage_id, [0.0] * len(hits))[index] = round(float(hit.score), 6)
    best = [max((hit.score for hit in found), default=1.0) or 1.0 for found in hits]

    def share(passage: str) -> float:
        return max(
            (score / top for score, top in zip(scores.get(passage, ()), best, strict=False)), default=0.0
        )

    def ranked(passages: Iterable[str]) -> list[str]:
        return sorted(passages, key=lambda passage: (-share(passage), passage))

    chosen: dict[str, None] = {}
    for passages in members.values():
        chosen |= dict.fromkeys(ranked(passages)[:PASSAGES_PER_MAIN_REFERENCE])
    others = [passage for passage in ranked(scores) if passage not in chosen]
    chosen |= dict.fromkeys(others[:OTHER_PASSAGES])
    nothing = [0.0] * len(hits)
    return [(passage, scores.get(passage, nothing)) for passage in ranked(chosen)[:PASSAGES_PER_BRIEF]]


def stale(engine: Engine, brief_ids: Sequence[str], *, newest_facts: bool = False) -> set[str]:
    """The briefs whose frozen research is missing, or older than the knowledge base or the template; with
    `newest_facts`, also those of whose assets newer market facts are known."""
    return {item.brief.id for item in _asked(engine, brief_ids) if not item.fresh(newest_facts)}


@dataclass(frozen=True, slots=True)
class _Asked:
    brief: Brief
    knowledge_version: int
    research: Research | None
    queries: list[Query]
    query_hash: str
    facts: list[str]

    def fresh(self, newest_facts: bool) -> bool:
        if self.research is None or (newest_facts and self.research.facts != self.facts):
            return False
        return (self.research.knowledge_version, self.research.query_hash) == (
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
            ).all()
            assets = {brief.id: _assets(template.spec, brief.variables) for brief, template, *_ in rows}
            facts = _facts(session, [brief for brief, *_ in rows], assets)
            for brief, template, knowledge_version, research in rows:
                plan = outline(TemplateSpec.model_validate(template.spec), brief.variables, brief.title)
                queries = queries_for(brief.project_id, plan, brief.keywords)
                digest = content_hash([query.text for query in queries])
                asked.append(_Asked(brief, knowledge_version, research, queries, digest, facts[brief.id]))
    return asked


def _assets(spec: Mapping[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """The assets that a brief names: its values of variables of type `asset_id`, in the template's order."""
    names = [
        name for name, variable in spec.get("variables", {}).items() if variable.get("type") == "asset_id"
    ]
    return list(dict.fromkeys(str(variables[name]) for name in names if variables.get(name)))


def _facts(
    session: Session, briefs: Sequence[Brief], assets: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The ids of the newest facts of each brief's assets; a query per project."""
    wanted: dict[str, set[str]] = {}
    for brief in briefs:
        wanted.setdefault(brief.project_id, set()).update(assets[brief.id])
    known: dict[tuple[str, str], list[str]] = {}
    for project_id, named in wanted.items():
        for fact in newest(session, project_id, sorted(named)) if named else ():
            known.setdefault((project_id, fact.asset_id), []).append(fact.id)
    return {
        brief.id: [fact for asset in assets[brief.id] for fact in known.get((brief.project_id, asset), ())]
        for brief in briefs
    }


def freeze(
    engine: Engine,
    search: Callable[[list[Query]], Sequence[Sequence[Hit]]],
    brief_ids: Sequence[str],
    *,
    newest_facts: bool = False,
) -> tuple[dict[str, Frozen], dict[str, str]]:
    """Make sure that each brief has fresh research (`stale` says what that is). `search(queries) -> hits
    per query` is called once for all that need it. Returns the frozen research by brief (which may hold no
    passage: then there is nothing to write from), and for briefs that cannot have any the reason."""
    asked = _asked(engine, brief_ids)
    frozen: dict[str, Frozen] = {}
    due: list[_Asked] = []
    for item in asked:
        if item.research is None or not item.fresh(newest_facts):
            due.append(item)
            continue
        references = len({passage["reference_id"] for passage in item.research.passages})
        frozen[item.brief.id] = Frozen(item.research.id, len(item.research.passages), references, False)
    missing = dict.fromkeys(set(brief_ids) - {item.brief.id for item in asked}, "no such brief")
    for some in batched(due, _BRIEFS_PER_SEARCH):
        found = iter(search([query for item in some for query in item.queries]))
        hits = {item.brief.id: [next(found) for _ in item.queries] for item in some}
        frozen |= _store(engine, some, hits)
    return frozen, missing


def _store(
    engine: Engine, due: Sequence[_Asked], hits: Mapping[str, Sequence[Sequence[Hit]]]
) -> dict[str, Frozen]:
    frozen: dict[str, Frozen] = {}
    main = {item.brief.id: main_references(hits[item.brief.id][0]) for item in due}
    with writing(engine) as session:
        members = _members(session, {reference for references in main.values() for reference in references})
        chosen = {
            brief: choose(found, {reference: members.get(reference, []) for reference in main[brief]})
            for brief, found in hits.items()
        }
        places = _places(session, {passage for items in chosen.values() for passage, _ in items})
        for item in due:
            brief = item.brief
            passages = [
                places[name] | {"scores": scores} for name, scores in chosen[brief.id] if name in places
            ]
            research_id = _save(session, item, passages)
            references = len({passage["reference_id"] for passage in passages})
            frozen[brief.id] = Frozen(
                research_id, len(passages), references, brief.research_id != research_id
            )
    return frozen


def _members(session: Session, references: Iterable[str]) -> dict[str, list[str]]:
    """The passages of the references' current revisions from which one can quote sentences."""
    members: dict[str, list[str]] = {}
    for ids in batched(sorted(references), 500):
        rows = session.execute(
            select(Reference.id, Passage.id)
            .join(RevisionPassage, RevisionPassage.revision_id == Reference.revision_id)
            .join(Passage, Passage.id == RevisionPassage.passage_id)
            .where(Reference.id.in_(ids), Passage.kind.in_(("prose", "list")))
            .order_by(Reference.id, RevisionPassage.ordinal)
        )
        for reference, passage in rows:
            members.setdefault(reference, []).append(passage)
    return members


def _places(session: Session, passages: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Where each passage stands now; a passage that is no longer current is left out, and one of a
    reference that was recalled or has vanished, though the index may still know it."""
    places: dict[str, dict[str, Any]] = {}
    for ids in batched(sorted(passages), 500):
        rows = session.execute(
            select(RevisionPassage.passage_id, Reference.id, Reference.revision_id, RevisionPassage.ordinal)
            .join(Reference, Reference.revision_id == RevisionPassage.revision_id)
            .where(RevisionPassage.passage_id.in_(ids), Reference.status == "active")
        )
        for passage, reference, revision, ordinal in rows:
            place = {
                "passage_id": passage,
                "reference_id": reference,
                "revision_id": revision,
                "ordinal": ordinal,
            }
            places.setdefault(passage, place)
    return places


def _save(session: Session, item: _Asked, passages: list[dict[str, Any]]) -> str:
    # Scores drift a little with every change of the knowledge base. Only other passages make other
    # research, and so other articles.
    places = sorted((passage["passage_id"], passage["revision_id"]) for passage in passages)
    digest = content_hash([places, sorted(item.facts)] if item.facts else places)
    same = session.scalar(select(Research).filter_by(brief_id=item.brief.id, content_hash=digest))
    if same is None:
        research_id = new_id()
        row: dict[str, Any] = {
            "id": research_id,
            "brief_id": item.brief.id,
            "content_hash": digest,
            "query_hash": item.query_hash,
        }
        row |= {"passages": passages, "facts": item.facts}
        row |= {"knowledge_version": item.knowledge_version, "created_at": utc_now()}
        session.execute(insert(Research), [row])
    else:
        research_id = same.id
        same.knowledge_version, same.query_hash = item.knowledge_version, item.query_hash
    session.execute(update(Brief).filter_by(id=item.brief.id).values(research_id=research_id))
    return research_id
