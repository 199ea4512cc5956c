"""WordPress' REST API (`/wp-json/wp/v2`), as far as publishing needs it, by application passwords.

Formats: https://developer.wordpress.org/rest-api/reference/. Nothing here waits for a limit to pass, and
nothing is asked twice: `Unavailable` says for how long a site wants to be left alone, and the next delivery
looks for what this one made.
"""

import mimetypes
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from cryptocontent.errors import Explained, Refused
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

_SILENCE, _TOTAL = 20.0, 60.0  # seconds, of one answer
_MOST_BYTES = 10_000_000
_LIMIT_SECONDS = 60.0  # where a site that limits names no time
_CREDENTIALS_SECONDS = 900.0
_MESSAGE = 300
_POST_FIELDS = "id,slug,status,link,content"
# What `status=any` leaves out is wanted too.
_EVERY_STATUS = "publish,future,draft,pending,private,trash"


class Problem(Refused):
    """An error of WordPress' own: its `code`, and the `data` that came with it."""

    def __init__(self, message: str, status: int, code: str, data: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.status, self.code, self.data = status, code, data


@dataclass(frozen=True, slots=True)
class Post:
    """A post; `content` is its source, as it was sent."""

    id: int
    slug: str
    status: str
    link: str
    content: str


@dataclass(frozen=True, slots=True)
class Media:
    """A file of the media library and its address."""

    id: int
    slug: str
    url: str


def is_loopback(host: str) -> bool:
    """Whether a host's name is that of this machine, where a password may travel without TLS."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def login_of(settings: Settings, site: str) -> tuple[str, str] | None:
    """User and application password for a site, by its host (with its port, if the key has one)."""
    parts = urlsplit(site)
    for host in (parts.netloc.lower(), (parts.hostname or "").lower()):
        if secret := settings.wordpress_logins.get(host):
            user, separator, password = secret.get_secret_value().partition(":")
            return (user, password) if separator and user and password else None
    return None


@contextmanager
def open_site(settings: Settings, site: str) -> Iterator["WordPress"]:
    """A client for the site at that address (`https://blog.example`)."""
    login = login_of(settings, site)
    host = urlsplit(site).netloc
    if login is None:
        raise Refused(f'WORDPRESS_LOGINS: there is no entry "{host}": "user:application password"')
    with httpx.Client(
        base_url=f"{site.rstrip('/')}/wp-json/wp/v2/",
        auth=httpx.BasicAuth(*login),
        timeout=_SILENCE,
        follow_redirects=False,
        headers={"User-Agent": "cryptocontent", "Accept": "application/json"},
    ) as http:
        yield WordPress(http, host, login)


class WordPress:
    """A site, as one of its users."""

    def __init__(self, http: httpx.Client, host: str, login: tuple[str, str]) -> None:
        self._http, self.host, self._login = http, host, login

    @property
    def user(self) -> str:
        """Whose application password it is."""
        return self._login[0]

    def me(self) -> dict[str, Any]:
        """The user's own account with its capabilities."""
        found: dict[str, Any] = self._call("GET", "users/me", params={"context": "edit"})
        return found

    def posts(self, **search: str) -> list[Post]:
        """Posts of any state, also in the trash, by `slug` (several, by commas) or `search` (a word)."""
        asked = {"status": _EVERY_STATUS, "context": "edit", "per_page": "20", "_fields": _POST_FIELDS}
        return [_post(one) for one in self._call("GET", "posts", params=asked | search)]

    def post(self, post_id: int) -> Post | None:
        """The post of that id, if there is one."""
        try:
            asked = {"context": "edit", "_fields": _POST_FIELDS}
            return _post(self._call("GET", f"posts/{post_id}", params=asked))
        except Problem as problem:
            if problem.status in (404, 410):
                return None
            raise

    def create_post(self, fields: Mapping[str, Any]) -> Post:
        """Make a post."""
        return _post(self._call("POST", "posts", params={"context": "edit"}, json=dict(fields)))

    def update_post(self, post_id: int, fields: Mapping[str, Any]) -> Post:
        """Change fields of a post."""
        return _post(self._call("POST", f"posts/{post_id}", params={"context": "edit"}, json=dict(fields)))

    def trash_post(self, post_id: int) -> Post | None:
        """Move a post to the trash; `None` if it is there already, or gone."""
        try:
            return _post(self._call("DELETE", f"posts/{post_id}"))
        except Problem as problem:
            if problem.status in (404, 410):
                return None
            raise

    def media(self, slugs: Sequence[str]) -> dict[str, Media]:
        """Files of the media library by their slugs."""
        found: dict[str, Media] = {}
        for start in range(0, len(slugs), 50):
            asked = {"slug": ",".join(slugs[start : start + 50]), "per_page": "100"}
            for one in self._call("GET", "media", params=asked | {"_fields": "id,slug,source_url"}):
                media = _media(one)
                found[media.slug] = media
        return found

    def upload(self, name: str, data: bytes, fields: Mapping[str, str]) -> Media:
        """Put a file into the media library, with its `slug`, `title`, `alt_text`, `caption`."""
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return _media(self._call("POST", "media", data=dict(fields), files={"file": (name, data, kind)}))

    def terms(self, taxonomy: str, names: Mapping[str, str]) -> dict[str, int]:
        """Ids of `categories` or `tags` by slug, of those that there are of `names` (slug → name)."""
        slugs = list(names)
        found: dict[str, int] = {}
        for start in range(0, len(slugs), 50):
            asked = {"slug": ",".join(slugs[start : start + 50]), "per_page": "100", "_fields": "id,slug"}
            for one in self._call("GET", taxonomy, params=asked):
                found[_field(one, "slug", str)] = _field(one, "id", int)
        return found

    def create_term(self, taxonomy: str, slug: str, name: str) -> int:
        """Make a category or tag; the one that bears the name already is taken."""
        try:
            made = self._call("POST", taxonomy, json={"name": name, "slug": slug})
            return int(_field(made, "id", int))
        except Problem as problem:
            if problem.code == "term_exists" and isinstance(problem.data.get("term_id"), int):
                return int(problem.data["term_id"])
            raise

    def _call(self, method: str, path: str, **sent: Any) -> Any:
        deadline = time.monotonic() + _TOTAL
        try:
            with self._http.stream(method, path, **sent) as response:
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _MOST_BYTES or time.monotonic() > deadline:
                        raise Unavailable(f"{self.host}: its answer is too large or too slow")
        except httpx.HTTPError as error:
            raise Unavailable(f"{self.host} does not answer ({type(error).__name__})") from None
        data = _json(response, body)
        if response.is_success:
            if data is None:
                raise Unavailable(f"{self.host}: its answer is not JSON; is the REST API switched on?")
            return data
        raise self._problem(response, data)

    def _problem(self, response: httpx.Response, data: Any) -> Explained:
        status = response.status_code
        code, said, more = "", "", dict[str, Any]()
        if isinstance(data, dict) and isinstance(data.get("code"), str):
            code, said = data["code"], self._said(str(data.get("message") or ""))
            more = data["data"] if isinstance(data.get("data"), dict) else {}
        if status in (408, 425, 429):
            wait = _patience(response) or _LIMIT_SECONDS
            return Unavailable(f"{self.host} asks to wait for {wait:.0f} s ({status})", wait)
        if status >= 500:
            return Unavailable(f"{self.host} answers {status} {said}".strip(), _patience(response))
        if response.is_redirect:
            where = urlsplit(response.headers.get("location", ""))
            to = f"{where.scheme}://{where.hostname}" if where.hostname else "elsewhere"
            return Refused(f"url: {self.host} redirects to {to}; set the address that it redirects to")
        if status == 401:
            text = f"{self.host} does not accept the login of WORDPRESS_LOGINS ({said or 'no reason given'})"
            return Unavailable(f"{text}. Set a new one; deliveries go on by themselves", _CREDENTIALS_SECONDS)
        if not code:
            text = f"{self.host} answers {status} without an error of WordPress: "
            if status == 404:
                return Refused(f"{text}there is no REST API at {response.request.url.copy_with(query=None)}")
            return Unavailable(f"{text}a firewall may stand before it", _CREDENTIALS_SECONDS)
        if code == "rest_no_route":
            return Refused(f"{self.host}: {said} ({code}); its REST API lacks what publishing needs")
        who = f"user {self.user} may not do this: " if status == 403 else ""
        return Problem(f"{self.host}: {who}{said} ({code})", status, code, more)

    def _said(self, message: str) -> str:
        plain = " ".join(unescape(re.sub(r"<[^>]*>", " ", message)).split())
        return plain.replace(self._login[1], "…")[:_MESSAGE].rstrip(". ")


def _json(response: httpx.Response, body: bytes) -> Any:
    import json

    try:
        return json.loads(body)
    except ValueError:
        return None


def _field(data: Any, name: str, kind: type[Any]) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get(name), kind):
        raise Unavailable(f"an answer without {name!r} is not one of WordPress")
    return data[name]


def _post(data: Any) -> Post:
    content = data.get("content") if isinstance(data, dict) else None
    raw = content.get("raw") if isinstance(content, dict) else None
    return Post(
        _field(data, "id", int),
        _field(data, "slug", str),
        _field(data, "status", str),
        _field(data, "link", str),
        raw if isinstance(raw, str) else "",
    )


def _media(data: Any) -> Media:
    return Media(_field(data, "id", int), _field(data, "slug", str), _field(data, "source_url", str))


def _patience(response: httpx.Response) -> float | None:
    """`Retry-After`, in seconds or as a date."""
    after = response.headers.get("retry-after", "").strip()
    if after.isdigit():
        return float(after)
    try:
        until = parsedate_to_datetime(after)
    except (TypeError, ValueError):
        return None
    return max((until.astimezone(UTC) - datetime.now(UTC)).total_seconds(), 1.0)
