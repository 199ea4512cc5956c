"""What a model proposes to tell search engines, and what is wrong with it, field by field."""

import re
from collections.abc import Iterator, Sequence

from pydantic import BaseModel, Field

from cryptocontent.agents.by_model.answering import Manners
from cryptocontent.agents.by_model.edits import InstructionAnswer
from cryptocontent.agents.by_model.internal_links import InternalLink
from cryptocontent.agents.finishing import subject_of
from cryptocontent.agents.own_words import ENOUGH, LANGUAGE, content_words
from cryptocontent.agents.seo import (
    DESCRIPTION_LEAST,
    DESCRIPTION_MOST,
    KEYWORDS_MOST,
    SLUG_MOST,
    TITLE_MOST,
    mentions,
)
from cryptocontent.agents.work import Draft, Work
from cryptocontent.content.checks import CHECKS, run_checks
from cryptocontent.content.checks.checkables import checkables, grounded
from cryptocontent.content.checks.linked import links_of
from cryptocontent.content.checks.listing import listing_of
from cryptocontent.content.checks.numbers import examined
from cryptocontent.content.rules import Rules
from cryptocontent.content.text import normalized, slugify, words

_MARKUP = re.compile(r"[\[\]<>*`#|{}\\\n\r]")
_DIGIT = re.compile(r"\d")
_KEYWORD_MOST = 60
_HARM = tuple(one for one in CHECKS if one.name in ("claims", "injection", "links", "addresses"))


class SeoProposal(BaseModel):
    """What search engines are told of the article."""

    title: str = Field(description=f"at most {TITLE_MOST} characters")
    description: str = Field(description=f"{DESCRIPTION_LEAST} to {DESCRIPTION_MOST} characters")
    slug: str = Field(description="lower-case letters, digits and single hyphens")
    keywords: Sequence[str] = Field(description=f"at most {KEYWORDS_MOST}, each of them in the draft")
    links: Sequence[InternalLink] = ()
    answers: Sequence[InstructionAnswer] = ()


class ArticleText:
    """A finished draft, as proposals about it are held against."""

    def __init__(self, work: Work, rules: Rules, manners: Manners) -> None:
        self.work, self.rules, self.manners = work, rules, manners
        subject = subject_of(work, rules)
        self.text = f"{work.draft.title}\n{subject.body}"
        self.words = content_words(self.text)
        self.slug_parts = frozenset(slugify(self.text, len(self.text)).split("-"))
        self.tickers = listing_of(subject).tickers
        # A number may be repeated if the sentence that states it has it from what it cites.
        sound = [one.sentence.text for one in examined(subject) if one.sources and not one.missing]
        self.sound = "\n".join((work.draft.title, *sound))

    def title_problems(self, title: str) -> list[str]:
        """What is wrong with a title."""
        found = [] if title else ["it is empty"]
        if len(title) > TITLE_MOST:
            found.append(f"it has {len(title)} characters; allowed are {TITLE_MOST}")
        return [*found, *self._text_problems(title)]

    def description_problems(self, text: str) -> list[str]:
        """What is wrong with a description."""
        found = []
        if not DESCRIPTION_LEAST <= len(text) <= DESCRIPTION_MOST:
            allowed = f"{DESCRIPTION_LEAST} to {DESCRIPTION_MOST}"
            found.append(f"it has {len(text)} characters; allowed are {allowed}")
        return [*found, *self._text_problems(text)]

    def slug_problems(self, slug: str) -> list[str]:
        """What is wrong with a slug."""
        if not slug or slug != slugify(slug, SLUG_MOST):
            allowed = f"1 to {SLUG_MOST} lower-case letters, digits and single hyphens between them"
            return [f"“{slug[:100]}” is no slug; allowed are {allowed}, such as {slugify(slug, SLUG_MOST)}"]
        numbers = [one for one in slug.split("-") if _DIGIT.search(one) and one not in self.slug_parts]
        return [f"“{numbers[0]}” is not in the article"] if numbers else []

    def keyword_problem(self, keyword: str) -> str:
        """Why a keyword is none, "" if it is one."""
        if not words(keyword) or len(keyword) > _KEYWORD_MOST or _MARKUP.search(keyword):
            return f"“{keyword[:80]}” is no keyword; give one to four plain words"
        if unfit := self.manners.problem(keyword):
            return f"“{keyword}” is none: {unfit}"
        return "" if mentions(self.text, keyword) else f"“{keyword}” is not in the article"

    def _text_problems(self, text: str) -> Iterator[str]:
        """What is wrong with a title or description for what it says."""
        if found := _MARKUP.search(text):
            yield f"{found[0]!r} is markup; write plain text"
        if unfit := self.manners.problem(text):
            yield unfit
        if any(True for _ in links_of(text)):
            yield "it holds a link or a domain; leave it out"
        for part in checkables(text, self.tickers):
            if not grounded(part, self.text):
                yield f"“{part.text}” is not in the article"
            elif part.kind not in ("quote", "ticker") and not grounded(part, self.sound):
                yield f"“{part.text}” is in the article, but no source bears it out there"
        named = content_words(text)
        if self.work.brief.outline.language == LANGUAGE and len(named & self.words) < ENOUGH * len(named):
            yield "most of its words are not in the article; say what the article says"
        for phrase in self.work.brief.outline.forbidden_phrases:
            if normalized(phrase) in normalized(text):
                yield f"“{phrase}” must not stand in it"
        # Held against the checks as an article of its own: what may not be said there, may not here.
        said = self.work.model_copy(update={"draft": Draft(title="Title", body=text)})
        for finding in run_checks(subject_of(said, self.rules), _HARM):
            if finding.severity != "info":
                yield finding.message.rstrip(".")
