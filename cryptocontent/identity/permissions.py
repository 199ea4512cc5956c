"""The role table: one declaration of who may do what within a project."""

from collections.abc import Mapping
from typing import Literal, get_args

from cryptocontent.errors import NotAllowed

Role = Literal["viewer", "writer", "editor", "admin", "api"]
Permission = Literal["read", "write", "review", "operate_dagster_read_only", "administer"]

ROLES: tuple[Role, ...] = get_args(Role)

PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    "viewer": frozenset({"read"}),
    "writer": frozenset({"read", "write"}),
    "api": frozenset({"read", "write"}),
    "editor": frozenset({"read", "write", "review", "operate_dagster_read_only"}),
    "admin": frozenset({"read", "write", "review", "operate_dagster_read_only", "administer"}),
}
"""`read`: project, articles, references, analytics. `write`: references, briefs, drafts, comments,
generations. `review`: approve, publish, waive, edit templates, cancel generations. `administer`: members,
rules, recall, audit."""


def require(name: str, role: Role, permission: Permission) -> None:
    """`NotAllowed` unless the role has the permission."""
    if permission not in PERMISSIONS[role]:
        able = ", ".join(one for one in ROLES if permission in PERMISSIONS[one])
        raise NotAllowed(f"{name} is {role} here and lacks the right to {permission}; it needs: {able}")
