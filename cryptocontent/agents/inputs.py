"""What goes into a brief's way through the agents, read for many briefs in a handful of queries.

A brief's `Chain` says what its stage keys are made of; `Inputs` adds the work itself. A person's
instruction to a stage is part of the chain, so that the stage and those after it run again; one that was
given on a person's text makes the stage start from that text.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.agents.work import Draft, Instruction, ResearchImage, ResearchPassage, Work, WorkBrief
from cryptocontent.content.checking import asset_ids
from cryptocontent.content.documents import split_article
from cryptocontent.content.rules import Rules, load_rules
from cryptocontent.content.sources import fact_source, known_facts
from cryptocontent.content.templates import TemplateSpec, outline
from cryptocontent.content.text import content_hash
from cryptocontent.llm.policies import Policies, load_policies
from cryptocontent.storage.database import batched, reading
from cryptocontent.storage.models import (
    Brief,
    Citation,
    Image,
    Passage,
    Reference,
    ReferenceRevision,
    Research,
    RevisionImage,
    TemplateVersion,
    Version,
)
from cryptocontent.storage.models import Instruction as InstructionRow


@dataclass(frozen=True, slots=True)
class Restart:
    """A stage that starts from a person's version instead of from the stage before it."""

    stage: str
    version_id: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a brief's stage keys are made of, beside the agents: the hash of its inputs, what people asked
    of each stage, where it starts from a person's text, and which models the project's stages use."""

    input_hash: str
    asked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    restart: Restart | None = None
    policies: Policies = field(default_factory=Policies)


@dataclass(frozen=True, slots=True)
class Inputs:
    """A brief ready for the pipeline: its work before the first stage that has to run. `provenance` names
    the rows that it was made from."""

    work: Work
    chain: Chain
    provenance: dict[str, Any]
    rules: Rules


@dataclass(slots=True)
class _Asked:
    """The instructions for one brief, in order, and the restart that is in force."""

    order: Sequence[str]
    given: list[Instruction] = field(default_factory=list)
    restart: tuple[str, str] | None = None

    def take(self, row: InstructionRow) -> None:
        self.given.append(Instruction(stage=row.stage, body=row.body, author=row.author))
        if row.from_version_id:
            self.restart = (row.stage, row.from_version_id)
        elif self.restart and self._place(row.stage) < self._place(self.restart[0]):
            self.restart = None  # an earlier stage was asked since: it writes from the research again

    def _place(self, stage: str) -> int:
        return self.order.index(stage) if stage in self.order else len(self.order)


def _instructions(session: Session, brief_ids: Sequence[str], stages: Sequence[str]) -> dict[str, _Asked]:
    asked: dict[str, _Asked] = defaultdict(lambda: _Asked(stages))
    for ids in batched(brief_ids, 500):
        query = select(InstructionRow).where(InstructionRow.brief_id.in_(ids)).order_by(InstructionRow.id)
        for row in session.scalars(query):
            asked[row.brief_id].take(row)
    return asked


def _restart_versions(session: Session, asked: Mapping[str, _Asked]) -> dict[str, Version]:
    ids = sorted({one.restart[1] for one in asked.values() if one.restart})
    found: dict[str, Version] = {}
    for some in batched(ids, 500):
        found |= {row.id: row for row in session.scalars(select(Version).where(Version.id.in_(some)))}
    return found


def _chain(
    hashes: Sequence[str], asked: _Asked | None, versions: Mapping[str, Version], policies: Policies
) -> Chain:
    """`hashes`: of brief id, brief, template and research."""
    if asked is None:
        return Chain(content_hash(hashes), policies=policies)
    told: dict[str, tuple[str, ...]] = {}
    for one in asked.given:
        told[one.stage] = (*told.get(one.stage, ()), one.body)
    restart = None
    if asked.restart and asked.restart[1] in versions:
        stage, version_id = asked.restart
        restart = Restart(stage, version_id, versions[version_id].content_hash)
    # A restart writes from what its version cites: newer research doesn't touch it.
    digest = content_hash([*hashes[:-1], restart.content_hash] if restart else hashes)
    return Chain(digest, told, restart, policies)


def chains(engine: Engine, brief_ids: Sequence[str], stages: Sequence[str]) -> dict[str, Chain]:
    """The chain of each brief that has research, as `load_inputs` has it, read without passages."""
    found: dict[str, Chain] = {}
    policies: dict[str, Policies] = {}
    with reading(engine) as session:
        asked = _instructions(session, brief_ids, stages)
        versions = _restart_versions(session, asked)
        for ids in batched(brief_ids, 500):
            rows = session.execute(
                select(
                    Brief.id,
                    Brief.content_hash,
                    TemplateVersion.content_hash,
                    Research.content_hash,
                    Brief.project_id,
                )
                .join(TemplateVersion, TemplateVersion.id == Brief.template_version_id)
                .join(Research, Research.id == Brief.research_id)
                .where(Brief.id.in_(ids))
            )
            for brief, *hashes, project in rows:
                if project not in policies:
                    policies[project] = load_policies(session, project)
                found[brief] = _chain([brief, *hashes], asked.get(brief), versions, policies[project])
    return found


def load_inputs(
    engine: Engine, brief_ids: Sequence[str], stages: Sequence[str]
) -> tuple[dict[str, Inputs], dict[str, str]]:
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
        asked = _instructions(session, brief_ids, stages)
        versions = _restart_versions(session, asked)
        projects = {row[0].project_id for row in rows}
        rules = {project: load_rules(session, project) for project in projects}
        policies = {project: load_policies(session, project) for project in projects}
        material = _Material(session, rules)
        for brief, template, research in rows:
            if research is None:
                missing[brief.id] = "research is missing: materialize `research` for this brief first"
                continue
            hashes = [brief.id, brief.content_hash, template.content_hash, research.content_hash]
            chain = _chain(hashes, asked.get(brief.id), versions, policies[brief.project_id])
            version = versions[chain.restart.version_id] if chain.restart else None
            if version is not None:
                research = session.get(Research, version.provenance.get("research")) or research
            if not research.passages:
                missing[brief.id] = "research found no passages: import references on this subject first"
                continue
            material.want(brief, template, research, chain, version, asked.get(brief.id))
        inputs = material.inputs()
    for brief_id in set(brief_ids) - inputs.keys() - missing.keys():
        missing[brief_id] = "no such brief"
    return inputs, missing


class _Material:
    """Gathers what many briefs need, then reads it at once."""

    def __init__(self, session: Session, rules: Mapping[str, Rules]) -> None:
        self.session, self.rules = session, rules
        self._wanted: list[tuple[Any, ...]] = []

    def want(self, *item: Any) -> None:
        """Note a brief's rows."""
        self._wanted.append(item)

    def inputs(self) -> dict[str, Inputs]:
        """The inputs of all briefs noted."""
        extra = self._extra_citations()
        revisions: dict[str, str] = {}
        facts: set[str] = set()
        for _, _, research, _, version, _ in self._wanted:
            revisions |= {item["passage_id"]: item["revision_id"] for item in research.passages}
            facts |= set(research.facts)
            for citation in extra.get(version.id, ()) if version else ():
                if citation.passage_id:
                    revisions[citation.passage_id] = citation.revision_id or ""
                elif citation.market_fact_id:
                    facts.add(citation.market_fact_id)
        passages = _passages(self.session, revisions)
        known = known_facts(self.session, facts)
        found: dict[str, Inputs] = {}
        for brief, template, research, chain, version, asked in self._wanted:
            rules = self.rules[brief.project_id]
            spec = TemplateSpec.model_validate(template.spec)
            sources = [
                passages[item["passage_id"]].model_copy(
                    update={"number": number, "ordinal": item["ordinal"], "scores": tuple(item["scores"])}
                )
                for number, item in enumerate(research.passages, 1)
            ]
            for fact_id in research.facts:
                sources.append(_fact_passage(len(sources) + 1, known[fact_id], rules))
            for citation in extra.get(version.id, ()) if version else ():
                while len(sources) + 1 < citation.number:
                    sources.append(_nothing(len(sources) + 1))
                if len(sources) + 1 == citation.number:
                    fact = known.get(citation.market_fact_id or "")
                    sources.append(
                        _fact_passage(citation.number, fact, rules)
                        if fact
                        else passages[citation.passage_id or ""].model_copy(
                            update={"number": citation.number}
                        )
                    )
            work = Work(
                brief=WorkBrief(
                    id=brief.id,
                    project_id=brief.project_id,
                    outline=outline(spec, brief.variables, brief.title),
                    keywords=tuple(brief.keywords),
                    variables=brief.variables,
                    asset_ids=tuple(sorted(asset_ids(spec, brief.variables))),
                    due_date=brief.due_date,
                ),
                research=tuple(sources),
                instructions=tuple(asked.given) if asked else (),
            )
            if version is not None:
                title, body = split_article(version.markdown)
                work = work.model_copy(update={"draft": Draft(title=title, body=body)})
            provenance = {
                "brief": brief.id,
                "brief_hash": brief.content_hash,
                "template": spec.name,
                "template_version": template.number,
                "research": research.id,
                "passages": len(research.passages),
            }
            found[brief.id] = Inputs(work, chain, provenance, rules)
        return found

    def _extra_citations(self) -> dict[str, list[Citation]]:
        """What restart versions cite, by number: beyond their research it is added to the work's."""
        ids = [version.id for _, _, _, _, version, _ in self._wanted if version is not None]
        found: dict[str, list[Citation]] = defaultdict(list)
        for some in batched(ids, 500):
            query = select(Citation).where(Citation.version_id.in_(some)).order_by(Citation.number)
            for citation in self.session.scalars(query):
                found[citation.version_id].append(citation)
        return found


def _nothing(number: int) -> ResearchPassage:
    """A number that nothing bears any more: no text, so nothing is supported by it."""
    return ResearchPassage(
        number=number, passage_id="", reference_id="", revision_id="", title="", heading_path=(),
        kind="none", text="", scores=(),
    )  # fmt: skip


def _fact_passage(number: int, fact: Any, rules: Rules) -> ResearchPassage:
    """A market fact as a passage: agents cite it like any other; its text is the sentence that says it."""
    source = fact_source(number, fact, rules)
    return ResearchPassage(
        number=number,
        passage_id="",
        reference_id="",
        revision_id="",
        title=source.title,
        heading_path=(),
        kind="fact",
        text=source.text,
        scores=(),
        fact=fact,
    )


def _passages(session: Session, revisions: Mapping[str, str]) -> dict[str, ResearchPassage]:
    """The passages by id, as they stand in the revisions given."""
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
                status=reference.status,
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
