from cryptocontent.content.checks import run_checks
from cryptocontent.content.checks.quality import quality
from cryptocontent.content.checks.subject import Neighbour
from cryptocontent.content.readability import readability
from tests.content.checks.subjects import BLOBS, HALVING, subject

GOOD = "A blob holds 4096 field elements.[^1]"


def test_a_good_article_has_full_marks():
    one = subject(f"{GOOD} The fourth halving happened on 20 April 2024.[^2]", BLOBS, HALVING)
    assert quality(one) == {
        "citation_coverage": 1.0,
        "sentence_coverage": 1.0,
        "dangling_rate": 0.0,
        "number_grounding": 1.0,
        "quote_fidelity": 1.0,
        "uniqueness": 1.0,
        "source_concentration": 0.5,
        "sources": 2.0,
        "words": 14.0,
        "citations": 2.0,
        **readability(["A blob holds 4096 field elements.", "The fourth halving happened on 20 April 2024."]),
    }


def test_each_fault_lowers_its_own_number():
    body = (
        f"{GOOD} A blob holds 4097 of them, “as nobody ever said before”.[^1][^9] Fees fell by 12 % at once. "
        "People wondered. It must “always represent a 20-byte address”.[^1]"
    )
    one = subject(body, BLOBS, neighbours=[Neighbour("a", "a", 0.2), Neighbour("b", "b", 0.3)])
    found = run_checks(one)
    measured = quality(one, found)
    assert measured["citation_coverage"] == 0.75  # of 4 claims, 3 are cited
    assert measured["sentence_coverage"] == 0.6
    assert measured["dangling_rate"] == 0.25
    assert measured["number_grounding"] == 0.5  # 4096, 4097, 12 %, 20
    assert measured["quote_fidelity"] == 0.5
    assert measured["uniqueness"] == 0.7
    assert measured["source_concentration"] == 1.0 and measured["sources"] == 1.0
    assert measured["citations"] == 2.0
    assert measured["blocking"] == sum(finding.severity == "block" for finding in found) > 0
    assert measured["warnings"] == sum(finding.severity == "warn" for finding in found)


def test_an_empty_article_has_numbers_too():
    measured = quality(subject(""))
    assert measured["words"] == measured["sources"] == measured["flesch_reading_ease"] == 0.0
    assert measured["citation_coverage"] == measured["number_grounding"] == 1.0


def test_a_long_quotation_is_cited_by_its_last_sentence():
    said = "“A blob holds 4096 field elements. The field must always represent a 20-byte address.”[^1]"
    assert quality(subject(said, BLOBS))["citation_coverage"] == 1.0
