"""A project with references, template and briefs, and agents whose every call is counted."""

import asyncio
import hashlib
import os
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from cryptocontent.agents.agent import Agent
from cryptocontent.agents.pipeline import Pipeline
from cryptocontent.agents.work import Draft, SeoPackage, StageFailed, Work, WorkMessage
from cryptocontent.audit import Actor
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateSpec, save_template
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import search_index, sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import open_object_store, reading, writing

WHO = Actor("test", "t")
STAGES = ("writer", "editor", "proofreader", "analyst", "seo")
SPEC = TemplateSpec.model_validate(
    {
        "name": "note",
        "title": "{{ topic }}",
        "words": {"min": 5, "max": 500},
        "variables": {"topic": {"type": "text"}},
        "sections": [{"heading": "What", "query": "{{ topic }}", "words": {"min": 5, "max": 500}}],
    }
)
NOTES = (
    "# Fees\n\nThe base fee of Ethereum is burned in every block.\n\n"
    "## Blobs\n\nA blob holds 4096 field elements.\n"
)


def make_world(engine: Engine, settings: Settings, count: int) -> list[str]:
    """A project `p` with `count` briefs whose research is frozen; returns their ids, in order."""
    folder = settings.home / "notes"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fees.md").write_text(NOTES)
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", SPEC, WHO)
        rows = "\n".join(f"note,Topic {n}" for n in range(count))
        import_briefs(session, "p", f"template,topic\n{rows}\n".encode(), WHO)
    import_paths(engine, open_object_store(settings.object_store_url), "p", [folder], WHO, max_bytes=10_000)
    sync_index(engine, settings, "p")
    with reading(engine) as session:
        ids = brief_ids(session, "p")
    freeze(engine, lambda queries: search_index(settings, queries), ids)
    return ids


class Calls:
    """What the counting agents do: each call is a line of a file, so that it outlives a killed process.

    `kill_at` names the stage and the number of the call in which the process kills itself; `transient`
    briefs fail once per stage named, `permanent` ones always; `blocked` ones get a blocking finding.
    """

    def __init__(
        self,
        log: Path,
        *,
        kill_at: tuple[str, int] | None = None,
        transient: Sequence[str] = (),
        permanent: Sequence[str] = (),
        blocked: Sequence[str] = (),
        version: str = "1",
        latency: float = 0.0,
    ) -> None:
        self.log, self.kill_at, self.version, self.latency = log, kill_at, version, latency
        self.transient, self.permanent, self.blocked = set(transient), set(permanent), set(blocked)

    def counts(self) -> Counter[tuple[str, str]]:
        """How often each (stage, brief) was called."""
        lines = self.log.read_text().split("\n") if self.log.exists() else []
        return Counter((line.split()[0], line.split()[1]) for line in lines if line)

    def agents(self) -> list[Agent]:
        """Five agents, in the pipeline's order."""
        return [Agent(stage, self.version, "test", self._runner(stage)) for stage in STAGES]

    def _runner(self, stage: str):  # type: ignore[no-untyped-def]
        async def run(work: Work) -> Work:
            brief = work.brief.id
            with self.log.open("a") as file:
                file.write(f"{stage} {brief}\n")
            await asyncio.sleep(self.latency)
            calls = sum(n for (name, _), n in self.counts().items() if name == stage)
            if self.kill_at and self.kill_at[0] == stage and calls >= self.kill_at[1]:
                os.kill(os.getpid(), signal.SIGKILL)
            if stage == "editor" and brief in self.transient:
                self.transient.discard(brief)
                raise ConnectionError("the line went dead")
            if stage == "editor" and brief in self.permanent:
                raise StageFailed("this brief cannot be edited")
            return self._result(stage, work)

        return run

    def _result(self, stage: str, work: Work) -> Work:
        message = WorkMessage(author=stage, kind="summary", body=f"{stage} was here")
        text = f"{own_words(work.brief.id)} {work.research[0].text}"
        body = f"{text}[^1]" if stage == "writer" else f"{work.draft.body} {text}[^1]"
        findings = work.findings
        if stage == "analyst" and work.brief.id in self.blocked:
            findings = (
                NewFinding(rule="test.block", severity="block", message="not fit to print", excerpt=text),
            )
        seo = work.seo
        if stage == "seo":
            seo = SeoPackage(title="T", description="D", slug="same-slug", keywords=(), json_ld={})
        return work.model_copy(
            update={
                "draft": Draft(title=f"{work.brief.outline.title}", body=body),
                "messages": (*work.messages, message),
                "findings": findings,
                "seo": seo,
                "metrics": {"words": 10.0},
                "cost_usd": work.cost_usd + 0.5,
            }
        )


def own_words(brief: str) -> str:
    """A sentence that no other brief has: articles that are alike would be found so."""
    letters = hashlib.sha256(brief.encode()).hexdigest().translate(str.maketrans("0123456789", "ghijklmnop"))
    return " ".join(letters[place : place + 4] for place in range(0, 64, 4)).capitalize() + "."


def advance_all(pipeline: Pipeline, ids: Sequence[str]) -> dict[str, str | None]:
    """The five ops of a run, one after the other; the last outcome."""
    outcome: dict[str, str | None] = {}
    for stage in STAGES:
        outcome = asyncio.run(pipeline.advance(ids, stage))
    return outcome
