"""Who may do what: roles and their permissions, members of projects."""

from cryptocontent.identity.members import Person, find_person, list_members, set_member
from cryptocontent.identity.permissions import PERMISSIONS, ROLES, Permission, Role, require

__all__ = [
    "PERMISSIONS",
    "ROLES",
    "Permission",
    "Person",
    "Role",
    "find_person",
    "list_members",
    "require",
    "set_member",
]
