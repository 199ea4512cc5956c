"""Hosts of links: their registered domain, the scripts that they are written in, and what they look like."""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptocontent.content.rules.files import Links

_DOTS = str.maketrans("。．｡", "...")
_RESERVED = frozenset({"example", "test", "invalid", "localhost", "onion", "local"})
_NUMBER = re.compile(r"0x[0-9a-f]*|\d+", re.I)
# Looks alike in most typefaces: both sides are folded to one form before they are compared.
_FOLDS = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"))
# A label may mix these scripts (Unicode UTS 39, "highly restrictive").
_MIXTURES = (
    {"LATIN", "HAN", "HIRAGANA", "KATAKANA"},
    {"LATIN", "HAN", "BOPOMOFO"},
    {"LATIN", "HAN", "HANGUL"},
)
_ENDING = re.compile(r"(?:com|org|net|io|co)-")


@dataclass(frozen=True, slots=True)
class Host:
    """A host: `name` in lower case with its own letters, `ascii` in the form that is looked up (`xn--`),
    `domain` what was registered (with its public suffix), `label` that without the suffix, `below` the
    labels in front of it, `suffix` the public suffix, empty for a name that nobody can register."""

    name: str
    ascii: str
    domain: str
    label: str
    below: tuple[str, ...]
    suffix: str


@lru_cache(maxsize=1)
def _extract() -> Any:
    from tldextract import TLDExtract

    # The list of public suffixes that the package brings along: nothing is fetched and nothing written.
    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)


@lru_cache(maxsize=4096)
def host_of(text: str) -> Host:
    """A host in its parts."""
    labels = [_decoded(label) for label in text.translate(_DOTS).lower().strip(".").split(".")]
    name = ".".join(labels)
    parts = _extract()(name)
    suffix = parts.suffix or (labels[-1] if labels[-1] in _RESERVED else "")
    # A reserved name has no public suffix: what stands before its last dot is taken as registered.
    below = parts.subdomain
    domain = f"{parts.domain}.{parts.suffix}" if parts.suffix else ".".join(labels[-2:])
    if not parts.suffix:
        below = ".".join(labels[:-2])
    label = parts.domain if parts.suffix else labels[-2] if len(labels) > 1 else labels[0]
    return Host(
        name, ".".join(map(_encoded, labels)), domain, label, tuple(below.split(".")) if below else (), suffix
    )


def _decoded(label: str) -> str:
    if not label.startswith("xn--"):
        return unicodedata.normalize("NFKC", label).lower()
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _encoded(label: str) -> str:
    return label if label.isascii() else "xn--" + label.encode("punycode").decode("ascii")


def is_address(host: str) -> bool:
    """Whether a host is an IP address in any form that browsers take (dotted, one number, hex, octal, v6)."""
    if ":" in host:
        try:
            ipaddress.ip_address(host.strip("[]").partition("%")[0])
        except ValueError:
            return False
        return True
    last = host.translate(_DOTS).rstrip(".").rpartition(".")[2]
    return bool(_NUMBER.fullmatch(last))


def under(host: str, domains: frozenset[str]) -> str | None:
    """The domain of the set that the host is, or is below of."""
    labels = host.split(".")
    return next((domain for n in range(len(labels)) if (domain := ".".join(labels[n:])) in domains), None)


def scripts(label: str) -> set[str]:
    """The scripts of a label's letters (`LATIN`, `CYRILLIC`, …)."""
    from confusable_homoglyphs import categories

    return set(categories.unique_aliases(label)) - {"COMMON", "INHERITED"}


def mixes_scripts(label: str) -> bool:
    """Whether a label mixes scripts that no language writes together."""
    found = scripts(label)
    return len(found) > 1 and not any(found <= mixture for mixture in _MIXTURES)


@lru_cache(maxsize=8192)
def skeleton(label: str) -> str:
    """What a label looks like: letters of other scripts as the Latin ones that they resemble, without
    accents, and digits as letters. Two labels with one skeleton are easily taken for each other."""
    text = label if label.isascii() else "".join(map(_latin, unicodedata.normalize("NFKD", label)))
    for drawn, meant in _FOLDS:
        text = text.replace(drawn, meant)
    return text


@lru_cache(maxsize=4096)
def _latin(char: str) -> str:
    from confusable_homoglyphs.confusables import confusables_data

    if char.isascii():
        return char
    if unicodedata.combining(char):
        return ""
    # The data have no entry back for small capitals and the like that look as their capital does.
    for one in (char, char.upper()):
        for other in confusables_data.get(one, ()):
            if other["c"].isascii() and other["c"].isalnum():
                return str(other["c"]).lower()
    return char


@dataclass(frozen=True, slots=True)
class _Known:
    """What look-alikes are measured against, prepared once for a list of rules."""

    allow: frozenset[str]
    brands: frozenset[str]
    word_brands: frozenset[str]
    lures: frozenset[str]
    skeletons: dict[str, str]
    labels: dict[str, tuple[str, ...]]


def known(links: Links) -> _Known:
    """The lists of `links.yaml`, prepared."""
    return _known(links.allow, links.brands, links.word_brands, links.lures)


@lru_cache(maxsize=8)
def _known(
    allow: tuple[str, ...], brands: tuple[str, ...], word_brands: tuple[str, ...], lures: tuple[str, ...]
) -> _Known:
    hosts = [host_of(domain) for domain in allow]
    # Below four letters everything looks like everything.
    names = {
        **{brand: brand for brand in (*word_brands, *brands)},
        **{one.label: one.domain for one in hosts},
    }
    labels: dict[str, tuple[str, ...]] = {}
    for one in hosts:
        labels[one.suffix] = (*labels.get(one.suffix, ()), one.label)
    return _Known(
        frozenset(allow),
        frozenset(brands),
        frozenset(word_brands),
        frozenset(lures),
        {skeleton(label): meant for label, meant in names.items() if len(label) >= 4},
        labels,
    )


def lookalike(host: Host, lists: _Known) -> str | None:
    """The name that a host pretends to be, if it is none of the allowed ones; else None."""
    if under(host.ascii, lists.allow):
        return None
    return (
        _embedded(host, lists.allow)
        or _homoglyph(host.label, lists)
        or _bears_brand((*host.below, host.label), lists)
        or _misspelt(host, lists)
    )


def _embedded(host: Host, allow: frozenset[str]) -> str | None:
    """`metamask.io.login.example` begins with a domain that it is not."""
    for start in range(len(host.below)):
        for end in range(start + 2, len(host.below) + 1):
            if (domain := ".".join(host.below[start:end])) in allow:
                return domain
    return None


def _homoglyph(label: str, lists: _Known) -> str | None:
    meant = lists.skeletons.get(skeleton(label))
    return meant if meant and label != meant.split(".")[0] else None


def _bears_brand(labels: Sequence[str], lists: _Known) -> str | None:
    for number, label in enumerate(labels):
        parts = [part for part in label.split("-") if part]
        joined = label.replace("-", "")
        lured = any(part in lists.lures for part in parts)
        for part in (*parts, joined):
            meant = _brand(part, lists.brands)
            if meant:
                return meant
            if part in lists.word_brands:
                continued = number + 1 < len(labels) and _ENDING.match(labels[number + 1])
                if continued or (lured and len(parts) > 1):
                    return part
        if meant := _with_lure(joined, lists):
            return meant
    return None


def _brand(part: str, brands: frozenset[str]) -> str | None:
    """The brand that a part of a label is, or is a slip of the pen away from."""
    if part in brands:
        return part
    folded = skeleton(part)
    near = 1 if len(part) >= 7 else 0
    return next(
        (
            brand
            for brand in brands
            if skeleton(brand) == folded
            or (near and abs(len(brand) - len(part)) <= 1 and _edits(part, brand, 1))
        ),
        None,
    )


def _with_lure(label: str, lists: _Known) -> str | None:
    """`uniswapairdrop`, `claimuniswap`: a brand and nothing but words that lure."""
    for brand in (*lists.brands, *(one for one in lists.word_brands if len(one) >= 6)):
        if brand in label and label != brand:
            before, _, after = label.partition(brand)
            if all(not rest or rest in lists.lures for rest in (before, after)):
                return brand
    return None


def _misspelt(host: Host, lists: _Known) -> str | None:
    """Few letters away from an allowed domain under the same suffix."""
    allowed: Iterable[str] = lists.labels.get(host.suffix, ())
    label = host.label.replace("-", "")
    for other in allowed:
        most = 0 if len(other) < 6 else 1 if len(other) < 10 else 2
        if most and label != other and abs(len(label) - len(other)) <= most and _edits(label, other, most):
            return f"{other}.{host.suffix}"
    return None


def _edits(left: str, right: str, most: int) -> bool:
    from rapidfuzz.distance import DamerauLevenshtein

    return 0 < DamerauLevenshtein.distance(left, right, score_cutoff=most) <= most
