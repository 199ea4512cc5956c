"""The proofreader with a model: it corrects, it does not rewrite."""

import pytest

from cryptocontent.agents.by_model import proofreader
from cryptocontent.agents.work import Instruction
from cryptocontent.llm.calls import ModelsFailed
from tests.agents.by_model.desks import desk
from tests.agents.research import draft

BODY = (
    "The base fee are burned in every block of etherum.[^1] It stood at 12 gwei.[^1]\n\n"
    "## Wat it costs\n\nNodes with slow disks falls behind the others when blocks are full.[^2]"
)
SOURCES = (
    "The base fee is burned in every block of Ethereum. It stood at 12 gwei.",
    "Nodes with slow disks fall behind the others when blocks are full.",
)


def proposed(place, before, after, kind="replace_sentence", rule="grammar.agreement"):
    given = {"kind": kind, "place": place, "before": before, "after": after}
    return {**given, "rule": rule, "reason": "subject and verb agree"}


FIRST = "The base fee are burned in every block of etherum."
LAST = "Nodes with slow disks falls behind the others when blocks are full."
GOOD = proposed("1.1", FIRST, "The base fee is burned in every block of Ethereum.")


async def test_slips_are_put_right_with_reasons():
    heading = proposed("2", "Wat it costs", "What it costs", "replace_heading", "spelling.common")
    at, asked = desk(lambda _: {"edits": [GOOD, heading]}, stage="proofreader")
    made = await proofreader.proofread(draft(BODY, *SOURCES), at)
    assert made.draft.body == (
        BODY.replace("fee are", "fee is").replace("etherum", "Ethereum").replace("Wat it", "What it")
    )
    assert [(one.author, one.kind) for one in made.messages] == [
        ("proofreader", "edit"),
        ("proofreader", "edit"),
        ("proofreader", "summary"),
    ]
    assert made.messages[-1].body == "Made 2 edits (1 of grammar and 1 of spelling). 30 words."
    assert asked[0].form == "CorrectionList"


async def test_a_rewrite_goes_back_and_is_left_out_if_it_comes_again():
    rewrite = proposed("3.1", LAST, "When blocks fill up, those that run on older drives lag behind.")
    at, asked = desk(lambda _: {"edits": [rewrite, GOOD]}, stage="proofreader")
    made = await proofreader.proofread(draft(BODY, *SOURCES), at)
    assert len(asked) == 2
    assert "at most 40% are allowed: a proofreader does not rewrite" in asked[1].problems
    assert LAST in made.draft.body
    assert "The base fee is burned" in made.draft.body
    assert [one.kind for one in made.messages] == ["finding", "edit", "summary"]


async def test_a_number_is_not_corrected_against_the_source():
    slip = proposed("1.2", "It stood at 12 gwei.", "It stood at 21 gwei.")
    at, asked = desk(lambda _: {"edits": [slip]}, stage="proofreader")
    made = await proofreader.proofread(draft(BODY, *SOURCES), at)
    assert "21" in asked[1].problems
    assert made.draft.body == BODY


async def test_it_can_neither_remove_nor_move():
    removal = {**GOOD, "kind": "remove_sentence"}
    at, _ = desk(lambda _: {"edits": [removal]}, stage="proofreader")
    with pytest.raises(ModelsFailed):
        await proofreader.proofread(draft(BODY, *SOURCES), at)


async def test_a_clean_text_stays_byte_for_byte():
    body = BODY + "\n\n\n"
    at, _ = desk(lambda _: {"edits": []}, stage="proofreader")
    made = await proofreader.proofread(draft(body, *SOURCES), at)
    assert made.draft.body == body


async def test_people_get_an_answer():
    asked_for = (Instruction(stage="proofreader", body="write e-mail", author="anna"),)
    given = draft(BODY, *SOURCES).model_copy(update={"instructions": asked_for})
    at, asked = desk(
        lambda _: {"edits": [], "answers": [{"instruction": 1, "answer": "There is none."}]},
        stage="proofreader",
    )
    made = await proofreader.proofread(given, at)
    assert "1. anna: write e-mail" in asked[0].task
    assert made.messages[-1].body == "“write e-mail” by anna: There is none."


async def test_an_article_that_is_too_short_may_still_lose_a_doubled_word():
    body = "The the base fee is burned.[^1]"
    doubled = proposed("1.1", "The the base fee is burned.", "The base fee is burned.")
    at, _ = desk(lambda _: {"edits": [doubled]}, stage="proofreader")
    short = await proofreader.proofread(draft(body, *SOURCES, least=100), at)
    assert short.draft.body == "The base fee is burned.[^1]"
    enough = await proofreader.proofread(draft(body, *SOURCES, least=6), at)
    assert enough.draft.body == body
