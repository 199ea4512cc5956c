"""What a kind of publishing target is: it hands one version of an article to readers, or takes it back.

A target writes nothing of ours. It is called again after any failure, also when its first call went through
and nobody learnt of it: so it looks for what it made before (by the article's id, which it leaves there) and
updates that, and a second call for the same version changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from cryptocontent.errors import Explained
from cryptocontent.publishing.render import Rendered
from cryptocontent.settings import Settings


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where an article is at its target: the target's id for it, its address for people, and whatever the
    target needs to find it again (`{"branch": …, "pull_request": 7, "state": "open"}`)."""

    external_id: str
    url: str
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A published article, for feeds and sitemaps. `published_at` is of its first publication; `html()` the
    whole page as `render.to_html` makes it, rendered when it is asked for."""

    article_id: str
    slug: str
    title: str
    description: str
    keywords: tuple[str, ...]
    html: Callable[[], str]
    published_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Parcel:
    """A version on its way. `image(file_name)` gives the bytes of an image of `rendered.images`' values or of
    its renditions; `listed()` all that the project has published, newest first. `previous` is where the
    target had the article before, if it had it."""

    project_id: str
    article_id: str
    version_id: str
    rendered: Rendered
    published_at: datetime
    image: Callable[[str], bytes]
    listed: Callable[[], list[Listed]]
    previous: Delivered | None = None


class TryLater(Explained, ConnectionError):
    """The target does not answer, or asks for patience: `seconds`, if it said for how long."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Target(Protocol):
    """A kind of target. `Refused` is for what no later try mends; everything else is `TryLater`."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The configuration with its defaults; `Refused` names the field, the value and what is allowed."""

    def off(self, settings: Settings) -> str:
        """Why nothing can be delivered with these settings ("GITHUB_TOKEN is not set"), else ""."""

    def deliver(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        """Make the target show this version."""

    def withdraw(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        """Make the target show the article no more; `parcel.previous` is where it is. The parcel's version is
        the one that was live."""

    def follow(self, settings: Settings, config: Mapping[str, Any], delivered: Delivered) -> Delivered | None:
        """What has become of a delivery since (a pull request was merged), or `None` if nothing has, or
        nothing more can."""


@runtime_checkable
class Probing(Protocol):
    """A kind that can be asked whether it would take a delivery, for people who set it up."""

    def probe(self, settings: Settings, config: Mapping[str, Any]) -> str:
        """Ask the target, change nothing; one line on what it said. Errors as of `Target.deliver`."""
