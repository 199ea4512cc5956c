"""The SEO editor: what search engines are told of the article, and how well it can be read and found."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from cryptocontent.agents.drafts import counted
from cryptocontent.agents.finishing import subject_of
from cryptocontent.agents.lexicon import word_set
from cryptocontent.agents.own_words import without_links
from cryptocontent.agents.work import SeoPackage, Work, WorkMessage
from cryptocontent.content.checks import form
from cryptocontent.content.documents import (
    Block,
    Figure,
    Heading,
    Paragraph,
    body_words,
    cited_numbers,
    paragraphs,
    parse,
)
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.content.text import slugify, words

VERSION = "4"

TITLE_MOST, DESCRIPTION_LEAST, DESCRIPTION_MOST, KEYWORDS_MOST, SLUG_MOST = 60, 70, 155, 10, 80
# short words, numbers, names of code and adverbs
_NO_KEYWORD = re.compile(r"\w{1,2}\Z|\d|.*_|(?!supply|family|assembly|anomaly|monopoly|reply)\w{3,}ly\Z")
_VERBAL = re.compile(r"(?:ed|ing|ive|able|ible|ful|ous|ary)\Z")
_PHRASE_END = re.compile(r"[.,;:!?()\[\]\"“”]|\s[-–—]\s|`[^`]*`")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an engine decides; the rest of the package follows from it and the text."""

    title: str
    description: str
    slug: str
    keywords: tuple[str, ...]


async def rules(work: Work) -> Work:
    """Make the SEO package by rules; the body stays as it is."""
    return packaged(work, by_rules(work), shipped_rules())


def by_rules(work: Work) -> Chosen:
    """Title, description, slug and keywords, taken from the text."""
    blocks = parse(work.draft.body)
    sentences = [without_links(one.text) for paragraph in paragraphs(blocks) for one in paragraph.sentences]
    title = short_title(work.draft.title)
    return Chosen(
        title=title,
        description=describe(_lead(blocks) or sentences),
        slug=slugify(title, SLUG_MOST),
        keywords=_keywords(work, sentences),
    )


def packaged(work: Work, chosen: Chosen, rules: Rules, remark: str = "The text is unchanged.") -> Work:
    """The work with its SEO package and what there is to say of it. `remark` ends the summary."""
    subject = subject_of(work, rules)
    blocks = parse(work.draft.body)
    total = body_words(blocks)
    metrics = {
        "words": float(total),
        "citations": float(len(cited_numbers(work.draft.body))),
        **form.readability_of(subject),
    }
    package = SeoPackage(
        title=chosen.title,
        description=chosen.description,
        slug=chosen.slug,
        keywords=chosen.keywords,
        json_ld=_json_ld(work, blocks, chosen.description, chosen.keywords, total),
    )
    findings = _findings(work, package, _lead(blocks))
    # Findings about the text go into the conversation only: the checks run again over the finished text.
    told = [
        WorkMessage(author="seo", kind="finding", body=one.message, data=one.model_dump(mode="json"))
        for one in (*form.check(subject), *findings)
    ]
    summary = WorkMessage(
        author="seo",
        kind="summary",
        body=f"Title of {len(chosen.title)} characters, description of {len(chosen.description)}, "
        f"{counted(len(chosen.keywords), 'keyword')} ({', '.join(chosen.keywords[:4])}…); reading ease "
        f"{metrics['flesch_reading_ease']}, grade {metrics['flesch_kincaid_grade']}; "
        f"{counted(len(told), 'finding')}. {remark}",
        data={"metrics": metrics, "slug": package.slug},
    )
    return work.model_copy(
        update={
            "seo": package,
            "findings": (*work.findings, *findings),
            "messages": (*work.messages, *told, summary),
            "metrics": {**work.metrics, **metrics},
        }
    )


def _lead(blocks: list[Block]) -> list[str]:
    found: list[str] = []
    for block in blocks:
        if isinstance(block, Heading):
            break
        if isinstance(block, Paragraph):
            found += [without_links(sentence.text) for sentence in block.sentences]
    return found


def short_title(title: str) -> str:
    """The title in at most 60 characters, cut at a sentence part or a word's end."""
    title = " ".join(title.split())
    if len(title) <= TITLE_MOST:
        return title
    for mark in (": ", " – ", " — ", ", "):
        head = title[: TITLE_MOST + 1].rpartition(mark)[0]
        if len(head) >= 25:
            return head
    return _cut(title, TITLE_MOST)


def _cut(text: str, limit: int) -> str:
    """Whole words of the text, without a dangling small word at the end."""
    if len(text) <= limit:
        return text
    kept = text[: limit + 1].rsplit(" ", 1)[0] if " " in text[: limit + 1] else text[:limit]
    parts = kept.rstrip(" ,;:–—-(").split()
    while len(parts) > 1 and parts[-1].casefold() in word_set("prose", "generic"):
        parts.pop()
    return " ".join(parts).rstrip(" ,;:–—-(")


def describe(sentences: list[str]) -> str:
    """A description of 70 to 155 characters: whole sentences if they fit, else whole words and `…`."""
    plain = [" ".join(sentence.replace("`", "").replace("*", "").split()) for sentence in sentences]
    text = ""
    for sentence in plain:
        longer = f"{text} {sentence}".strip()
        if len(longer) > DESCRIPTION_MOST:
            break
        text = longer
    if len(text) >= DESCRIPTION_LEAST or not plain:
        return text
    whole = " ".join(plain)
    return text if len(whole) <= len(text) else _cut(whole, DESCRIPTION_MOST - 1) + "…"


def _keywords(work: Work, sentences: list[str]) -> tuple[str, ...]:
    """The brief's keywords, then phrases that the text uses most: runs of content words between stop
    words and punctuation, by frequency and length, after S. Rose et al.,
    "Automatic keyword extraction from individual documents" (2010)."""
    found = list(dict.fromkeys(keyword.strip() for keyword in work.brief.keywords if keyword.strip()))
    stop = word_set("seo", "stop").union(
        *(word_set("prose", key) for key in ("generic", "verbs", "pronouns"))
    )
    counts: Counter[str] = Counter()
    for sentence in sentences:
        for part in _PHRASE_END.split(sentence):
            phrase: list[str] = []
            for word in [*words(part), "the"]:
                plain = word.casefold()
                if plain in stop or _NO_KEYWORD.match(plain):
                    if 1 <= len(phrase) <= 3:
                        counts[" ".join(phrase)] += 1
                    phrase = []
                else:
                    phrase.append(plain)
    ranked = sorted(counts, key=lambda one: (-counts[one] * _noun_like(one), one))
    taken = {_singular(one.casefold()) for one in found}
    for candidate in ranked:
        if len(found) >= KEYWORDS_MOST:
            break
        alike = any(_singular(candidate) in other or other in _singular(candidate) for other in taken)
        if counts[candidate] >= 2 and not alike:
            found.append(candidate)
            taken.add(_singular(candidate))
    return tuple(found[:KEYWORDS_MOST])


def _noun_like(phrase: str) -> float:
    """How much a phrase is worth as a keyword: two words more than one, participles and the like less."""
    last = phrase.split()[-1]
    weight = 1 + 0.6 * min(phrase.count(" "), 1)
    verbal = _VERBAL.search(last) or phrase in word_set("prose", "imperatives")
    return weight * (0.4 if verbal else 1.0)


def _singular(phrase: str) -> str:
    return " ".join(word.removesuffix("s") for word in phrase.split())


def _json_ld(
    work: Work, blocks: list[Block], description: str, keywords: tuple[str, ...], total: int
) -> dict[str, Any]:
    """The article in schema.org's terms; what we don't know (author, dates) is left out."""
    sources: dict[str, dict[str, str]] = {}
    for number in sorted(cited_numbers(work.draft.body)):
        if passage := work.passage(number):
            entry = {"@type": "CreativeWork", "name": passage.title}
            sources.setdefault(passage.reference_id, {**entry, "url": passage.url} if passage.url else entry)
    document: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Article",
        "headline": work.draft.title,
        "description": description,
        "keywords": list(keywords),
        "wordCount": total,
        "inLanguage": work.brief.outline.language,
        "citation": list(sources.values()),
    }
    if figure := next((block for block in blocks if isinstance(block, Figure)), None):
        document["image"] = figure.src
    return document


def _findings(work: Work, package: SeoPackage, lead: list[str]) -> list[NewFinding]:
    """About the package, which the checks of the text don't see."""
    found: list[NewFinding] = []
    if len(" ".join(work.draft.title.split())) > TITLE_MOST:
        message = (
            f"The title has {len(work.draft.title)} characters; search engines are given “{package.title}”."
        )
        found.append(
            NewFinding(rule="title.length", severity="info", message=message, excerpt=work.draft.title)
        )
    if not DESCRIPTION_LEAST <= len(package.description) <= DESCRIPTION_MOST:
        message = f"The description has {len(package.description)} characters, not 70 to 155."
        found.append(
            NewFinding(
                rule="description.length", severity="info", message=message, excerpt=package.description
            )
        )
    keyword = work.brief.keywords[0] if work.brief.keywords else ""
    for where, text in (("title", work.draft.title), ("lead", " ".join(lead))):
        if keyword and not mentions(text, keyword):
            message = f"The keyword “{keyword}” is not in the {where}."
            found.append(
                NewFinding(
                    rule=f"keyword.missing_in_{where}", severity="info", message=message, excerpt=text[:160]
                )
            )
    return found


def mentions(text: str, keyword: str) -> bool:
    """Whether all words of the keyword are in the text, singular or plural."""
    have = {word.casefold().rstrip("s") for word in words(text)}
    return all(word.casefold().rstrip("s") in have for word in words(keyword))
