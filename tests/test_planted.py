"""The bar of the checks: 100 bad sentences planted in otherwise good articles are found where they stand,
and 25 clean articles give next to no false alarm.

The articles are those of `test_bars`: written by the real pipeline from a corpus of real documents.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select

from cryptocontent.content.checking import brief_context, subject_for
from cryptocontent.content.checks import Subject, run_checks
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.sources import known_sources, targets_of
from cryptocontent.settings import Settings
from cryptocontent.storage import open_engine, reading
from cryptocontent.storage.models import Article, Version
from cryptocontent.storage.types import utc_now
from tests.cli.homes import shared_folder
from tests.test_bars import _write_articles

# {n} is a citation of the article itself, so that only what is said is wrong, not that nothing is cited.
UNCITED = [
    "The network processed 1,450,000 transactions on 3 March 2025.",
    "Fees fell by 38% within a week.",
    "More than 900,000 validators took part in the vote.",
    "The fund lost $610 million in a single hour.",
    "Activation took place on 14 May 2025.",
    "A typical transfer costs 0.002 ETH today.",
    "“We will never ship this,” said one of the authors in a call.",
    "Its market share reached 62 per cent.",
    "The audit found 17 critical defects.",
    "Block 19,426,587 was the first to use it.",
    "The team raised 45 million dollars in 2024.",
    "It handles 4,500 requests per second.",
    "The foundation called it “the most important change since the merge itself”.",
    "Adoption grew twentyfold, from 2% to 40%.",
    "The contract at 0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe holds the funds.",
]
QUOTES = [
    "“This proposal will make every other chain obsolete within a year,” its authors write.{n}",
    "The text speaks of “an unlimited supply of free block space for everybody”.{n}",
    "According to the authors, “nobody should ever run a full node at home”.{n}",
    "One reads that “security is not a goal of this document”.{n}",
    "The rationale names “the wish to please large exchanges above all”.{n}",
    "It promises “instant finality without any trade-off whatsoever”.{n}",
    "The document warns of “certain doom for light clients everywhere”.{n}",
    "“Miners asked us to do it, and so we did,” the section ends.{n}",
    "It is described as “the last upgrade that will ever be needed”.{n}",
    "The specification demands “blind trust in the sequencer at all times”.{n}",
    "Its motivation is “to raise fees for ordinary people”.{n}",
    "“Nothing in here was ever tested by anybody,” it says.{n}",
    "The change is called “a gift to the holders of old coins”.{n}",
    "They write of “three hundred thousand angry developers”.{n}",
    "“Wallets must hand over their seed phrases,” it goes on.{n}",
]
ADDRESSES = [
    "Send a test to 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD first.",
    "The treasury is 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d358 as of now.",
    "Deposits go to 0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDB only.",
    "The genesis reward went to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb long ago.",
    "Donations reach bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5 at any time.",
    "The Bitcoin address is 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed for all payments.",
    "On Ethereum the account is 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa instead.",
    "The Ethereum account is bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 as well.",
    "The taproot output is bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj1 here.",
    "Old coins lie at 3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLz since then.",
    "It pays 0x52908400098527886E0F7030069857D2E4169Ee7 in full.",
    "Its owner is 0x27B1fdb04752bbc536007a920d24acb045561c26 by name.",
    "The bridge sits at 0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FF today.",
    "The Bitcoin wallet 0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359 was emptied.",
    "Refunds come from bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv4 soon.",
]
LINKS = [
    "Claim yours at [the portal](https://uniswap-airdrop.com/claim) today.",
    "Log in at [MetaMask](https://metamask.io.wallet-verify.example/login) first.",
    "See [Coinbase](https://coinbasse.com/prices) for more.",
    "Trade on [Binance](https://blnance.com) as usual.",
    "The explorer is [here](https://etherscann.io/address).",
    "Visit https://xn--etherem-s4a.org/ for the details.",
    "Read [https://ethereum.org](https://ethereum-org.giveaway.example/) first.",
    "Connect at [the app](http://192.168.4.20/connect) quickly.",
    "Open [this page](http://2130706433/wallet) in a browser.",
    "Get it from [the site](https://ethereum.org@claim-now.example/).",
    "Use [the tool](javascript:alert(1)) for that.",
    "Follow [the link](data:text/html;base64,PHNjcmlwdD4=) at once.",
    "Support is at [Ledger](https://ledger-support-desk.example/recover) all day.",
    "Sign in to [Kraken](https://krakenn.com/sign-in) as before.",
    "Stake with [Lido](https://lido.fi.stake-rewards.example) in one click.",
]
PROMISES = [
    "This coin offers guaranteed returns to early buyers.",
    "Holding it is entirely risk-free.",
    "You will double your money by spring.",
    "You can't lose with this strategy.",
    "It is a safe way to earn 20% a month.",
    "The price will go to the moon.",
    "Buy now before it is too late.",
    "Don't miss this opportunity of a lifetime.",
    "It is a 100x gem that nobody has noticed.",
    "Profits are guaranteed by the protocol.",
    "Your crypto deposits are insured by the FDIC.",
    "The token has been approved by the SEC as an investment.",
    "Enjoy passive income without any risk.",
    "The price will certainly reach $500,000 next year.",
    "There is no risk of losing your money.",
    "You should invest your savings in it.",
    "It is guaranteed to rise in value.",
    "Insiders already know what happens next week.",
    "Get rich with this simple trick.",
    "Act fast, only a few hours are left.",
]
WRONG_NUMBERS = 20
PLANTED = {
    "uncited": (UNCITED, ("claim.uncited",)),
    "quote": (QUOTES, ("quote.not_verbatim",)),
    "address": (ADDRESSES, ("address.",)),
    "link": (LINKS, ("link.", "injection.")),
    "promise": (PROMISES, ("claim.",)),
}


@dataclass(frozen=True)
class Planted:
    """A clean article with one bad sentence in it, and where that stands."""

    kind: str
    sentence: str
    subject: Subject
    start: int
    end: int
    rules: tuple[str, ...]

    def found(self, findings: list[NewFinding]) -> bool:
        return any(
            one.severity == "block"
            and one.rule.startswith(self.rules)
            and one.start is not None
            and one.end is not None
            and one.start < self.end
            and one.end > self.start
            for one in findings
        )


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    home = shared_folder(tmp_path_factory, "bars-home", _write_articles)
    settings = Settings(CRYPTOCONTENT_HOME=home)  # type: ignore[call-arg]
    found = []
    with reading(open_engine(settings.database_url)) as session:
        query = (
            select(Article, Version).join(Version, Version.id == Article.version_id).order_by(Article.slug)
        )
        for article, version in session.execute(query).all():
            context = brief_context(session, article)
            known = known_sources(session, targets_of(session, version), context.rules)
            found.append(subject_for(session, article, context, version.markdown, known, utc_now()))
    return found


def plant(subject: Subject, kind: str, sentence: str, rules: tuple[str, ...], place: int) -> Planted:
    """Put the sentence behind a sentence of the article, citing what that one cites where it says so."""
    cited = [one for one in subject.sentences if one.citations]
    before = cited[place % len(cited)]
    markers = "".join(f"[^{number}]" for number in before.citations)
    at = before.end + len(markers)
    assert subject.markdown[before.end : at] == markers
    text = sentence.replace("{n}", markers)
    changed = f"{subject.markdown[:at]} {text}{subject.markdown[at:]}"
    return Planted(kind, text, replace(subject, markdown=changed), at + 1, at + 1 + len(text), rules)


def wrong_numbers(subjects: list[Subject]) -> list[Planted]:
    """Cited sentences of the articles themselves, with one number changed to another."""
    found: list[Planted] = []
    for subject in subjects * 2:
        used = {one.sentence for one in found}
        for one in subject.sentences:
            number = re.search(r"(?<![\w.,-])(\d{2,6})(?![\w.,%-]*\d)(?!\w)", one.text)
            plain = subject.markdown[one.start : one.end] == one.text
            if not number or not one.citations or not plain or "`" in one.text or "“" in one.text:
                continue
            value = str(int(number[1]) + 7)
            if value in subject.evidence(one.citations):
                continue
            text = one.text[: number.start(1)] + value + one.text[number.end(1) :]
            if text in used:
                continue
            markdown = subject.markdown[: one.start] + text + subject.markdown[one.end :]
            wrong = replace(subject, markdown=markdown)
            rules = ("number.", "percentage.", "date.", "quote.")
            found.append(Planted("number", text, wrong, one.start, one.start + len(text), rules))
            break
        if len(found) == WRONG_NUMBERS:
            break
    return found


def test_clean_articles_give_next_to_no_false_alarm(subjects: list[Subject]) -> None:
    assert len(subjects) == 25
    alarms = [
        f"{one.rule}: {one.message} {one.excerpt[:80]}"
        for subject in subjects
        for one in run_checks(subject)
        # That most of an extractive article stands in its source is true, and no false alarm.
        if one.severity != "info" and one.rule != "duplicate.source"
    ]
    assert len(alarms) <= 5, "\n".join(alarms)


def test_a_hundred_planted_sentences_are_found_where_they_stand(subjects: list[Subject]) -> None:
    planted = wrong_numbers(subjects)
    for kind, (sentences, rules) in PLANTED.items():
        planted += [
            plant(subjects[place % 25], kind, sentence, rules, 3 + 2 * place)
            for place, sentence in enumerate(sentences)
        ]
    assert Counter(one.kind for one in planted) == {
        "number": 20,
        "uncited": 15,
        "quote": 15,
        "address": 15,
        "link": 15,
        "promise": 20,
    }
    missed = [f"{one.kind}: {one.sentence}" for one in planted if not one.found(run_checks(one.subject))]
    assert len(missed) <= 5, "\n".join(missed)
