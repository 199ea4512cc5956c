"""What a fake GitHub holds beside its repositories: who may do what, its limits, the faults in store."""

import time
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from tests.fakes.github.repo import Repo

TOKEN = "github_pat_fake_4tTq0Zsecretsecret"
APP_ID = "4711"
WRITE = {"contents": "write", "pull_requests": "write", "metadata": "read"}


@lru_cache(maxsize=1)
def _key() -> tuple[str, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem.decode(), key.public_key()


def app_key() -> str:
    """The private key of the App, made anew for each process, in PEM format."""
    return _key()[0]


def public_key() -> Any:
    return _key()[1]


@dataclass
class Access:
    """What a token may do, and where. `expires` is a time of `time.time`."""

    kind: str  # "personal access token" or "integration", as GitHub's messages call them
    permissions: dict[str, str] = field(default_factory=lambda: dict(WRITE))
    repos: set[str] | None = None  # None: all
    expires: float = float("inf")


@dataclass(frozen=True)
class Fault:
    """`kind`: status, primary or secondary (rate limits), truncated, slow. With `after` the call's effect
    takes place and only the answer is lost; truncated is always so."""

    kind: str = "status"
    status: int = 500
    after: bool = False
    seconds: int = 30


@dataclass(frozen=True)
class Call:
    verb: str
    path: str
    status: int
    body: Any = None


class GitHub:
    """All of it. `next(...)` queues faults for the next calls, `at(n, fault)` for the n-th from now (1 is the
    next); `calls` is what was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.repos: dict[str, Repo] = {}
        self.tokens: dict[str, Access] = {TOKEN: Access("personal access token")}
        self.installations: dict[str, int] = {}  # full name -> id: where the App is installed
        self.suspended = False
        self.token_seconds = 3600.0
        self.calls: list[Call] = []
        self.limit, self.used, self.reset = 5000, 0, int(time.time()) + 3600
        self._next: deque[Fault | None] = deque()
        self._count, self._at = 0, dict[int, Fault]()

    def add(self, name: str, files: dict[str, str | bytes] | None = None, *, private: bool = False) -> Repo:
        repo = self.repos[name] = Repo(name, private=private)
        if files is not None:
            repo.push("main", "First commit", dict(files))
        return repo

    def next(self, *faults: Fault | None) -> None:
        self._next.extend(faults)

    def at(self, number: int, fault: Fault) -> None:
        self._at[self._count + number] = fault

    def calm(self) -> None:
        """Forget the faults that are still in store."""
        self._next.clear()
        self._at.clear()

    def fault(self) -> Fault | None:
        self._count += 1
        return self._at.pop(self._count, None) or (self._next.popleft() if self._next else None)

    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.verb != "GET"]


def sample(github: GitHub) -> None:
    """A content repository to publish to, for people who try it."""
    readme = "# Content\n\nArticles come in by pull request.\n"
    github.add("newsroom/content", {"README.md": readme, "content/articles/.gitkeep": ""})
    github.installations["newsroom/content"] = 1
