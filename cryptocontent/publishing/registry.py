"""The publishing targets of a project: adding, changing, checking, turning on and off."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.content.outbox import FILES
from cryptocontent.content.projects import get_project
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.publishing.targets import open_target
from cryptocontent.publishing.targets.seam import Probing
from cryptocontent.settings import Settings
from cryptocontent.storage.models import Article, Publication, PublishingTarget

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")


def add_target(
    session: Session, project_id: str, kind: str, name: str, config: Mapping[str, Any], by: Person
) -> PublishingTarget:
    """Publish to a further place from now on. `Refused` names what is wrong with the kind, the name or the
    configuration; whether the place can be reached is not asked."""
    by.require("administer")
    get_project(session, project_id)
    checked = open_target(kind).check(config)
    if not _NAME.match(name):
        raise Refused(f"name {name!r}: lower-case letters, digits and hyphens, at most 40")
    if name == FILES:
        raise Refused(f"name {name!r}: that is the target that every project has; choose another")
    lock(session, project_id)
    if session.get(PublishingTarget, (project_id, name)) is not None:
        raise Refused(f"name {name!r}: project {project_id!r} has a target of that name already")
    target = PublishingTarget(
        project_id=project_id, name=name, kind=kind, config=checked, enabled=True, author=str(by.actor)
    )
    session.add(target)
    session.flush()
    _record(session, target, "added", {"kind": kind, "config": checked}, by)
    return target


def find_target(session: Session, project_id: str, name: str) -> PublishingTarget:
    """The target of that name; `NotFound` lists those that there are."""
    query = select(PublishingTarget).filter_by(project_id=project_id).order_by(PublishingTarget.name)
    targets = {target.name: target for target in session.scalars(query)}
    if name not in targets:
        there = ", ".join(targets) or "none yet: `cryptocontent target add`"
        raise NotFound(f"no target {name!r} in project {project_id!r}; there are: {there}")
    return targets[name]


def change_target(session: Session, target: PublishingTarget, changes: Mapping[str, Any], by: Person) -> None:
    """Change settings of a target; it holds for what is delivered from now on."""
    by.require("administer")
    checked = open_target(target.kind).check({**target.config, **changes})
    lock(session, target.project_id)
    before, target.config = target.config, checked
    session.flush()
    _record(session, target, "changed", {"config": [before, checked]}, by)


def set_enabled(session: Session, target: PublishingTarget, enabled: bool, by: Person) -> None:
    """Turn a target on or off. While it is off nothing new is handed to it, and what waits stays waiting."""
    by.require("administer")
    lock(session, target.project_id)
    target.enabled = enabled
    session.flush()
    _record(session, target, "enabled" if enabled else "disabled", {}, by)


def remove_target(session: Session, target: PublishingTarget, by: Person) -> int:
    """Publish there no more. What is there stays; what waited for delivery is given up: returns how many."""
    by.require("administer")
    lock(session, target.project_id)
    query = select(Publication).join(Article, Article.id == Publication.article_id)
    query = query.where(
        Article.project_id == target.project_id,
        Publication.target == target.name,
        Publication.status.in_(("pending", "withdrawing")),
    )
    waiting = session.scalars(query).all()
    for row in waiting:
        row.status, row.error = "failed", f"target {target.name!r} was removed"
    session.delete(target)
    session.flush()
    _record(session, target, "removed", {"kind": target.kind, "given_up": len(waiting)}, by)
    return len(waiting)


def check_target(settings: Settings, kind: str, config: Mapping[str, Any]) -> list[str]:
    """What can be said of a target without delivering anything, line by line. `Refused` or `TryLater` if it
    could not deliver now."""
    target = open_target(kind)
    checked = target.check(config)
    if off := target.off(settings):
        raise Refused(off)
    said = ["its settings are complete"]
    return [*said, target.probe(settings, checked)] if isinstance(target, Probing) else said


def list_targets(session: Session, settings: Settings, project_id: str) -> list[dict[str, Any]]:
    """The project's targets, `files` first, with the number of publications in each state; `off` says why
    nothing can be delivered."""
    counts: dict[str, dict[str, int]] = {}
    rows = session.execute(
        select(Publication.target, Publication.status, func.count())
        .join(Article, Article.id == Publication.article_id)
        .where(Article.project_id == project_id)
        .group_by(Publication.target, Publication.status)
    )
    for name, status, count in rows:
        counts.setdefault(name, {})[status] = count
    query = select(PublishingTarget).filter_by(project_id=project_id).order_by(PublishingTarget.name)
    targets = [PublishingTarget(name=FILES, kind=FILES, config={}, enabled=True), *session.scalars(query)]
    return [
        {
            "name": one.name,
            "kind": one.kind,
            "enabled": one.enabled,
            "config": one.config,
            "off": "" if one.enabled else "disabled",
            **{
                state: counts.get(one.name, {}).get(state, 0)
                for state in ("delivered", "pending", "withdrawing", "failed", "withdrawn")
            },
        }
        | ({"off": off} if (off := open_target(one.kind).off(settings)) else {})
        for one in targets
    ]


def _record(session: Session, target: PublishingTarget, what: str, data: dict[str, Any], by: Person) -> None:
    record(session, target.project_id, by.actor, f"target.{what}", f"target:{target.name}", data)
