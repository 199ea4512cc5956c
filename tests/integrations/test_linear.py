"""The client of Linear against the fake: logins, limits, troubles, pages, and what may be sent twice."""

import logging
import time
import uuid
from collections.abc import Iterator

import pytest
from graphql import parse

from cryptocontent.integrations import linear_access
from cryptocontent.integrations.linear import Missing, Rejected, off, open_linear, read_issue
from cryptocontent.integrations.linear_access import MOST_COMPLEXITY
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings
from tests.fakes.linear import Linear, Node, application_environment, environment, linear_server, sample
from tests.fakes.linear.complexity import complexity
from tests.fakes.linear.server import SCHEMA
from tests.fakes.linear.webhooks import payload

Filled = tuple[Linear, Node]


@pytest.fixture
def filled() -> Iterator[Filled]:
    linear_access._tokens.clear()
    with linear_server() as linear:
        yield linear, sample(linear)


PLANTED = "".join(("plan", "ted-", "secret"))  # so that no line of source shows it


def settings(linear: Linear, application: bool = False, **values: str) -> Settings:
    told = application_environment(linear.url) if application else environment(linear.url)
    given = {name.lower(): value for name, value in told.items()} | values
    return Settings(_env_file=None, **given)  # type: ignore[arg-type, call-arg]


def test_without_credentials_it_is_off_and_says_so() -> None:
    nothing = Settings(_env_file=None, linear_api_key="", linear_client_id="", linear_client_secret="")  # type: ignore[call-arg]
    assert "LINEAR_API_KEY is not set" in off(nothing)
    half = Settings(_env_file=None, linear_api_key="", linear_client_id="a", linear_client_secret="")  # type: ignore[call-arg]
    assert "LINEAR_CLIENT_SECRET is not set" in off(half)
    with pytest.raises(Unavailable, match="LINEAR_API_KEY"), open_linear(nothing):
        pass


def test_a_workspace_is_read_with_an_api_key(filled: Filled) -> None:
    linear, team = filled
    with open_linear(settings(linear)) as client:
        assert client.viewer()["workspace"] == "Newsroom"
        assert [one.key for one in client.teams()] == ["ENG"]
        assert [one.name for one in client.states(team["id"])][:3] == ["Triage", "Backlog", "Todo"]
        (label,) = client.labels("article")
        page = client.issues(team["id"], label_id=label.id)
    assert page.after == ""
    assert [issue.title for issue in page.issues] == [
        "Why the merge matters",
        "How blobs made rollups cheap",
        "What the base fee is for",
    ]
    assert (page.issues[2].priority, page.issues[2].assignee) == (2, "Ada Lovelace")


def test_an_issue_reads_the_same_from_the_api_and_from_a_webhook(filled: Filled) -> None:
    linear, team = filled
    with open_linear(settings(linear)) as client:
        for issue in client.issues(team["id"]).issues:
            event = payload(linear, "update", "Issue", linear.issues[issue.id], None)
            assert read_issue(event["data"]) == issue


def test_pages_follow_each_other_and_cost_little(filled: Filled) -> None:
    linear, team = filled
    for number in range(120):
        linear.add_issue(team, f"Issue {number}")
    seen: list[str] = []
    with open_linear(settings(linear)) as client:
        after = ""
        while True:
            page = client.issues(team["id"], after=after)
            seen += [issue.id for issue in page.issues]
            if not (after := page.after):
                break
        client.projects(team["id"])
        client.cycles(team["id"])
    assert sorted(seen) == sorted(linear.issues)
    assert max(call.complexity for call in linear.calls) < MOST_COMPLEXITY / 10


def test_a_project_of_many_milestones_is_read_whole(filled: Filled) -> None:
    linear, team = filled
    project = linear.add_project("Long", team)
    for number in range(60):
        linear.add_milestone(f"Step {number}", project)
    with open_linear(settings(linear)) as client:
        found = next(one for one in client.projects(team["id"]) if one.name == "Long")
    assert len(found.milestones) == 60


def test_an_application_buys_a_token_and_another_when_it_ends(filled: Filled) -> None:
    linear, _ = filled
    with open_linear(settings(linear, application=True)) as client:
        client.viewer()
        client.viewer()
        assert len(linear.tokens) == 1
        linear.revoke_tokens()
        client.viewer()  # told 401, it buys another
    linear.token_seconds = 30
    linear_access._tokens.clear()
    with open_linear(settings(linear, application=True)) as client:
        client.viewer()
        before = set(linear.tokens)
        client.viewer()  # what ends within a minute is not used any more
    assert len(set(linear.tokens) - before) == 1


@pytest.mark.parametrize("application", [False, True])
def test_credentials_that_are_not_accepted_are_named_and_not_shown(
    filled: Filled, application: bool, caplog: pytest.LogCaptureFixture
) -> None:
    linear, _ = filled
    caplog.set_level(logging.DEBUG)
    wrong = {"linear_client_secret": PLANTED} if application else {"linear_api_key": PLANTED}
    with (
        open_linear(settings(linear, application, **wrong)) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.viewer()
    assert ("LINEAR_CLIENT_ID" if application else "LINEAR_API_KEY") in str(caught.value)
    assert caught.value.seconds == 900
    assert PLANTED not in f"{caught.getrepr(chain=True)}{caplog.text}"


def test_a_key_that_is_no_header_is_not_sent_and_not_shown(
    filled: Filled, caplog: pytest.LogCaptureFixture
) -> None:
    linear, _ = filled
    caplog.set_level(logging.DEBUG)
    wanted = settings(linear, linear_api_key=f"{PLANTED}\n")
    with pytest.raises(Unavailable, match="a line break") as caught, open_linear(wanted):
        pass
    assert PLANTED not in f"{caught.getrepr(chain=True)}{caplog.text}"


def test_a_limit_that_is_used_up_is_waited_for_if_it_is_short(filled: Filled) -> None:
    linear, _ = filled
    linear.use_up(seconds=0.4)
    with open_linear(settings(linear), patience=5) as client:
        assert client.viewer()["name"] == "Ada Lovelace"
    assert [call.operation for call in linear.calls] == ["Viewer"]


def test_a_limit_that_is_used_up_for_long_says_for_how_long(filled: Filled) -> None:
    linear, _ = filled
    linear.use_up(seconds=900)
    with open_linear(settings(linear), patience=5) as client:
        with pytest.raises(Unavailable, match="rate limit") as caught:
            client.viewer()
        assert 890 < (caught.value.seconds or 0) <= 900
        asked = len(linear.calls)
        with pytest.raises(Unavailable):
            client.viewer()  # it knows already: Linear is not asked again
    assert len(linear.calls) == asked == 0


def test_complexity_that_is_used_up_stops_before_the_next_query(filled: Filled) -> None:
    linear, team = filled
    with open_linear(settings(linear), patience=0) as client:
        client.issues(team["id"])
        linear.complexity_left = 600  # enough for one more page
        linear.reset_at = time.time() + 300
        client.issues(team["id"])
        with pytest.raises(Unavailable) as caught:
            client.issues(team["id"])
    assert 290 < (caught.value.seconds or 0) <= 300
    assert [call.operation for call in linear.calls] == ["Issues", "Issues"]


@pytest.mark.parametrize("kind", ["status", "dropped", "truncated"])
def test_a_passing_trouble_is_survived(filled: Filled, kind: str) -> None:
    linear, _ = filled
    linear.fault(kind)  # type: ignore[arg-type]
    with open_linear(settings(linear)) as client:
        assert client.viewer()["name"] == "Ada Lovelace"


def test_a_lasting_trouble_is_named(filled: Filled) -> None:
    linear, _ = filled
    for _ in range(3):
        linear.fault("status", status=502)
    with open_linear(settings(linear)) as client, pytest.raises(Unavailable, match="Linear answers 502"):
        client.viewer()


@pytest.mark.parametrize("kind", ["status", "dropped", "truncated"])
def test_a_comment_whose_answer_was_lost_is_made_once(filled: Filled, kind: str) -> None:
    linear, _ = filled
    issue = next(iter(linear.issues.values()))
    linear.fault(kind, operation="Comment", after=True)  # type: ignore[arg-type]
    with open_linear(settings(linear)) as client:
        client.comment(issue["id"], str(uuid.uuid4()), "hello")
    assert linear.comments_on(issue) == ["hello"]


def test_an_attachment_of_the_same_address_is_replaced(filled: Filled) -> None:
    linear, _ = filled
    issue = next(iter(linear.issues.values()))
    with open_linear(settings(linear)) as client:
        client.attach(issue["id"], "https://studio.example/a", "One", "Draft", {"state": "draft"})
        client.attach(issue["id"], "https://studio.example/a", "Two", "Published", {"state": "published"})
    assert [(one["title"], one["subtitle"]) for one in linear.attachments_of(issue)] == [("Two", "Published")]


def test_what_linear_refuses_is_told_apart(filled: Filled) -> None:
    linear, team = filled
    issue = next(iter(linear.issues.values()))
    with open_linear(settings(linear)) as client:
        with pytest.raises(Missing):
            client.move("00000000-0000-4000-8000-000000000000", linear.state(team, "Done")["id"])
        with pytest.raises(Rejected, match="does not belong"):
            client.move(issue["id"], "no-state")
        with pytest.raises(Rejected, match="UUID"):
            client.comment(issue["id"], "not-a-uuid", "text")


def test_the_fake_counts_as_linear_documents_it() -> None:
    def points(query: str, **variables: int) -> float:
        return complexity(SCHEMA, parse(query), variables)

    assert points("{ viewer { name } }") == 2  # 1 for the object, 0.1 for the property, rounded up
    assert points("{ issues { nodes { id } } }") == 55  # fifty, unless it says otherwise
    assert points("query Q($n: Int) { issues(first: $n) { nodes { id title } } }", n=10) == 12
    assert points("{ issues(first: 10) { nodes { labels(first: 5) { nodes { id } } } } }") == 65
