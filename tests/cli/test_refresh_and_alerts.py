"""`refresh`, `alert` and `generate --newest-facts` at the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from cryptocontent.alerts import raise_alert
from cryptocontent.identity import set_member
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Generation
from tests.cli.inside import ADA, Inside, inside
from tests.content.test_refresh import Newsroom
from tests.fakes.serving import serving
from tests.test_alerts import SECRET, Receiver


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    with inside(tmp_path, monkeypatch) as here:
        yield here


def test_look_list_accept(home: Inside) -> None:
    room = Newsroom(home.engine)
    room.revise("passage-1", "passage-3")
    assert "no open proposals" in home.run("refresh", "list", "-p", "p").out
    assert "1 newly proposed, 1 open" in home.run("refresh", "look", "-p", "p").out
    listed = home.run("refresh", "list", "-p", "p").out
    assert "1  fees  (open)" in listed and "Fees [^2]" in listed and "revision 2 no longer says so" in listed
    (row,) = home.run("refresh", "list", "-p", "p", "--json").json()
    assert row["article"] == "fees" and row["reasons"][0]["numbers"] == [2]

    home.run("refresh", "accept", "7", "-p", "p", "--no-wait").refused(1, "no proposal 7")
    generation = home.run("refresh", "accept", "1", "-p", "p", "--no-wait").out.strip()
    with reading(home.engine) as session:
        assert session.get_one(Generation, generation).newest_facts
    assert "(accepted by" in home.run("refresh", "list", "-p", "p", "--status", "all").out


def test_dismissing_goes_by_role(home: Inside) -> None:
    room = Newsroom(home.engine)
    room.revise("passage-1")
    room.look()
    with writing(home.engine) as session:
        set_member(session, "p", "wil", "writer", ADA)
        set_member(session, "p", "ed", "editor", ADA)
    arguments = ("refresh", "dismiss", "1", "--reason", "It is history.", "-p", "p")
    home.run(*arguments, CRYPTOCONTENT_USER="wil").refused(1, "wil is writer here")
    assert "dismissed" in home.run(*arguments, CRYPTOCONTENT_USER="ed").out


def test_alerts_are_listed_tested_and_sent_again(home: Inside) -> None:
    home.run("alert", "test").refused(1, "set ALERT_WEBHOOK_URL")
    listed = home.run("alert", "list")
    assert "no alerts" in listed.out and "set ALERT_WEBHOOK_URL" in listed.err
    receiver = Receiver()
    with serving(receiver.app) as url:
        hook = {"ALERT_WEBHOOK_URL": f"{url}/{SECRET}"}
        assert "1 alert sent" in home.run("alert", "test", **hook).out
        failed = home.run("alert", "test", ALERT_WEBHOOK_URL=f"{url}/nowhere-{SECRET}")
        failed.refused(1, "the receiver answered 404")
        assert SECRET not in failed.said
        assert "1 alert sent" in home.run("alert", "retry", **hook).out
        assert "nothing to send again" in home.run("alert", "retry", **hook).out
    assert len(receiver.got) == 2
    rows = home.run("alert", "list", "--status", "sent", "--json").json()
    assert {row["title"] for row in rows} == {"Test of alerts"}


def test_a_projects_admin_sees_its_alerts_and_no_others(home: Inside) -> None:
    Newsroom(home.engine)
    with writing(home.engine) as session:
        set_member(session, "p", "ada", "admin", ADA)
        set_member(session, "p", "wil", "writer", ADA)
        for project in ("p", "q"):
            raise_alert(session, f"run:{project}", f"{project} failed", "…", {"project": project})
    seen = home.run("alert", "list", "-p", "p", CRYPTOCONTENT_USER="ada").out
    assert "p failed" in seen and "q failed" not in seen
    home.run("alert", "list", "-p", "p", CRYPTOCONTENT_USER="wil").refused(1, "lacks the right to administer")


def test_generate_with_the_newest_facts_says_what_it_would_do(home: Inside) -> None:
    Newsroom(home.engine)
    said = home.run("generate", "--brief", "p--a", "--newest-facts", "--dry-run", "-p", "p")
    assert said.code == 0 and "1 brief" in said.out
    asked = home.run("generate", "--brief", "p--a", "--newest-facts", "--no-wait", "-p", "p")
    assert asked.code == 0, asked.said
    with reading(home.engine) as session:
        assert session.scalars(select(Generation)).one().newest_facts
    assert "newest_facts" in home.run("audit", "list", "-p", "p", "--json").out
