"""How hard a text is to read."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

from cryptocontent.content.text import words

_CODE = re.compile(r"`+[^`]*`+")


@cache
def _hyphenation(language: str) -> Any:
    import pyphen

    known = pyphen.language_fallback(language)
    return pyphen.Pyphen(lang=known or "en_US")


@lru_cache(maxsize=50_000)
def syllables(word: str, language: str = "en_US") -> int:
    """Syllables of a word: the places at which it may be hyphenated, and one."""
    return len(_hyphenation(language).positions(word)) + 1


def readability(sentences: Sequence[str]) -> dict[str, float]:
    """Flesch reading ease and Flesch–Kincaid grade of English sentences; code counts as one short word.

    R. Flesch, "A new readability yardstick", Journal of Applied Psychology 32 (1948):
    206.835 − 1.015 · words/sentences − 84.6 · syllables/words. J. P. Kincaid et al., "Derivation of new
    readability formulas", Naval Technical Training Command, report 8-75 (1975):
    0.39 · words/sentences + 11.8 · syllables/words − 15.59. Both are 0 for an empty text.
    """
    found = [word for sentence in sentences for word in words(_CODE.sub("x", sentence))]
    if not found or not sentences:
        return {"flesch_reading_ease": 0.0, "flesch_kincaid_grade": 0.0}
    per_sentence = len(found) / len(sentences)
    per_word = sum(syllables(word) for word in found) / len(found)
    return {
        "flesch_reading_ease": round(206.835 - 1.015 * per_sentence - 84.6 * per_word, 1),
        "flesch_kincaid_grade": round(0.39 * per_sentence + 11.8 * per_word - 15.59, 1),
    }
