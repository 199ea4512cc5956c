"""GitHub's REST API for one repository, by PyGithub's requester: refs, trees, commits, pull requests."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from cryptocontent.errors import Refused
from cryptocontent.integrations.github_access import TIMEOUT, Missing, client, explained, off
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

if TYPE_CHECKING:
    from github import Github

_PAGE = 100
_OPEN_PAGES = 3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit: the ids of itself, its tree and its parents."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Pull:
    """A pull request. `state` is open, merged or closed; `mergeable` is `None` where GitHub has not said;
    `etag` is there if it was asked for alone."""

    number: int
    state: str
    title: str
    body: str
    branch: str
    base: str
    url: str
    merge_commit: str
    mergeable: bool | None
    labels: frozenset[str]
    reviewers: frozenset[str]
    ours: bool  # its branch is of this repository, not of a fork
    etag: str = ""


@contextmanager
def open_repository(settings: Settings, name: str, *, timeout: int = TIMEOUT) -> Iterator["Repository"]:
    """The repository `owner/name`. `Refused` and `Unavailable` are all that its methods raise; an answer
    may take `timeout` seconds."""
    if why := off(settings):
        raise Refused(why)
    github = client(settings, name, timeout)
    try:
        yield Repository(github, name, settings)
    finally:
        github.close()


class Repository:
    """What is done with a repository here: refs, trees, commits, files and pull requests."""

    def __init__(self, github: "Github", name: str, settings: Settings) -> None:
        self._github, self._settings = github, settings
        self.name, self.web = name, ""

    def settle(self) -> str:
        """The default branch; sets `web`, the repository's page. A repository that was renamed goes by its
        new name from here on: GitHub leads on from the old, but PyGithub loses parameters on the way."""

        def read(data: Any) -> tuple[str, str, str]:
            return str(data["full_name"]), str(data["html_url"]), str(data["default_branch"])

        self.name, self.web, branch = self._call(read, "GET", "")
        return branch

    def head(self, branch: str) -> str | None:
        """The commit at the head of a branch, or `None`: no such branch."""
        return self._maybe(lambda data: str(data["object"]["sha"]), f"/git/ref/heads/{quote(branch)}")

    def commit(self, sha: str) -> Commit:
        """A commit by its id."""
        return self._call(_commit, "GET", f"/git/commits/{sha}")

    def ahead(self, base: str, branch: str) -> list[Commit]:
        """The commits of `branch` that `base` lacks, oldest first."""

        def read(data: Any) -> list[Commit]:
            return [
                _commit({**one["commit"], "sha": one["sha"], "parents": one["parents"]})
                for one in data["commits"]
            ]

        return self._call(read, "GET", f"/compare/{quote(base)}...{quote(branch)}")

    def file(self, path: str, ref: str) -> str | None:
        """A file's text at a branch or commit, or `None`: there is none."""

        def read(data: Any) -> str | None:
            if not isinstance(data, dict) or data["type"] != "file":
                return None
            return base64.b64decode(data["content"]).decode("utf-8", "replace")

        return self._maybe(read, f"/contents/{quote(path)}", {"ref": ref})

    def blob(self, data: bytes) -> str:
        """The id of a file's content, stored now if it was not."""
        body = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
        return self._call(_sha, "POST", "/git/blobs", body)

    def tree(self, base: str, entries: list[dict[str, Any]]) -> str:
        """The id of the tree `base` with entries written over it: `{"path", "content"}`, `{"path", "sha"}`,
        and `{"path", "sha": None}` to remove a file, which has to be there. Equal trees have equal ids."""
        full = [{"mode": "100644", "type": "blob", **entry} for entry in entries]
        return self._call(_sha, "POST", "/git/trees", {"base_tree": base, "tree": full})

    def new_commit(self, message: str, tree: str, parent: str) -> str:
        """A commit's id; it is on no branch yet."""
        body = {"message": message, "tree": tree, "parents": [parent]}
        return self._call(_sha, "POST", "/git/commits", body)

    def create_branch(self, branch: str, sha: str) -> None:
        """A branch whose head is that commit."""
        self._call(_nothing, "POST", "/git/refs", {"ref": f"refs/heads/{branch}", "sha": sha})

    def move_branch(self, branch: str, sha: str, *, force: bool) -> None:
        """Move a branch's head. Without `force` it may only go on: `Unavailable` if somebody pushed."""
        try:
            self._call(_nothing, "PATCH", f"/git/refs/heads/{quote(branch)}", {"sha": sha, "force": force})
        except Refused as error:
            if "fast forward" in str(error):
                raise Unavailable(f"{self.name}: somebody pushed to {branch} meanwhile", 1) from None
            raise

    def delete_branch(self, branch: str) -> None:
        """Remove a branch, if it is there."""
        if self.head(branch):
            self._call(_nothing, "DELETE", f"/git/refs/heads/{quote(branch)}")

    def pulls_of(self, branch: str) -> list[Pull]:
        """All pull requests of a branch of this repository, newest first."""
        owner = self.name.partition("/")[0]
        found = self._pulls({"state": "all", "head": f"{owner}:{branch}"})
        return [pull for pull in found if pull.ours and pull.branch == branch]

    def open_pulls(self) -> Iterator[Pull]:
        """The newest open pull requests, at most some hundreds."""
        for page in range(1, _OPEN_PAGES + 1):
            found = self._pulls({"state": "open", "page": page})
            yield from found
            if len(found) < _PAGE:
                return

    def pull(self, number: int, etag: str = "") -> Pull | None:
        """A pull request; `None` if nothing of it changed since `etag`: that answer is free of the limit."""
        headers = {"If-None-Match": etag} if etag else None
        answer: dict[str, Any] = {}
        found = self._call(
            lambda data: _pull(data) if data else None, "GET", f"/pulls/{number}", None, None, headers, answer
        )
        return replace(found, etag=str(answer.get("etag", ""))) if found else None

    def create_pull(self, *, title: str, body: str, branch: str, base: str, draft: bool) -> Pull:
        """Open a pull request; `Refused` if the branch has one, with "already exists"."""
        fields = {"title": title, "body": body, "head": branch, "base": base, "draft": draft}
        return self._call(_pull, "POST", "/pulls", fields)

    def edit_pull(self, number: int, **fields: str) -> Pull:
        """Change title, body, state or base."""
        return self._call(_pull, "PATCH", f"/pulls/{number}", fields)

    def add_labels(self, number: int, labels: list[str]) -> None:
        """Add labels; those that the repository does not know are made."""
        self._call(_nothing, "POST", f"/issues/{number}/labels", {"labels": labels})

    def ask_for_review(self, number: int, people: list[str], teams: list[str]) -> None:
        """Ask for reviews; `Refused` if one of them has no access to the repository."""
        fields = {"reviewers": people, "team_reviewers": teams}
        self._call(_nothing, "POST", f"/pulls/{number}/requested_reviewers", fields)

    def _pulls(self, parameters: dict[str, Any]) -> list[Pull]:
        fixed = {"sort": "created", "direction": "desc", "per_page": _PAGE}
        return self._call(
            lambda data: [_pull(one) for one in data], "GET", "/pulls", None, parameters | fixed
        )

    def _maybe(
        self, read: Callable[[Any], T], path: str, parameters: dict[str, Any] | None = None
    ) -> T | None:
        try:
            return self._call(read, "GET", path, None, parameters)
        except Missing:
            return None

    def _call(
        self,
        read: Callable[[Any], T],
        verb: str,
        path: str,
        body: dict[str, Any] | None = None,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        answer: dict[str, Any] | None = None,
    ) -> T:
        """What `read` makes of GitHub's answer; the answer's headers are put into `answer`."""
        with explained(self.name, self._settings):
            got, data = self._github.requester.requestJsonAndCheck(
                verb, f"/repos/{self.name}{path}", parameters, headers, body
            )
            if answer is not None:
                answer.update(got)
            return read(data)


def _sha(data: Any) -> str:
    return str(data["sha"])


def _nothing(_data: Any) -> None:
    pass


def _commit(data: Mapping[str, Any]) -> Commit:
    parents = tuple(parent["sha"] for parent in data["parents"])
    return Commit(data["sha"], data["tree"]["sha"], parents, data["message"])


def _pull(data: Mapping[str, Any]) -> Pull:
    home = data["base"]["repo"]["full_name"]
    source = data["head"]["repo"]  # null once the fork is gone
    owner = home.partition("/")[0]
    teams = {f"{owner}/{team['slug']}" for team in data.get("requested_teams") or ()}
    return Pull(
        number=data["number"],
        state="merged" if data.get("merged_at") else data["state"],
        title=data["title"],
        body=(data["body"] or "").replace("\r\n", "\n"),
        branch=data["head"]["ref"],
        base=data["base"]["ref"],
        url=data["html_url"],
        merge_commit=(data.get("merge_commit_sha") or "") if data.get("merged_at") else "",
        mergeable=data.get("mergeable"),
        labels=frozenset(label["name"] for label in data.get("labels") or ()),
        reviewers=frozenset(one["login"] for one in data.get("requested_reviewers") or ()) | teams,
        ours=bool(source) and source["full_name"].lower() == home.lower(),
    )
