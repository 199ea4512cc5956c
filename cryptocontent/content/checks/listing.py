"""The listed assets, as texts name them."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.rules.files import Asset, Assets

# What an asset is called beside its name: coins have a small letter, and Ethereum's is called ether.
_ALSO = {"bitcoin": ("bitcoin", "bitcoins"), "ethereum": ("ether", "Ether"), "litecoin": ("litecoin",)}
# Names that are ordinary words at the beginning of a sentence.
_WORDS_TOO = frozenset(
    [
        "Balancer", "Beam", "Blur", "Compound", "Dash", "Flow", "Gas", "Gate", "Harmony", "Helium",
        "Immutable", "Jupiter", "Maker", "Mantle", "Movement", "Nano", "Optimism", "Render", "Sky", "Stellar",
        "Strike", "Waves",
    ]
)  # fmt: skip
# Tickers that are everyday words: in capitals they are emphasis ("at least ONE column"), unless a dollar
# sign, brackets or a word of the market say otherwise.
_EVERYDAY = frozenset(
    {
        "ACE", "ACT", "AI", "ALL", "ANY", "APE", "ART", "BAL", "BAND", "BEAM", "BEST", "BIT", "CAKE", "COMP",
        "CORE", "COW", "DASH", "EDGE", "EGG", "FLOW", "FUN", "GAS", "GATE", "GIFT", "HOT", "ICE", "ID", "IP",
        "KEY", "LINK", "MAGIC", "MASK", "ME", "MOVE", "NEAR", "NOT", "OM", "ONE", "OP", "ORDER", "PEOPLE",
        "POND", "PRIME", "RARE", "REAL", "RED", "SAND", "SKY", "SUN", "SUPER", "TIME", "TRUST", "WAVES",
        "WIN",
    }
)  # fmt: skip
_OF_THE_MARKET = re.compile(r"\A\s(?:tokens?|coins?|prices?|holders?|stakers?|airdrops?)\b")
_CODE = re.compile(r"`[^`]*`")
_TOKEN = re.compile(r"(?<![\w$/@#.-])(\$?)([A-Za-z0-9]{1,12})(?![\w-])")
_CAPITALS = re.compile(r"[A-Z]")
_TIME_BEFORE = re.compile(r"\d(?:\s?[ap]m)?\s\Z", re.IGNORECASE)
_SHOUTED = re.compile(r"[A-Z]{2,}\s\Z")


@dataclass(frozen=True, slots=True)
class Mention:
    """A place at which a text names one of the assets `ids`, by ticker or by name."""

    start: int
    end: int
    ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listing:
    """The assets by ticker (upper case) and by name."""

    by_ticker: Mapping[str, tuple[Asset, ...]]
    names: re.Pattern[str]
    by_name: Mapping[str, frozenset[str]]
    tickers: frozenset[str]

    def named(self, text: str) -> frozenset[str]:
        """The ids of the assets that the text names in full. "Terra Classic" does not name Terra."""
        return frozenset().union(*(self.by_name[match[0]] for match in self.names.finditer(text)))

    def mentions(self, text: str) -> list[Mention]:
        """Where the text surely names assets, in order: a name that is a word too (Compound) does not."""
        found = [
            Mention(*match.span(), self.by_name[match[0]])
            for match in self.names.finditer(text)
            if match[0] not in _WORDS_TOO
        ]
        found += [
            Mention(start, end, frozenset(asset.id for asset in self.by_ticker[ticker]))
            for ticker, start, end in tickers_in(text, self.tickers)
        ]
        return sorted(found, key=lambda one: one.start)


def listing_of(subject: Subject) -> Listing:
    """The listing of the subject's rules."""
    found = subject.memo.get("listing")
    if found is None:
        found = subject.memo["listing"] = _listing(subject.rules.assets)
    assert isinstance(found, Listing)  # noqa: S101
    return found


@lru_cache(maxsize=16)
def _listing(assets: Assets) -> Listing:
    by_ticker: dict[str, list[Asset]] = defaultdict(list)
    by_name: dict[str, set[str]] = defaultdict(set)
    for asset in assets.assets:
        by_ticker[asset.ticker.upper()].append(asset)
        for name in (asset.name, *_ALSO.get(asset.id, ())):
            by_name[name].add(asset.id)
    ordered = sorted(by_name, key=len, reverse=True)
    body = "|".join(re.escape(name) for name in ordered) or r"\Z\A"
    return Listing(
        {ticker: tuple(bearers) for ticker, bearers in by_ticker.items()},
        re.compile(rf"(?<![\w-])(?:{body})(?!\w)"),
        {name: frozenset(ids) for name, ids in by_name.items()},
        frozenset(by_ticker),
    )


def tickers_in(text: str, tickers: frozenset[str]) -> list[tuple[str, int, int]]:
    """The tickers that a text uses, in upper case, with their places: words with two capitals (`ETH`,
    `stETH`) or a dollar sign. Neither the time zone of `12:00 GMT` is one, nor the abbreviation of the
    words before it, as in "block access list (BAL)"; code has opcodes and constants (`GAS`)."""
    found = []
    if "`" in text:
        text = _CODE.sub(lambda code: " " * len(code[0]), text)
    for match in _TOKEN.finditer(text):
        word = match[2]
        if word.upper() not in tickers:
            continue
        if not match[1]:
            if len(_CAPITALS.findall(word)) < 2 or (
                word == "GMT" and _TIME_BEFORE.search(text[: match.start()])
            ):
                continue
            if _abbreviates(text, match) or _shouted(text, match, tickers):
                continue
            if word in _EVERYDAY and not _meant(text, match):
                continue
        found.append((word.upper(), match.start(), match.end()))
    return found


def _abbreviates(text: str, match: re.Match[str]) -> bool:
    word = match[2]
    if text[match.start() - 1 : match.start()] != "(" or not word.isupper():
        return False
    before = re.findall(r"[A-Za-z]+", text[: match.start()])[-len(word) :]
    return "".join(one[0] for one in before).upper() == word and len(before) > 1


def _shouted(text: str, match: re.Match[str], tickers: frozenset[str]) -> bool:
    """Whether it stands between words in capitals, none of which is a ticker: `THE ACT OF`."""
    around = re.findall(r"[A-Z]{2,}", text[max(0, match.start() - 12) : match.start()])[-1:]
    around += re.findall(r"\A\s([A-Z]{2,})\b", text[match.end() :])
    return bool(_SHOUTED.search(text[: match.start()])) and not tickers.intersection(around)


def _meant(text: str, match: re.Match[str]) -> bool:
    """Whether an everyday word in capitals is meant as a ticker: `(ONE)`, `ONE tokens`."""
    bracketed = text[match.start() - 1 : match.start()] == "(" and text[match.end() : match.end() + 1] == ")"
    return bracketed or bool(_OF_THE_MARKET.match(text[match.end() :]))
