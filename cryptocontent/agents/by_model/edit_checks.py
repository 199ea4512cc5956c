"""What a text that a model proposes for a sentence or a heading must not do to the article."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from cryptocontent.agents.by_model.evidence import sentence_problems
from cryptocontent.agents.work import Work
from cryptocontent.content.checks.checkables import checkables, grounded
from cryptocontent.content.documents import Sentence, cited_numbers, parse_paragraph
from cryptocontent.content.rules import Rules

MOST_SENTENCES = 3
"""Sentences that may stand in place of one."""
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*([^)\s]*)[^)]*\)|(https?://[^\s<>)\]]+)")
_CODE = re.compile(r"`+([^`]*)`+")
_OPENS_BLOCK = re.compile(r"(?:#{1,6}\s|[>|]|:::|```|~~~|[-+*]\s|\d+[.)]\s|!\[|\[\^)")
_TAG = re.compile(r"</?[A-Za-z!][^>]*>?")
_BARE_MARKER = re.compile(r"\[(\d+)\](?![(\[:])")
_MARKER = re.compile(r"\[\^[^\]]*\]")
_EAST_ASIAN = "぀-ヿ㐀-鿿"
# Languages without spaces between words count by character.
_TOKEN = re.compile(rf"[{_EAST_ASIAN}]|[^\W{_EAST_ASIAN}]+")


def replacement(after: str, sentence: Sentence) -> tuple[Sentence, ...] | str:
    """The sentences that `after` puts in place of one, with its citations; or why it can't be. Markers in
    `after` may say which of several sentences cites what, but not cite more or less than there was."""
    text = " ".join(after.split())
    if not _BARE_MARKER.search(sentence.text):
        text = _BARE_MARKER.sub(r"[^\1]", text)  # as models cite passages
    if not text:
        return "`after` is empty; to take a sentence out, use remove_sentence"
    cited = cited_numbers(text)
    if cited and cited != set(sentence.citations):
        return f"{_told(sentence.citations)}; its citations stay as they are"
    if opening := _OPENS_BLOCK.match(text):
        return f"it begins with “{opening[0].strip()}”, which is markup; begin with a word"
    paragraph = parse_paragraph(text)
    if (number := len(paragraph.sentences)) > MOST_SENTENCES:
        return f"it puts {number} sentences in place of one; at most {MOST_SENTENCES} are allowed"
    # A sentence without a marker of its own rests on all that the one sentence rested on.
    return tuple(
        one if one.citations else replace(one, citations=sentence.citations) for one in paragraph.sentences
    )


def replacement_problem(
    work: Work, before: Sentence, after: Sequence[Sentence], rules: Rules, most_changed: float = 1.0
) -> str:
    """Why these sentences can't stand in place of the other, "" if they can."""
    text = " ".join(one.text for one in after)
    if problem := _markup_problem(before.text, text):
        return problem
    share = changed_share(before.text, text)
    if share > most_changed:
        return (
            f"it changes {share:.0%} of the sentence's words, at most {most_changed:.0%} are allowed: "
            "a proofreader does not rewrite"
        )
    had = {(one.kind, one.message) for one in sentence_problems(before, work, rules)}
    for one in after:
        for found in sentence_problems(one, work, rules):
            if (found.kind, found.message) not in had:
                return found.message.rstrip(".")
    return ""


def heading_problem(work: Work, before: str, after: str, rules: Rules) -> str:
    """Why the text can't be a heading or title in place of the other, "" if it can."""
    if not after:
        return "`after` is empty; a heading can't be"
    if _MARKER.search(after):
        return "a heading cites nothing"
    if problem := _markup_problem(before, after):
        return problem
    # A heading cites nothing: it may name what the article says anyway.
    text = f"{work.draft.title}\n{work.draft.body}"
    tickers = frozenset(asset.ticker.upper() for asset in rules.assets.assets)
    new = next((part for part in checkables(after, tickers) if not grounded(part, text)), None)
    return f"“{new.text}” does not stand in the article" if new else ""


def changed_share(before: str, after: str) -> float:
    """The share of a sentence's words that are others, from 0 to 1. Signs and spaces don't count; a single
    word always may change, so it counts as nothing."""
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    kept = sum(block.size for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks())
    most = max(len(old), len(new))
    return 0.0 if most - kept <= 1 else (most - kept) / most


def _markup_problem(before: str, after: str) -> str:
    had, has = _links(before), _links(after)
    if had != has:
        return "it adds, drops or changes a link; links stay as they are"
    if new := set(_CODE.findall(after)) - set(_CODE.findall(before)):
        return f"`{min(new)}` is not code of the sentence; code is neither added nor changed"
    if _TAG.search(_CODE.sub("", after)) and not _TAG.search(_CODE.sub("", before)):
        return "it adds HTML; the article has none"
    return ""


def _links(text: str) -> Counter[str]:
    return Counter(inner or bare for inner, bare in _LINK.findall(text))


def _told(citations: Sequence[int]) -> str:
    if not citations:
        return "the sentence cites nothing"
    return f"the sentence cites {', '.join(f'[^{number}]' for number in citations)}"
