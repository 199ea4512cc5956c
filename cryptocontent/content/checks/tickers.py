"""Tickers: several assets may bear the same; the brief's asset id, or the full name, says which is meant."""

import re
from collections.abc import Iterator

from cryptocontent.content.checks.listing import Listing, listing_of, tickers_in
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import CheckedSentence, Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules.files import Asset

AMBIGUOUS = Rule("ticker.ambiguous", "block", "A ticker that several assets bear, and nothing says which.")
MISMATCH = Rule("ticker.wrong_asset", "block", "A ticker beside the name of an asset that does not bear it.")
RULES = (AMBIGUOUS, MISMATCH)

_IN_BRACKETS = re.compile(r"\s\(\$?([A-Za-z0-9]{2,12})\)")


def check(subject: Subject) -> Iterator[NewFinding]:
    """Look at every ticker of the text: `SOL`, `$SOL`, `Solana (SOL)`."""
    listing = listing_of(subject)
    told: set[str] = set()
    for one in subject.sentences:
        yield from _mismatches(listing, one)
        for ticker, _, _ in tickers_in(one.text, listing.tickers):
            bearers = listing.by_ticker[ticker]
            if len(bearers) < 2 or ticker in told or _decided(subject, listing, bearers):
                continue
            told.add(ticker)
            names = ", ".join(f"{asset.name} ({asset.id})" for asset in bearers)
            message = f"{ticker} may be {names}: name the asset, or give the brief its asset id."
            yield AMBIGUOUS.at(one, message, ticker=ticker, assets=[one.id for one in bearers], key=ticker)


def _decided(subject: Subject, listing: Listing, bearers: tuple[Asset, ...]) -> bool:
    """Whether the brief gives the id of exactly one bearer, or the article names exactly one in full."""
    ids = {asset.id for asset in bearers}
    if len(ids & subject.asset_ids) == 1:
        return True
    if "named assets" not in subject.memo:
        subject.memo["named assets"] = listing.named(f"{subject.title}\n{subject.body}")
    return len(ids & subject.memo["named assets"]) == 1


def _mismatches(listing: Listing, sentence: CheckedSentence) -> Iterator[NewFinding]:
    """`Name (TICKER)`, where assets of that name are listed and bear another ticker."""
    if "(" not in sentence.text:
        return
    for match in listing.names.finditer(sentence.text):
        bracket = _IN_BRACKETS.match(sentence.text, match.end())
        ticker = bracket[1].upper() if bracket else ""
        if ticker not in listing.tickers:
            continue  # `Ethereum (EVM)` is no slip
        right = [
            asset
            for bearers in listing.by_ticker.values()
            for asset in bearers
            if asset.id in listing.by_name[match[0]]
        ]
        if all(asset.ticker.upper() != ticker for asset in right):
            message = f"{match[0]} bears the ticker {right[0].ticker}, not {ticker}."
            yield MISMATCH.at(sentence, message, ticker=ticker, asset=right[0].id, key=f"{match[0]} {ticker}")
