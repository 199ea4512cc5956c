"""Research for the agents' tests, made of real texts (EIPs, CC0) without an index."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from cryptocontent.agents.work import Draft, ResearchImage, ResearchPassage, Work, WorkBrief
from cryptocontent.content.templates import Outline, OutlineSection, WordRange
from cryptocontent.content.text import words
from cryptocontent.knowledge.chunking import chunk

DATA = Path(__file__).with_name("data")
SECTIONS = (
    ("What it is", "blob transactions definition overview abstract"),
    ("How it works", "blob transactions mechanism specification"),
    ("Why it was proposed", "blob transactions motivation problem reason"),
    ("Costs, limits and risks", "blob transactions costs limits risks security"),
    ("What it changes", "blob transactions changes compatibility impact"),
)


def outline(
    title: str = "Blob transactions, explained",
    least: int = 500,
    most: int = 1000,
    sections: Sequence[tuple[str, str]] = SECTIONS,
    each: tuple[int, int] = (60, 220),
) -> Outline:
    return Outline(
        title=title,
        language="en",
        tone="neutral",
        audience="",
        jurisdictions=("generic",),
        words=WordRange(min=least, max=most),
        sections=tuple(
            OutlineSection(
                heading=heading, query=query, instructions="", words=WordRange(min=each[0], max=each[1])
            )
            for heading, query in sections
        ),
    )


@cache
def passages() -> tuple[ResearchPassage, ...]:
    """Every passage of the example documents, in their order, without scores."""
    found: list[ResearchPassage] = []
    for path in sorted(DATA.glob("eip-*.md")):
        _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
        title = re.search(r"^title: (.*)$", head, re.M)
        assert title
        for ordinal, one in enumerate(
            chunk(re.sub(r"\]\(\.{1,2}/[^)]*\)", "](https://example.org)", body), title[1])
        ):
            found.append(
                ResearchPassage(
                    number=len(found) + 1,
                    passage_id=f"{path.stem}-{ordinal}",
                    reference_id=path.stem,
                    revision_id=path.stem,
                    title=title[1],
                    heading_path=one.heading_path,
                    kind=one.kind,
                    text=one.text,
                    scores=(),
                    url=f"https://eips.ethereum.org/EIPS/{path.stem}",
                    licence="CC0-1.0",
                    ordinal=ordinal,
                )
            )
    return tuple(found)


def research(plan: Outline, limit: int = 60) -> tuple[ResearchPassage, ...]:
    """The passages with shared words as scores, the best first."""
    queries = [plan.title, *(f"{plan.title} {section.query}" for section in plan.sections)]
    bags = [{word.casefold().rstrip("s") for word in words(query)} for query in queries]
    scored = []
    for one in passages():
        own = {
            word.casefold().rstrip("s")
            for word in words(f"{one.title} {' '.join(one.heading_path)} {one.text}")
        }
        scored.append(one.model_copy(update={"scores": tuple(len(bag & own) / len(bag) for bag in bags)}))
    scored.sort(key=lambda one: -max(one.scores))
    return tuple(one.model_copy(update={"number": number}) for number, one in enumerate(scored[:limit], 1))


def work(plan: Outline | None = None, keywords: tuple[str, ...] = ("blobs",)) -> Work:
    plan = plan or outline()
    brief = WorkBrief(id="b", project_id="p", outline=plan, keywords=keywords, variables={"topic": "blobs"})
    return Work(brief=brief, research=research(plan))


def passage(
    number: int, text: str, reference: str = "r", scores: tuple[float, ...] = (1.0, 1.0)
) -> ResearchPassage:
    """A passage of our own words."""
    return ResearchPassage(
        number=number,
        passage_id=f"p{number}",
        reference_id=reference,
        revision_id=reference,
        title=f"Title of {reference}",
        heading_path=(),
        kind="prose",
        text=text,
        scores=scores,
        ordinal=number,
    )


def draft(
    body: str, *texts: str | ResearchPassage, least: int = 0, most: int = 1000, **brief: object
) -> Work:
    """A draft with a research of the given passages, for the stages after the writer."""
    found = tuple(
        passage(number, text) if isinstance(text, str) else text for number, text in enumerate(texts, 1)
    )
    plan = outline("Fees, explained", least, most, (("What it is", "fees"), ("Risks", "risks")), (0, 400))
    made = WorkBrief.model_validate({"id": "b", "project_id": "p", "outline": plan, **brief})
    return Work(brief=made, research=found, draft=Draft(title=plan.title, body=body))


IMAGE = ResearchImage(sha256="a" * 64, alt="A blob [beside] a block", width=640, height=480)
