"""The checks: each looks at one version of an article and says what is wrong with it.

A check is one file with `RULES` (every rule that it may report) and `check(subject)`, and one line in
`CHECKS`. Checks only look: no database, no network, no clock; all that they need is in the `Subject`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptocontent.content.checks import (
    addresses,
    citations,
    claims,
    compliance,
    form,
    injection,
    links,
    numbers,
    originality,
    quotes,
    tickers,
)
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding

__all__ = ["CHECKS", "Check", "Rule", "Subject", "run_checks"]


@dataclass(frozen=True, slots=True)
class Check:
    """A family of rules that look at the same thing. `name` is the Dagster asset check's."""

    name: str
    description: str
    rules: tuple[Rule, ...]
    run: Callable[[Subject], Iterable[NewFinding]]


CHECKS: tuple[Check, ...] = (
    Check(
        "citations", "Claims are cited, and citations point at something", citations.RULES, citations.check
    ),
    Check("numbers", "Numbers and dates are in their cited sources", numbers.RULES, numbers.check),
    Check("quotes", "Quotations stand word for word in their sources", quotes.RULES, quotes.check),
    Check("tickers", "Each ticker means one asset", tickers.RULES, tickers.check),
    Check("originality", "No near-duplicates, more than one source", originality.RULES, originality.check),
    Check("addresses", "Addresses have a right checksum and chain", addresses.RULES, addresses.check),
    Check("links", "Links lead where they say, and to no scam", links.RULES, links.check),
    Check("claims", "No promises of return, no advice, no urgency", claims.RULES, claims.check),
    Check("compliance", "The notices of the jurisdictions stand", compliance.RULES, compliance.check),
    Check("injection", "No text that instructs an agent", injection.RULES, injection.check),
    Check("form", "Headings, length, readability, the template's wishes", form.RULES, form.check),
)


def run_checks(subject: Subject, checks: Sequence[Check] = CHECKS) -> list[NewFinding]:
    """Every finding of the checks, in the order of their places; those about the whole article last."""
    found = [finding for check in checks for finding in check.run(subject)]
    return sorted(found, key=lambda one: (one.start is None, one.start or 0, one.rule))
