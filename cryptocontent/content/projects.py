"""Projects: the tenants. A project's id is a slug, and its Dagster partition key."""

import re
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, record
from cryptocontent.errors import NotFound, Refused
from cryptocontent.storage.database import pairs
from cryptocontent.storage.models import Article, Brief, Project, Reference

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z")


def create_project(session: Session, project_id: str, name: str, actor: Actor) -> Project:
    """A new project. `project_id`: 1 to 40 lower-case letters, digits and inner hyphens, no `--`."""
    if not _ID.match(project_id) or "--" in project_id:
        raise Refused(
            f"project id {project_id!r}: allowed are 1 to 40 lower-case letters, digits, single inner hyphens"
        )
    if session.get(Project, project_id):
        raise Refused(f"project {project_id!r} exists already")
    project = Project(id=project_id, name=name or project_id, folders=[])
    session.add(project)
    session.flush()
    record(session, project_id, actor, "project.created", f"project:{project_id}", {"name": project.name})
    return project


def get_project(session: Session, project_id: str) -> Project:
    """The project, or `NotFound` naming the ones that exist."""
    project = session.get(Project, project_id)
    if project is None:
        known = session.scalars(select(Project.id).order_by(Project.id).limit(10)).all()
        raise NotFound(f"no project {project_id!r}; there are: {', '.join(known) or 'none yet'}")
    return project


def list_projects(session: Session) -> list[dict[str, Any]]:
    """Every project with the number of its references, briefs and articles."""
    rows = []
    counts = {
        label: pairs(session.execute(select(project_id, func.count()).where(*only).group_by(project_id)))
        for label, project_id, only in (
            ("references", Reference.project_id, [Reference.status == "active"]),
            ("briefs", Brief.project_id, []),
            ("articles", Article.project_id, []),
        )
    }
    for project in session.scalars(select(Project).order_by(Project.id)):
        rows.append(
            {"id": project.id, "name": project.name}
            | {label: count.get(project.id, 0) for label, count in counts.items()}
        )
    return rows
