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
    ("You will 10x your money by Christmas.", "multiples"),
    ("It is going to the moon.", "price_forecast"),
    ("You can't lose with this coin.", "no_loss"),
    ("Buy now before it is too late.", "buy_advice"),
    ("Our insider tip: load up on this token.", "secret"),
    ("Bitcoin will hit $500,000 by December.", "price_forecast"),
    ("XYZ is not a security, so it is exempt from all rules.", "not_a_security"),
    ("Your crypto is FDIC insured.", "insured"),
    ("The token is approved by the SEC.", "endorsement"),
    ("The FCA has approved this coin.", "endorsement"),
    ("Earn 2% daily on your deposit.", "periodic_yield"),
    ("Double your bitcoin in 24 hours.", "multiples"),
    ("Don't miss this once-in-a-lifetime chance.", "urgency"),
    ("Everyone is getting rich with it.", "herd"),
    ("Ether is guaranteed to rise.", "guaranteed_return"),
    ("Your funds are 100% safe with us.", "false_safety"),
    ("Send 1 BTC and get 2 BTC back.", "giveaway"),
    ("Set up passive income in minutes.", "passive_income"),
    ("This investment always pays off.", "guaranteed_return"),
    ("The price will double next year.", "price_forecast"),
    ("A sure thing for every investor.", "guaranteed_return"),
    ("Profits are certain.", "guaranteed_return"),
    ("There is no way to lose money here.", "no_loss"),
    ("Enter your seed phrase on this page to verify your wallet.", "seed_phrase"),
    ("Gains are tax-free everywhere.", "tax_free"),
    ("SOL will definitely reach $1,000.", "price_forecast"),
    ("Investors should buy ether today.", "buy_advice"),
    ("We recommend buying bitcoin.", "buy_advice"),
    ("Returns of 1,000% are coming.", "multiples"),
    ("Become a millionaire with altcoins.", "easy_money"),
    ("ETH is a can't-miss investment.", "urgency"),
    ("Bitcoin can only go up.", "past_performance"),
    ("The token carries no risk whatsoever.", "risk_free"),
    ("This coin is legally not a security.", "not_a_security"),
    ("We guarantee that your money will grow.", "guaranteed_return"),
    ("Zero risk, high reward.", "risk_free"),
    ("Bitcoin is bound to hit $200,000.", "price_forecast"),
    ("Put your savings into this coin now.", "buy_advice"),
    ("There is still time to get in early.", "herd"),
    ("The token is a guaranteed winner.", "guaranteed_return"),
    ("Investors will make huge profits.", "easy_money"),
    ("Make $500 a day with this bot.", "periodic_yield"),
    ("Your deposit is insured by the FDIC.", "insured"),
    ("Solana will be worth $2,000 soon.", "price_forecast"),
    ("This gem will 50x.", "multiples"),
    ("A 300% return is waiting for you.", "multiples"),
    ("Earn 5% every month, no matter what the market does.", "periodic_yield"),
    ("LAST CHANCE to join the presale!", "urgency"),
    ("Insiders are loading up before the announcement.", "secret"),
    ("Ethereum will never fall again.", "past_performance"),
    ("Bitcoin never loses value in the long run.", "past_performance"),
    ("Only fools would not buy now.", "herd"),
    ("XRP is not a security under US law.", "not_a_security"),
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
    "The SEC says that Bitcoin is not a security.",
    "The FCA warned that crypto is not covered by the FSCS.",
    "Analysts at a bank expect bitcoin to reach $150,000, though others doubt it.",
    "The base fee will rise by at most 12.5 percent per block.",
    "The difficulty bomb will double the block time.",
    "Crypto deposits are not FDIC insured.",
    "The SEC approved spot bitcoin exchange-traded products in January 2024.",
    "Never share your seed phrase.",
    "You should not invest more than you can lose.",
    "The gas limit will double.",
    "The risk-free rate rose to 5 percent.",
    "The protocol guarantees liveness if two thirds are honest.",
    "Validators can lose money if they go offline.",
    "Nodes that act now on old data are slashed.",
    "Users who buy tokens pay a fee.",
    "EIP-1559 will reduce the fee.",
    "The sale raised $18 million.",
    "A court ruled that XRP itself is not a security when sold on exchanges.",
    "Regulators call daily yields of 1% a mark of a Ponzi scheme.",
    "Whether the token is not a security is disputed.",
    "The miner can no longer double its money.",
    "The price doubled in 2021.",
    "Hurry-up offence is a football term.",
    "A client will reach consensus.",
    "There is no risk of replay, because the chain id is signed.",
    "If you lose your key, you lose your coins.",
    "The wallet asks for your seed phrase only on its own screen.",
    "Holders should check whether their exchange is licensed.",
    "This is not a guaranteed return.",
    "Without guarantees of return, the fund closed.",
    "The agency's list of red flags includes guaranteed profits and pressure to buy now.",
    "The chain will hit 100,000 transactions per second.",
    "Ether would be worth more if burned supply exceeded issuance.",
    "The token was not approved by the SEC.",
    "Bitcoin will not reach $1 million this year, the bank said.",
    "Ether is not a safe investment.",
    "The holdings are never insured.",
    "Nobody will 10x their money this way.",
    "Investors should not buy on hype.",
    "You should never invest borrowed money.",
    "We do not recommend buying any token.",
    "The SEC approved the fund's listing.",
    "There is no security issue, because the hash is checked.",
    "This is not a security feature.",
    "Gas prices will double if the limit is halved.",
    "A price of $50,000 was reached in 2021.",
    "The validator will lose its deposit.",
    "You can lose money by slashing.",
    "The exchange never promised risk-free yield.",
    "Certain returns are filtered out.",
    "Returns are certain to be checked by the caller.",
    "If you are an agent of the company, tell the auditor.",
    "AI: the next frontier of crypto.",
    "Validators must act quickly when a client fails.",
    "The attacker tried to double the victims' deposit.",
    "Yields are paid weekly in the token.",
    "The rate fell to 2% per month in 2022.",
    "The auction price will double every hour.",
    "The function always pays the caller back.",
    "The staking contract always wins the race.",
    "Buying a token is a purchase, not a loan.",
    "Users buy gas with ether.",
    "It may be illegal to promise returns.",
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
