"""Texts from elsewhere (an exception, a server's answer) without the secrets that this process knows."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from cryptocontent.settings import Settings

HIDDEN = "•••"
# Shorter ones would hide ordinary words.
_LEAST = 4
_PATTERNS = (
    (
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
        HIDDEN,
    ),
    (re.compile(r"(?<=://)[^/\s:@'\"]*:[^/\s'\"]+(?=@)"), HIDDEN),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}", re.I), rf"\1 {HIDDEN}"),
    (
        re.compile(
            r"([?&](?:api_?key|access_token|refresh_token|client_secret|token|key|sig|signature|secret|"
            r"password)=)[^&\s'\"]+",
            re.I,
        ),
        rf"\1{HIDDEN}",
    ),
    # As vendors write theirs, so that one that we were never told of is known too.
    (
        re.compile(
            r"\b(?:sk-[\w-]{16,}|xai-[\w-]{16,}|gh[opusr]_\w{20,}|github_pat_\w{20,}|lin_(?:api|oauth)_\w{16,}|"
            r"AIza[\w-]{30,}|ya29\.[\w-]{16,}|xox[abeoprs]-[\w-]{10,})"
        ),
        HIDDEN,
    ),
)


def scrubbed(text: str, settings: Settings) -> str:
    """The text with every secret value of the settings replaced, and with what looks like one."""
    for value in _secrets(settings):
        text = text.replace(value, HIDDEN)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def scrubbed_all(value: Any, settings: Settings) -> Any:
    """JSON whose texts are scrubbed."""
    if isinstance(value, str):
        return scrubbed(value, settings)
    if isinstance(value, list):
        return [scrubbed_all(one, settings) for one in value]
    if isinstance(value, dict):
        return {name: scrubbed_all(one, settings) for name, one in value.items()}
    return value


def _secrets(settings: Settings) -> tuple[str, ...]:
    """Longest first: one may be a part of another."""
    return _known(tuple(_values(settings)))


@lru_cache(maxsize=4)
def _known(values: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    for value in values:
        found |= {value, unquote(value), quote(value, safe="")}
        for line in value.splitlines():
            found.add(line.strip())
    return tuple(sorted((one for one in found if len(one) >= _LEAST), key=len, reverse=True))


def _values(settings: Settings) -> Iterator[str]:
    for name, value in settings:
        if isinstance(value, SecretStr):
            yield from _parts(value.get_secret_value())
        elif isinstance(value, dict):
            for one in value.values():
                if isinstance(one, SecretStr):
                    yield from _parts(one.get_secret_value())
        elif isinstance(value, str) and name.endswith("_url"):
            yield from _password(value)


def _parts(secret: str) -> Iterator[str]:
    """The secret; of `user:password` the password; of a URL its password and what stands behind the host."""
    yield secret
    if "://" in secret:
        yield from _password(secret)
        path = secret.split("://", 1)[1].partition("/")[2]
        if len(path) >= 2 * _LEAST:
            yield path
    elif ":" in secret:
        yield secret.partition(":")[2]


def _password(url: str) -> Iterator[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield password
