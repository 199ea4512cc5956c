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
