"""What a site holds: users, posts, media, terms; and the faults that are to come."""

import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

USER, PASSWORD = "newsroom", "abcd EFGH 1234 ijkl MNOP 6789"
_CAPABILITIES = {
    "contributor": {"read", "edit_posts"},
    "author": {"read", "edit_posts", "publish_posts", "upload_files", "delete_posts"},
}
CAPABILITIES = _CAPABILITIES | {
    "editor": _CAPABILITIES["author"] | {"manage_categories", "edit_others_posts", "read_private_posts"}
}
STATUSES = ("publish", "future", "draft", "pending", "private")


@dataclass
class Post:
    id: int
    author: str
    title: str = ""
    content: str = ""
    excerpt: str = ""
    slug: str = ""
    status: str = "draft"
    date_gmt: str = ""
    categories: list[int] = field(default_factory=list)
    tags: list[int] = field(default_factory=list)
    featured_media: int = 0
    changes: int = 0


@dataclass
class Media:
    id: int
    slug: str
    title: str
    alt_text: str
    caption: str
    file: str
    mime_type: str
    data: bytes


@dataclass
class Term:
    id: int
    name: str
    slug: str


@dataclass(frozen=True)
class Fault:
    """What happens to a request: `status` (an error, `after` its effect took place), `limit` (429 with
    Retry-After), `slow` (an answer after `seconds`; `stuck` is set while it waits), `truncated`, `html` (a
    page of something before it). Only requests of that method whose path holds `path`."""

    kind: str
    status: int = 500
    seconds: float = 1
    after: bool = False
    method: str = ""
    path: str = ""


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    status: int
    body: Any


class WordPress:
    """A site. Everything may be read and changed by tests; `lock` is held while a request is worked on."""

    def __init__(self) -> None:
        self.url = ""
        self.users: dict[str, tuple[str, str]] = {USER: (PASSWORD, "editor")}
        self.posts: dict[int, Post] = {}
        self.media: dict[int, Media] = {}
        self.terms: dict[str, dict[int, Term]] = {
            "categories": {1: Term(1, "Uncategorized", "uncategorized")},
            "tags": {},
        }
        self.calls: list[Call] = []
        self.clock_behind = 0.0  # seconds
        self._faults: list[Fault] = []
        self._ids = 1
        self.stuck = threading.Event()
        self.lock = threading.Lock()

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    def fail(self, *faults: Fault) -> None:
        """These faults, one each for the next requests that they fit."""
        self._faults += faults

    def fault(self, method: str, path: str) -> Fault | None:
        for fault in self._faults:
            if fault.method in ("", method) and fault.path in path:
                self._faults.remove(fault)
                return fault
        return None

    def now(self) -> datetime:
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() - self.clock_behind, UTC)

    def live(self) -> list[Post]:
        return [post for post in self.posts.values() if post.status == "publish"]

    def unique_slug(self, slug: str, but: int) -> str:
        """As `wp_unique_post_slug`: `-2`, `-3` … where another post or file has it."""
        posts = {one.slug for one in self.posts.values() if one.id != but and one.status != "draft"}
        taken = posts | {one.slug for one in self.media.values() if one.id != but}
        number, unique = 2, slug
        while unique in taken:
            unique, number = f"{slug}-{number}", number + 1
        return unique

    def link(self, post: Post) -> str:
        return f"{self.url}/{post.slug}/" if post.status == "publish" else f"{self.url}/?p={post.id}"


def slug_of(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def sample() -> WordPress:
    """A site with a post of somebody else."""
    site = WordPress()
    hello = Post(
        site.new_id(), "admin", "Hello world!", "<p>Welcome.</p>", slug="hello-world", status="publish"
    )
    site.posts[hello.id] = hello
    return site
