"""A content repository at GitHub: an article is a Markdown file that comes in by pull request.

One branch and one open pull request per article, one commit per version. What was made before is known by
marks that are left there: in each commit's message, and (not shown to readers) in the pull request's text.
People's own commits on the branch and their words in the pull request stay.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cryptocontent.errors import Refused
from cryptocontent.integrations.github import Commit, Pull, Repository, open_repository
from cryptocontent.integrations.github_access import off
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.publishing.targets.github_plan import (
    Plan,
    check_config,
    files,
    is_void,
    publication,
    void,
    withdrawal,
)
from cryptocontent.publishing.targets.seam import Delivered, Parcel, TryLater
from cryptocontent.settings import Settings

_Entries = list[dict[str, Any]]


class GitHubRepository:
    """Publishing by pull request."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return check_config(config)

    def off(self, settings: Settings) -> str:
        return off(settings)

    def deliver(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        with _repository(settings, config) as repo:
            base = repo.settle()
            return _deliver(repo, publication(settings, config, parcel, config["base"] or base))

    def withdraw(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        with _repository(settings, config) as repo:
            base = repo.settle()
            return _withdraw(repo, withdrawal(publication(settings, config, parcel, config["base"] or base)))

    def follow(self, settings: Settings, config: Mapping[str, Any], delivered: Delivered) -> Delivered | None:
        details = delivered.details
        # A pull request that was closed may be opened again; what is merged stays so.
        if not details.get("pull_request") or details.get("state") not in ("open", "closed"):
            return None
        with _repository(settings, config) as repo:
            pull = repo.pull(int(details["pull_request"]), str(details.get("etag", "")))
        if pull is None:
            return None
        now = details | {"state": pull.state, "etag": pull.etag, "conflict": pull.mergeable is False}
        url = delivered.url
        if pull.state == "merged":
            now["commit"] = pull.merge_commit
            url = url if details.get("withdraws") else _file_url(pull, str(details["path"]))
        return None if now == details else replace(delivered, url=url, details=now)


def _deliver(repo: Repository, plan: Plan) -> Delivered:
    base = _base(repo, plan)
    pulls = _pulls(repo, plan)
    last = pulls[0] if pulls else None
    pull = last if last and last.state == "open" else None
    if pull:
        plan = replace(plan, branch=pull.branch)
    elif last and _proposed_this(plan, last) and (last.state == "closed" or repo.file(plan.path, base.sha)):
        return _delivered(repo, plan, last)  # a person has decided: it is in, or this version is not wanted
    text, images = files(plan)
    entries: _Entries = [{"path": plan.path, "content": text}]
    entries += [{"path": path, "sha": repo.blob(data)} for path, data in images.items()]
    tree = repo.tree(base.tree, entries + _outdated(repo, plan, base.sha))
    if tree == base.tree:  # the base shows just this; what an open pull request proposes is void
        if pull:
            _close(repo, pull)
        elif last and is_void(last.body):
            repo.delete_branch(last.branch)
        url = f"{repo.web}/blob/{plan.base}/{plan.path}"
        return replace(_delivered(repo, plan, None, state="merged", commit=base.sha), url=url)
    head = repo.head(plan.branch)
    if head is None:
        repo.create_branch(plan.branch, repo.new_commit(plan.message, tree, base.sha))
    elif pull is None and last:
        _rebuild(repo, plan, base, tree)  # what it proposed is decided
    else:
        _advance(repo, plan, base, tree, head, entries, pull)
    return _propose(repo, plan, pull)


def _advance(
    repo: Repository, plan: Plan, base: Commit, tree: str, head: str, entries: _Entries, pull: Pull | None
) -> None:
    """Bring a branch whose proposal is open to this version: by a commit on top, or from the base's head anew
    (`tree` is what that would have) if it conflicts with the base."""
    ahead = repo.ahead(base.sha, head)
    mine = [one for one in ahead if plan.is_mine(one.message)]
    if ahead and not mine and pull is None:
        raise Refused(_foreign(repo, plan))
    seen = repo.pull(pull.number) if pull else None
    conflict = seen is not None and seen.mergeable is False
    if mine and plan.is_this(mine[-1].message) and (not conflict or len(mine) < len(ahead)):
        return  # it is there, perhaps with people's own commits on top
    if conflict or not ahead:
        _rebuild(repo, plan, base, tree)
        return
    on_top = repo.tree(repo.commit(head).tree, entries + _outdated(repo, plan, head))
    repo.move_branch(plan.branch, repo.new_commit(plan.message, on_top, head), force=False)


def _withdraw(repo: Repository, plan: Plan) -> Delivered:
    base = _base(repo, plan)
    pulls = _pulls(repo, plan)
    last = pulls[0] if pulls else None
    pull = last if last and last.state == "open" else None
    if pull:
        plan = replace(plan, branch=pull.branch)
    head = repo.head(plan.branch)
    ahead = repo.ahead(base.sha, head) if head else []
    mine = [one for one in ahead if plan.is_mine(one.message)]
    text = repo.file(plan.path, base.sha)
    if text is None or not plan.owns(text):
        if pull:
            last = _close(repo, pull)
        elif mine:
            repo.delete_branch(plan.branch)
        return _delivered(repo, plan, last, state="withdrawn", withdraws=True)
    tree = repo.tree(base.tree, [{"path": plan.path, "sha": None}])
    if head is None:
        repo.create_branch(plan.branch, repo.new_commit(plan.message, tree, base.sha))
    elif ahead and not mine and not last:
        raise Refused(_foreign(repo, plan))
    elif not (pull and mine and plan.is_this(mine[-1].message)):
        _rebuild(repo, plan, base, tree)
    return _propose(repo, plan, pull, withdraws=True)


def _rebuild(repo: Repository, plan: Plan, base: Commit, tree: str) -> None:
    repo.move_branch(plan.branch, repo.new_commit(plan.message, tree, base.sha), force=True)


def _propose(repo: Repository, plan: Plan, pull: Pull | None, **more: Any) -> Delivered:
    """The branch is right: let its one pull request say so."""
    pull = pull or _opened(repo, plan)
    wanted = {"title": plan.title, "body": plan.body(pull.body), "base": plan.base}
    if changes := {name: value for name, value in wanted.items() if getattr(pull, name) != value}:
        pull = repo.edit_pull(pull.number, **changes)
    if labels := [name for name in plan.config["labels"] if name not in pull.labels]:
        repo.add_labels(pull.number, labels)
    if asked := [name for name in plan.config["reviewers"] if name not in pull.reviewers]:
        people = [name for name in asked if "/" not in name]
        teams = [name.partition("/")[2] for name in asked if "/" in name]
        try:
            repo.ask_for_review(pull.number, people, teams)
        except Refused as error:  # the proposal stands all the same
            more["notes"] = f"no review was asked for: {error}"
    return _delivered(repo, plan, pull, **more)


def _opened(repo: Repository, plan: Plan) -> Pull:
    draft = plan.config["draft"]
    try:
        return repo.create_pull(
            title=plan.title, body=plan.body(), branch=plan.branch, base=plan.base, draft=draft
        )
    except Refused as error:
        if "already exists" not in str(error):
            raise
    # Somebody opened one for our branch by hand.
    for pull in repo.pulls_of(plan.branch):
        if pull.state == "open":
            return pull
    raise Unavailable(f"{repo.name}: GitHub does not show the pull request of {plan.branch} yet")


def _close(repo: Repository, pull: Pull) -> Pull:
    closed = repo.edit_pull(pull.number, state="closed", body=void(pull.body))
    repo.delete_branch(pull.branch)
    return closed


def _base(repo: Repository, plan: Plan) -> Commit:
    head = repo.head(plan.base)
    if head is None:
        raise Refused(f"base: {repo.name} has no branch {plan.base!r}")
    return repo.commit(head)


def _outdated(repo: Repository, plan: Plan, ref: str) -> _Entries:
    """The removal of the article's file at its former place, if it is there and is still the article's."""
    previous = plan.parcel.previous
    old = str(previous.details.get("path", plan.path)) if previous else plan.path
    text = repo.file(old, ref) if old != plan.path else None
    return [{"path": old, "sha": None}] if text is not None and plan.owns(text) else []


def _pulls(repo: Repository, plan: Plan) -> list[Pull]:
    """The article's pull requests: an open one first, then newest first. After a change of the slug they are
    on the branch of the former one."""
    previous = plan.parcel.previous
    known = previous.details if previous else {}
    found = repo.pulls_of(plan.branch)
    if (branch := known.get("branch", plan.branch)) != plan.branch:
        found += repo.pulls_of(str(branch))
    found = [one for one in found if plan.is_mine(one.body) or one.number == known.get("pull_request")]
    if not any(one.state == "open" for one in found):
        found += [one for one in repo.open_pulls() if one.ours and plan.is_mine(one.body)]
    return sorted(found, key=lambda one: (one.state != "open", -one.number))


def _proposed_this(plan: Plan, pull: Pull) -> bool:
    """Whether a pull request proposed just this version; people may have rewritten its text."""
    previous = plan.parcel.previous
    known = previous.details if previous else {}
    remembered = (known.get("pull_request"), known.get("version"), known.get("path"))
    return plan.is_this(pull.body) or (
        remembered == (pull.number, plan.parcel.version_id, plan.path) and not known.get("withdraws")
    )


def _delivered(repo: Repository, plan: Plan, pull: Pull | None, **more: Any) -> Delivered:
    details: dict[str, Any] = {
        "base": plan.base,
        "branch": plan.branch,
        "path": plan.path,
        "version": plan.parcel.version_id,
    }
    if pull is None:
        return Delivered(f"{repo.name}:{plan.path}"[:300], "", details | more)
    details |= {"pull_request": pull.number, "state": pull.state}
    if pull.merge_commit:
        details["commit"] = pull.merge_commit
    merged = pull.state == "merged" and "withdraws" not in more
    url = _file_url(pull, plan.path) if merged else pull.url
    return Delivered(f"{repo.name}#{pull.number}", url, details | more)


def _file_url(pull: Pull, path: str) -> str:
    return f"{pull.url.rsplit('/pull/', 1)[0]}/blob/{pull.base}/{path}"


def _foreign(repo: Repository, plan: Plan) -> str:
    return (
        f"branch {plan.branch!r} of {repo.name} holds commits, none of them of article "
        f"{plan.parcel.article_id}: delete it, or set another `branch` for the target ({{article}} is unique)"
    )


@contextmanager
def _repository(settings: Settings, config: Mapping[str, Any]) -> Iterator[Repository]:
    try:
        with open_repository(settings, config["repository"]) as repo:
            yield repo
    except Unavailable as error:
        raise TryLater(str(error), error.seconds) from None
