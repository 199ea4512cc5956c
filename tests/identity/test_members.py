"""Roles: who may do what, who may say who may, and that it is audited."""

from typing import get_args

import pytest
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import (
    PERMISSIONS,
    ROLES,
    Permission,
    Person,
    Role,
    find_person,
    list_members,
    set_member,
)
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, Member

ADA = Person("ada", "admin")
# The table of the architecture, §7, written down a second time.
MAY: dict[str, set[str]] = {
    "read": {"viewer", "writer", "editor", "admin", "api"},
    "write": {"writer", "editor", "admin", "api"},
    "review": {"editor", "admin"},
    "operate_dagster_read_only": {"editor", "admin"},
    "administer": {"admin"},
}


@pytest.fixture
def project(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", Actor("cli", "root"))
    return engine


def test_the_table_is_the_architectures() -> None:
    assert set(PERMISSIONS) == set(ROLES) == set(get_args(Role))
    assert set(MAY) == set(get_args(Permission))
    for permission, roles in MAY.items():
        assert {role for role in ROLES if permission in PERMISSIONS[role]} == roles


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("permission", get_args(Permission))
def test_a_role_allows_what_the_table_says(role: Role, permission: Permission) -> None:
    person = Person("x", role)
    if role in MAY[permission]:
        person.require(permission)
    else:
        with pytest.raises(NotAllowed, match=f"x is {role} here and lacks the right to {permission}"):
            person.require(permission)


def test_a_member_is_made_changed_and_removed(project: Engine) -> None:
    with writing(project) as session:
        set_member(session, "p", "wil", "writer", ADA)
        set_member(session, "p", "ed", "editor", ADA)
        set_member(session, "p", "wil", "editor", ADA)
        assert find_person(session, "p", "wil") == Person("wil", "editor")
        set_member(session, "p", "ed", None, ADA)
        assert list_members(session, "p") == [{"name": "wil", "role": "editor"}]
        with pytest.raises(NotAllowed, match="'ed' is not a member of project 'p'"):
            find_person(session, "p", "ed")
    with reading(project) as session:
        query = select(AuditEntry).where(AuditEntry.action.startswith("member.")).order_by(AuditEntry.seq)
        entries = session.scalars(query).all()
        assert [(one.action, one.subject, one.data["before"], one.data["after"]) for one in entries] == [
            ("member.set", "member:wil", None, "writer"),
            ("member.set", "member:ed", None, "editor"),
            ("member.set", "member:wil", "writer", "editor"),
            ("member.removed", "member:ed", "editor", None),
        ]
        assert {one.actor for one in entries} == {"person:ada"}
        assert verify(session, "p").broken_at is None


def test_what_changes_nothing_is_not_audited(project: Engine) -> None:
    with writing(project) as session:
        set_member(session, "p", "wil", "writer", ADA)
        before = session.scalars(select(AuditEntry.seq)).all()
        set_member(session, "p", "wil", "writer", ADA)
        set_member(session, "p", "nobody", None, ADA)
        assert session.scalars(select(AuditEntry.seq)).all() == before


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_only_admins_say_who_is_a_member(project: Engine, role: Role) -> None:
    with pytest.raises(NotAllowed, match="administer"), writing(project) as session:
        set_member(session, "p", "x", "admin", Person("x", role))
    with reading(project) as session:
        assert session.scalars(select(Member)).all() == []


@pytest.mark.parametrize(
    ("name", "role", "words"),
    [("x", "owner", "role 'owner': allowed are viewer"), ("x", "", "role ''"), (" ", "editor", "1 to 200")],
)
def test_what_is_no_member_is_refused(project: Engine, name: str, role: str, words: str) -> None:
    with pytest.raises(Refused, match=words), writing(project) as session:
        set_member(session, "p", name, role, ADA)


def test_members_are_of_one_project(project: Engine) -> None:
    with writing(project) as session:
        create_project(session, "q", "", Actor("cli", "root"))
        set_member(session, "p", "wil", "admin", ADA)
        with pytest.raises(NotAllowed, match="not a member of project 'q'"):
            find_person(session, "q", "wil")
