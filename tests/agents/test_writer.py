import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptocontent.agents import editor, writer
from cryptocontent.agents.prose import opening_form, opens_dangling
from cryptocontent.agents.work import StageFailed, Work, WorkBrief
from cryptocontent.content.documents import Figure, Heading, Paragraph, body_words, paragraphs, parse
from cryptocontent.content.text import jaccard, shingles, supports, words
from tests.agents.research import IMAGE, SECTIONS, outline, passage, passages, research, work


def cited_sentences(made: Work):
    return [sentence for paragraph in paragraphs(parse(made.draft.body)) for sentence in paragraph.sentences]


def assert_honest(made: Work) -> None:
    found = cited_sentences(made)
    assert found
    for sentence in found:
        assert len(sentence.citations) == 1, sentence
        cited = made.passage(sentence.citations[0])
        assert cited is not None and supports(cited.text, sentence.text), sentence


async def test_an_article_is_whole_cited_and_within_its_length():
    made = await writer.rules(work())
    assert_honest(made)
    blocks = parse(made.draft.body)
    assert 500 <= body_words(blocks) <= 1000
    assert isinstance(blocks[0], Paragraph), "the lead stands before the first heading"
    headings = [block.text for block in blocks if isinstance(block, Heading) and block.level == 2]
    assert headings == [heading for heading, _ in SECTIONS]
    assert made.draft.title == "Blob transactions, explained"


async def test_no_sentence_is_repeated_and_after_the_editor_no_paragraph_opens_dangling():
    made = await editor.rules(await writer.rules(work()))
    bags = [shingles(words(sentence.text)) for sentence in cited_sentences(made)]
    assert all(jaccard(one, other) < 0.6 for at, one in enumerate(bags) for other in bags[:at])
    assert not [
        one.sentences[0].text
        for one in paragraphs(parse(made.draft.body))
        if opens_dangling(one.sentences[0].text)
    ]


async def test_after_the_editor_most_paragraphs_have_several_sentences():
    found = paragraphs(parse((await editor.rules(await writer.rules(work()))).draft.body))
    assert sum(len(one.sentences) > 1 for one in found) >= 0.75 * len(found)


async def test_the_same_work_gives_the_same_article():
    assert (await writer.rules(work())).draft == (await writer.rules(work())).draft


async def test_the_summary_says_what_was_used():
    made = await writer.rules(work())
    (summary,) = [message for message in made.messages if message.kind == "summary"]
    assert summary.author == "writer"
    assert set(summary.data["passages_used"]) == {one.citations[0] for one in cited_sentences(made)}
    assert summary.data["words"] == body_words(parse(made.draft.body))


async def test_a_section_without_material_is_left_out_with_a_question():
    text = (
        "Fees are paid by all of the users of the chain. The base fee of a block is burned by the protocol. "
        "Validators receive the tip that users add to it for speed."
    )
    plan = outline("Fees", 20, 60, (("What it is", "fees"), ("Nothing here", "zebra")), (10, 30))
    found = (passage(1, text, scores=(1.0, 1.0, 0.0)),)
    made = await writer.rules(Work(brief=WorkBrief(id="b", project_id="p", outline=plan), research=found))
    missing = {section.heading for section in plan.sections if f"## {section.heading}" not in made.draft.body}
    asked = {message.data["section"] for message in made.messages if message.kind == "question"}
    assert missing and missing <= asked


@pytest.mark.parametrize("texts", [[], ["Fees are paid by all of the users of the chain."]])
async def test_thin_research_fails_with_what_was_found_and_what_is_missing(texts):
    found = tuple(passage(number, text) for number, text in enumerate(texts, 1))
    with pytest.raises(StageFailed, match=r"has \d+ words .*at least 500"):
        await writer.rules(Work(brief=WorkBrief(id="b", project_id="p", outline=outline()), research=found))


async def test_research_of_debris_fails_although_it_has_words():
    text = "introduce a field of blob transactions; " * 200
    with pytest.raises(StageFailed, match="usable sentences"):
        await writer.rules(
            Work(brief=WorkBrief(id="b", project_id="p", outline=outline()), research=(passage(1, text),))
        )


async def test_tables_and_code_are_never_written_as_prose():
    made = await writer.rules(work())
    kinds = {one.number: one.kind for one in made.research}
    assert {kinds[sentence.citations[0]] for sentence in cited_sentences(made)} <= {"prose", "list"}


async def test_an_image_of_a_cited_source_becomes_a_figure_with_credit():
    plain = work()
    shown = plain.model_copy(
        update={"research": tuple(one.model_copy(update={"images": (IMAGE,)}) for one in plain.research)}
    )
    (figure,) = [
        block for block in parse((await writer.rules(shown)).draft.body) if isinstance(block, Figure)
    ]
    assert figure.src == f"image:{IMAGE.sha256}"
    assert figure.alt == "A blob (beside) a block"
    assert figure.caption in {one.title for one in plain.research}
    assert not [block for block in parse((await writer.rules(plain)).draft.body) if isinstance(block, Figure)]


async def test_a_source_that_names_itself_does_so_after_its_name_or_a_sentence_before():
    made = await writer.rules(work())
    lead = parse(made.draft.body)[0]
    assert isinstance(lead, Paragraph)
    assert "this eip" not in lead.render().casefold()


TOPICS = st.sampled_from(["blobs", "data availability", "history expiry", "rollups", "sampling", "gas"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_the_research_the_article_is_supported_and_never_too_long(data):
    least = data.draw(st.integers(40, 400))
    most = least + data.draw(st.integers(60, 600))
    topics = data.draw(st.lists(TOPICS, min_size=1, max_size=5, unique=True))
    each = (0, data.draw(st.integers(40, 300)))
    plan = outline(topics[0], least, most, [(topic.title(), topic) for topic in topics], each)
    rows = data.draw(st.lists(st.integers(0, len(passages()) - 1), min_size=4, max_size=40, unique=True))
    scored = research(plan, limit=len(passages()))
    found = tuple(scored[row].model_copy(update={"number": number}) for number, row in enumerate(rows, 1))
    given_work = Work(brief=WorkBrief(id="b", project_id="p", outline=plan), research=found)
    try:
        made = writer.compose(given_work)
    except StageFailed:
        return
    assert_honest(made)
    assert least <= body_words(parse(made.draft.body)) <= most
    assert writer.compose(given_work).draft == made.draft
    edited = asyncio.run(editor.rules(made))
    assert_honest(edited)
    assert least <= body_words(parse(edited.draft.body)) <= most
    for paragraph in paragraphs(parse(edited.draft.body)):
        assert not opens_dangling(paragraph.sentences[0].text)


async def test_a_subject_that_the_references_never_mention_is_refused():
    asked = work()
    brief = asked.brief.model_copy(
        update={
            "outline": outline(title="Zebra husbandry, explained"),
            "variables": {"topic": "Zebra husbandry"},
            "keywords": (),
        }
    )
    with pytest.raises(StageFailed, match="never mention: Zebra, husbandry"):
        await writer.rules(asked.model_copy(update={"brief": brief}))


async def test_a_word_of_the_title_that_the_references_never_mention_is_found():
    asked = work()
    variables = {"topic": "Blob transactions on Solana"}
    brief = asked.brief.model_copy(
        update={"outline": outline(title="Blob transactions on Solana"), "variables": variables}
    )
    made = await writer.rules(asked.model_copy(update={"brief": brief}))
    found = [finding for finding in made.findings if finding.rule == "topic.not_in_references"]
    assert [finding.excerpt for finding in found] == ["Solana"]
    assert not (await writer.rules(asked)).findings


async def test_the_writer_leaves_a_leading_connective_whose_rest_stands_alone_to_the_editor():
    made = await writer.rules(work())
    dangling = [
        one.sentences[0].text
        for one in paragraphs(parse(made.draft.body))
        if opens_dangling(one.sentences[0].text)
    ]
    assert all(opening_form(text) for text in dangling), dangling
    edited = await editor.rules(made)
    dropped = [
        one.data
        for one in edited.messages
        if one.kind == "edit" and one.data["rule"] == "coherence.connective"
    ]
    assert {edit["before"] for edit in dropped} >= set(dangling)
    assert_honest(edited)


def _push0(others: str, least: int = 40) -> Work:
    """A subject with one source of its own and one that only mentions what the template asks for."""
    own = (
        "The PUSH0 instruction pushes the constant zero onto the stack of the machine. "
        "It has no immediate data and costs two units of gas in every block.\n\n"
        "A contract with the PUSH0 instruction costs less gas when it is deployed. "
        "Compilers that target older chains replace PUSH0 with another instruction of the same effect.\n\n"
        "Old contracts keep the longer form, because nobody can rewrite deployed code on the chain. "
        "Tools that decode PUSH0 read the opcode as an instruction without immediate data."
    )
    sections = (("What it is", "PUSH0"), ("How it works", "mechanism"))
    plan = outline("The PUSH0 instruction, explained", least, 300, sections, (10, 90))
    found = (
        passage(1, own, "push", scores=(1.0, 1.0, 0.2)),
        passage(2, others, "sweep", scores=(0.9, 0.2, 1.0)),
    )
    brief = WorkBrief(id="b", project_id="p", outline=plan, keywords=("PUSH0",), variables={"topic": "PUSH0"})
    return Work(brief=brief, research=found)


OTHER = (
    "Custom thresholds for sweep withdrawals let validators keep larger balances than before. "
    "Withdrawal requests are processed by the mechanism of the beacon chain in every epoch. "
    "Validators that set a threshold earn compound rewards until the sweep reaches them."
)


async def test_what_does_not_name_the_subject_fills_no_section():
    made = await writer.rules(_push0(OTHER, least=40))
    assert {one.citations[0] for one in cited_sentences(made)} == {1}
    assert (
        "How it works" in {message.data["section"] for message in made.messages if message.kind == "question"}
        or "## How it works" in made.draft.body
    )


async def test_another_source_that_names_the_subject_is_used():
    made = await writer.rules(_push0(OTHER.replace("sweep withdrawals", "PUSH0 withdrawals"), least=100))
    assert 2 in {one.citations[0] for one in cited_sentences(made)}


async def test_an_article_that_would_be_too_short_takes_what_it_can_get():
    made = await writer.rules(_push0(OTHER, least=80))
    assert {one.citations[0] for one in cited_sentences(made)} == {1, 2}
