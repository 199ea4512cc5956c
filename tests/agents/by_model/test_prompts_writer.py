"""What the writer is told, word for word (see `golden_prompts`)."""

import pytest

from cryptocontent.agents.by_model.material import forbidden_claims
from cryptocontent.agents.by_model.writer import write
from cryptocontent.agents.prompts import prompt_version
from cryptocontent.agents.work import Draft, Instruction, Work
from cryptocontent.content.rules import shipped_rules
from tests.agents.by_model.desks import Asked, desk
from tests.agents.by_model.golden_prompts import same_as_golden
from tests.agents.by_model.test_writer import LEAD, RISK, WHAT, article, by_parts, given, part_of, plan


def full(most: int) -> Work:
    """A brief that has everything that a prompt may tell."""
    made = given(
        most=most,
        each=(5, 10),
        language="de",
        tone="sober",
        audience="newcomers",
        jurisdictions=("uk", "eu-mica"),
        required_phrases=("not a promise",),
        forbidden_phrases=("to the moon", "safe bet"),
    )
    plan = made.brief.outline
    sections = (plan.sections[0].model_copy(update={"instructions": "Define the fee."}), *plan.sections[1:])
    return made.model_copy(
        update={
            "brief": made.brief.model_copy(
                update={"outline": plan.model_copy(update={"sections": sections})}
            ),
            "draft": Draft(title="Fees", body="The base fee of Ethereum is burned.[^1]\n\n## Risks\n\nNone."),
            "instructions": (
                Instruction(stage="writer", body="begin with the tip", author="anna"),
                Instruction(stage="editor", body="not for the writer", author="ben"),
            ),
        }
    )


async def told(made: Work, style: str = "") -> list[Asked]:
    """The first request of each question, the lead and the parts in order."""
    if made.brief.outline.words.max <= 500:
        at, asked = desk(lambda _: article(), style=style)
    else:
        at, asked = desk(by_parts(LEAD, WHAT, RISK, planned=plan(phrases=[1])), style=style)
    await write(made, at)
    first = [one for one in asked if not one.problems]
    return sorted(first, key=lambda one: part_of(one) if one.form == "SectionDraft" else -1)


def same(name: str, text: str) -> None:
    same_as_golden(f"writer_{name}.md", text)


async def test_system_and_material():
    plan_, *_ = await told(full(900), style="Short sentences.")
    same("system", plan_.system)
    same("material", plan_.material)


async def test_tasks_of_a_long_article():
    plan_, lead, first, second = await told(full(900))
    same("plan", plan_.task)
    same("lead", lead.task)
    same("section_1", first.task)
    same("section_2", second.task)


async def test_task_of_a_short_article():
    same("article", (await told(full(300)))[0].task)


async def test_prompts_of_a_plain_brief():
    (whole,) = await told(given())
    same("system_plain", whole.system)
    same("article_plain", whole.task)
    same("section_plain", (await told(given(most=900, each=(5, 10))))[2].task)


@pytest.mark.parametrize("most", [300, 900])
async def test_nothing_of_research_or_draft_stands_where_instructions_do(most):
    for one in await told(full(most), style="Short sentences."):
        trusted = one.system + one.task
        assert "burned in every block" in one.material and "burned in every block" not in trusted
        assert "None." not in trusted and "Title of r1" not in trusted
        assert "not for the writer" not in one.text


async def test_rules_of_house_and_jurisdictions_are_told():
    (one,) = await told(full(300), style="Short sentences.")
    made = full(300)
    for why in forbidden_claims(made.brief.outline, shipped_rules()):
        assert why in one.system
    assert "United Kingdom, European Union (MiCA)" in one.system and "Short sentences." in one.system
    assert "“to the moon”, “safe bet”" in one.system and "newcomers" in one.system


def test_the_prompts_have_a_version():
    assert len(prompt_version("writer")) == 12
