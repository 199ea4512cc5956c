"""Publishing to a content repository by pull request: what people find there, after any order of versions,
merges, edits and lost answers."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import frontmatter
import pytest

from cryptocontent.errors import Refused
from cryptocontent.publishing.targets.github import GitHubRepository
from cryptocontent.publishing.targets.seam import Delivered, Parcel, TryLater
from cryptocontent.settings import Settings
from tests.fakes.github import TOKEN, Fault, GitHub, Repo, environment, github_server
from tests.publishing.targets.parcels import IMAGE, PNG, after, parcel

TARGET = GitHubRepository()
PATH, BRANCH = "content/articles/the-base-fee.md", "cryptocontent/the-base-fee"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with github_server() as github:
        github.add("newsroom/content", {"README.md": "Content"})
        yield github


@pytest.fixture
def repo(github: GitHub) -> Repo:
    return github.repos["newsroom/content"]


@pytest.fixture
def settings(github: GitHub) -> Settings:
    return Settings.model_validate({name.lower(): value for name, value in environment(github.url).items()})


def config(**changes: Any) -> dict[str, Any]:
    return TARGET.check({"repository": "newsroom/content", **changes})


@pytest.fixture
def deliver(settings: Settings) -> Any:
    def deliver(parcel: Parcel, **changes: Any) -> Delivered:
        return TARGET.deliver(settings, config(**changes), parcel)

    return deliver


@pytest.fixture
def withdraw(settings: Settings) -> Any:
    def withdraw(parcel: Parcel, **changes: Any) -> Delivered:
        return TARGET.withdraw(settings, config(**changes), parcel)

    return withdraw


@pytest.fixture
def follow(settings: Settings) -> Any:
    return lambda delivered: TARGET.follow(settings, config(), delivered)


def proposed(repo: Repo, path: str = PATH, branch: str = BRANCH) -> str:
    return repo.text(path, branch)


# What a reviewer finds


def test_an_article_is_one_commit_in_one_pull_request(github: GitHub, repo: Repo, deliver: Any) -> None:
    delivered = deliver(parcel())
    (pull,) = repo.open()
    (commit,) = repo.log(BRANCH)
    assert commit.message.startswith("The base fee\n\nCryptocontent-Article: a1\nCryptocontent-Version: v1\n")
    assert {*repo.files(BRANCH)} == {"README.md", PATH, f"content/images/{IMAGE}"}
    assert repo.blobs[repo.files(BRANCH)[f"content/images/{IMAGE}"]] == PNG
    assert repo.files("main").keys() == {"README.md"}, "nothing is on the base before a person merges"
    post = frontmatter.loads(proposed(repo))
    assert post["title"] == "The base fee" and "burned in every block" in post.content
    assert (pull.title, pull.base, pull.draft) == ("The base fee", "main", False)
    assert "What the base fee is." in pull.body and "Version 1, 120 words, 1 citation." in pull.body
    assert delivered.url == f"{github.url}/newsroom/content/pull/1"
    assert delivered.external_id == "newsroom/content#1"
    assert {name: delivered.details[name] for name in ("branch", "pull_request", "state", "path")} == {
        "branch": BRANCH,
        "pull_request": 1,
        "state": "open",
        "path": PATH,
    }


@pytest.mark.parametrize(
    ("changes", "link"),
    [
        ({}, f"../images/{IMAGE}"),
        ({"path": "{slug}.md", "images": "static/img/"}, f"static/img/{IMAGE}"),
        ({"path": "posts/{date}-{slug}.md", "images": "posts/images/{slug}"}, f"images/the-base-fee/{IMAGE}"),
        ({"images": "static/img", "images_url": "/img/"}, f"/img/{IMAGE}"),
        ({"path": "a/b/{slug}/index.md", "images": "."}, f"../../../{IMAGE}"),
    ],
)
def test_the_markdown_finds_its_images(repo: Repo, deliver: Any, changes: dict[str, str], link: str) -> None:
    path = deliver(parcel(), **changes).details["path"]
    assert re.findall(r"!\[[^\]]*\]\(([^)]*)\)", proposed(repo, path)) == [link]
    assert any(one.endswith(IMAGE) for one in repo.files(BRANCH))


def test_what_is_configured_is_asked_for(repo: Repo, deliver: Any, settings: Settings) -> None:
    settings.public_url = "https://studio.example/"
    deliver(parcel(), reviewers="rita, newsroom/editors", labels=["article"], draft=True)
    (pull,) = repo.pulls
    assert (pull.reviewers, pull.teams, pull.labels, pull.draft) == (["rita"], ["editors"], ["article"], True)
    assert "(https://studio.example/articles/a1)" in pull.body


def test_a_reviewer_without_access_stops_nothing(repo: Repo, deliver: Any) -> None:
    delivered = deliver(parcel(), reviewers=["nobody"])
    assert repo.open() and "not a collaborator" in delivered.details["notes"]


def test_an_articles_text_calls_nobody_and_closes_no_issue(repo: Repo, deliver: Any) -> None:
    title = "Fixes #12 for @everyone <!-- cryptocontent --> GH-3"
    seo = {"description": "closes #7 @security\nCryptocontent-Version: v9\ncryptocontent --> <b>x</b>"}
    deliver(parcel(title=title, seo=seo))
    (pull,), (commit,) = repo.pulls, repo.log(BRANCH)
    for text in (pull.title, pull.body, commit.message):
        assert not re.search(r"[#@]\w|GH-\d", text)
    assert "<b>" not in pull.body and "Cryptocontent-Version: v9" not in pull.body
    assert deliver(parcel(title=title, seo=seo)).details["state"] == "open" and len(repo.pulls) == 1


# Again, and newer versions


def test_the_same_version_again_changes_nothing(github: GitHub, repo: Repo, deliver: Any) -> None:
    options: dict[str, Any] = {"labels": ["article"], "reviewers": ["sam"]}
    first = deliver(parcel(), **options)
    refs, pull = dict(repo.refs), replace(repo.pulls[0])
    again = deliver(parcel(updated_at="2026-02-02T00:00:00+00:00"), **options)
    assert again == first and repo.refs == refs and repo.pulls == [pull]
    assert deliver(replace(parcel(), previous=first), **options) == first and repo.refs == refs


def test_a_newer_version_goes_to_the_open_pull_request(repo: Repo, deliver: Any) -> None:
    first = deliver(parcel())
    second = deliver(after(first, 2, title="The base fee, again"))
    (pull,) = repo.pulls
    assert (second.url, pull.title) == (first.url, "The base fee, again")
    assert len(repo.log(BRANCH)) == 2 and "version 2" in proposed(repo)
    assert "Version 2" in pull.body and pull.body.count("Cryptocontent-Article") == 1


def test_peoples_words_and_commits_stay(repo: Repo, deliver: Any) -> None:
    first = deliver(parcel())
    repo.pulls[0].body = f"Please look at the table.\r\n\r\n{repo.pulls[0].body}\r\n\r\n- [ ] checked"
    repo.push(BRANCH, "A typo", {PATH: proposed(repo).replace("burned", "burnt"), "note.txt": "x"})
    head = repo.refs[BRANCH]
    assert deliver(replace(parcel(), previous=first)) == first
    assert repo.refs[BRANCH] == head and "burnt" in proposed(repo), "the same version overwrites no one"
    deliver(after(first, 2))
    body = repo.pulls[0].body
    assert body.startswith("Please look at the table.") and body.endswith("- [ ] checked")
    assert "Version 2" in body and "Version 1" not in body
    assert "version 2" in proposed(repo) and repo.text("note.txt", BRANCH) == "x"
    assert [one.message.split("\n")[0] for one in repo.log(BRANCH)] == [
        "The base fee",
        "A typo",
        "The base fee",
    ]


def test_a_version_that_is_on_the_base_needs_no_pull_request(
    github: GitHub, repo: Repo, deliver: Any
) -> None:
    deliver(parcel())
    repo.push("main", "By hand", {PATH: proposed(repo), f"content/images/{IMAGE}": PNG})
    delivered = deliver(parcel())
    assert delivered.details["state"] == "merged"
    assert delivered.url == f"{github.url}/newsroom/content/blob/main/{PATH}"
    assert not repo.open() and BRANCH not in repo.refs


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("delete_branch", [False, True])
def test_after_a_merge_the_next_version_is_a_fresh_pull_request(
    repo: Repo, deliver: Any, follow: Any, squash: bool, delete_branch: bool
) -> None:
    first = deliver(parcel())
    repo.merge(1, squash=squash, delete_branch=delete_branch)
    merged = follow(first)
    assert deliver(replace(parcel(updated_at="later"), previous=merged)).details["state"] == "merged"
    assert len(repo.pulls) == 1 and not repo.open()
    second = deliver(after(merged, 2))
    assert second.details["pull_request"] == 2 and [pull.number for pull in repo.open()] == [2]
    assert [one.message.count("Version: v2") for one in repo.log(BRANCH)] == [1]
    repo.merge(2, squash=squash)
    assert "version 2" in repo.text(PATH)


def test_a_version_that_was_turned_down_stays_so_and_the_next_one_is_proposed(
    repo: Repo, deliver: Any, follow: Any
) -> None:
    first = deliver(parcel())
    repo.close(1)
    closed = follow(first)
    assert closed.details["state"] == "closed" and closed.url == first.url
    assert deliver(replace(parcel(), previous=closed)).details["state"] == "closed"
    assert deliver(parcel()).details["state"] == "closed", "known by the mark, without a memory of it"
    assert len(repo.pulls) == 1
    second = deliver(after(closed, 2))
    assert second.details["pull_request"] == 2 and len(repo.log(BRANCH)) == 1


def test_an_earlier_version_may_come_back(repo: Repo, deliver: Any, follow: Any) -> None:
    first = deliver(parcel())
    repo.merge(1)
    merged = follow(first)
    second = deliver(after(merged, 2))
    back = deliver(replace(parcel(1), previous=second))
    assert back.details["state"] == "merged" and not repo.open(), "the base shows it: the proposal is void"
    third = deliver(replace(parcel(2), previous=back))
    assert third.details["state"] == "open", "we closed it, nobody turned it down"
    repo.merge(third.details["pull_request"])
    assert "version 2" in repo.text(PATH)
    fourth = deliver(replace(parcel(1), previous=follow(third)))
    repo.merge(fourth.details["pull_request"])
    assert "version 1" in repo.text(PATH)


def test_a_file_that_a_person_removed_after_the_merge_is_proposed_anew(
    repo: Repo, deliver: Any, follow: Any
) -> None:
    first = deliver(parcel())
    repo.merge(1)
    repo.push("main", "Away", {PATH: None})
    assert deliver(replace(parcel(), previous=follow(first))).details["pull_request"] == 2


def test_a_conflict_with_the_base_is_resolved_by_a_branch_from_its_head(
    repo: Repo, deliver: Any, follow: Any
) -> None:
    first = deliver(parcel())
    repo.push("main", "Somebody's own", {PATH: "another text", "other.md": "x"})
    assert follow(first).details["conflict"] is True
    second = deliver(after(first, 2))
    assert second.details["pull_request"] == 1 and len(repo.log(BRANCH)) == 1
    assert repo.text("other.md", BRANCH) == "x"
    repo.merge(1)
    assert "version 2" in repo.text(PATH)


def test_a_new_slug_moves_the_file(repo: Repo, deliver: Any, follow: Any) -> None:
    first = deliver(parcel())
    repo.merge(1)
    merged = follow(first)
    second = deliver(after(merged, 2, slug="burned-fees"))
    repo.merge(second.details["pull_request"])
    assert {path for path in repo.files() if path.endswith(".md")} == {
        "README.md",
        "content/articles/burned-fees.md",
    }
    third = deliver(after(follow(second), 3, slug="fees"))
    fourth = deliver(after(third, 4, slug="fees-again"))
    assert third.url == fourth.url and len(repo.open()) == 1, "an open pull request keeps its branch"
    repo.merge(fourth.details["pull_request"])
    assert {path for path in repo.files() if path.startswith("content/articles")} == {
        "content/articles/fees-again.md"
    }


def test_a_new_slug_removes_no_file_that_is_another_articles_by_now(
    repo: Repo, deliver: Any, follow: Any
) -> None:
    first = deliver(parcel())
    repo.merge(1)
    repo.push(
        "main", "Another article took the place", {PATH: repo.text(PATH).replace("brief: b1", "brief: b2")}
    )
    second = deliver(after(follow(first), 2, slug="burned-fees"))
    assert PATH in repo.files(second.details["branch"])


def test_the_open_pull_request_is_found_by_its_mark_after_a_lost_answer_and_a_new_slug(
    repo: Repo, deliver: Any
) -> None:
    deliver(parcel())  # and nobody learnt of it
    deliver(parcel(2, slug="burned-fees"))
    assert len(repo.pulls) == 1 and "content/articles/burned-fees.md" in repo.files(BRANCH)


def test_a_fork_that_copies_our_marks_gets_nothing(repo: Repo, deliver: Any) -> None:
    deliver(parcel())
    body = repo.pulls[0].body
    repo.close(1)
    repo.propose(BRANCH, "Mine", body.replace("v1", "v2"), fork="mallory/content")
    repo.propose("evil", "Mine", body, fork="mallory/content")
    delivered = deliver(parcel(2))
    assert delivered.details["pull_request"] == 4
    assert repo.pulls[1].title == repo.pulls[2].title == "Mine"


def test_a_branch_of_somebody_else_is_not_touched(repo: Repo, deliver: Any) -> None:
    head = repo.push(BRANCH, "My work", {"mine.md": "x"})
    with pytest.raises(Refused, match=r"none of them of article a1.*another `branch`"):
        deliver(parcel())
    assert repo.refs[BRANCH] == head and not repo.pulls
    deliver(parcel(), branch="articles/{slug}")
    with pytest.raises(Refused, match="none of them of article a2"):
        deliver(parcel(id="a2", brief="b2"), branch="articles/{slug}")
    assert len(repo.pulls) == 1 and "Cryptocontent-Article: a1" in repo.pulls[0].body


def test_the_pull_request_that_a_person_opened_for_our_branch_is_taken(repo: Repo, deliver: Any) -> None:
    deliver(parcel())
    repo.pulls.clear()
    repo.propose(BRANCH, "By hand", "")
    delivered = deliver(parcel())
    assert len(repo.pulls) == 1 and delivered.details["state"] == "open"
    assert "Cryptocontent-Article: a1" in repo.pulls[0].body


# Lost answers: at each call, before and after its effect


def shape(repo: Repo) -> dict[str, Any]:
    """What people see of a repository, without ids."""
    return {
        "branches": sorted(repo.refs),
        "pulls": [(one.state, one.merged, one.title, one.body, one.branch) for one in repo.pulls],
        "logs": {
            branch: [one.message for one in repo.log(branch)] for branch in repo.refs if branch != "main"
        },
        "files": {branch: sorted(repo.files(branch).items()) for branch in repo.refs},
    }


def story(name: str, github: GitHub, settings: Settings) -> tuple[Repo, Any]:
    """A fresh repository, and the call that is to be disturbed."""
    repo = github.add(f"newsroom/{name}", {"README.md": "Content"})
    options = TARGET.check({"repository": repo.name, "labels": "article", "reviewers": "sam"})
    kind = name.partition("-")[0]
    if kind == "first":
        return repo, lambda: TARGET.deliver(settings, options, parcel())
    delivered = TARGET.deliver(settings, options, parcel())
    if kind in ("merged", "removal", "renamed"):
        repo.merge(1)
        delivered = TARGET.follow(settings, options, delivered) or delivered
    if kind == "rollback":
        repo.merge(1)
        delivered = TARGET.deliver(settings, options, after(delivered, 2))
        return repo, lambda: TARGET.deliver(settings, options, replace(parcel(1), previous=delivered))
    if kind in ("removal", "unmerged"):
        return repo, lambda: TARGET.withdraw(settings, options, replace(parcel(), previous=delivered))
    slug = {"slug": "fees"} if kind == "renamed" else {}
    return repo, lambda: TARGET.deliver(settings, options, after(delivered, 2, **slug))


@pytest.mark.parametrize("kind", ["first", "update", "merged", "renamed", "rollback", "removal", "unmerged"])
@pytest.mark.parametrize("effect", [True, False], ids=["answer lost", "not done"])
def test_a_failure_at_any_call_ends_as_if_there_had_been_none(
    github: GitHub, settings: Settings, kind: str, effect: bool
) -> None:
    repo, call = story(f"{kind}-0", github, settings)
    github.calls.clear()
    expected, calls, right = call(), list(github.calls), shape(repo)
    assert len(github.writes()) >= 2
    disturbed = 0
    for number, made in enumerate(calls, 1):
        if made.verb == "GET":
            continue
        repo, call = story(f"{kind}-{number}", github, settings)
        github.at(number, Fault(after=effect))
        try:
            call()
        except TryLater as error:
            assert TOKEN not in str(error)
            disturbed += 1
        delivered = call()
        assert shape(repo) == right, f"{kind}: {made.verb} {made.path}"
        assert delivered.details == expected.details | {
            name: delivered.details[name] for name in ("commit", "etag") if name in delivered.details
        }
    assert disturbed == sum(one.verb != "GET" for one in calls)


def test_two_failures_in_a_row_and_a_limit(github: GitHub, repo: Repo, deliver: Any) -> None:
    for number in (3, 7, 9):
        github.at(number, Fault("secondary", seconds=17))
        with pytest.raises(TryLater) as caught:
            deliver(parcel())
        assert caught.value.seconds == 17
    deliver(parcel())
    assert len(repo.pulls) == 1 and len(repo.log(BRANCH)) == 1


# Following


def test_a_merge_flows_back(github: GitHub, repo: Repo, deliver: Any, follow: Any) -> None:
    delivered = deliver(parcel())
    seen = follow(delivered)
    assert seen.details["state"] == "open" and follow(seen) is None
    assert github.calls[-1].status == 304
    sha = repo.merge(1, squash=True)
    merged = follow(seen)
    assert (merged.details["state"], merged.details["commit"]) == ("merged", sha)
    assert merged.url == f"{github.url}/newsroom/content/blob/main/{PATH}"
    calls = len(github.calls)
    assert follow(merged) is None and len(github.calls) == calls, "nothing more can become of it"


def test_a_pull_request_may_be_opened_again_by_a_person(repo: Repo, deliver: Any, follow: Any) -> None:
    delivered = deliver(parcel())
    repo.close(1)
    closed = follow(delivered)
    assert closed.details["state"] == "closed"
    repo.pulls[0].state = "open"
    repo.pulls[0].changes += 1
    assert follow(closed).details["state"] == "open"


# Taking back


def test_an_article_that_was_never_merged_leaves_nothing(repo: Repo, deliver: Any, withdraw: Any) -> None:
    delivered = deliver(parcel())
    gone = withdraw(replace(parcel(), previous=delivered))
    assert gone.details["state"] == "withdrawn" and not repo.open() and BRANCH not in repo.refs
    assert withdraw(replace(parcel(), previous=gone)).details["state"] == "withdrawn" and len(repo.pulls) == 1
    assert deliver(replace(parcel(), previous=gone)).details["pull_request"] == 2, "and it may come back"


def test_an_article_that_is_on_the_base_is_removed_by_pull_request(
    repo: Repo, deliver: Any, withdraw: Any, follow: Any
) -> None:
    first = deliver(parcel())
    repo.merge(1)
    gone = withdraw(replace(parcel(), previous=follow(first)))
    (pull,) = repo.open()
    assert pull.title == "Withdraw: The base fee" and "images stay" in pull.body
    assert {*repo.files(BRANCH)} == {"README.md", f"content/images/{IMAGE}"}
    assert gone.details["state"] == "open" and gone.details["withdraws"] and gone.url.endswith("/pull/2")
    assert withdraw(replace(parcel(), previous=gone)) == gone and len(repo.pulls) == 2
    repo.merge(2)
    done = follow(gone)
    assert done.details["state"] == "merged" and done.url == gone.url and PATH not in repo.files()
    assert withdraw(replace(parcel(), previous=done)).details["state"] == "withdrawn" and len(repo.pulls) == 2


def test_an_update_that_was_open_becomes_the_removal(
    repo: Repo, deliver: Any, withdraw: Any, follow: Any
) -> None:
    first = deliver(parcel())
    repo.merge(1)
    second = deliver(after(follow(first), 2))
    gone = withdraw(replace(parcel(2), previous=second))
    assert gone.url == second.url and PATH not in repo.files(BRANCH) and len(repo.log(BRANCH)) == 1
    back = deliver(after(gone, 3))
    assert back.url == second.url and "version 3" in proposed(repo)
    assert repo.pulls[1].title == "The base fee"


def test_a_file_of_another_article_is_not_removed(repo: Repo, deliver: Any, withdraw: Any) -> None:
    delivered = deliver(parcel())
    repo.merge(1)
    repo.push("main", "Taken over", {PATH: repo.text(PATH).replace("brief: b1", "brief: b2")})
    gone = withdraw(replace(parcel(), previous=delivered))
    assert gone.details["state"] == "withdrawn" and PATH in repo.files() and not repo.open()


# Refusals


def test_a_base_that_is_not_there(deliver: Any) -> None:
    with pytest.raises(Refused, match="base: newsroom/content has no branch 'publish'"):
        deliver(parcel(), base="publish")


def test_an_empty_repository(github: GitHub, settings: Settings) -> None:
    github.add("newsroom/new")
    with pytest.raises(Refused, match="Git Repository is empty"):
        TARGET.deliver(settings, TARGET.check({"repository": "newsroom/new"}), parcel())


def test_a_repository_out_of_reach_is_not_taken_for_an_empty_one(
    github: GitHub, repo: Repo, deliver: Any, withdraw: Any
) -> None:
    delivered = deliver(parcel())
    repo.merge(1)
    github.tokens[TOKEN].repos = set()
    with pytest.raises(Refused, match="not found, or GITHUB_TOKEN has no access"):
        withdraw(replace(parcel(), previous=delivered))


def test_an_article_without_images(repo: Repo, deliver: Any) -> None:
    deliver(parcel(images={}, markdown="# T\n\nText.\n"))
    assert {*repo.files(BRANCH)} == {"README.md", PATH}
