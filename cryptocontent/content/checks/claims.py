"""Claims that an article must not make: promises of return, advice, pressure, and what fraud sounds like.

What counts is in the rule files: `claims.yaml` for every article, `jurisdictions.yaml` for those of a
jurisdiction. A sentence that denies, reports or warns of such a claim is excused by the exceptions there.
"""

from collections.abc import Iterator
from dataclasses import replace

from cryptocontent.content.checks.patterns import Line, first_match, holds_any, lines_of, searchable
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules.files import ClaimPattern

_KINDS = {
    "guaranteed_return": "A return that is promised as certain.",
    "risk_free": "An asset or offer that is said to bear no risk.",
    "no_loss": "A promise that money can't be lost.",
    "price_forecast": "A future price told as a fact.",
    "multiples": "A multiple of the stake as a prospect.",
    "buy_advice": "Advice to buy, sell or invest.",
    "urgency": "Pressure of time.",
    "herd": "Pressure of the crowd.",
    "secret": "Bait of secret or insiders' knowledge.",
    "easy_money": "Wealth without work or knowledge.",
    "periodic_yield": "A fixed gain per day, week or month.",
    "false_safety": "Something that is said to be safe from every attack.",
    "endorsement": "An endorsement by an authority or a celebrity.",
    "insured": "Deposit insurance that does not cover crypto-assets.",
    "giveaway": "Send first, receive more; free coins.",
    "seed_phrase": "A demand for a seed phrase or private key.",
    "past_performance": "A past price as proof of a future one.",
}
_WARNINGS = {
    "not_a_security": "A verdict on what the law takes an asset for, without who says so.",
    "price_direction": "A direction of price told as a fact.",
    "passive_income": "Pay for a risk called passive income.",
    "better_than_bank": "A comparison with deposits that hides what protects them.",
    "tax_free": "A gain that is said to be free of tax.",
}
FORBIDDEN = Rule("claim.forbidden", "block", "A claim of a kind that the project's own rules forbid.")
JURISDICTION = Rule(
    "claim.jurisdiction", "block", "A claim that the rules of one of the article's jurisdictions forbid."
)
_DECLARED = {
    **{kind: Rule(f"claim.{kind}", "block", meaning) for kind, meaning in _KINDS.items()},
    **{kind: Rule(f"claim.{kind}", "warn", meaning) for kind, meaning in _WARNINGS.items()},
}
RULES = (*_DECLARED.values(), FORBIDDEN, JURISDICTION)


def check(subject: Subject) -> Iterator[NewFinding]:
    """The forbidden claims of title, headings, sentences, tables and quotations: one finding for each kind
    and sentence."""
    claims, jurisdictions = subject.rules.claims, subject.rules.jurisdictions.jurisdictions
    text = searchable(subject)
    general = [one for one in claims.forbidden if holds_any(text, one.words)]
    local = [
        (where.id, one)
        for where in jurisdictions
        if where.id in subject.outline.jurisdictions
        for one in where.forbidden
        if holds_any(text, one.words)
    ]
    if not general and not local:
        return
    for line in lines_of(subject):
        for kind in general:
            if found := first_match(line, kind.words, kind.patterns, claims.exceptions):
                yield _finding(subject, _DECLARED.get(kind.id, FORBIDDEN), kind, line, found, kind.id)
        for where, kind in local:
            if found := first_match(line, kind.words, kind.patterns, claims.exceptions):
                yield _finding(subject, JURISDICTION, kind, line, found, f"{where}:{kind.id}")


def _finding(
    subject: Subject, rule: Rule, kind: ClaimPattern, line: Line, found: str, key: str
) -> NewFinding:
    # A project may make a kind graver or milder than it ships.
    rule = replace(rule, severity=kind.severity)
    return rule.span(subject, line.start, line.end, f"“{found}”: {kind.why}", key=key, words=found)
