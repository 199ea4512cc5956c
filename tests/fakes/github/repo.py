"""A repository with git's own object ids, and what people do to it by hand: push, merge, close, edit."""

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

Tree = dict[str, str]  # path -> blob id, of all folders


@dataclass(frozen=True)
class Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str


@dataclass
class Pull:
    number: int
    title: str
    body: str
    branch: str
    base: str
    draft: bool
    state: str = "open"
    merged: bool = False
    head_sha: str = ""
    merge_commit_sha: str | None = None
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    teams: list[str] = field(default_factory=list)
    fork: str = ""  # the full name of the repository that its branch is in, if it is another
    changes: int = 0  # part of the ETag


class Repo:
    """Plain state: `refs`, `pulls`, `text(path)`, `log(branch)` are what tests look at."""

    def __init__(self, name: str, *, private: bool = False) -> None:
        self.name, self.private, self.default_branch = name, private, "main"
        self.blobs: dict[str, bytes] = {}
        self.trees: dict[str, Tree] = {}
        self.commits: dict[str, Commit] = {}
        self.refs: dict[str, str] = {}
        self.pulls: list[Pull] = []
        self.collaborators = {"rita", "sam"}
        self.teams = {"editors"}
        self.renamed_from = ""
        self._clock = itertools.count(1_700_000_000)

    # Objects, with the ids that git gives them.

    def blob(self, data: bytes) -> str:
        sha = _id("blob", data)
        self.blobs[sha] = data
        return sha

    def tree(self, files: Tree) -> str:
        folders: dict[str, Tree] = {}
        rows = []
        for path, sha in files.items():
            first, _, rest = path.partition("/")
            if rest:
                folders.setdefault(first, {})[rest] = sha
            else:
                rows.append((first, b"100644", sha))
        rows += [(name, b"40000", self.tree(inner)) for name, inner in folders.items()]
        rows.sort(key=lambda row: row[0] + ("/" if row[1] == b"40000" else ""))
        content = b"".join(
            mode + b" " + name.encode() + b"\0" + bytes.fromhex(sha) for name, mode, sha in rows
        )
        sha = _id("tree", content)
        self.trees[sha] = dict(files)
        return sha

    def commit(self, message: str, tree: str, parents: tuple[str, ...]) -> str:
        when = f"Somebody <somebody@users.noreply.example> {next(self._clock)} +0000"
        lines = [f"tree {tree}", *(f"parent {sha}" for sha in parents), f"author {when}", f"committer {when}"]
        sha = _id("commit", ("\n".join(lines) + f"\n\n{message}").encode())
        self.commits[sha] = Commit(sha, tree, parents, message)
        return sha

    # Reading.

    def files(self, ref: str = "main") -> Tree:
        return self.trees[self.commits[self.refs.get(ref, ref)].tree]

    def text(self, path: str, ref: str = "main") -> str:
        return self.blobs[self.files(ref)[path]].decode()

    def ancestors(self, sha: str) -> list[str]:
        """The commit and all before it, nearest first."""
        seen, queue = dict[str, None](), [sha]
        while queue:
            one = queue.pop(0)
            if one not in seen:
                seen[one] = None
                queue += self.commits[one].parents
        return list(seen)

    def ahead(self, base: str, head: str) -> list[Commit]:
        """The commits of `head` that `base` lacks, oldest first."""
        known = set(self.ancestors(base))
        return [self.commits[sha] for sha in reversed(self.ancestors(head)) if sha not in known]

    def merge_base(self, one: str, other: str) -> str:
        known = set(self.ancestors(other))
        return next(sha for sha in self.ancestors(one) if sha in known)

    def log(self, branch: str, base: str = "main") -> list[Commit]:
        return self.ahead(self.refs[base], self.refs[branch])

    def merged_files(self, base: str, head: str) -> Tree | None:
        """Both sides' changes since they parted, file by file; `None` is a conflict."""
        root = self.files(self.merge_base(base, head))
        mine, theirs = self.files(base), self.files(head)
        merged = {}
        for path in {*root, *mine, *theirs}:
            before, here, there = root.get(path), mine.get(path), theirs.get(path)
            if here != there and here != before and there != before:
                return None
            if sha := there if here == before else here:
                merged[path] = sha
        return merged

    # What people do.

    def push(self, branch: str, message: str, changes: dict[str, str | bytes | None]) -> str:
        """A commit with files written or (`None`) removed; the branch is made from `main` if it is new."""
        parent = self.refs.get(branch) or self.refs.get(self.default_branch)
        files = dict(self.files(parent)) if parent else {}
        for path, content in changes.items():
            if content is None:
                del files[path]
            else:
                files[path] = self.blob(content.encode() if isinstance(content, str) else content)
        self.refs[branch] = self.commit(message, self.tree(files), (parent,) if parent else ())
        return self.refs[branch]

    def merge(self, number: int, *, squash: bool = False, delete_branch: bool = False) -> str:
        """A person merges a pull request; `ValueError` is a conflict."""
        pull = self.pulls[number - 1]
        base, head = self.refs[pull.base], self.refs[pull.branch]
        files = self.merged_files(base, head)
        if pull.state != "open" or files is None:
            raise ValueError("Pull Request is not mergeable")
        message = f"{pull.title} (#{number})" if squash else f"Merge pull request #{number}\n\n{pull.title}"
        parents = (base,) if squash else (base, head)
        self.refs[pull.base] = self.commit(message, self.tree(files), parents)
        pull.head_sha, pull.state, pull.merged = head, "closed", True
        pull.merge_commit_sha, pull.changes = self.refs[pull.base], pull.changes + 1
        if delete_branch:
            del self.refs[pull.branch]
        return self.refs[pull.base]

    def close(self, number: int) -> None:
        pull = self.pulls[number - 1]
        pull.head_sha = self.refs.get(pull.branch, pull.head_sha)
        pull.state, pull.changes = "closed", pull.changes + 1

    def open(self) -> list[Pull]:
        return [pull for pull in self.pulls if pull.state == "open"]

    def propose(self, branch: str, title: str, body: str, *, base: str = "main", **more: Any) -> Pull:
        pull = Pull(len(self.pulls) + 1, title, body, branch, base, more.pop("draft", False), **more)
        self.pulls.append(pull)
        return pull


def _id(kind: str, content: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
