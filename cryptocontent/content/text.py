"""Words, sentences and the question whether a passage says what a sentence claims."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from sentencex import segment

_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ0-9]+(?:[.,'’_/-][A-Za-zÀ-ÖØ-öø-ÿ0-9]+)*")
_MARKUP = re.compile(r"[`*]|\[\^\d+\]")
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "\u00a0": " "})
_SLUG = re.compile(r"[^a-z0-9]+")


def content_hash(value: Any) -> str:
    """SHA-256 (64 hex digits) of a JSON-serialisable value, with keys in order."""
    data = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(data.encode()).hexdigest()


def words(text: str) -> list[str]:
    """The words of a text, in order; numbers and identifiers such as `EIP-4844` are one word."""
    return _WORD.findall(text)


def word_count(text: str) -> int:
    """How many words a reader would count; citation markers and markup do not count."""
    return len(words(_MARKUP.sub(" ", text)))


def sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of a paragraph, stripped, in order."""
    return [sentence.strip() for sentence in segment(language, text) if sentence.strip()]


@lru_cache(maxsize=20_000)
def normalized(text: str) -> str:
    """Text as support checks compare it: no markup or citation markers, straight quotes, one space
    between words, case folded."""
    plain = _MARKUP.sub("", unicodedata.normalize("NFC", text)).translate(_QUOTES)
    return " ".join(plain.casefold().split())


def supports(passage: str, claim: str) -> bool:
    """Whether `passage` contains `claim` word for word (after `normalized`; the claim's final
    punctuation aside)."""
    wanted = normalized(claim).rstrip(".!?:;, ")
    return bool(wanted) and wanted in normalized(passage)


def slugify(text: str, limit: int = 80) -> str:
    """Lower-case ASCII letters, digits and hyphens, cut at a word's end; `untitled` if nothing stays."""
    ascii_text = (
        unicodedata.normalize("NFKD", text.replace("'", "").replace("’", ""))
        .encode("ascii", "ignore")
        .decode()
    )
    slug = _SLUG.sub("-", ascii_text.lower()).strip("-")
    if len(slug) > limit:
        slug = slug[: limit + 1].rsplit("-", 1)[0][:limit].strip("-")
    return slug or "untitled"


def shingles(tokens: Iterable[str]) -> frozenset[str]:
    """The set of case-folded words of a sentence, for Jaccard similarity."""
    return frozenset(token.casefold() for token in tokens)


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    """|A ∩ B| / |A ∪ B|, 0 for two empty sets."""
    union = len(left | right)
    return len(left & right) / union if union else 0.0
