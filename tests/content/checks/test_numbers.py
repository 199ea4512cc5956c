from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cryptocontent.content.checks.numbers import check
from tests.content.checks.subjects import BLOBS, HALVING, fact, only, rules_of, subject, with_limits


@pytest.mark.parametrize(
    ("right", "wrong", "rule"),
    [
        ("A blob holds 4096 field elements", "A blob holds 4097 field elements", "number.not_in_source"),
        ("Blobs go after about 18 days", "Blobs go after about 18 weeks", "number.not_in_source"),
        ("It is EIP-4844", "It is EIP-4848", "number.not_in_source"),
        ("The fourth came in 2024", "The fourth came in 2023", "number.not_in_source"),
        ("Almost 20 million exist", "Almost 30 million exist", "number.not_in_source"),
        ("19.7 million exist", "18.7 million exist", "number.not_in_source"),
        ("More than 93 % exist", "More than 95 % exist", "percentage.not_in_source"),
        ("On 20 April 2024 it came", "On 21 April 2024 it came", "date.not_in_source"),
    ],
)
def test_a_number_must_be_in_what_is_cited(right, wrong, rule):
    assert rules_of(check, subject(f"{right} by the text.[^1][^2]", BLOBS, HALVING)) == []
    finding = only(check, subject(f"{wrong} by the text.[^1][^2]", BLOBS, HALVING))
    assert (finding.rule, finding.severity) == (rule, "block")
    assert finding.excerpt == f"{wrong} by the text."
    assert finding.evidence["cited"] == [1, 2]


def test_a_number_of_another_source_does_not_count():
    assert rules_of(check, subject("A blob holds 4096 of them.[^2]", BLOBS, HALVING)) == [
        "number.not_in_source"
    ]


def test_each_wrong_part_is_told_apart():
    found = list(check(subject("It was 12% and 13% of 4096 then.[^1]", BLOBS)))
    assert [one.evidence["key"] for one in found] == ["12%", "13%"]
    assert len({one.fingerprint for one in found}) == 2


def test_addresses_must_be_in_what_is_cited():
    known = "The funds are at 0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe."
    assert rules_of(check, subject("It is 0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe now.[^1]", known)) == []
    wrong = "It is 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 now.[^1]"
    assert only(check, subject(wrong, known)).rule == "address.not_in_source"


def test_a_ticker_whose_asset_the_source_names_warns_and_another_blocks():
    assert rules_of(check, subject("It is about ETH here.[^1]", "The price of ETH.")) == []
    assert only(check, subject("It is about ETH here.[^1]", BLOBS)).severity == "warn"
    assert only(check, subject("It is about ADA here.[^1]", BLOBS)).rule == "ticker.not_in_source"


def test_a_dangling_citation_is_not_told_twice():
    assert rules_of(check, subject("A blob holds 12 of them.[^9]", BLOBS)) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Bitcoin costs $97,123.45 today.",
        "Bitcoin costs $97,000 today.",
        "The price of BTC was 97,400 dollars at 11:00 UTC.",
        "Bitcoin trades at about $97,100.",
        "Bitcoin trades above $97,000.",
        "It is worth more than $90,000.",
        "On 24 November 2026 it was $0.0971 million.",
        "Bitcoin and nothing else stood at $97k in 2026.",
    ],
)
def test_a_market_fact_bears_its_value_out_within_the_tolerance(sentence):
    assert rules_of(check, subject(f"{sentence}[^1]", fact())) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "Bitcoin costs $97,900 today.",
        "Bitcoin costs $98,123.45 today.",
        "Bitcoin costs €97,123.45 today.",
        "Bitcoin rose 97,123.45% today.",
        "Ether costs $97,123.45 today.",
        "The market cap of Bitcoin is $97,123.45.",
        "It is worth more than $98,000.",
        "On 23 November 2026 it was the price.",
    ],
)
def test_a_market_fact_of_another_value_unit_asset_or_metric_does_not(sentence):
    found = list(check(subject(f"{sentence}[^1]", fact())))
    assert found and all(one.severity == "block" and one.rule.endswith("not_in_source") for one in found)


def test_of_two_facts_each_number_has_its_own_asset():
    both = (fact(1), fact(2, id="f2", asset_id="ethereum", value=3200.5))
    right = "Bitcoin costs $97,123 and ether $3,200.[^1][^2]"
    joint = "Bitcoin and ether trade at $97,123 and $3,200.[^1][^2]"
    before = "At $97,123, Bitcoin is dear.[^1][^2]"
    for sentence in (right, joint, before):
        assert rules_of(check, subject(sentence, *both)) == [], sentence
    swapped = "Bitcoin costs $3,200 and ether $97,123.[^1][^2]"
    assert rules_of(check, subject(swapped, *both)) == ["number.not_in_source"] * 2


def test_a_big_fact_is_stated_with_a_scale_word():
    cap = fact(metric="market_cap", value=1_934_567_890_123.0)
    assert rules_of(check, subject("Its market cap is $1.9 trillion.[^1]", cap)) == []
    assert rules_of(check, subject("Its market cap is $1.93tn.[^1]", cap)) == []
    assert rules_of(check, subject("Its market cap is $1.8 trillion.[^1]", cap)) == ["number.not_in_source"]
    assert rules_of(check, subject("Its market cap is $1.9 billion.[^1]", cap)) == ["number.not_in_source"]


def test_a_share_is_a_percentage():
    share = fact(metric="dominance", value=58.2, unit="%")
    assert rules_of(check, subject("Bitcoin has 58.2% of it.[^1]", share)) == []
    assert rules_of(check, subject("Bitcoin has 58.2 of it.[^1]", share)) == ["number.not_in_source"]


PRICE = "Bitcoin costs $97,123.45 now.[^1]"


def test_an_old_price_is_stale_unless_the_sentence_says_of_which_day_it_is():
    old = fact(as_of=datetime(2026, 11, 22, 11, tzinfo=UTC))
    finding = only(check, subject(PRICE, old))
    assert (finding.rule, finding.severity, finding.evidence["key"]) == ("price.stale", "block", "f1")
    assert "49 hours" in finding.message
    dated = "On 22 November 2026 bitcoin cost $97,123.45 a piece.[^1]"
    assert rules_of(check, subject(dated, old)) == []
    assert rules_of(check, subject(PRICE, old, rules=with_limits(price_max_age_hours=50))) == []
    other = fact(as_of=datetime(2026, 11, 22, 11, tzinfo=UTC), metric="supply")
    assert rules_of(check, subject("Its supply is 97,123.45.[^1]", other)) == []


def test_a_price_that_the_market_has_left_is_stale():
    assert rules_of(check, subject(PRICE, fact(newest_value=100_000.0))) == []
    assert only(check, subject(PRICE, fact(newest_value=91_000.0))).rule == "price.stale"


def test_the_age_is_counted_from_the_instant_of_the_check():
    fresh = subject(PRICE, fact())
    assert rules_of(check, fresh) == []
    assert rules_of(check, replace(fresh, now=datetime(2026, 11, 26, tzinfo=UTC))) == ["price.stale"]
