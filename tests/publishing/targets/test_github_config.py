"""What a GitHub target may be told."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.errors import Refused
from cryptocontent.publishing.targets import open_target
from cryptocontent.publishing.targets.github import GitHubRepository
from cryptocontent.settings import Settings

TARGET = GitHubRepository()


def config(**changes: Any) -> dict[str, Any]:
    return TARGET.check({"repository": "newsroom/content", **changes})


def test_the_least_that_has_to_be_told() -> None:
    assert config() == {
        "repository": "newsroom/content",
        "base": "",
        "path": "content/articles/{slug}.md",
        "images": "content/images",
        "images_url": "",
        "branch": "cryptocontent/{slug}",
        "reviewers": [],
        "labels": [],
        "draft": False,
    }
    assert TARGET.check(config(labels="a, b", draft="true")) == config(labels=["a", "b"], draft=True)


def test_every_problem_of_a_configuration_is_named() -> None:
    wrong = {
        "repository": "https://github.com/newsroom/content",
        "base": "a..b",
        "path": "../{slug}.txt",
        "images": "/etc/../x",
        "images_url": "javascript:alert(1)",
        "branch": "articles",
        "reviewers": [1],
        "labels": {"a": 1},
        "draft": "perhaps",
        "brnch": "x",
    }
    with pytest.raises(Refused) as caught:
        TARGET.check(wrong)
    named = {part.partition(":")[0] for part in str(caught.value).split("; ")}
    assert named == wrong.keys()


def test_a_date_is_no_part_of_a_branch() -> None:
    with pytest.raises(Refused, match=r"branch: .* a date"):
        config(branch="articles/{date}-{slug}")


@given(
    st.dictionaries(
        st.sampled_from(["path", "branch", "images"]), st.text("{slug}/.-_ ~^:?*[\\@a\0é", max_size=30)
    )
)
def test_whatever_is_accepted_stays_inside_the_repository(given_: dict[str, str]) -> None:
    try:
        made = config(**given_)
    except Refused:
        return
    for name in ("path", "branch", "images"):
        value = made[name].replace("{slug}", "x")
        assert re.fullmatch(r"[A-Za-z0-9._/-]+", value) and not value.startswith(("/", "-"))
        assert ".." not in value.split("/") and "//" not in value


def test_the_kind_is_known_and_off_until_configured() -> None:
    target = open_target("github")
    assert "GITHUB_TOKEN is not set" in target.off(Settings())
    assert target.off(Settings.model_validate({"github_token": "t"})) == ""
