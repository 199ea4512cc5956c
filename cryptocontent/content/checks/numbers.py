"""Numbers, percentages, dates, addresses and tickers, against the sources that the sentence cites."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from cryptocontent.content.checks.checkables import (
    Checkable,
    checkables,
    contents,
    grounded,
    verbatim,
)
from cryptocontent.content.checks.dates import Day
from cryptocontent.content.checks.listing import Listing, Mention, listing_of
from cryptocontent.content.checks.quantities import Quantity, rounds, unit_named
from cryptocontent.content.checks.quotes import shared_citations
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import CheckedSentence, CitedSource, Fact, Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules.files import Limits

NUMBER = Rule("number.not_in_source", "block", "A number that no cited source has.")
PERCENTAGE = Rule("percentage.not_in_source", "block", "A percentage that no cited source has.")
DATE = Rule("date.not_in_source", "block", "A date that no cited source has.")
ADDRESS = Rule("address.not_in_source", "block", "An address that no cited source has.")
TICKER = Rule("ticker.not_in_source", "block", "A ticker of an asset that no cited source speaks of.")
TICKER_NAMED = Rule(
    "ticker.only_named", "warn", "A ticker that no cited source has, though one names the asset in full."
)
STALE = Rule("price.stale", "block", "A cited price that is too old, or that the market has left behind.")
RULES = (NUMBER, PERCENTAGE, DATE, ADDRESS, TICKER, TICKER_NAMED, STALE)
_RULES = {rule.id: rule for rule in RULES}

# How a sentence names what a fact measures. If it names something else, the fact does not bear it out.
_METRICS = {
    "price": re.compile(
        r"\b(?:pric(?:e|es|ed)|trad(?:es|ed|ing) at|chang(?:es|ed) hands|costs?|quoted)\b", re.I
    ),
    "market_cap": re.compile(r"\bmarket (?:cap(?:itali[sz]ation)?|value)\b", re.I),
    "volume_24h": re.compile(r"\bvolumes?\b|\bturnover\b", re.I),
    "tvl": re.compile(r"\bTVL\b|\btotal value locked\b|\blocked\b", re.I),
    "supply": re.compile(r"\bsupply\b|\bin circulation\b|\bcirculating\b", re.I),
}


@dataclass(frozen=True, slots=True)
class Examined:
    """A sentence, what of it can be checked (quotations apart), and what of that no cited source has."""

    sentence: CheckedSentence
    parts: tuple[Checkable, ...]
    missing: tuple[Checkable, ...]
    sources: tuple[CitedSource, ...]


def check(subject: Subject) -> Iterator[NewFinding]:
    """Hold every cited sentence against what it cites."""
    listing = listing_of(subject)
    for one in examined(subject):
        for part in one.missing if one.sources else ():  # else its citation dangles, or it is a claim uncited
            rule = _RULES[part.rule]
            if part.kind == "ticker" and _names_asset(listing, part, one.sources):
                rule = TICKER_NAMED
            cited = [source.number for source in one.sources]
            message = f"“{part.text}” is not in what the sentence cites."
            yield rule.at(one.sentence, message, part=part.text, cited=cited, key=part.text)
        yield from _stale(subject, one)


def examined(subject: Subject) -> tuple[Examined, ...]:
    """Every sentence, held against what it cites."""
    if "examined" not in subject.memo:
        shared, listing = shared_citations(subject), listing_of(subject)
        subject.memo["examined"] = tuple(
            _examine(subject, listing, one, shared.get(one, one.citations)) for one in subject.sentences
        )
    found: tuple[Examined, ...] = subject.memo["examined"]
    return found


def _examine(
    subject: Subject, listing: Listing, sentence: CheckedSentence, citations: Sequence[int]
) -> Examined:
    sources = tuple(subject.sources[number] for number in citations if number in subject.sources)
    parts = tuple(part for part in checkables(sentence.text, listing.tickers) if part.kind != "quote")
    texts = [source.text for source in sources if source.fact is None]
    if not parts or any(verbatim(sentence.text, text) for text in texts):
        return Examined(sentence, parts, (), sources)
    facts = [source for source in sources if source.fact is not None]
    holding = _Facts(subject, listing, sentence.text, facts) if facts else None
    missing = tuple(
        part
        for part in parts
        if not any(grounded(part, text) for text in texts) and not (holding and holding.bear_out(part))
    )
    return Examined(sentence, parts, missing, sources)


def _names_asset(listing: Listing, part: Checkable, sources: Sequence[CitedSource]) -> bool:
    bearers = {asset.id for asset in listing.by_ticker[part.text.upper()]}
    return any(bearers & listing.named(source.text) for source in sources)


class _Facts:
    """The market facts that a sentence cites, and whether they bear out its parts."""

    def __init__(
        self, subject: Subject, listing: Listing, sentence: str, sources: Sequence[CitedSource]
    ) -> None:
        self.tolerance = subject.rules.limits.fact_tolerance
        self.sources, self.listing = sources, listing
        self.mentions = listing.mentions(sentence)
        self.metrics = {metric for metric, words in _METRICS.items() if words.search(sentence)}
        self.numbers = [
            part.start
            for part in checkables(sentence, listing.tickers)
            if part.kind in ("number", "percentage")
        ]

    def bear_out(self, part: Checkable) -> bool:
        """Whether a fact states the part."""
        return any(self._states(source, fact, part) for source in self.sources if (fact := source.fact))

    def _states(self, source: CitedSource, fact: Fact, part: Checkable) -> bool:
        if part.kind == "ticker":
            return any(asset.id == fact.asset_id for asset in self.listing.by_ticker[part.text.upper()])
        if part.days:
            return any(day.agrees(_day(fact.as_of)) for day in part.days)
        if not part.readings:
            return grounded(part, source.text)
        if any(self._is_value(reading, fact) for reading in part.readings):
            return self._meant(fact, part.start)
        # What else the fact says: the year, "over 24 hours".
        return any(contents(source.text).states(reading) for reading in part.readings)

    def _is_value(self, claim: Quantity, fact: Fact) -> bool:
        unit, value = unit_named(fact.unit), Decimal(repr(abs(fact.value)))
        if (claim.unit == "%") != (unit == "%") or (claim.unit and unit and claim.unit != unit):
            return False
        step = Decimal(1).scaleb(int(value.normalize().as_tuple().exponent))
        return abs(claim.value - value) <= Decimal(repr(self.tolerance)) * value or rounds(claim, value, step)

    def _meant(self, fact: Fact, at: int) -> bool:
        """Whether the sentence speaks of the fact's asset and metric where the number stands. A number
        belongs to the assets named since the number before it, else to those named last, else to all."""
        if self.metrics and fact.metric in _METRICS and fact.metric not in self.metrics:
            return False
        before = [one for one in self.mentions if one.start < at]
        group: list[Mention] = []
        for first, last in zip([0, *self.numbers], [*self.numbers, at], strict=True):
            if last <= at and (new := [one for one in before if first <= one.start < last]):
                group = new
        named = group or self.mentions
        return not named or any(fact.asset_id in one.ids for one in named)


def _day(moment: datetime) -> Day:
    return Day(moment.year, moment.month, moment.day)


def current_facts(subject: Subject) -> set[str]:
    """The ids of the facts that some sentence states as of now. One that is cited for the number of a day
    that the sentence names tells history, which does not become stale."""
    return {fact.id for one in examined(subject) for fact in _as_of_now(one)}


def _as_of_now(one: Examined) -> list[Fact]:
    days = {day for part in one.parts for day in part.days}
    facts = [source.fact for source in one.sources if source.fact is not None]
    return [fact for fact in facts if _day(fact.as_of) not in days]


def is_old(fact: Fact, limits: Limits, now: datetime) -> bool:
    """Whether a price is older than the project allows."""
    return _age(fact, now) > timedelta(hours=limits.price_max_age_hours)


def drift(fact: Fact) -> float:
    """How far the newest value is from the fact's, relative to it: -0.05 is 5 % less."""
    return (fact.newest_value - fact.value) / abs(fact.value) if fact.value else 0.0


def _age(fact: Fact, now: datetime) -> timedelta:
    return _aware(now) - _aware(fact.as_of)


def _stale(subject: Subject, one: Examined) -> Iterator[NewFinding]:
    """The prices that a sentence states as of now."""
    limits = subject.rules.limits
    for fact in _as_of_now(one):
        if fact.metric != "price":
            continue
        if is_old(fact, limits, subject.now):
            hours = _age(fact, subject.now).total_seconds() / 3600
            message = (
                f"The price of {fact.asset_id} is {hours:.0f} hours old; allowed are "
                f"{limits.price_max_age_hours:g}."
            )
        elif abs(drift(fact)) > limits.price_max_drift:
            message = (
                f"The price of {fact.asset_id} has moved by {abs(drift(fact)):.1%} since: it is "
                f"{fact.newest_value:,.8g} {fact.unit} now."
            )
        else:
            continue
        yield STALE.at(one.sentence, message, fact=fact.id, newest=fact.newest_value, key=fact.id)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
