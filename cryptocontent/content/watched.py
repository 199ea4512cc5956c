"""The rows of places that are watched for a project: sources of references, Linear's teams, market data."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.content.projects import get_project
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.storage.models import Source
from cryptocontent.storage.types import new_id

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,99}\Z")


def name_problem(name: str) -> str:
    """What is wrong with the name of a source, or ""."""
    return "" if _NAME.match(name) else f"name {name!r}: lower-case letters, digits and hyphens, at most 100"


def watch(
    session: Session,
    project_id: str,
    kind: str,
    name: str,
    config: Mapping[str, Any],
    by: Person,
    cursor: Mapping[str, Any] | None = None,
) -> Source:
    """Watch a place from now on; its configuration was checked. `Refused` for a name that is taken."""
    by.require("administer")
    get_project(session, project_id)
    if problem := name_problem(name):
        raise Refused(problem)
    lock(session, project_id)
    taken = session.scalar(select(Source).filter_by(project_id=project_id, name=name))
    if taken is not None and taken.status != "removed":
        raise Refused(f"name {name!r}: project {project_id!r} watches a {taken.kind} of that name already")
    if taken is not None:
        taken.name = f"{name[:60]}~{taken.id}"  # what it brought stays; the name is free again
        session.flush()
    source = Source(
        id=new_id(),
        project_id=project_id,
        kind=kind,
        name=name,
        config=dict(config),
        cursor=dict(cursor or {}),
        author=str(by.actor),
    )
    session.add(source)
    session.flush()
    change = {"kind": kind, "name": name, "config": dict(config)}
    record(session, project_id, by.actor, "source.added", f"source:{source.id}", change)
    return source
