"""The members of a project and their roles."""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, record
from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity.permissions import ROLES, Permission, Role, require
from cryptocontent.storage.models import Member


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts in a project, in a role."""

    name: str
    role: Role

    @property
    def actor(self) -> Actor:
        """The person as the audit trail names them."""
        return Actor("person", self.name)

    def require(self, permission: Permission) -> None:
        """`NotAllowed` unless the person's role has the permission."""
        require(self.name, self.role, permission)


def find_person(session: Session, project_id: str, name: str) -> Person:
    """The member of that name; `NotAllowed` for a stranger."""
    member = session.get(Member, (project_id, name))
    if member is None:
        raise NotAllowed(f"{name!r} is not a member of project {project_id!r}")
    return Person(member.name, cast(Role, member.role))


def list_members(session: Session, project_id: str) -> list[dict[str, Any]]:
    """The project's members, by name."""
    query = select(Member).filter_by(project_id=project_id).order_by(Member.name)
    return [{"name": member.name, "role": member.role} for member in session.scalars(query)]


def set_member(session: Session, project_id: str, name: str, role: str | None, by: Person) -> None:
    """Give `name` a role in the project, another one, or (`None`) none any more."""
    by.require("administer")
    if role is not None and role not in ROLES:
        raise Refused(f"role {role!r}: allowed are {', '.join(ROLES)}")
    if not name.strip() or len(name) > 200:
        raise Refused(f"name {name!r}: 1 to 200 characters")
    member = session.get(Member, (project_id, name))
    before = member.role if member else None
    if before == role:
        return
    if role is None and member is not None:
        session.delete(member)
    elif role is not None and member is not None:
        member.role = role
    elif role is not None:
        session.add(Member(project_id=project_id, name=name, role=role))
    session.flush()
    change = {"before": before, "after": role}
    record(
        session, project_id, by.actor, "member.set" if role else "member.removed", f"member:{name}", change
    )
