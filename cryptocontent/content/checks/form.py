"""Form: headings, length, readability, and what the template asks for or forbids."""

import re
from collections.abc import Iterator
from functools import lru_cache

from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.documents import Heading, Paragraph, body_words
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.readability import readability
from cryptocontent.content.text import normalized

ORDER = Rule("heading.order", "warn", "A heading that skips a level, or a second title.")
EMPTY = Rule("heading.empty", "warn", "A heading over nothing.")
SHORT = Rule("length.below_minimum", "block", "Fewer words than the template asks for.")
LONG = Rule("length.above_maximum", "warn", "More words than the template allows.")
TITLE_MISSING = Rule("title.missing", "block", "The article has no title.", waivable=False)
TITLE_LONG = Rule("title.long", "info", "A title too long to be shown whole.")
HARD = Rule("readability.hard", "info", "A text that is hard to read.")
REQUIRED = Rule("phrase.required_missing", "block", "A phrase that the template requires is missing.")
FORBIDDEN = Rule("phrase.forbidden", "block", "A phrase that the template forbids.")
INTERNAL = Rule("links.internal_count", "warn", "Too few or too many links to other articles.")
RULES = (ORDER, EMPTY, SHORT, LONG, TITLE_MISSING, TITLE_LONG, HARD, REQUIRED, FORBIDDEN, INTERNAL)

_INTERNAL = re.compile(r"(?<!!)\[[^\]\n]+\]\(article:[^)\s]+\)")
_BETWEEN = r"(?:\s?\[\^\d+\])*\s+"
_SAME = str.maketrans({"'": "['‘’]", "’": "['‘’]", '"': '["“”]', "“": '["“”]', "”": '["“”]'})


def check(subject: Subject) -> Iterator[NewFinding]:
    """Headings first, then length and readability, then the template's wishes."""
    yield from _headings(subject)
    yield from _size(subject)
    yield from _phrases(subject)


def _headings(subject: Subject) -> Iterator[NewFinding]:
    level = 1
    for place, placed in enumerate(subject.blocks):
        block = placed.block
        if not isinstance(block, Heading):
            continue
        span = (placed.start, placed.end)
        if block.level == 1 or block.level > level + 1:
            message = f"“{block.text}” has level {block.level} after level {level}."
            yield ORDER.span(subject, *span, message)
        following = subject.blocks[place + 1].block if place + 1 < len(subject.blocks) else None
        if following is None or (isinstance(following, Heading) and following.level <= block.level):
            yield EMPTY.span(subject, *span, f"Nothing stands under “{block.text}”.")
        level = block.level


def _size(subject: Subject) -> Iterator[NewFinding]:
    limits, asked = subject.rules.limits, subject.outline.words
    if not subject.title:
        yield TITLE_MISSING.whole("The article has no title.")
    elif len(subject.title) > limits.title_max:
        message = f"The title has {len(subject.title)} characters; more than {limits.title_max} are cut off."
        yield TITLE_LONG.whole(message)
    total = body_words([placed.block for placed in subject.blocks])
    if total < asked.min:
        message = f"The article has {total} words; the template asks for at least {asked.min}."
        yield SHORT.whole(message, words=total, minimum=asked.min)
    if total > asked.max:
        message = f"The article has {total} words; the template allows {asked.max}."
        yield LONG.whole(message, words=total, maximum=asked.max)
    measured = readability_of(subject)
    ease, grade = measured["flesch_reading_ease"], measured["flesch_kincaid_grade"]
    if any(measured.values()) and (ease < limits.reading_ease_min or grade > limits.grade_max):
        message = f"Hard to read: Flesch reading ease {ease}, Flesch-Kincaid grade {grade}."
        yield HARD.whole(message, **measured)


def _phrases(subject: Subject) -> Iterator[NewFinding]:
    text = normalized(f"{subject.title}\n{subject.body}")
    for phrase in subject.outline.required_phrases:
        if normalized(phrase) not in text:
            yield REQUIRED.whole(f"“{phrase}” is missing.", phrase=phrase, key=phrase)
    notices = [(one.start, one.end) for one in subject.notices]
    for phrase in subject.outline.forbidden_phrases:
        for match in _phrase(phrase).finditer(subject.markdown, 0, subject.body_span[1]):
            if not any(start <= match.start() < end for start, end in notices):
                yield FORBIDDEN.span(
                    subject, *match.span(), f"“{phrase}” may not stand here.", phrase=phrase, key=phrase
                )
    links, wanted = len(_INTERNAL.findall(subject.body)), subject.outline.internal_links
    if not wanted.min <= links <= wanted.max:
        message = f"{links} links to other articles; the template wants {wanted.min} to {wanted.max}."
        yield INTERNAL.whole(message, links=links)


@lru_cache(maxsize=256)
def _phrase(phrase: str) -> re.Pattern[str]:
    """The phrase as whole words in any case, whatever quotation marks, line breaks or footnotes it has."""
    words = [re.escape(word).translate(_SAME) for word in phrase.split()]
    return re.compile(rf"(?<!\w){_BETWEEN.join(words)}(?!\w)", re.IGNORECASE)


def readability_of(subject: Subject) -> dict[str, float]:
    """Flesch reading ease and Flesch-Kincaid grade of paragraphs and list items."""
    if "readability" not in subject.memo:
        subject.memo["readability"] = readability(
            [
                one.text
                for one in subject.sentences
                if isinstance(subject.blocks[one.paragraph].block, Paragraph)
            ]
        )
    found: dict[str, float] = subject.memo["readability"]
    return found
