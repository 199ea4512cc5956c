import pytest

from cryptocontent.content.checks.quotes import check
from tests.content.checks.subjects import BLOBS, HALVING, only, rules_of, subject


@pytest.mark.parametrize(
    "sentence",
    [
        "It must “always represent a 20-byte address”.[^1]",
        'Rollups are "the only trustless scaling solution", it says.[^1]',
        "They call it “a miracle” of “scaling”.[^1]",
        "> Rollups are in the short and medium term […] the only trustless scaling solution.[^1]",
        "> A blob holds 4096 field elements. — The authors[^1]",
        "“A blob holds 4096 field elements. The field `to` must always represent a 20-byte address.”[^1]",
        "“Fees are burned by us every day,” he said.",
    ],
)
def test_what_stands_in_the_source_or_cites_none_is_no_false_quotation(sentence):
    assert rules_of(check, subject(sentence, BLOBS)) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "It must “always represent a 21-byte address”.[^1]",
        'Rollups are "the last scaling solution", it says.[^1]',
        "> Rollups are the only scaling solution that anybody needs.[^1]",
        "“A blob holds 4096 field elements. The field may be anything at all,” it says.[^1]",
        "It must “always represent a 20-byte address”.[^2]",
    ],
)
def test_a_false_quotation_blocks(sentence):
    finding = only(check, subject(sentence, BLOBS, HALVING))
    assert (finding.rule, finding.severity) == ("quote.not_verbatim", "block")
    assert finding.excerpt in " ".join(sentence.split())
