"""The endpoints: what is asked is checked as GitHub does (fields, permissions, what exists), then done."""

import base64
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from tests.fakes.github.repo import Commit, Pull, Repo
from tests.fakes.github.state import WRITE, Access, GitHub

Answer = tuple[int, Any]


class Problem(Exception):
    """An error as GitHub answers it."""

    def __init__(self, status: int, message: str, *errors: Any) -> None:
        super().__init__(message)
        self.status = status
        self.data: dict[str, Any] = {"message": message, "documentation_url": "https://docs.github.com/rest"}
        if errors:
            self.data["errors"] = list(errors)


@dataclass
class Asked:
    """A request by somebody who is known."""

    github: GitHub
    access: Access
    verb: str
    query: dict[str, str]
    body: Any

    def fields(self, required: str, optional: str = "") -> dict[str, Any]:
        """The body's fields; one that is missing or unknown is an error."""
        body = self.body if isinstance(self.body, dict) else {}
        for name in body.keys() - {*required.split(), *optional.split()}:
            raise Problem(422, f'Invalid request.\n\n"{name}" is not a permitted key.')
        for name in required.split():
            if name not in body:
                raise Problem(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        return body

    def need(self, what: str, level: str = "read") -> None:
        held = self.access.permissions.get(what, "")
        if held != "write" and held != level:
            raise Problem(403, f"Resource not accessible by {self.access.kind}")


def route(asked: Asked, path: str) -> Answer:
    """Answer a call by its verb and path."""
    github = asked.github
    if found := re.fullmatch(r"/app/installations/(\d+)/access_tokens", path):
        return _installation_token(asked, int(found[1]))
    found = re.fullmatch(r"/repos/([^/]+/[^/]+)(/.*)?", path)
    if found:
        name, rest = found[1], found[2] or ""
        repo = next((one for one in github.repos.values() if one.name.lower() == name.lower()), None)
        if repo is None:
            for number, one in enumerate(github.repos.values()):
                if one.renamed_from == name:
                    return 301, {
                        "message": "Moved Permanently",
                        "url": f"{github.url}/repositories/{number}{rest}",
                    }
    elif found := re.fullmatch(r"/repositories/(\d+)(/.*)?", path):
        repo, rest = list(github.repos.values())[int(found[1])], found[2] or ""
    else:
        raise Problem(404, "Not Found")
    if rest == "/installation":
        if asked.access.kind != "app" or repo is None or repo.name not in github.installations:
            raise Problem(404, "Not Found")
        return 200, {"id": github.installations[repo.name], "app_id": 4711, "permissions": WRITE}
    if repo is None or (asked.access.repos is not None and repo.name not in asked.access.repos):
        raise Problem(404, "Not Found")
    for verb, pattern, answer in _ROUTES:
        if verb == asked.verb and (found := re.fullmatch(pattern, rest)):
            return answer(asked, repo, *(unquote(part) for part in found.groups()))
    raise Problem(404, "Not Found")


def _installation_token(asked: Asked, number: int) -> Answer:
    github = asked.github
    names = {name for name, one in github.installations.items() if one == number}
    if asked.access.kind != "app" or asked.verb != "POST" or not names:
        raise Problem(404, "Not Found")
    if github.suspended:
        raise Problem(403, "This installation has been suspended")
    asked.fields("", "permissions repositories repository_ids")
    token, expires = f"ghs_{secrets.token_hex(18)}", time.time() + github.token_seconds
    github.tokens[token] = Access("integration", dict(WRITE), names, expires)
    when = datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return 201, {"token": token, "expires_at": when, "permissions": WRITE, "repository_selection": "selected"}


def _repo(asked: Asked, repo: Repo) -> Answer:
    asked.need("metadata")
    url = f"{asked.github.url}/{repo.name}"
    return 200, _short(repo) | {
        "default_branch": repo.default_branch,
        "private": repo.private,
        "html_url": url,
    }


def _short(repo: Repo) -> dict[str, Any]:
    owner, _, name = repo.name.partition("/")
    return {"id": 1, "name": name, "full_name": repo.name, "owner": {"login": owner}}


# Git data


def _get_ref(asked: Asked, repo: Repo, branch: str) -> Answer:
    asked.need("contents")
    if not repo.refs:
        raise Problem(409, "Git Repository is empty.")
    if branch not in repo.refs:
        raise Problem(404, "Not Found")
    return 200, _ref(asked, repo, branch)


def _ref(asked: Asked, repo: Repo, branch: str) -> dict[str, Any]:
    url = f"{asked.github.url}/repos/{repo.name}/git/refs/heads/{branch}"
    return {"ref": f"refs/heads/{branch}", "url": url, "object": {"type": "commit", "sha": repo.refs[branch]}}


def _create_ref(asked: Asked, repo: Repo) -> Answer:
    asked.need("contents", "write")
    fields = asked.fields("ref sha")
    if not fields["ref"].startswith("refs/heads/"):
        raise Problem(422, "Reference name must start with 'refs/' and have at least two slashes.")
    branch = fields["ref"].removeprefix("refs/heads/")
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)*", branch):
        raise Problem(422, "Reference name is invalid")
    if branch in repo.refs:
        raise Problem(422, "Reference already exists")
    if fields["sha"] not in repo.commits:
        raise Problem(422, "Object does not exist")
    repo.refs[branch] = fields["sha"]
    return 201, _ref(asked, repo, branch)


def _move_ref(asked: Asked, repo: Repo, branch: str) -> Answer:
    asked.need("contents", "write")
    fields = asked.fields("sha", "force")
    if branch not in repo.refs:
        raise Problem(422, "Reference does not exist")
    if fields["sha"] not in repo.commits:
        raise Problem(422, "Object does not exist")
    if not fields.get("force") and repo.refs[branch] not in repo.ancestors(fields["sha"]):
        raise Problem(422, "Update is not a fast forward")
    repo.refs[branch] = fields["sha"]
    return 200, _ref(asked, repo, branch)


def _delete_ref(asked: Asked, repo: Repo, branch: str) -> Answer:
    asked.need("contents", "write")
    if branch not in repo.refs:
        raise Problem(422, "Reference does not exist")
    for pull in repo.open():
        if pull.branch == branch and not pull.fork:
            repo.close(pull.number)
    del repo.refs[branch]
    return 204, None


def _get_commit(asked: Asked, repo: Repo, sha: str) -> Answer:
    asked.need("contents")
    if sha not in repo.commits:
        raise Problem(404, "Not Found")
    return 200, _commit(repo.commits[sha])


def _commit(commit: Commit) -> dict[str, Any]:
    parents = [{"sha": sha} for sha in commit.parents]
    return {"sha": commit.sha, "tree": {"sha": commit.tree}, "parents": parents, "message": commit.message}


def _create_commit(asked: Asked, repo: Repo) -> Answer:
    asked.need("contents", "write")
    fields = asked.fields("message tree", "parents author committer signature")
    if fields["tree"] not in repo.trees:
        raise Problem(422, "Tree SHA does not exist")
    if any(sha not in repo.commits for sha in fields.get("parents", ())):
        raise Problem(422, "Parent SHA does not exist or is not a commit object")
    sha = repo.commit(fields["message"], fields["tree"], tuple(fields.get("parents", ())))
    return 201, _commit(repo.commits[sha])


def _create_blob(asked: Asked, repo: Repo) -> Answer:
    asked.need("contents", "write")
    fields = asked.fields("content", "encoding")
    plain = fields.get("encoding", "utf-8") == "utf-8"
    data = fields["content"].encode() if plain else base64.b64decode(fields["content"], validate=True)
    return 201, {"sha": repo.blob(data), "url": ""}


def _create_tree(asked: Asked, repo: Repo) -> Answer:
    asked.need("contents", "write")
    fields = asked.fields("tree", "base_tree")
    base = fields.get("base_tree")
    if base and base in repo.commits:
        base = repo.commits[base].tree
    if base and base not in repo.trees:
        raise Problem(404, "Not Found")
    files = dict(repo.trees[base]) if base else {}
    for entry in fields["tree"]:
        if unknown := entry.keys() - {"path", "mode", "type", "sha", "content"}:
            raise Problem(422, f"Invalid tree info: {', '.join(unknown)}")
        if entry.get("mode") not in ("100644", "100755") or entry.get("type") != "blob":
            raise Problem(422, "tree.mode must be a valid mode")
        if ("sha" in entry) == ("content" in entry):
            raise Problem(
                422,
                "Must supply either tree.sha or tree.content. Request will be rejected if both are present.",
            )
        path = entry["path"]
        if path.startswith("/") or any(part in ("", ".", "..", ".git") for part in path.split("/")):
            raise Problem(422, "tree.path contains a malformed path component")
        if "content" in entry:
            files[path] = repo.blob(entry["content"].encode())
        elif entry["sha"] is None:
            if path not in files:
                raise Problem(422, "GitRPC::BadObjectState")
            del files[path]
        elif entry["sha"] in repo.blobs:
            files[path] = entry["sha"]
        else:
            raise Problem(422, f"tree.sha {entry['sha']} is not a valid blob")
    return 201, {"sha": repo.tree(files), "truncated": False, "tree": []}


def _contents(asked: Asked, repo: Repo, path: str) -> Answer:
    asked.need("contents")
    ref = asked.query.get("ref") or repo.default_branch
    if ref not in repo.refs and ref not in repo.commits:
        raise Problem(404, f"No commit found for the ref {ref}")
    files = repo.files(ref)
    if any(name.startswith(f"{path}/") for name in files):
        return 200, [{"type": "file", "path": name} for name in files if name.startswith(f"{path}/")]
    if path not in files:
        raise Problem(404, "Not Found")
    data = repo.blobs[files[path]]
    url = f"{asked.github.url}/{repo.name}/blob/{ref}/{path}"
    # GitHub breaks base64 into lines.
    content = base64.encodebytes(data).decode()
    shared = {
        "type": "file",
        "path": path,
        "name": path.rpartition("/")[2],
        "sha": files[path],
        "size": len(data),
    }
    return 200, shared | {"encoding": "base64", "content": content, "html_url": url}


def _compare(asked: Asked, repo: Repo, base: str, head: str) -> Answer:
    asked.need("contents")
    ends = [repo.refs.get(name, name) for name in (base, head)]
    if any(end not in repo.commits for end in ends):
        raise Problem(404, "Not Found")
    ahead, behind = repo.ahead(*ends), repo.ahead(*reversed(ends))
    commits = [
        {
            "sha": one.sha,
            "parents": _commit(one)["parents"],
            "commit": {"message": one.message, "tree": {"sha": one.tree}},
        }
        for one in ahead
    ]
    root = {"sha": repo.merge_base(*ends)}
    counts = {"ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead)}
    return 200, {"merge_base_commit": root, **counts, "commits": commits}


# Pull requests


def _pull(asked: Asked, repo: Repo, pull: Pull, *, full: bool = True) -> dict[str, Any]:
    api, page = f"{asked.github.url}/repos/{repo.name}", f"{asked.github.url}/{repo.name}"
    head_sha = pull.head_sha if pull.state == "closed" else repo.refs.get(pull.branch, pull.head_sha)
    home = {"full_name": pull.fork, "name": pull.fork} if pull.fork else _short(repo)
    data = {
        "number": pull.number,
        "state": pull.state,
        "title": pull.title,
        "body": pull.body,
        "draft": pull.draft,
        "url": f"{api}/pulls/{pull.number}",
        "html_url": f"{page}/pull/{pull.number}",
        "issue_url": f"{api}/issues/{pull.number}",
        "head": {"ref": pull.branch, "sha": head_sha, "repo": home},
        "base": {"ref": pull.base, "sha": repo.refs.get(pull.base), "repo": _short(repo)},
        "labels": [{"name": name} for name in pull.labels],
        "requested_reviewers": [{"login": name} for name in pull.reviewers],
        "requested_teams": [{"slug": name} for name in pull.teams],
        "merged_at": "2026-01-01T00:00:00Z" if pull.merged else None,
        "merge_commit_sha": pull.merge_commit_sha,
        "updated_at": f"2026-01-01T00:00:{pull.changes:02}Z",
    }
    if full:
        data["merged"] = pull.merged
        data["mergeable"] = None
        if pull.state == "open" and pull.branch in repo.refs:
            data["mergeable"] = repo.merged_files(repo.refs[pull.base], repo.refs[pull.branch]) is not None
    return data


def _list_pulls(asked: Asked, repo: Repo) -> Answer:
    asked.need("pull_requests")
    query = asked.query
    if unknown := query.keys() - {"state", "head", "base", "sort", "direction", "per_page", "page"}:
        raise Problem(422, f"Invalid request.\n\n{', '.join(unknown)}")
    state, owner = query.get("state", "open"), repo.name.partition("/")[0]
    found = [pull for pull in repo.pulls if state in ("all", pull.state)]
    if "head" in query:
        found = [
            one for one in found if f"{(one.fork or owner).partition('/')[0]}:{one.branch}" == query["head"]
        ]
    if "base" in query:
        found = [one for one in found if one.base == query["base"]]
    if query.get("direction", "desc") == "desc":
        found.reverse()
    size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
    return 200, [_pull(asked, repo, one, full=False) for one in found[(page - 1) * size : page * size]]


def _create_pull(asked: Asked, repo: Repo) -> Answer:
    asked.need("pull_requests", "write")
    fields = asked.fields("title head base", "body draft maintainer_can_modify head_repo issue")
    branch, base = fields["head"].rpartition(":")[2], fields["base"]
    where = {"resource": "PullRequest"}
    for field, name in (("head", branch), ("base", base)):
        if name not in repo.refs:
            raise Problem(422, "Validation Failed", where | {"field": field, "code": "invalid"})
    if any(one.branch == branch and one.base == base and not one.fork for one in repo.open()):
        message = f"A pull request already exists for {repo.name.partition('/')[0]}:{branch}."
        raise Problem(422, "Validation Failed", where | {"code": "custom", "message": message})
    if not repo.log(branch, base):
        message = f"No commits between {base} and {branch}"
        raise Problem(422, "Validation Failed", where | {"code": "custom", "message": message})
    pull = repo.propose(
        branch, fields["title"], fields.get("body") or "", base=base, draft=bool(fields.get("draft"))
    )
    return 201, _pull(asked, repo, pull)


def _one(repo: Repo, number: str) -> Pull:
    if not 0 < int(number) <= len(repo.pulls):
        raise Problem(404, "Not Found")
    return repo.pulls[int(number) - 1]


def _get_pull(asked: Asked, repo: Repo, number: str) -> Answer:
    asked.need("pull_requests")
    return 200, _pull(asked, repo, _one(repo, number))


def _edit_pull(asked: Asked, repo: Repo, number: str) -> Answer:
    asked.need("pull_requests", "write")
    pull, fields = _one(repo, number), asked.fields("", "title body state base maintainer_can_modify")
    if fields.get("base", pull.base) not in repo.refs:
        raise Problem(
            422, "Validation Failed", {"resource": "PullRequest", "field": "base", "code": "invalid"}
        )
    if fields.get("state") == "closed" and pull.state == "open":
        repo.close(pull.number)
    pull.title, pull.body = fields.get("title", pull.title), fields.get("body", pull.body)
    pull.base, pull.changes = fields.get("base", pull.base), pull.changes + 1
    return 200, _pull(asked, repo, pull)


def _labels(asked: Asked, repo: Repo, number: str) -> Answer:
    asked.need("pull_requests", "write")
    pull, names = _one(repo, number), asked.fields("labels")["labels"]
    pull.labels += [name for name in names if name not in pull.labels]
    pull.changes += 1
    return 200, [{"name": name} for name in pull.labels]


def _reviewers(asked: Asked, repo: Repo, number: str) -> Answer:
    asked.need("pull_requests", "write")
    pull, fields = _one(repo, number), asked.fields("", "reviewers team_reviewers")
    people, teams = fields.get("reviewers", []), fields.get("team_reviewers", [])
    if not {*people} <= repo.collaborators or not {*teams} <= repo.teams:
        message = "Reviews may only be requested from collaborators. One or more of the users or teams"
        raise Problem(422, f"{message} you specified is not a collaborator of the {repo.name} repository.")
    pull.reviewers += [name for name in people if name not in pull.reviewers]
    pull.teams += [name for name in teams if name not in pull.teams]
    pull.changes += 1
    return 201, _pull(asked, repo, pull)


_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "", _repo),
    ("GET", r"/git/ref/heads/(.+)", _get_ref),
    ("POST", r"/git/refs", _create_ref),
    ("PATCH", r"/git/refs/heads/(.+)", _move_ref),
    ("DELETE", r"/git/refs/heads/(.+)", _delete_ref),
    ("GET", r"/git/commits/([0-9a-f]{40})", _get_commit),
    ("POST", r"/git/commits", _create_commit),
    ("POST", r"/git/blobs", _create_blob),
    ("POST", r"/git/trees", _create_tree),
    ("GET", r"/contents/(.+)", _contents),
    ("GET", r"/compare/(.+)\.\.\.(.+)", _compare),
    ("GET", r"/pulls", _list_pulls),
    ("POST", r"/pulls", _create_pull),
    ("GET", r"/pulls/(\d+)", _get_pull),
    ("PATCH", r"/pulls/(\d+)", _edit_pull),
    ("POST", r"/issues/(\d+)/labels", _labels),
    ("POST", r"/pulls/(\d+)/requested_reviewers", _reviewers),
]
