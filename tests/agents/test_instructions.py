"""What people ask of a stage: understood or answered, carried out, and never at the price of their text."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from cryptocontent.agents.instructions import UNDERSTOOD, Requests, instructed, understand
from cryptocontent.agents.pipeline import Pipeline, stage_states, unfinished
from cryptocontent.agents.regeneration import ask_again
from cryptocontent.agents.work import Instruction, Work
from cryptocontent.content.articles import conversation, versions_of
from cryptocontent.content.versions import save_version
from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import Person
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, AuditEntry, Version
from tests.agents.research import draft, passage
from tests.agents.world import STAGES, Calls, advance_all, make_world

WIL, VIC = Person("wil", "writer"), Person("vic", "viewer")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('Please leave out "flash loan" everywhere.', Requests(phrases=("flash loan",))),
        ("drop the sentences “in the meantime”", Requests(phrases=("in the meantime",))),
        ('remove the section "Background"', Requests(sections=("Background",))),
        ("At most 700 words, please", Requests(most_words=700)),
        ("shorten to 450 words", Requests(most_words=450)),
        ('Title: "Fees, explained"', Requests(title="Fees, explained")),
        ('without source "Old wiki"', Requests(sources=("Old wiki",))),
        (
            'no more than 800 words and cut "hype" and leave out section "Risks"',
            Requests(phrases=("hype",), sections=("Risks",), most_words=800),
        ),
        ("make it nicer", Requests()),
        ("it's 700 words now", Requests()),
    ],
)
def test_what_is_understood(text: str, wanted: Requests) -> None:
    assert understand(text) == wanted


BODY = (
    "The base fee is burned.[^1] It moves with demand.[^1]\n\n## How\n\nBlocks have a target.[^2] "
    "Above it fees rise."
    "[^2] Below it fees fall.[^2]\n\n## Risks\n\nFees may spike.[^1]"
)


def run(stage: str, *bodies: str) -> Work:
    asked = tuple(Instruction(stage=stage, body=body, author="anna") for body in bodies)
    work = draft(BODY, "one", "two").model_copy(update={"instructions": asked})

    async def nothing(given: Work) -> Work:
        return given

    return asyncio.run(instructed(stage, nothing)(work))


def test_sentences_and_sections_are_left_out_as_edits_with_a_reason() -> None:
    work = run("editor", 'drop "Above it"; leave out section "Risks"')
    assert "Above it" not in work.draft.body and "Risks" not in work.draft.body
    assert "Below it fees fall.[^2]" in work.draft.body
    edits = [one for one in work.messages if one.kind == "edit"]
    assert {one.data["rule"] for one in edits} == {"sentence.left_out", "section.left_out"}
    assert all("asked by anna" in one.body for one in edits)


def test_a_text_is_shortened_from_the_ends_of_its_longest_sections() -> None:
    work = run("proofreader", "at most 15 words")
    assert "The base fee is burned." in work.draft.body and "Blocks have a target." in work.draft.body
    assert "Below it fees fall." not in work.draft.body


def test_a_title_is_set() -> None:
    assert run("seo", 'title "Why fees move"').draft.title == "Why fees move"


def test_what_is_not_understood_is_answered_with_a_question() -> None:
    work = run("editor", "make it sing")
    assert work.draft.body == BODY
    (message,) = work.messages
    assert message.kind == "question" and UNDERSTOOD[0] in message.body


def test_instructions_to_other_stages_change_nothing() -> None:
    asked = (Instruction(stage="seo", body='drop "fees"', author="anna"),)
    work = draft(BODY, "one", "two").model_copy(update={"instructions": asked})

    async def nothing(given: Work) -> Work:
        return given

    assert asyncio.run(instructed("editor", nothing)(work)) == work


def test_sources_that_the_writer_may_not_use_have_no_text_for_it() -> None:
    found = (passage(1, "one", "old"), passage(2, "two", "new"))
    seen: list[Work] = []

    async def look(given: Work) -> Work:
        seen.append(given)
        return given

    asked = (Instruction(stage="writer", body=f'without source "{found[0].title}"', author="anna"),)
    given = draft("", *found).model_copy(update={"instructions": asked})
    result = asyncio.run(instructed("writer", look)(given))
    assert all(not one.text for one in seen[0].research if one.title == found[0].title)
    assert result.research == found, "what is cited later is whole again"


def ask(engine: Engine, stages: list[str], body: str, by: Person = WIL) -> str:
    with writing(engine) as session:
        return ask_again(session, session.scalars(select(Article)).one(), stages, body, by)


def test_a_stage_asked_again_runs_with_those_after_it_and_the_old_versions_stay(
    engine: Engine, settings: Settings
) -> None:
    (one,) = make_world(engine, settings, 1)
    calls = Calls(settings.home / "calls")
    advance_all(Pipeline(engine, "run-1", calls.agents()), [one])
    assert ask(engine, ["proofreader"], "once more") == one
    assert unfinished(engine, [one], calls.agents()) == {one}
    assert stage_states(engine, [one], calls.agents()) == {one: [True, True, False, False, False]}
    advance_all(Pipeline(engine, "run-2", calls.agents()), [one])
    assert {stage: n for (stage, _), n in calls.counts().items()} == {
        "writer": 1,
        "editor": 1,
        "proofreader": 2,
        "analyst": 2,
        "seo": 2,
    }
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        versions = versions_of(session, article.id)
        assert [version.author for version in versions] == [*STAGES, "proofreader", "analyst", "seo"]
        assert versions[5].parent_id == versions[1].id and article.version_id == versions[7].id
        assert versions[5].provenance["instructions"] == [
            {"stage": "proofreader", "body": "once more", "author": "wil"}
        ]
        said = [(one.author, one.kind, one.body) for one in conversation(session, article.id)]
        assert ("wil", "instruction", "@proofreader once more") in said
        actions = session.scalars(select(AuditEntry.action)).all()
        assert "stage.asked" in actions


def test_a_persons_text_is_what_the_stage_starts_from(engine: Engine, settings: Settings) -> None:
    (one,) = make_world(engine, settings, 1)
    calls = Calls(settings.home / "calls")
    advance_all(Pipeline(engine, "run-1", calls.agents()), [one])
    with writing(engine) as session:
        article = session.scalars(select(Article)).one()
        text = session.get_one(Version, article.version_id).markdown
        mine = save_version(
            session,
            article,
            article.version_id or "",
            text.replace("# Topic 0\n\n", "# Topic 0\n\nOur own word. "),
            WIL,
        )
    ask(engine, ["editor"], "look at it")
    advance_all(Pipeline(engine, "run-2", calls.agents()), [one])
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        versions = versions_of(session, article.id)
        edited = versions[6]
        assert (edited.author, edited.parent_id) == ("editor", mine.id)
        assert "Our own word." in session.get_one(Version, article.version_id).markdown
        assert article.version_id == versions[-1].id
    assert calls.counts()["writer", one] == 1, "the writer is not asked for what a person wrote"

    # Asked again, the editor starts from the same text; the writer, asked again, from the research.
    ask(engine, ["writer"], "from scratch")
    advance_all(Pipeline(engine, "run-3", calls.agents()), [one])
    with reading(engine) as session:
        article = session.scalars(select(Article)).one()
        assert "Our own word." not in session.get_one(Version, article.version_id).markdown
    assert calls.counts()["writer", one] == 2


def test_bad_requests_are_refused(sqlite_engine: Engine, settings: Settings) -> None:
    (one,) = make_world(sqlite_engine, settings, 1)
    advance_all(Pipeline(sqlite_engine, "run-1", Calls(settings.home / "calls").agents()), [one])
    for stages, body, by, error, said in (
        (["poet"], "", WIL, Refused, "allowed are writer, editor"),
        ([], "", WIL, Refused, "name at least one"),
        (["editor"], "x" * 4001, WIL, Refused, "allowed are 4000"),
        (["editor"], "", VIC, NotAllowed, "vic is viewer"),
    ):
        with pytest.raises(error, match=said):
            ask(sqlite_engine, stages, body, by)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]
