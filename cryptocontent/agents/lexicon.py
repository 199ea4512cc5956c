"""The word lists and patterns of `agents/data`, read once, when first needed."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_DATA = Path(__file__).with_name("data")


@cache
def data(name: str) -> Any:
    """The content of `data/<name>.yaml`."""
    return yaml.safe_load((_DATA / f"{name}.yaml").read_text(encoding="utf-8"))


@cache
def word_set(name: str, key: str) -> frozenset[str]:
    """A list of words, written with blanks between them."""
    return frozenset(word.replace("_", " ") for word in str(data(name)[key]).split())


@cache
def phrases(name: str, key: str, prefix: bool = False) -> re.Pattern[str]:
    """One pattern for a list of phrases, as whole words in any case (with `prefix`, as starts of words)."""
    ordered = sorted(data(name)[key], key=len, reverse=True)
    body = "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in ordered)
    end = "" if prefix else r"(?!\w)"
    return re.compile(rf"(?<![\w-])(?:{body}){end}", re.IGNORECASE)
