import pytest

from cryptocontent.agents import analyst
from cryptocontent.agents.grounding import checkables, grounded
from tests.agents.research import draft, passage

FEE = "The base fee is burned in every block since 5 August 2021."
BLOB = "A blob holds 4096 field elements and costs 131,072 gas."


def rules_of(made):
    return [(one.severity, one.rule) for one in made.findings]


def edits(made):
    return [message.data["rule"] for message in made.messages if message.kind == "edit"]


async def test_a_supported_article_has_no_finding_and_full_marks():
    made = await analyst.rules(draft(f"{FEE}[^1] {BLOB}[^2]", FEE, passage(2, BLOB, "other")))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^2]"
    assert rules_of(made) == []
    assert made.metrics == {
        "citation_coverage": 1.0,
        "dangling_rate": 0.0,
        "number_grounding": 1.0,
        "quote_fidelity": 1.0,
        "source_concentration": 0.5,
        "sources": 2.0,
    }


async def test_a_wrong_citation_is_put_right():
    made = await analyst.rules(draft(f"{FEE}[^2]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1]"
    assert edits(made) == ["citation.corrected"]


async def test_only_the_citations_that_hold_stay():
    made = await analyst.rules(draft(f"{FEE}[^1][^2]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1]"


async def test_an_unsupported_sentence_is_removed_with_its_evidence():
    made = await analyst.rules(draft(f"{FEE}[^1] A blob holds 9999 elements.[^2]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1]"
    assert ("warn", "citation.unsupported") in rules_of(made)
    assert ("warn", "number.not_in_source") in rules_of(made)
    assert "citation.unsupported" in edits(made)


async def test_a_citation_that_points_at_nothing_is_removed():
    made = await analyst.rules(draft(f"{FEE}[^1][^7] {BLOB}[^9]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^2]"
    assert rules_of(made).count(("warn", "citation.dangling")) == 2
    assert made.metrics["dangling_rate"] == pytest.approx(2 / 3, abs=1e-4)


async def test_an_uncited_claim_is_cited_if_a_passage_says_it():
    made = await analyst.rules(draft(f"{FEE} {BLOB}[^2]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^2]"
    assert edits(made) == ["citation.added"]


async def test_an_uncited_number_blocks_and_an_uncited_remark_warns():
    made = await analyst.rules(draft(f"{FEE}[^1] Fees rose by 12 % in May 2024. People were surprised.", FEE))
    assert ("block", "claim.uncited") in rules_of(made)
    assert ("warn", "sentence.uncited") in rules_of(made)
    assert made.metrics["citation_coverage"] == pytest.approx(1 / 3, abs=1e-4)


async def test_too_short_after_removals_blocks():
    made = await analyst.rules(draft(f"{FEE}[^1] Nobody said this at all.[^1]", FEE, least=13))
    assert ("block", "length.below_minimum") in rules_of(made)
    assert ("block", "length.below_minimum") not in rules_of(
        await analyst.rules(draft(f"{FEE}[^1]", FEE, least=5))
    )


async def test_an_article_without_citations_blocks():
    made = await analyst.rules(draft("People were surprised by it all.", FEE))
    assert ("block", "citation.none") in rules_of(made)


async def test_a_single_source_is_told():
    made = await analyst.rules(draft(f"{FEE}[^1]", FEE))
    assert rules_of(made) == [("info", "source.concentration")]
    assert made.metrics["source_concentration"] == 1.0


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        (
            "It rose 12.5% to 1,200 on 3 January 2009.",
            {("percentage", "12.5%"), ("number", "1,200"), ("date", "3 January 2009")},
        ),
        (
            "Send 2 ETH to 0x1234567890abcdef.",
            {("number", "2"), ("ticker", "ETH"), ("address", "0x1234567890abcdef")},
        ),
        (
            'He said "the fee is burned" in EIP-1559.',
            {("quote", "the fee is burned"), ("number", "EIP-1559")},
        ),
        ("Geth 1.10.9 uses 46.6M gas for `2`.", {("number", "1.10.9"), ("number", "46.6M"), ("number", "2")}),
        ("Nothing can be checked here.", set()),
    ],
)
def test_what_can_be_checked_is_found(sentence, found):
    assert {(part.kind, part.text) for part in checkables(sentence)} == found


@pytest.mark.parametrize(
    ("sentence", "evidence", "holds"),
    [
        ("It is 1,200.", "It was 1200 then.", True),
        ("It is 12.", "It was 120 then.", False),
        ("It is 12.", "It was 1.12 then.", False),
        ("It is 12.", "It was 12.5 then.", False),
        ("It is 12.", "It was 12.", True),
        ('"Fees are burned" he said.', "Fees are burned, she said.", True),
        ('"Fees are kept" he said.', "Fees are burned, she said.", False),
    ],
)
def test_numbers_are_compared_whole_and_quotes_word_for_word(sentence, evidence, holds):
    assert all(grounded(part, evidence) for part in checkables(sentence)) is holds
