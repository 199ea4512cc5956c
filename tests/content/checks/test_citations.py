from dataclasses import replace

import pytest

from cryptocontent.content.checks.citations import check
from cryptocontent.content.documents import Source, render_article
from tests.content.checks.subjects import BLOBS, HALVING, only, rules_of, source, subject

CITED = "A blob holds 4096 field elements.[^1]"


def test_a_cited_article_has_no_finding():
    assert rules_of(check, subject(f"{CITED}\n\n- {CITED}", BLOBS)) == []


def test_a_footnote_to_nothing_dangles():
    finding = only(check, subject(f"{CITED}[^9]", BLOBS))
    assert (finding.rule, finding.severity, finding.evidence) == ("citation.dangling", "block", {"key": "9"})
    assert finding.excerpt == f"{CITED}[^9]"
    assert only(check, subject(f"{CITED} See.[^note]", BLOBS)).rule == "citation.dangling"
    assert only(check, subject(f"{CITED}\n\n## Fees[^7]\n\n{CITED}", BLOBS)).excerpt == "[^7]"


def test_a_footnote_that_the_list_of_sources_lacks_dangles():
    text = render_article("Fees", f"{CITED} Rollups grow.[^2]", [Source(1, "A source"), Source(2, "Another")])
    known = (BLOBS, "Rollups grow.")
    assert rules_of(check, subject(text, *known, title="")) == []
    cut = text.replace("[^2]: Another.\n", "")
    assert (
        only(check, subject(cut, *known, title="")).message == "Citation [^2] is not in the list of sources."
    )


def test_character_classes_in_code_are_no_footnotes():
    body = f"{CITED} The pattern `[^a-z]` is code.[^1]\n\n```\n[^0-9]+\n```"
    assert rules_of(check, subject(body, BLOBS)) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "The first halving took place on 28 November 2012.",
        "Fees fell by 38% within a week.",
        "Miners are paid in BTC today.",
        "The contract at 0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe holds the funds.",
        "“We will never ship this,” said one of the authors.",
        "| Fees | 12 |\n| --- | --- |\n| tips | 13 |",
        "> Nobody will ever run a full node at home.",
    ],
)
def test_a_claim_without_a_source_blocks(sentence):
    found = [one for one in check(subject(f"{CITED}\n\n{sentence}", BLOBS)) if one.severity == "block"]
    assert found and {one.rule for one in found} == {"claim.uncited"}


def test_a_remark_without_a_source_is_noted():
    body = f"{CITED} People were surprised by that.\n\n1. Ask the layer 2 node first.\n2. Wait."
    assert rules_of(check, subject(body, BLOBS)) == ["sentence.uncited", "sentence.uncited"]


def test_what_a_part_of_a_quotation_cites_it_cites_for_all_of_it():
    said = "“The first four eras created 19,687,500 bitcoin.[^1] Nobody lost 50 of them,” he said."
    assert rules_of(check, subject(f"{said} {CITED}", HALVING)) == []
    assert rules_of(check, subject(f"{said.replace('[^1]', '')} {CITED}", HALVING)) == ["claim.uncited"]


def test_an_article_that_cites_nothing_blocks():
    found = check(subject("People were surprised by that."))
    assert [one.rule for one in found] == ["sentence.uncited", "citation.none"]


@pytest.mark.parametrize(
    ("status", "rule", "severity"),
    [("withdrawn", "source.withdrawn", "warn"), ("recalled", "source.recalled", "block")],
)
def test_references_that_are_gone_or_bad_are_told(status, rule, severity):
    bad = replace(source(2, HALVING), status=status)
    one = subject(f"{CITED} The fourth halving happened at block 840,000.[^2][^2]", BLOBS, bad)
    finding = only(check, one)
    assert (finding.rule, finding.severity) == (rule, severity)
    assert finding.excerpt == "The fourth halving happened at block 840,000."
    assert rules_of(check, subject(CITED, BLOBS, bad)) == []
