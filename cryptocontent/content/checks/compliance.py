"""The locked notices of an article's jurisdictions: there, word for word, and where they belong.

A notice is a block of its own, `::: notice ID`, its text, `:::`. The texts are in `jurisdictions.yaml`.
`with_notices` puts them in; whoever stores an article calls it, so that none lacks one by accident.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from cryptocontent.content.checks.patterns import first_match, holds_any, lines_of, searchable
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import PlacedBlock, Subject
from cryptocontent.content.documents import NOTICE, notice_lines
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules
from cryptocontent.content.rules.files import Jurisdiction, Notice
from cryptocontent.content.templates import Outline

MISSING = Rule("notice.missing", "block", "A notice that the article's jurisdictions ask for is not there.")
ALTERED = Rule("notice.altered", "block", "A notice does not say word for word what its rule says.")
BURIED = Rule("notice.buried", "block", "A notice does not stand where its rule says.")
UNKNOWN = Rule("jurisdiction.unknown", "block", "The template names a jurisdiction that no rule knows.")
RULES = (MISSING, ALTERED, BURIED, UNKNOWN)

_PLACES = {
    "top": "before anything else of the body",
    "after_lead": "before the first heading",
    "end": "at the end of the body",
}
_HEADING = re.compile(r"#{1,6}\s")
_FENCE = re.compile(r"\s*(```|~~~)")
_BLANK_START = re.compile(r"\A(?:[ \t]*\n)+")


def promotes(subject: Subject) -> bool:
    """Whether a sentence of the article invites its reader to buy, invest or sign up."""
    rules = subject.rules.claims
    if not holds_any(searchable(subject), rules.promotion.words):
        return False
    return any(
        first_match(line, rules.promotion.words, rules.promotion.patterns, rules.exceptions)
        for line in lines_of(subject)
    )


def check(subject: Subject) -> Iterator[NewFinding]:
    """The notices that are due, held against those that are there."""
    known = _known(subject.rules)
    for name in subject.outline.jurisdictions:
        if name not in known:
            yield UNKNOWN.whole(
                f"no rule knows jurisdiction {name!r}; there are: {', '.join(known)}", key=name
            )
    there: dict[str, list[PlacedBlock]] = {}
    for placed in subject.notices:
        if opened := NOTICE.match(placed.block.render().splitlines()[0]):
            there.setdefault(opened["id"], []).append(placed)
    for notice in _due(subject):
        yield from _held(subject, notice, there.get(notice.id, []))


def _held(subject: Subject, notice: Notice, there: Sequence[PlacedBlock]) -> Iterator[NewFinding]:
    evidence = {"key": notice.id, "source": notice.source}
    right = [placed for placed in there if _says(placed) == notice.text.split()]
    for placed in there:
        if placed not in right:
            yield ALTERED.span(
                subject,
                placed.start,
                placed.end,
                f"notice {notice.id!r} does not say word for word what {notice.source} asks for",
                **evidence,
                expected=" ".join(notice.text.split()),
            )
    if not there:
        yield MISSING.whole(
            f"notice {notice.id!r} is missing ({notice.source}); it stands {_PLACES[notice.position]}",
            **evidence,
        )
    elif right and not any(_in_place(subject, notice, placed) for placed in right):
        placed = right[0]
        yield BURIED.span(
            subject,
            placed.start,
            placed.end,
            f"notice {notice.id!r} must stand {_PLACES[notice.position]}",
            **evidence,
        )


def _says(placed: PlacedBlock) -> list[str]:
    return [word for line in placed.block.render().splitlines()[1:-1] for word in line.split()]


def _in_place(subject: Subject, notice: Notice, placed: PlacedBlock) -> bool:
    """Whether a notice stands where its rule says, or before that: what is more prominent is not buried."""
    first, last = subject.body_span
    whole, _ = _without_notices(subject.body.splitlines(), subject.rules)
    before, _ = _without_notices(subject.markdown[first : placed.start].splitlines(), subject.rules)
    after, _ = _without_notices(subject.markdown[placed.end : last].splitlines(), subject.rules)
    if notice.position == "top":
        return not _written(before)
    in_lead = _written(before) <= _written(whole[: _end_of_lead(whole)])
    return in_lead or (notice.position == "end" and not _written(after))


def _written(lines: Sequence[str]) -> int:
    return sum(bool(line.strip()) for line in lines)


def _known(rules: Rules) -> Mapping[str, Jurisdiction]:
    return {one.id: one for one in rules.jurisdictions.jurisdictions}


def _due(subject: Subject, promotion: bool | None = None) -> list[Notice]:
    """The notices that the article must bear, in the order of its jurisdictions."""
    known = _known(subject.rules)
    wanted = [
        notice
        for name in dict.fromkeys(subject.outline.jurisdictions)
        if name in known
        for notice in known[name].notices
    ]
    if promotion is None:
        promotion = any(one.when == "promotion" for one in wanted) and promotes(subject)
    holds = {
        "always": True,
        "promotion": promotion,
        "unreviewed_ai": subject.by_agent and not subject.reviewed,
    }
    return [notice for notice in wanted if holds[notice.when]]


def with_notices(
    body: str,
    outline: Outline,
    rules: Rules,
    *,
    title: str = "",
    promotion: bool | None = None,
    by_agent: bool = True,
    reviewed: bool = False,
) -> str:
    """A body (without its title) with the notices that are due in their places, word for word, and without
    others that the rules know. Done twice it changes nothing more; nothing but notices changes.

    `promotion` says whether the article promotes something; left out, title and text tell. Paragraphs that
    somebody put inside a notice stay in the article, outside of it.
    """
    lines, held = _without_notices(body.splitlines(), rules)
    subject = Subject(
        markdown=f"# {title}\n\n" + "\n".join(lines),
        outline=outline,
        rules=rules,
        now=datetime.min.replace(tzinfo=UTC),
        by_agent=by_agent,
        reviewed=reviewed,
    )
    due = _due(subject, promotion)
    if not due and not held:
        return body
    places: dict[str, list[str]] = {"top": [], "after_lead": [], "end": []}
    for notice in due:
        places[notice.position].append(f"::: notice {notice.id}\n{' '.join(notice.text.split())}\n:::")
    lines = subject.body.strip("\n").splitlines()
    if fence := _open_fence(lines):
        lines.append(fence)  # else what follows would be code
    lead = _end_of_lead(lines)
    parts = [
        *places["top"],
        "\n".join(lines[:lead]),
        *places["after_lead"],
        "\n".join(lines[lead:]),
        *places["end"],
        subject.markdown[subject.body_span[1] :],
    ]
    return "\n\n".join(_BLANK_START.sub("", part).rstrip() for part in parts if part.strip())


def _without_notices(lines: Sequence[str], rules: Rules) -> tuple[list[str], bool]:
    """The lines without the notices that the rules know, and whether there were any. Of a notice go as many
    paragraphs as its rule has; what else was put into it stays. One that nothing closes loses its first
    line only: where it ends can't be known. A notice that no rule knows is somebody's words and stays."""
    texts = {notice.id: notice.text for one in rules.jurisdictions.jurisdictions for notice in one.notices}
    kept: list[str] = []
    last = 0
    found = [one for one in notice_lines(lines) if one[2] in texts]
    for start, end, name in found:
        kept += lines[last:start]
        # One blank line where the notice stood: not two, and not none, which would join two paragraphs.
        while kept and not kept[-1].strip():
            kept.pop()
        last = start + 1
        if end is not None:
            size = len(_paragraphs(texts[name].splitlines()))
            for paragraph in _paragraphs(lines[start + 1 : end])[size:]:
                kept += ["", *paragraph]
            last = end + 1
        kept.append("")
        while last < len(lines) and not lines[last].strip():
            last += 1
    kept += lines[last:]
    return kept, bool(found)


def _paragraphs(lines: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [paragraph for paragraph in found if paragraph]


def _end_of_lead(lines: Sequence[str]) -> int:
    """The number of the line that the first heading is on; without a heading, that after the first
    paragraph."""
    free = _outside_of_code(lines)
    for number in free:
        if _HEADING.match(lines[number]):
            return number
    first = next((number for number, line in enumerate(lines) if line.strip()), len(lines))
    return next((number for number in free if number > first and not lines[number].strip()), len(lines))


def _outside_of_code(lines: Sequence[str]) -> list[int]:
    found: list[int] = []
    fence = ""
    for number, line in enumerate(lines):
        opened = _FENCE.match(line)
        if opened and fence in ("", opened[1]):
            fence = "" if fence else opened[1]
        elif not fence:
            found.append(number)
    return found


def _open_fence(lines: Sequence[str]) -> str:
    """The mark of a code block that nothing closes; empty if there is none."""
    fence = ""
    for line in lines:
        opened = _FENCE.match(line)
        if opened and fence in ("", opened[1]):
            fence = "" if fence else opened[1]
    return fence


def reviewed_text(markdown: str, rules: Rules) -> str:
    """A whole version as it leaves the house once an editor has approved it: without the notices that say
    that nobody has reviewed it yet."""
    for jurisdiction in rules.jurisdictions.jurisdictions:
        for notice in jurisdiction.notices:
            if notice.when == "unreviewed_ai":
                block = rf"^::: notice {re.escape(notice.id)}[ \t]*\n.*?^:::[ \t]*\n\n?"
                markdown = re.sub(block, "", markdown, flags=re.M | re.S)
    return markdown
