from datetime import UTC, datetime

import pytest

from cryptocontent.agents import analyst
from cryptocontent.content.checks.subject import Fact
from tests.agents.research import draft, passage

FEE = "The base fee is burned in every block since 5 August 2021."
BLOB = "A blob holds 4096 field elements and costs 131,072 gas."


def rules_of(made):
    """What stays as the analyst's own finding: about what stands in the text no longer."""
    return [(one.severity, one.rule) for one in made.findings]


def told(made):
    """What the conversation is told."""
    return [(one.data["severity"], one.data["rule"]) for one in made.messages if one.kind == "finding"]


def edits(made):
    return [message.data["rule"] for message in made.messages if message.kind == "edit"]


async def test_a_supported_article_has_no_finding_and_full_marks():
    made = await analyst.rules(draft(f"{FEE}[^1] {BLOB}[^2]", FEE, passage(2, BLOB, "other")))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^2]"
    assert rules_of(made) == []
    assert not [one for one in told(made) if one[0] != "info" and one[1] != "duplicate.source"]
    measured = {"citation_coverage": 1.0, "dangling_rate": 0.0, "number_grounding": 1.0}
    measured |= {"quote_fidelity": 1.0, "source_concentration": 0.5, "sources": 2.0, "sentence_coverage": 1.0}
    assert measured.items() <= made.metrics.items()
    assert made.messages[-1].body == (
        "Checked 2 sentences with 3 numbers, dates and names against 2 sources: 100% cited, 100% of numbers "
        "and 100% of quotations in their source; nothing blocks publication."
    )


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
    (finding,) = made.findings
    assert (finding.severity, finding.rule) == ("warn", "citation.unsupported")
    assert finding.excerpt == "A blob holds 9999 elements."
    assert finding.evidence == {"cited": [2], "missing": ["9999"]}
    assert "citation.unsupported" in edits(made)


async def test_a_citation_that_points_at_nothing_is_removed():
    made = await analyst.rules(draft(f"{FEE}[^1][^7] {BLOB}[^9]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^2]"
    assert rules_of(made) == [("warn", "citation.removed")] * 2
    assert "removed 2 dangling citations" in made.messages[-1].body
    assert made.metrics["dangling_rate"] == 0.0


async def test_an_uncited_claim_is_cited_if_a_passage_says_it():
    made = await analyst.rules(draft(f"{FEE} {BLOB}[^2]", FEE, BLOB))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^2]"
    assert edits(made) == ["citation.added"]


async def test_what_is_left_is_told_and_not_kept_because_the_checks_run_again():
    body = f"{FEE}[^1] Fees rose by 12 % in May 2024. People were surprised by it."
    made = await analyst.rules(draft(body, FEE))
    assert ("block", "claim.uncited") in told(made) and ("info", "sentence.uncited") in told(made)
    assert rules_of(made) == []
    assert made.metrics["citation_coverage"] == 0.5
    assert made.metrics["sentence_coverage"] == pytest.approx(1 / 3, abs=1e-4)
    assert made.messages[-1].body.endswith("1 blocking finding.")


async def test_an_article_without_citations_is_told():
    made = await analyst.rules(draft("People were surprised by it all.", FEE))
    assert ("block", "citation.none") in told(made)


async def test_a_single_source_is_told():
    made = await analyst.rules(draft(f"{FEE}[^1]", FEE))
    assert ("info", "source.concentration") in told(made)
    assert made.metrics["source_concentration"] == 1.0


async def test_a_citation_of_a_market_fact_stays_in_the_sentences_own_words():
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    fact = Fact("f", "bitcoin", "price", 97123.0, "USD", "an exchange", moment, 97123.0, moment)
    one = passage(2, "The price of Bitcoin was 97,123 USD.").model_copy(update={"fact": fact})
    made = await analyst.rules(draft(f"{FEE}[^1] Bitcoin costs $97,000.[^2]", FEE, one))
    assert made.draft.body.endswith("Bitcoin costs $97,000.[^2]")
    wrong = await analyst.rules(draft(f"{FEE}[^1] Bitcoin costs $99,000.[^2]", FEE, one))
    assert ("block", "number.not_in_source") in told(wrong)


OWN = "Since 5 August 2021 the base fee has been burned with every block that is made."


async def test_a_sentence_in_own_words_stays_if_what_it_cites_bears_it_out():
    body = f"{OWN}[^1]"
    made = await analyst.rules(draft(body, FEE, BLOB))
    assert made.draft.body == body and rules_of(made) == [] and edits(made) == []


async def test_own_words_with_a_number_that_the_source_has_not_go():
    made = await analyst.rules(draft(f"{BLOB}[^2] {OWN.replace('2021', '2022')}[^1]", FEE, BLOB))
    assert made.draft.body == f"{BLOB}[^2]"
    assert made.findings[0].evidence["missing"] == ["5 August 2022"]


async def test_own_words_may_join_two_passages_and_lose_the_one_that_says_nothing():
    joined = "The base fee is burned with every block, and a blob costs 131,072 gas."
    made = await analyst.rules(draft(f"{joined}[^1][^2][^3]", FEE, BLOB, "Wallets sign messages."))
    assert made.draft.body == f"{joined}[^1][^2]"
    assert edits(made) == ["citation.corrected"]


async def test_own_words_that_cite_the_wrong_passage_are_cited_anew():
    made = await analyst.rules(draft(f"{OWN}[^2] {OWN}[^9]", FEE, BLOB))
    assert made.draft.body == f"{OWN}[^1] {OWN}[^1]"


@pytest.mark.parametrize(
    ("text", "stays", "rule"),
    [
        ("A blob brings cheaper settlement to every rollup.", True, "citation.weak"),
        ("Penguins waddle quietly across frozen beaches.", False, "citation.unsupported"),
    ],
)
async def test_own_words_with_nothing_to_check_stay_with_a_warning_if_they_are_on_the_subject(
    text, stays, rule
):
    source = "A blob holds field elements, and settlement of a block takes minutes."
    made = await analyst.rules(draft(f"{FEE}[^1] {text}[^2]", FEE, source))
    assert (text in made.draft.body) is stays
    assert rules_of(made) == [("warn", rule)]
    assert made.findings[0].excerpt == text


async def test_a_passage_beside_a_market_fact_stays_only_if_it_says_something():
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    fact = Fact("f", "bitcoin", "price", 97123.0, "USD", "an exchange", moment, 97123.0, moment)
    priced = passage(3, "The price of Bitcoin was 97,123 USD.").model_copy(update={"fact": fact})
    text = "With Bitcoin at a price of $97,000, wallets keep signing."
    made = await analyst.rules(draft(f"{text}[^1][^2][^3]", FEE, "Wallets sign messages.", priced))
    assert made.draft.body == f"{text}[^2][^3]"


async def test_a_passage_that_names_the_asset_bears_out_its_ticker():
    source = "Ethereum validators attest to blocks and are rewarded for it."
    text = "Validators of ETH are rewarded when they attest to blocks."
    made = await analyst.rules(draft(f"{text}[^1]", source))
    assert text in made.draft.body
    other = await analyst.rules(draft(f"{text.replace('ETH', 'SOL')}[^1]", source))
    assert other.draft.body == ""


async def test_a_link_to_another_article_changes_nothing_of_what_a_sentence_says():
    linked = FEE.replace("base fee", "[base fee](article:base-fee)")
    made = await analyst.rules(draft(f"{linked}[^1]", FEE))
    assert made.draft.body == f"{linked}[^1]" and edits(made) == []


async def test_sentences_of_another_language_than_the_word_lists_are_held_to_their_numbers_only():
    said = "Seit August 2021 wird die Grundgebühr verbrannt, so der EIP-1559."
    given = draft(f"{said}[^1]", f"{FEE} EIP-1559 says so. It was 5 August 2021.")
    outline = given.brief.outline.model_copy(update={"language": "de"})
    german = given.model_copy(update={"brief": given.brief.model_copy(update={"outline": outline})})
    assert (await analyst.rules(german)).draft.body == f"{said}[^1]"
    assert (await analyst.rules(given)).draft.body == ""
    body = f"{said.replace('1559', '9999')}[^1]"
    wrong = german.model_copy(update={"draft": german.draft.model_copy(update={"body": body})})
    assert (await analyst.rules(wrong)).draft.body == ""
