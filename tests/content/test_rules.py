"""Rule files: shipped ones are whole, a project's own ones are checked, versioned, audited and kept."""

import pytest
import yaml
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.exc import DBAPIError

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules import (
    NAMES,
    current_rules,
    load_rules,
    read_rules,
    set_rules,
    shipped_rules,
    shipped_text,
)
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.identity import ROLES, Person, Role
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, RuleSetVersion

ADA = Person("ada", "admin")
ASSETS = """
source: our own list
assets:
  - {id: bitcoin, ticker: BTC, name: Bitcoin, chains: [bitcoin]}
  - {id: our-coin, ticker: OUR, name: Our Coin}
"""


@pytest.fixture
def project(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", Actor("cli", "root"))
    return engine


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_file_is_whole_and_names_where_it_is_from(name: str) -> None:
    content = read_rules(name, shipped_text(name))
    assert content == getattr(shipped_rules(), name).model_dump(mode="json")
    if name != "limits":
        assert content.get("source") or content.get("note")


def test_a_projects_own_file_takes_the_place_of_the_shipped_one(project: Engine) -> None:
    with writing(project) as session:
        assert current_rules(session, "p", "assets")[0] == 0
        shipped = load_rules(session, "p")
        assert set_rules(session, "p", "assets", read_rules("assets", ASSETS), ADA) == 1
        own = load_rules(session, "p")
        assert {asset.id for asset in own.assets.assets} == {"bitcoin", "our-coin"}
        assert own.limits == shipped.limits
        assert own.version != shipped.version
        create_project(session, "q", "", Actor("cli", "root"))
        assert load_rules(session, "q").version == shipped.version, "projects have rules of their own"


def test_all_versions_are_kept_and_none_is_made_for_nothing(project: Engine) -> None:
    other = read_rules("assets", ASSETS.replace("Our Coin", "Another"))
    with writing(project) as session:
        first = read_rules("assets", ASSETS)
        assert [set_rules(session, "p", "assets", one, ADA) for one in (first, first, other, first)] == [
            1,
            1,
            2,
            3,
        ]
    with reading(project) as session:
        rows = session.scalars(select(RuleSetVersion).order_by(RuleSetVersion.number)).all()
        assert [(row.number, row.author) for row in rows] == [(1, "ada"), (2, "ada"), (3, "ada")]
        entries = session.scalars(select(AuditEntry).filter_by(action="rules.set")).all()
        assert [one.data["number"] for one in entries] == [1, 2, 3]
        assert entries[1].data["before"] == entries[0].data["after"] != entries[1].data["after"]
        assert verify(session, "p").broken_at is None


def test_setting_what_ships_makes_no_version(project: Engine) -> None:
    with writing(project) as session:
        content = read_rules("limits", shipped_text("limits"))
        assert set_rules(session, "p", "limits", content, ADA) == 0
        assert session.scalars(select(RuleSetVersion)).all() == []


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_only_admins_set_rules(project: Engine, role: Role) -> None:
    with pytest.raises(NotAllowed, match="administer"), writing(project) as session:
        set_rules(session, "p", "assets", read_rules("assets", ASSETS), Person("x", role))


@pytest.mark.parametrize("change", ["update", "delete"])
def test_a_version_is_written_once(project: Engine, change: str) -> None:
    with writing(project) as session:
        set_rules(session, "p", "assets", read_rules("assets", ASSETS), ADA)
    statement = update(RuleSetVersion).values(author="eve") if change == "update" else delete(RuleSetVersion)
    with pytest.raises(DBAPIError, match="written once"), writing(project) as session:
        session.execute(statement)


LIMITS = yaml.safe_load(shipped_text("limits"))
BAD = {
    "no yaml": ("assets", "source: [x", "rules assets:"),
    "no mapping": ("assets", "- a", "rules assets:"),
    "empty": ("assets", "", "rules assets:"),
    "a field is missing": ("assets", "assets: []", "source: Field required"),
    "an unknown field": ("assets", f"{ASSETS}more: 1\n", "more: Extra inputs are not permitted"),
    "an id that is none": ("assets", ASSETS.replace("our-coin", "Our Coin!"), r"assets\.1\.id"),
    "no number": ("limits", yaml.safe_dump(LIMITS | {"title_max": "long"}), "title_max"),
    "out of bounds": (
        "limits",
        yaml.safe_dump(LIMITS | {"duplicate_similarity": 2}),
        "less than or equal to 1",
    ),
    "no regular expression": ("injection", "source: x\npatterns: ['(']", "no regular expression"),
    "an object of Python's": ("assets", "!!python/object/apply:os.system ['true']", "rules assets:"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_refused_with_file_and_field(case: str) -> None:
    name, text, words = BAD[case]
    with pytest.raises(Refused, match=words):
        read_rules(name, text)


def test_a_bad_content_is_not_set(project: Engine) -> None:
    with pytest.raises(Refused, match="source"), writing(project) as session:
        set_rules(session, "p", "assets", {"assets": []}, ADA)
    with reading(project) as session:
        assert current_rules(session, "p", "assets")[0] == 0


def test_a_name_that_is_none_is_told_which_there_are(project: Engine) -> None:
    with reading(project) as session:
        for ask in (
            lambda: read_rules("tickers", ""),
            lambda: shipped_text("../limits"),
            lambda: current_rules(session, "p", "tickers"),
        ):
            with pytest.raises(NotFound, match="there are: assets, claims"):
                ask()
