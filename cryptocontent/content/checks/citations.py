"""Citations: they point at something, that something may still be used, and claims have one."""

import re
from collections.abc import Iterator

from cryptocontent.content.checks.checkables import claims
from cryptocontent.content.checks.listing import listing_of
from cryptocontent.content.checks.quotes import quotations_of, shared_citations
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import CheckedSentence, Subject
from cryptocontent.content.documents import Verbatim
from cryptocontent.content.findings import NewFinding

DANGLING = Rule(
    "citation.dangling",
    "block",
    "A footnote that points at nothing that the article may cite, or that the list of sources lacks.",
    waivable=False,
)
UNCITED = Rule("claim.uncited", "block", "A number, date, ticker, address or quotation without a source.")
PLAIN = Rule("sentence.uncited", "info", "A sentence without a source.")
NONE = Rule("citation.none", "block", "The article cites nothing at all.")
WITHDRAWN = Rule("source.withdrawn", "warn", "A cited reference has vanished from where it came from.")
RECALLED = Rule("source.recalled", "block", "A cited reference was recalled: it can't be trusted.")
RULES = (DANGLING, UNCITED, PLAIN, NONE, WITHDRAWN, RECALLED)

_MARKER = re.compile(r"\[\^([^\]\s]+)\](?!:)")
_DEFINED = re.compile(r"^\[\^([^\]\s]+)\]:", re.M)
_CODE = re.compile(r"^(```|~~~).*?^\1[^\n]*$|`[^`\n]+`", re.M | re.S)
_FEWEST_WORDS = 4  # what is shorter is no sentence that says something


def check(subject: Subject) -> Iterator[NewFinding]:
    """Look at every footnote, then at what has none."""
    yield from _dangling(subject)
    yield from _bad_sources(subject)
    yield from _uncited(subject)
    if not any(one.citations for one in subject.sentences):
        yield NONE.whole("The article cites nothing.")


def _dangling(subject: Subject) -> Iterator[NewFinding]:
    start, end = subject.body_span
    code = [match.span() for match in _CODE.finditer(subject.markdown, start, end)]
    defined = {match[1] for match in _DEFINED.finditer(subject.markdown)}
    for match in _MARKER.finditer(subject.markdown, start, end):
        name, at = match[1], match.start()
        if any(first <= at < last for first, last in code):
            continue
        if not name.isdecimal() or int(name) not in subject.sources:
            message = f"Citation {match[0]} points at nothing that this article may cite."
        elif defined and name not in defined:
            message = f"Citation {match[0]} is not in the list of sources."
        else:
            continue
        sentence = _sentence_before(subject, at)
        first = sentence.start if sentence else at
        yield DANGLING.span(subject, first, match.end(), message, key=name)


def _sentence_before(subject: Subject, at: int) -> CheckedSentence | None:
    """The sentence that a marker stands in or right behind."""
    before = [one for one in subject.sentences if one.start <= at]
    last = max(before, key=lambda one: one.start, default=None)
    if last is None or (at > last.end and _MARKER.sub("", subject.markdown[last.end : at]).strip()):
        return None
    return last


def _bad_sources(subject: Subject) -> Iterator[NewFinding]:
    for one in subject.sentences:
        told: set[str] = set()
        for number in one.citations:
            source = subject.sources.get(number)
            if source is None or source.status == "active":
                continue
            key = source.reference_id or source.id
            if key in told:
                continue
            told.add(key)
            rule = RECALLED if source.status == "recalled" else WITHDRAWN
            message = f"“{source.title}” was {source.status}; this sentence rests on it."
            yield rule.at(one, message, reference=source.reference_id, number=number, key=key)


def _uncited(subject: Subject) -> Iterator[NewFinding]:
    tickers = listing_of(subject).tickers
    shared = shared_citations(subject)
    loose = {one.sentences[0]: one.text for one in quotations_of(subject) if not one.citations}
    for one in subject.sentences:
        if one.citations or shared.get(one):
            continue
        parts = [part.text for part in claims(one.text, tickers)]
        if (quote := loose.get(one)) and quote not in parts:
            parts.append(quote)
        if parts:
            told = ", ".join(f"“{part}”" for part in parts)
            yield UNCITED.at(one, f"{told}: no source is cited.", parts=parts)
        elif len(one.text.split()) >= _FEWEST_WORDS and not _in_table(subject, one):
            yield PLAIN.at(one, "This sentence cites nothing.")


def _in_table(subject: Subject, sentence: CheckedSentence) -> bool:
    block = subject.blocks[sentence.paragraph].block
    return isinstance(block, Verbatim) and block.text.startswith("|")
