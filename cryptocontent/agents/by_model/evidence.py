"""Whether what a model wrote stands on its sources: asked of the checks that decide on publication.

What they would block is told to the model once, sentence by sentence; what it does not mend is removed.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cryptocontent.agents.finishing import subject_of
from cryptocontent.agents.work import Draft, Work
from cryptocontent.content.checks import CHECKS, Subject
from cryptocontent.content.checks.checkables import checkables, grounded
from cryptocontent.content.checks.listing import listing_of
from cryptocontent.content.checks.quotes import quotations_of
from cryptocontent.content.checks.subject import CheckedSentence
from cryptocontent.content.documents import (
    Block,
    Paragraph,
    Sentence,
    Verbatim,
    parse,
    render,
    without_empty,
)
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules

_NAMES = ("citations", "numbers", "quotes", "tickers", "addresses", "links", "claims", "injection", "form")
_CHECKS = tuple(one for one in CHECKS if one.name in _NAMES)
_OF_FORM = "phrase.forbidden"
"""Of the checks of form this one is about a sentence; the others are about the article."""
_MOST_ROUNDS = 5
_SIGNS = re.compile(r"\[\^\d+\]|[\s>|]")
_REMOVED_AS = {one: f"{one}.removed" for one in ("claim", "injection", "link", "phrase", "prompt", "text")}
"""The rule of the finding about a removed sentence by the family of what was wrong with it; else
`citation.unsupported`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a sentence (its text without markers, and what it cites). `kind` is the rule that
    would block it, `message` tells the model what to mend."""

    sentence: str
    kind: str
    message: str
    citations: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"“{_short(self.sentence)}”: {self.message}"


def claim_problems(body: str | Sequence[Block], work: Work, rules: Rules) -> list[Problem]:
    """What publication would block in a text (its Markdown or its blocks) that was written for `work`: it
    cites what is not there; numbers, dates, tickers, addresses or quotations that nothing cited has or for
    which nothing is cited; forbidden claims and phrases; links that lead astray; instructions."""
    markdown = body if isinstance(body, str) else render(body)
    if not markdown.strip():
        return []
    draft = Draft(title=work.draft.title or work.brief.outline.title, body=markdown)
    subject = subject_of(work.model_copy(update={"draft": draft}), rules)
    found = dict[Problem, None]()
    for check in _CHECKS:
        for finding in check.run(subject):
            if finding.severity == "block" and (check.name != "form" or finding.rule == _OF_FORM):
                for sentence in _about(subject, finding):
                    message = _message(work, subject, finding)
                    found[Problem(sentence.text, finding.rule, message, sentence.citations)] = None
    order = {(one.text, one.citations): place for place, one in enumerate(subject.sentences)}
    return sorted(found, key=lambda one: order.get((one.sentence, one.citations), -1))


def sentence_problems(sentence: Sentence, work: Work, rules: Rules) -> list[Problem]:
    """The same for a sentence by itself."""
    return claim_problems([Paragraph((sentence,))], work, rules)


def without_claims(work: Work, body: str, problems: Iterable[Problem]) -> tuple[str, list[NewFinding]]:
    """The body without the sentences that the problems are about (and without headings that then stand over
    nothing), and a warning for each. A quotation or table goes as a whole; nothing else is touched.
    `work` tells what the sentences cited."""
    wrong: dict[tuple[str, tuple[int, ...]], list[Problem]] = {}
    for problem in problems:
        wrong.setdefault((problem.sentence, problem.citations), []).append(problem)
    if not wrong:
        return body, []
    kept: list[Block] = []
    findings: list[NewFinding] = []
    for block in parse(body):
        if isinstance(block, Paragraph):
            stay = []
            for sentence in block.sentences:
                if about := wrong.get((sentence.text, sentence.citations)):
                    findings.append(_removed(work, sentence.render(), about))
                else:
                    stay.append(sentence)
            block = replace(block, sentences=tuple(stay))
        elif isinstance(block, Verbatim) and not block.text.startswith(":::"):
            about = [one for (text, _), listed in wrong.items() if _holds(block, text) for one in listed]
            if about:
                findings.append(_removed(work, block.text, about))
                continue
        kept.append(block)
    return (render(without_empty(kept)), findings) if findings else (body, [])


def cleared(work: Work, body: str, rules: Rules) -> tuple[str, list[NewFinding]]:
    """The body without everything that `claim_problems` finds. A sentence that goes may take away what
    another one rested on, so it is looked at again until nothing is found."""
    findings: list[NewFinding] = []
    for _ in range(_MOST_ROUNDS):
        shorter, removed = without_claims(work, body, claim_problems(body, work, rules))
        if not removed:
            break
        body = shorter
        findings += removed
    return body, findings


def _about(subject: Subject, finding: NewFinding) -> list[CheckedSentence]:
    """The sentences that a finding is about. None for one about the whole article, about its title or
    sources, or about a heading that the template wrote: they are not the model's."""
    start, end = subject.body_span
    if finding.start is None or not start <= finding.start < end:
        return []
    if finding.rule == "quote.not_verbatim":
        quote = finding.evidence.get("quote")
        held = [one for one in quotations_of(subject) if one.text == quote]
        if parts := next((one.sentences for one in held if one.sentences[0].start == finding.start), ()):
            return list(parts)
    last = finding.end if finding.end is not None else finding.start + 1
    return [one for one in subject.sentences if one.start < last and finding.start < one.end]


def _message(work: Work, subject: Subject, finding: NewFinding) -> str:
    """What the check says, and for a model what would mend it."""
    if finding.rule == "citation.dangling":
        numbers = sorted(subject.sources)
        range_ = f"{numbers[0]} to {numbers[-1]}" if numbers else "none"
        return f"{finding.message} Cite only passages that are given (numbers: {range_})."
    if finding.rule == "claim.uncited":
        return f"{finding.message} Cite the passage that says it, or leave it out."
    if finding.rule == "quote.not_verbatim":
        return f"{finding.message} Quote word for word, or say it without quotation marks."
    if part := finding.evidence.get("part"):
        having = _having(work, subject, str(part))
        hint = f"Passages that have it: {having}." if having else "No passage has it: leave it out."
        return f"{finding.message} {hint}"
    return finding.message


def _having(work: Work, subject: Subject, text: str) -> str:
    part = next(iter(checkables(text, listing_of(subject).tickers)), None)
    if part is None:
        return ""
    having = [one.number for one in work.research if one.text and grounded(part, one.text)]
    return ", ".join(map(str, having[:5]))


def _holds(block: Verbatim, text: str) -> bool:
    """Whether a sentence stands in a quotation or a table, whatever markers and line breaks it has there."""
    return _SIGNS.sub("", text) in _SIGNS.sub("", block.text)


def _removed(work: Work, text: str, about: Sequence[Problem]) -> NewFinding:
    family = about[0].kind.split(".")[0]
    uncited = about[0].kind == "claim.uncited"
    told = " ".join(dict.fromkeys(one.message for one in about))
    cited = list(about[0].citations)
    return NewFinding(
        rule="citation.unsupported" if uncited else _REMOVED_AS.get(family, "citation.unsupported"),
        severity="warn",
        message=f"A sentence was removed that its author did not mend: {told}",
        excerpt=text,
        evidence={
            "kinds": sorted({one.kind for one in about}),
            "cited": cited,
            "known": [number for number in cited if work.passage(number) is not None],
        },
    )


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 1].rsplit(" ", 1)[0] + "…"
