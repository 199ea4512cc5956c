"""What a website holds, what it was asked, and what it is to do wrong next: plain data."""

import gzip
import hashlib
from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class Resource:
    """What a path answers. `encoding` is `gzip` or nothing; without `validators` it has neither ETag nor
    date. A `location` makes it a redirect."""

    body: bytes = b""
    media_type: str = "text/html; charset=utf-8"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    location: str = ""
    encoding: str = ""
    validators: bool = True
    last_modified: str = "Sun, 01 Nov 2026 10:00:00 GMT"

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:16]}"'

    @property
    def sent(self) -> bytes:
        return gzip.compress(self.body) if self.encoding == "gzip" else self.body


@dataclass(frozen=True)
class Fault:
    """`status` answers with it (and `headers`), `slow` answers after `seconds`, `truncated` breaks off in the
    middle of the body."""

    kind: str = "status"
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A request."""

    path: str
    headers: dict[str, str]
    status: int


@dataclass
class Site:
    """`resources` by path (with query, if it has one); `faults[path]`, one for each request, in order."""

    resources: dict[str, Resource] = field(default_factory=dict)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def page(self, path: str, text: str, title: str = "", head: str = "", **options: object) -> Resource:
        """An article that extraction finds: `text` in a page with navigation around it."""
        body = (
            f"<!doctype html><html lang='en'><head><title>{title or path}</title>{head}</head><body>"
            "<nav><a href='/'>Home</a> <a href='/about'>About us</a></nav>"
            f"<main><article><h1>{title or path}</h1>{text}</article></main>"
            "<footer>Imprint and cookies</footer></body></html>"
        )
        return self.put(path, body, **options)

    def put(
        self,
        path: str,
        body: str | bytes = "",
        media_type: str = "text/html; charset=utf-8",
        **options: object,
    ) -> Resource:
        data = body.encode() if isinstance(body, str) else body
        resource = Resource(data, media_type, **options)  # type: ignore[arg-type]
        self.resources[path] = resource
        return resource

    def redirect(self, path: str, location: str, status: int = 302) -> None:
        self.resources[path] = Resource(status=status, location=location)

    def robots(self, text: str, status: int = 200) -> None:
        self.resources["/robots.txt"] = Resource(text.encode(), "text/plain", status)

    def paths(self) -> list[str]:
        """The paths that were asked for, robots.txt apart."""
        return [one.path for one in self.asked if one.path != "/robots.txt"]


def paragraphs(topic: str, count: int = 3) -> str:
    """Enough text about something for an extractor to take it for an article."""
    sentence = (
        f"The team behind {topic} described how {topic} settles transactions, what it costs, and who may run "
        "a node; the figures come from its public dashboards and were read on the day of writing."
    )
    return "".join(f"<p>{number}. {sentence}</p>" for number in range(1, count + 1))
