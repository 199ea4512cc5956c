import time

import pytest

from cryptocontent.content.checks.originality import check, concentration, signature, similar
from cryptocontent.content.checks.subject import Neighbour
from cryptocontent.content.documents import Source, render_article
from tests.content.checks.subjects import BLOBS, HALVING, only, rules_of, source, subject, with_limits

COPIED = (
    "The values are chosen to correspond to a target of 3 blobs (0.375 MB) and maximum of 6 blobs (0.75 MB) "
    "per block.[^1] Rollups are in the short and medium term, and possibly in the long term, the only "
    "trustless scaling solution for Ethereum.[^1]"
)
OWN = "Nobody knows what the many rollups of the coming years will pay for all their data in the end.[^2]"


def neighbour(similarity: float) -> Neighbour:
    return Neighbour("a1", "blobs", similarity)


@pytest.mark.parametrize(
    ("likeness", "found"),
    [
        (0.49, []),
        (0.5, [("duplicate.article_part", "warn")]),
        (0.79, [("duplicate.article_part", "warn")]),
        (0.8, [("duplicate.article", "block")]),
        (1.0, [("duplicate.article", "block")]),
    ],
)
def test_articles_that_resemble_another(likeness, found):
    one = subject(f"{COPIED} {OWN}", BLOBS, HALVING, neighbours=[neighbour(likeness)])
    assert [(finding.rule, finding.severity) for finding in check(one)] == found


def test_a_text_that_stands_in_one_source_warns_with_its_name():
    rules = with_limits(source_concentration=1)
    finding = only(check, subject(COPIED, BLOBS, rules=rules))
    assert (finding.rule, finding.severity) == ("duplicate.source", "warn")
    assert finding.evidence["share"] == 0.811  # no source has what the two sentences make together
    assert finding.evidence["reference"] == "r1"
    assert rules_of(check, subject(f"{COPIED} {OWN}", BLOBS, HALVING, rules=rules)) == []


@pytest.mark.parametrize(
    ("licence", "rule"),
    [
        ("CC0-1.0", "duplicate.free_source"),
        ("CC-BY-4.0", "duplicate.free_source"),
        ("Public domain", "duplicate.free_source"),
        ("All rights reserved", "duplicate.source"),
        (None, "duplicate.source"),
    ],
)
def test_the_licence_decides_how_grave_it_is(licence, rule):
    one = subject(COPIED, source(1, BLOBS, licence=licence), rules=with_limits(source_concentration=1))
    assert rules_of(check, one) == [rule]


def test_what_is_copied_need_not_be_what_is_cited():
    first, second = source(1, "Blobs.", reference_id="r"), source(2, BLOBS, reference_id="r")
    assert "duplicate.source" in rules_of(check, subject(COPIED, first, second))
    uncited = source(2, BLOBS, reference_id="another")
    assert "duplicate.source" not in rules_of(check, subject(COPIED, first, uncited))


def test_too_few_sources_are_noted():
    one = subject(OWN.replace("[^2]", "[^1]"), HALVING)
    assert rules_of(check, one) == ["source.concentration"]
    two = subject(f"{OWN} {OWN.replace('[^2]', '[^1]')}", HALVING, BLOBS)
    assert concentration(two) == {"r1": 0.5, "r2": 0.5}
    assert rules_of(check, two) == []


def words(first: int, count: int) -> str:
    return " ".join(f"word{number}" for number in range(first, first + count))


def test_the_signature_estimates_how_much_is_shared():
    mine = signature(words(0, 900))
    assert len(mine) == 512
    assert similar(mine, {}) == []
    others = {
        "same": signature(words(0, 900)),
        "half": signature(words(450, 900)),
        "none": signature(words(5000, 900)),
    }
    found = similar(mine, others)
    assert [name for name, _ in found] == ["same", "half"]
    assert found[0][1] == 1.0 and abs(found[1][1] - 446 / 1346) < 0.15


def test_sources_notices_markers_and_typography_do_not_count():
    plain = f"# Fees\n\n{words(0, 300)}."
    article = render_article(
        "Fees", f"::: notice risk\n{words(900, 50)}\n:::\n\n{words(0, 300)}.[^1]", [Source(1, words(700, 30))]
    )
    assert signature(article) == signature(plain)
    assert signature(f"{article}\n{words(2000, 100)}") != signature(plain)


def test_signatures_are_fast_enough():
    text = words(0, 900)
    signature(text)  # imports
    started = time.process_time()
    for number in range(10):
        made = signature(f"{text} {number}")
    each = (time.process_time() - started) / 10
    others = {str(number): made for number in range(10_000)}
    started = time.process_time()
    assert len(similar(made, others)) == 10_000
    # The bars are 5 ms and 100 ms; ten times that is no slow machine but a fault.
    assert each < 0.05 and time.process_time() - started < 1
