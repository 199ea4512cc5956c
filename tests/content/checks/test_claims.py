"""Forbidden claims: what makes one, what only speaks of one, and that the rule file is whole."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptocontent.content.checks import claims
from cryptocontent.content.rules import shipped_rules
from cryptocontent.content.rules.files import ClaimPattern
from tests.content.checks.subjects import asked, only, rules_of, subject

CLAIMS = [
    ("This token offers guaranteed returns of 20% a year.", "guaranteed_return"),
    ("Our protocol guarantees investors a yield of 8%.", "guaranteed_return"),
    ("Returns are guaranteed by the treasury.", "guaranteed_return"),
    ("Staking here is completely risk-free.", "risk_free"),
    ("You cannot lose money with this strategy.", "no_loss"),
    ("Your capital is fully protected.", "no_loss"),
    ("Bitcoin will reach $250,000 by December.", "price_forecast"),
    ("ETH is going to soar this summer.", "price_forecast"),
    ("The coin is headed straight to the moon.", "price_forecast"),
    ("The price of bitcoin will rise next year.", "price_direction"),
    ("This is the next 100x gem.", "multiples"),
    ("Double your bitcoin in a week.", "multiples"),
    ("You should buy ether before the upgrade.", "buy_advice"),
    ("We strongly recommend buying the token.", "buy_advice"),
    ("Now is the perfect time to invest.", "buy_advice"),
    ("Buy BTC now before the halving.", "buy_advice"),
    ("Solana remains a strong buy.", "buy_advice"),
    ("Act now and secure your allocation.", "urgency"),
    ("Don’t miss out on this rally.", "urgency"),
    ("Only 50 spots left in the whitelist.", "urgency"),
    ("Everyone is already buying this coin.", "herd"),
    ("Wall Street doesn't want you to know about this coin.", "secret"),
    ("This insider tip made millions.", "secret"),
    ("Achieve financial freedom with DeFi.", "easy_money"),
    ("Make money while you sleep with this bot.", "easy_money"),
    ("Earn passive income with staking.", "passive_income"),
    ("Earn 3% per day on your deposit.", "periodic_yield"),
    ("The wallet is **100% safe**.", "false_safety"),
    ("Our unhackable vault protects your coins.", "false_safety"),
    ("It is safer than a savings account.", "better_than_bank"),
    ("The SEC-approved token is listed now.", "endorsement"),
    ("The coin is endorsed by Elon Musk.", "endorsement"),
    ("The token was approved by the SEC.", "endorsement"),
    ("Your FDIC-insured stablecoin waits.", "insured"),
    ("Send 1 BTC to this address and receive 2 BTC back.", "giveaway"),
    ("Claim your free airdrop.", "giveaway"),
    ("Enter your seed phrase on the website below.", "seed_phrase"),
    ("Enjoy tax-free gains for ever.", "tax_free"),
    ("Bitcoin always recovers.", "past_performance"),
    ("This coin can only go up.", "past_performance"),
]
INNOCENT = [
    "No investment is risk-free.",
    "Promises of guaranteed returns are a warning sign.",
    "The SEC says that offers of guaranteed returns are often fraudulent.",
    "The SEC said the firm promised investors guaranteed returns of 10% a month.",
    "Returns are not guaranteed.",
    "There is no such thing as risk-free yield.",
    "Nobody can guarantee you a profit.",
    "Staking does not offer guaranteed returns.",
    "The risk-free rate of US Treasuries was 4.5%.",
    "Restaking is not risk-free: slashing can take the deposit.",
    "Never share your seed phrase with anyone.",
    "You must never send your private key to support.",
    "Beware of sites that ask you to enter your seed phrase on a page.",
    "Should you buy bitcoin now?",
    "Invest only money that you can afford to lose.",
    "The spot bitcoin funds were approved by the SEC in January 2024.",
    "Validators must hold 32 ETH.",
    "The base fee will rise when blocks are full.",
    "The chain will reach finality after two epochs.",
    "The limit will reach 60 million gas.",
    "The difficulty adjusts every 2,016 blocks.",
    "Firms must not describe staking as risk-free.",
    "Scammers promise to double your bitcoin.",
    'The word "guaranteed" in "guaranteed returns" has no legal meaning.',
    "The FCA banned refer-a-friend bonuses and warned of get-rich-quick schemes.",
    "Certain rewards are paid to validators every epoch.",
    "Critics called it a Ponzi scheme with guaranteed profits.",
    "“Bitcoin will hit $1 million,” said Jack Dorsey in 2024.",
    "The exchange was accused of advertising risk-free yields.",
    "Past performance does not guarantee future results.",
    "Phishing pages that say “claim your free tokens” drain wallets.",
    "The next Bitcoin block is mined in about ten minutes.",
    "The proposal gives 10x gains in throughput.",
    "No security risks have been identified.",
    "The sidecar exposes no unbundling risk.",
    "Client diversity lowers the chance that all nodes fail at once.",
    "This is not financial advice, and nobody here tells you to sell.",
]


@pytest.mark.parametrize(("sentence", "kind"), CLAIMS)
def test_forbidden_claims(sentence: str, kind: str) -> None:
    body = f"Blocks are full.\n\n{sentence} Fees are burned."
    found = [one for one in claims.check(subject(body)) if one.rule == f"claim.{kind}"]
    assert len(found) == 1 and sentence in found[0].excerpt
    (declared,) = [rule for rule in claims.RULES if rule.id == found[0].rule]
    assert found[0].severity == declared.severity


@pytest.mark.parametrize("sentence", INNOCENT)
def test_what_only_speaks_of_such_claims(sentence: str) -> None:
    assert rules_of(claims.check, subject(f"{sentence} Fees are burned.")) == []


@pytest.mark.parametrize(
    "body",
    [
        "## Guaranteed returns for all\n\nText.",
        "> Guaranteed returns for all.\n\nText.",
        "| offer |\n|---|\n| guaranteed returns |",
        "- Guaranteed returns for all.",
        '![Guaranteed returns](image:ab "A chart")',
        "Guaranteed\nreturns for all.",
    ],
)
def test_headings_tables_quotations_and_captions_are_searched(body: str) -> None:
    assert only(claims.check, subject(body)).rule == "claim.guaranteed_return"


def test_the_title_is_searched_and_code_and_notices_are_not() -> None:
    found = only(claims.check, subject("Text.", title="Guaranteed returns for all"))
    assert (found.rule, found.excerpt) == ("claim.guaranteed_return", "Guaranteed returns for all")
    hidden = "```text\nGuaranteed returns.\n```\n\n::: notice x\nGuaranteed returns.\n:::"
    assert rules_of(claims.check, subject(hidden)) == []


def test_an_excuse_counts_for_the_words_that_it_stands_beside() -> None:
    body = "No other coin is like it: guaranteed returns of 20%, and this is not a scam."
    assert rules_of(claims.check, subject(body)) == ["claim.guaranteed_return"]


def test_jurisdictions_forbid_more() -> None:
    body = "Get a welcome bonus when you deposit."
    assert rules_of(claims.check, subject(body)) == []
    found = only(claims.check, subject(body, plan=asked(jurisdictions=("generic", "uk"))))
    assert (found.rule, found.severity, found.evidence["key"]) == (
        "claim.jurisdiction",
        "block",
        "uk:incentive",
    )
    mica = asked(jurisdictions=("eu-mica",))
    assert rules_of(claims.check, subject("The MiCA-approved coin is here.", plan=mica)) == [
        "claim.jurisdiction"
    ]
    act = asked(jurisdictions=("eu-ai-act",))
    human = "This article was written entirely by humans."
    assert rules_of(claims.check, subject(human, plan=act)) == ["claim.jurisdiction"]
    assert rules_of(claims.check, subject("Traders are people.", plan=act)) == []


def test_a_project_s_own_kinds_and_severities_count() -> None:
    rules = shipped_rules()
    own = ClaimPattern(id="slang", why="Not our tone.", patterns=("wen moon",), severity="warn")
    mild = [
        kind.model_copy(update={"severity": "warn"}) if kind.id == "urgency" else kind
        for kind in rules.claims.forbidden
    ]
    changed = rules.model_copy(update={"claims": rules.claims.model_copy(update={"forbidden": (*mild, own)})})
    found = list(claims.check(subject("WEN moon? Act now.", rules=changed)))
    assert [(one.rule, one.severity) for one in found] == [
        ("claim.forbidden", "warn"),
        ("claim.urgency", "warn"),
    ]
    assert found[0].evidence["key"] == "slang"


def test_every_shipped_kind_is_declared_and_has_a_case() -> None:
    shipped = {(f"claim.{kind.id}", kind.severity) for kind in shipped_rules().claims.forbidden}
    declared = {(rule.id, rule.severity) for rule in claims.RULES}
    assert declared == shipped | {("claim.forbidden", "block"), ("claim.jurisdiction", "block")}
    assert {f"claim.{kind}" for _, kind in CLAIMS} == {rule for rule, _ in shipped}


KINDS = [
    *shipped_rules().claims.forbidden,
    *(kind for one in shipped_rules().jurisdictions.jurisdictions for kind in one.forbidden),
    shipped_rules().claims.promotion,
    shipped_rules().injection,
]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_pattern_matches_without_one_of_its_words(data: st.DataObject) -> None:
    """`words` save time and must not hide anything: whatever a pattern matches holds one of them."""
    kind = data.draw(st.sampled_from(KINDS))
    pattern = data.draw(st.sampled_from(kind.patterns))
    drawn = data.draw(st.from_regex(re.compile(pattern, re.I | re.ASCII), fullmatch=False))
    text = " ".join(drawn.split())  # as sentences come
    found = re.search(pattern, text, re.I)
    assert found is None or not kind.words or any(word in text.lower() for word in kind.words)
