"""The checks: each looks at one version of an article and says what is wrong with it.

A check is one file with `RULES` (every rule that it may report) and `check(subject)`, and one line in
`CHECKS`. Checks only look: no database, no network, no clock; all that they need is in the `Subject`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding


@dataclass(frozen=True, slots=True)
class Check:
    """A family of rules that look at the same thing. `name` is the Dagster asset check's."""

    name: str
    description: str
    rules: tuple[Rule, ...]
    run: Callable[[Subject], Iterable[NewFinding]]


CHECKS: tuple[Check, ...] = ()


def run_checks(subject: Subject, checks: Sequence[Check] = CHECKS) -> list[NewFinding]:
    """Every finding of the checks, in the order of their places; those about the whole article last."""
    found = [finding for check in checks for finding in check.run(subject)]
    return sorted(found, key=lambda one: (one.start is None, one.start or 0, one.rule))
