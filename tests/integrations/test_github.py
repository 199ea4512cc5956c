"""The client for GitHub against a server that speaks its REST API: who asks, how long it waits, what a person
is told, and that no secret is in it."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptocontent.errors import Explained, Refused
from cryptocontent.integrations.github import open_repository
from cryptocontent.integrations.github_access import off
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings
from tests.fakes.github import TOKEN, Access, Fault, GitHub, app_key, environment, github_server

NAME = "newsroom/content"


@pytest.fixture
def github() -> Iterator[GitHub]:
    with github_server() as github:
        github.add(NAME, {"README.md": "Content"})
        yield github


def settings_of(environment: dict[str, str], **changes: str) -> Settings:
    return Settings.model_validate({name.lower(): value for name, value in (environment | changes).items()})


@pytest.fixture
def settings(github: GitHub) -> Settings:
    return settings_of(environment(github.url))


@pytest.fixture
def as_app(github: GitHub, tmp_path: Path) -> Settings:
    github.installations[NAME] = 77
    return settings_of(environment(github.url, tmp_path / "app.pem"))


def problem(settings: Settings, name: str = NAME, **options: int) -> Explained:
    with pytest.raises((Refused, Unavailable)) as caught, open_repository(settings, name, **options) as repo:
        repo.settle()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert isinstance(caught.value, Explained)
    return caught.value


def test_a_file_is_written_by_blob_tree_and_commit(github: GitHub, settings: Settings) -> None:
    with open_repository(settings, NAME) as repo:
        head = repo.head(repo.settle())
        assert head and repo.head("cryptocontent/x") is None
        base = repo.commit(head)
        entries = [{"path": "a/b.bin", "sha": repo.blob(b"\0\xff")}, {"path": "a/c.md", "content": "é\n"}]
        tree = repo.tree(base.tree, entries)
        repo.create_branch("cryptocontent/x", repo.new_commit("Two files", tree, head))
        assert repo.tree(base.tree, []) == base.tree
        assert repo.file("a/c.md", "cryptocontent/x") == "é\n" and repo.file("a/c.md", "main") is None
        assert [one.message for one in repo.ahead("main", "cryptocontent/x")] == ["Two files"]
    made = github.repos[NAME]
    assert made.blobs[made.files("cryptocontent/x")["a/b.bin"]] == b"\0\xff"
    assert made.text("README.md", "cryptocontent/x") == "Content"


def test_a_branch_that_somebody_pushed_to_is_not_overwritten(github: GitHub, settings: Settings) -> None:
    github.repos[NAME].push("work", "Mine", {"a.md": "a"})
    with open_repository(settings, NAME) as repo:
        main = repo.head("main") or ""
        with pytest.raises(Unavailable, match="somebody pushed to work"):
            repo.move_branch("work", repo.new_commit("x", repo.commit(main).tree, main), force=False)


def test_a_pull_request_that_did_not_change_costs_nothing_of_the_limit(
    github: GitHub, settings: Settings
) -> None:
    github.repos[NAME].push("work", "Mine", {"a.md": "a"})
    with open_repository(settings, NAME) as repo:
        number = repo.create_pull(title="t", body="b", branch="work", base="main", draft=False).number
        first = repo.pull(number)
        assert first and first.state == "open" and first.etag
        used = github.used
        assert repo.pull(number, first.etag) is None and github.used == used
        github.repos[NAME].merge(number)
        seen = repo.pull(number, first.etag)
        assert seen and (seen.state, seen.merge_commit) == ("merged", github.repos[NAME].refs["main"])


def test_a_renamed_repository_is_found_and_asked_by_its_new_name(github: GitHub, settings: Settings) -> None:
    github.add("newsroom/articles", {"a.md": "x"}).renamed_from = "newsroom/old"
    with open_repository(settings, "newsroom/old") as repo:
        assert repo.settle() == "main" and repo.name == "newsroom/articles"
        assert repo.file("a.md", "main") == "x"


# Limits and failures


def test_the_primary_limit_asks_to_wait_for_its_reset(github: GitHub, settings: Settings) -> None:
    github.next(Fault("primary", seconds=120))
    error = problem(settings)
    assert isinstance(error, Unavailable) and error.seconds is not None and 115 < error.seconds <= 122
    assert len(github.calls) == 1, "nobody asks again while the limit lasts"


def test_the_hourly_limit_is_read_from_the_headers(github: GitHub, settings: Settings) -> None:
    github.limit, github.reset = 1, int(time.time()) + 600
    with open_repository(settings, NAME) as repo:
        repo.settle()
    error = problem(settings)
    assert isinstance(error, Unavailable) and error.seconds is not None and 590 < error.seconds <= 602


@pytest.mark.parametrize(("sent", "wait"), [(45, 45.0), (0, 60.0)], ids=["Retry-After", "no time named"])
def test_the_secondary_limit(github: GitHub, settings: Settings, sent: int, wait: float) -> None:
    github.next(Fault("secondary", seconds=sent))
    error = problem(settings)
    assert isinstance(error, Unavailable) and error.seconds == wait
    assert len(github.calls) == 1


def test_one_failure_of_a_read_is_not_noticed(github: GitHub, settings: Settings) -> None:
    github.next(Fault(status=502))
    with open_repository(settings, NAME) as repo:
        assert repo.settle() == "main"


def test_a_server_that_fails(github: GitHub, settings: Settings) -> None:
    github.next(Fault(), Fault())
    assert "GitHub answers 500" in str(problem(settings))


def test_a_write_is_not_repeated_by_itself(github: GitHub, settings: Settings) -> None:
    with open_repository(settings, NAME) as repo:
        github.next(Fault(after=True))
        with pytest.raises(Unavailable):
            repo.blob(b"x")
    assert len(github.calls) == 1


def test_an_answer_that_is_cut_off(github: GitHub, settings: Settings) -> None:
    github.next(Fault("truncated"), Fault("truncated"))
    assert isinstance(problem(settings), Unavailable)


def test_a_server_that_is_too_slow(github: GitHub, settings: Settings) -> None:
    with open_repository(settings, NAME, timeout=1) as repo:
        github.next(Fault("slow", seconds=3))
        with pytest.raises(Unavailable, match="does not answer"):
            repo.blob(b"x")


def test_a_server_that_is_not_there() -> None:
    error = problem(settings_of({"GITHUB_API_URL": "http://127.0.0.1:9", "GITHUB_TOKEN": TOKEN}))
    assert isinstance(error, Unavailable) and TOKEN not in str(error)


def test_a_server_that_is_not_github(github: GitHub) -> None:
    # The fake's pages for people answer there, with HTML or 404.
    error = problem(settings_of({"GITHUB_API_URL": f"{github.url}/newsroom", "GITHUB_TOKEN": TOKEN}))
    assert NAME in str(error)


# Who asks


@pytest.mark.parametrize(
    ("set_", "why"),
    [
        ({}, "GITHUB_TOKEN is not set"),
        ({"github_app_id": "1"}, "GITHUB_APP_PRIVATE_KEY_FILE is not set"),
        ({"github_app_private_key_file": "/etc/hostname"}, "GITHUB_APP_ID is not set"),
        (
            {"github_app_id": "1", "github_app_private_key_file": "/no/such.pem"},
            "there is no file /no/such.pem",
        ),
        ({"github_token": "t", "github_api_url": "api.github.com"}, "GITHUB_API_URL"),
    ],
)
def test_off_names_what_is_missing(set_: dict[str, str], why: str) -> None:
    assert why in off(Settings.model_validate(set_))


def test_a_token_that_ended_says_what_to_do(github: GitHub, settings: Settings) -> None:
    github.tokens[TOKEN].expires = 1.0
    error = problem(settings)
    assert isinstance(error, Unavailable) and error.seconds == 900
    assert "GITHUB_TOKEN" in str(error) and "Bad credentials" in str(error) and TOKEN not in str(error)


def test_a_token_without_access_to_the_repository(github: GitHub, settings: Settings) -> None:
    github.tokens[TOKEN].repos = set()
    error = problem(settings)
    assert isinstance(error, Refused) and f"repository {NAME}: not found, or GITHUB_TOKEN" in str(error)


def test_a_token_that_may_only_read(github: GitHub, settings: Settings) -> None:
    github.tokens[TOKEN] = Access("personal access token", {"contents": "read", "metadata": "read"})
    with open_repository(settings, NAME) as repo, pytest.raises(Refused, match="contents and pull requests"):
        repo.blob(b"x")


def test_an_app_buys_a_token_once_an_hour(github: GitHub, as_app: Settings) -> None:
    for _ in range(3):
        with open_repository(as_app, NAME) as repo:
            repo.settle()
    bought = [call for call in github.calls if call.path.endswith("/access_tokens")]
    assert len(bought) == 1 and bought[0].path == "/app/installations/77/access_tokens"


def test_an_app_whose_token_ends_buys_another(github: GitHub, as_app: Settings) -> None:
    github.token_seconds = 5  # within the margin in which PyGithub takes it for ended
    for _ in range(2):
        with open_repository(as_app, NAME) as repo:
            repo.settle()
    assert sum(call.path.endswith("/access_tokens") for call in github.calls) >= 2


def test_an_app_whose_token_was_revoked_comes_back_at_the_next_try(github: GitHub, as_app: Settings) -> None:
    with open_repository(as_app, NAME) as repo:
        repo.settle()
    for token in [token for token in github.tokens if token.startswith("ghs_")]:
        del github.tokens[token]
    assert isinstance(problem(as_app), Unavailable)
    with open_repository(as_app, NAME) as repo:
        assert repo.settle() == "main"


def test_an_app_that_is_not_installed(github: GitHub, as_app: Settings) -> None:
    github.installations.clear()
    error = problem(as_app)
    assert isinstance(error, Refused) and "the GitHub App has no access" in str(error)


def test_an_app_that_was_suspended_or_removed_after_its_installation_was_found(
    github: GitHub, as_app: Settings
) -> None:
    github.token_seconds = 0
    with open_repository(as_app, NAME):
        pass
    github.suspended = True
    assert "suspended" in str(problem(as_app))
    github.suspended = False
    github.installations[NAME] = 78  # installed anew
    github.token_seconds = 3600
    with open_repository(as_app, NAME) as repo:
        assert repo.settle() == "main"


def test_a_key_file_without_a_key_is_not_quoted(github: GitHub, as_app: Settings) -> None:
    path = as_app.github_app_private_key_file
    assert path
    path.write_text("-----BEGIN RSA PRIVATE KEY-----\nplanted-secret\n-----END RSA PRIVATE KEY-----\n")
    error = problem(as_app)
    assert "holds no RSA private key" in str(error) and "planted" not in str(error)


def test_a_key_of_another_app(github: GitHub, as_app: Settings) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = as_app.github_app_private_key_file
    assert path
    path.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    error = problem(as_app)
    assert isinstance(error, Unavailable) and "the GitHub App" in str(error)


def test_no_secret_is_in_errors_or_logs(
    github: GitHub, as_app: Settings, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [TOKEN, app_key().splitlines()[3]]
    texts = []
    with open_repository(as_app, NAME) as repo:
        repo.settle()
    for faults in ([Fault()] * 2, [Fault("truncated")] * 2, [Fault("secondary")], [Fault(status=404)]):
        for one in (settings, as_app):
            github.next(*faults)
            texts.append(repr(problem(one)) + str(problem(one, "newsroom/none")))
            github.calm()
    secrets += [token for token in github.tokens if token.startswith("ghs_")]
    assert len(secrets) > 2
    for text in [*texts, caplog.text]:
        assert not any(secret in text for secret in secrets), text[:500]
        assert "eyJ" not in text, "a signed token of the App"


def test_a_message_that_quotes_a_token_is_cleaned(github: GitHub) -> None:
    # GitHub has answered with what it was sent before; a 422 names the value.
    settings = settings_of(environment(github.url))
    github.repos[NAME].push("work", "Mine", {"a.md": "a"})
    with open_repository(settings, NAME) as repo, pytest.raises(Refused) as caught:
        repo.create_pull(title="t", body="b", branch="work", base=TOKEN, draft=False)
    assert TOKEN not in str(caught.value)
