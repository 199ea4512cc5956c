"""What each rule file may hold."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]
"""A regular expression in Python's syntax; searched for in any case (upper or lower)."""


class Asset(_Strict):
    """A listed asset. Several may bear one ticker; the id tells them apart."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$")
    ticker: str = Field(min_length=1, max_length=12)
    name: str = Field(min_length=1)
    chains: tuple[str, ...] = ()


class Assets(_Strict):
    """The assets that the newsroom writes about: `assets.yaml`."""

    source: str
    assets: tuple[Asset, ...]


class ClaimPattern(_Strict):
    """A kind of forbidden claim: any of the patterns, unless what stands around it negates or reports it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    why: str
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    severity: Literal["block", "warn"] = "block"


class Claims(_Strict):
    """Promises and advice that an article must not contain: `claims.yaml`. `exceptions` are patterns of a
    sentence that speaks about such claims instead of making them ("no investment is …")."""

    source: str
    forbidden: tuple[ClaimPattern, ...]
    exceptions: tuple[Pattern, ...] = ()
    promotion: tuple[Pattern, ...] = Field((), description="what makes a text a promotion")


class Injection(_Strict):
    """Text of a source that tries to instruct an agent: `injection.yaml`."""

    source: str
    patterns: tuple[Pattern, ...]


class Notice(_Strict):
    """A locked text that articles of a jurisdiction bear word for word. `when`: `always`, `promotion`
    (the text promotes an asset or service), or `unreviewed_ai` (written by an agent and not approved by
    an editor). `position`: `top` (before anything else of the body), `after_lead` (before the first
    heading) or `end`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    text: str = Field(min_length=20)
    position: Literal["top", "after_lead", "end"]
    when: Literal["always", "promotion", "unreviewed_ai"]
    source: str


class Jurisdiction(_Strict):
    """What a jurisdiction asks of an article."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    name: str
    note: str = ""
    notices: tuple[Notice, ...] = ()
    forbidden: tuple[ClaimPattern, ...] = ()


class Jurisdictions(_Strict):
    """Notices and forbidden claims by jurisdiction: `jurisdictions.yaml`."""

    note: str
    jurisdictions: tuple[Jurisdiction, ...]


class Links(_Strict):
    """Where links may lead: `links.yaml`. `block`: domains (with their subdomains) that are known to be
    bad; `allow`: domains that are the real ones; `brands`: names that only an allowed domain may bear."""

    source: str
    block: tuple[str, ...]
    allow: tuple[str, ...]
    brands: tuple[str, ...] = ()


class Limits(_Strict):
    """The numbers at which checks speak up: `limits.yaml`."""

    fact_tolerance: float = Field(gt=0, lt=1, description="relative, of a number against a market fact")
    price_max_age_hours: float = Field(gt=0, description="a cited price older than this is stale")
    price_max_drift: float = Field(
        gt=0, description="relative change of the newest price"
    )
    duplicate_similarity: float = Field(gt=0, le=1, description="Jaccard of word 5-grams, of articles")
    source_overlap: float = Field(gt=0, le=1, description="share of the article's 8-grams in one reference")
    source_concentration: float = Field(gt=0, le=1, description="Herfindahl-Hirschman index of references")
    reading_ease_min: float = Field(description="Flesch reading ease")
    grade_max: float = Field(description="Flesch-Kincaid grade")
    title_max: int = Field(gt=0, description="characters of the title")
