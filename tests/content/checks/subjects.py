"""Subjects for the checks' tests: real sentences (EIPs and the sample references, CC0) and what they cite."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from cryptocontent.content.checks.subject import CitedSource, Fact, Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.content.rules.files import Asset
from cryptocontent.content.templates import Outline
from tests.agents.research import outline

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HALVING = (
    "The first Bitcoin halving took place on 28 November 2012 at block 210,000 and lowered the subsidy from "
    "50 to 25 bitcoin. The fourth halving happened on 20 April 2024, in Coordinated Universal Time, at block "
    "840,000 and set the subsidy to 3.125 bitcoin. More than 93 percent of all bitcoin that can ever exist "
    "had been issued by the time of the fourth halving. The first four eras together created 19,687,500 "
    "bitcoin, counting the unspendable coins of the genesis block."
)
BLOBS = (
    "The values are chosen to correspond to a target of 3 blobs (0.375 MB) and maximum of 6 blobs (0.75 MB) "
    "per block. A blob holds 4096 field elements. The field `to` must always represent a 20-byte address. "
    "Rollups are in the short and medium term, and possibly in the long term, the only trustless scaling "
    "solution for Ethereum. Blobs are pruned after about 18 days, as EIP-4844 says."
)


def source(number: int, text: str, **more: Any) -> CitedSource:
    return CitedSource(number, f"p{number}", "A source", text, **{"reference_id": f"r{number}"} | more)


def fact(number: int = 1, **more: Any) -> CitedSource:
    """A price of bitcoin of one hour ago."""
    values: dict[str, Any] = {
        "id": "f1",
        "asset_id": "bitcoin",
        "metric": "price",
        "value": 97123.45,
        "unit": "USD",
        "source": "an exchange",
        "as_of": datetime(2026, 11, 24, 11, tzinfo=UTC),
    } | more
    values = {"newest_value": values["value"], "newest_as_of": values["as_of"]} | values
    one = Fact(**values)
    text = (
        f"The {one.metric} of {one.asset_id} was {one.value:,} {one.unit} on {one.as_of.day} November "
        f"2026 at {one.as_of:%H:%M} UTC, according to {one.source}."
    )
    return CitedSource(number, one.id, "A market", text, fact=one)


def subject(
    body: str,
    *sources: str | CitedSource,
    title: str = "Fees, explained",
    plan: Outline | None = None,
    rules: Rules | None = None,
    **more: Any,
) -> Subject:
    """An article of that body, whose sources have the numbers 1, 2 …"""
    known = [source(number, one) if isinstance(one, str) else one for number, one in enumerate(sources, 1)]
    return Subject(
        markdown=f"# {title}\n\n{body}\n" if title else f"{body}\n",
        outline=plan or outline(least=0),
        rules=rules or shipped_rules(),
        now=NOW,
        sources={one.number: one for one in known},
        **more,
    )


def asked(**more: Any) -> Outline:
    """An outline with more wishes."""
    return outline(least=0).model_copy(update=more)


def with_assets(*assets: Asset) -> Rules:
    """The shipped rules with another listing."""
    rules = shipped_rules()
    return rules.model_copy(update={"assets": rules.assets.model_copy(update={"assets": assets})})


def with_limits(**limits: float) -> Rules:
    """The shipped rules with other limits."""
    rules = shipped_rules()
    return rules.model_copy(update={"limits": rules.limits.model_copy(update=limits)})


Check = Callable[[Subject], Iterable[NewFinding]]


def rules_of(check: Check, one: Subject) -> list[str]:
    """The ids of what the check finds, in order."""
    return [finding.rule for finding in check(one)]


def only(check: Check, one: Subject) -> NewFinding:
    """The one finding of the check; its place holds what it is about."""
    (finding,) = check(one)
    if finding.start is not None:
        assert finding.end is not None and finding.start < finding.end
    return finding
