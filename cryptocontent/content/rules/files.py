"""What each rule file may hold."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator


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

Excuse = Pattern
"""A pattern of a sentence that speaks of something instead of saying it. `{claim}` in it stands for the
words that were found: `no \\w+ is {claim}` excuses "no coin is risk-free", and "no coin is like ours: it is
risk-free" not."""

Words = tuple[Annotated[str, AfterValidator(str.lower)], ...]
"""Words, or parts of words: a text without any of them is not searched for the patterns that stand beside
them. They save time only; without them every pattern is tried."""


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
    words: Words = ()
    patterns: tuple[Pattern, ...] = Field(min_length=1)
    severity: Literal["block", "warn"] = "block"


class Promotion(_Strict):
    """What makes a text an invitation to buy, invest or sign up: any of the patterns, unless excused."""

    words: Words = ()
    patterns: tuple[Pattern, ...] = ()


class Claims(_Strict):
    """Promises and advice that an article must not contain: `claims.yaml`. `exceptions` excuse sentences
    that speak about such claims instead of making them ("no investment is …")."""

    source: str
    forbidden: tuple[ClaimPattern, ...]
    exceptions: tuple[Excuse, ...] = ()
    promotion: Promotion = Promotion()


class Injection(_Strict):
    """Text of a source that tries to instruct an agent: `injection.yaml`. `exceptions` excuse sentences
    that quote or explain such text."""

    source: str
    words: Words = ()
    patterns: tuple[Pattern, ...]
    exceptions: tuple[Excuse, ...] = ()


def _stands_in_a_fence(text: str) -> str:
    if any(line.lstrip().startswith((":::", "```", "~~~", "#")) for line in text.splitlines()):
        raise ValueError("a line of a notice can't begin with :::, ```, ~~~ or #")
    return text


class Notice(_Strict):
    """A locked text that articles of a jurisdiction bear word for word. `when`: `always`, `promotion`
    (the text promotes an asset or service), or `unreviewed_ai` (written by an agent and not approved by
    an editor). `position`: `top` (before anything else of the body), `after_lead` (before the first
    heading) or `end`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    text: Annotated[str, AfterValidator(_stands_in_a_fence)] = Field(min_length=20)
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
    """Notices and forbidden claims by jurisdiction: `jurisdictions.yaml`. No two share an id, nor do two
    notices: an article names them by it."""

    note: str
    jurisdictions: tuple[Jurisdiction, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [one.id for one in self.jurisdictions]
        notices = [notice.id for one in self.jurisdictions for notice in one.notices]
        for what, names in (("jurisdiction", ids), ("notice", notices)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} {twice[0]!r} stands twice; an id is allowed once")
        return self


Domain = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$")]
"""A domain in lower case, without scheme, port or path; a name in other letters in its `xn--` form."""

Label = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]
"""A word as it stands in a domain: lower-case letters and digits."""


class Links(_Strict):
    """Where links may lead: `links.yaml`.

    `block`: domains (with their subdomains) that are known to be bad, `block_patterns`: patterns of a host
    that no honest one has; `allow`: domains (with their subdomains) that are the real ones; `brands`: names
    that only an allowed domain may bear in any part of its own; `word_brands`: names that are also ordinary
    words, so that another domain may bear one, only not beside one of the `lures` ("ledger-support");
    `shorteners`: domains that hide where a link leads.
    """

    source: str
    block: tuple[Domain, ...]
    block_patterns: tuple[Pattern, ...] = ()
    allow: tuple[Domain, ...]
    brands: tuple[Label, ...] = ()
    word_brands: tuple[Label, ...] = ()
    lures: tuple[Label, ...] = ()
    shorteners: tuple[Domain, ...] = ()


class Limits(_Strict):
    """The numbers at which checks speak up: `limits.yaml`."""

    fact_tolerance: float = Field(gt=0, lt=1, description="relative, of a number against a market fact")
    price_max_age_hours: float = Field(gt=0, description="a cited price older than this is stale")
    price_max_drift: float = Field(gt=0, description="relative change of the newest price")
    duplicate_similarity: float = Field(gt=0, le=1, description="Jaccard of word 5-grams, of articles")
    source_overlap: float = Field(gt=0, le=1, description="share of the article's 8-grams in one reference")
    source_concentration: float = Field(gt=0, le=1, description="Herfindahl-Hirschman index of references")
    reading_ease_min: float = Field(description="Flesch reading ease")
    grade_max: float = Field(description="Flesch-Kincaid grade")
    title_max: int = Field(gt=0, description="characters of the title")
