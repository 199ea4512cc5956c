"""The roadmap: Linear's projects, milestones and cycles as campaigns, and what they say of a brief."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, record_all
from cryptocontent.integrations.linear import Cycle, Issue, Project
from cryptocontent.storage.database import pairs
from cryptocontent.storage.models import Brief, Campaign
from cryptocontent.storage.types import new_id, utc_now

LINEAR = "linear"


def campaigns_of(session: Session, project_id: str) -> dict[str, Campaign]:
    """The project's campaigns, by their id at Linear."""
    query = select(Campaign).filter_by(project_id=project_id, source=LINEAR)
    return {one.external_id: one for one in session.scalars(query)}


def campaign_and_due(issue: Issue, campaigns: Mapping[str, Campaign]) -> tuple[str | None, date | None]:
    """The campaign of an issue: its milestone, else its project, else its cycle. And when it is due: on its
    own due date, else when its milestone, its cycle or its project ends."""
    milestone, project, cycle = (
        campaigns.get(one) for one in (issue.milestone_id, issue.project_id, issue.cycle_id)
    )
    campaign = milestone or project or cycle
    ends = [one.ends_on for one in (milestone, cycle, project) if one is not None and one.ends_on]
    return campaign.id if campaign else None, issue.due_date or (ends[0] if ends else None)


def save_roadmap(
    session: Session,
    project_id: str,
    projects: Sequence[Project],
    cycles: Sequence[Cycle],
    timezone: str,
    actor: Actor,
) -> int:
    """Store the roadmap; returns how many campaigns are new or changed. Campaigns that Linear no longer
    lists stay: briefs belong to them. The caller holds the project's lock."""
    known = campaigns_of(session, project_id)
    changes: list[Change] = []

    def put(external_id: str, kind: str, name: str, url: str, start: date | None, end: date | None,
            parent: str | None = None) -> str:  # fmt: skip
        values = {"kind": kind, "name": name[:300], "url": url[:2000], "starts_on": start, "ends_on": end,
                  "parent_id": parent}  # fmt: skip
        campaign = known.get(external_id)
        if campaign is None:
            campaign = Campaign(
                id=new_id(), project_id=project_id, source=LINEAR, external_id=external_id, **values
            )
            session.add(campaign)
            session.flush()
            known[external_id] = campaign
            changes.append(_change(actor, "campaign.created", campaign, {"after": _plain(values)}))
            return campaign.id
        before = {name: getattr(campaign, name) for name in values}
        changed = {name: value for name, value in values.items() if before[name] != value}
        if changed:
            for name, value in changed.items():
                setattr(campaign, name, value)
            campaign.updated_at = utc_now()
            was = {name: before[name] for name in changed}
            data = {"before": _plain(was), "after": _plain(changed)}
            changes.append(_change(actor, "campaign.updated", campaign, data))
        return campaign.id

    for project in projects:
        parent = put(
            project.id, "project", project.name, project.url, project.start_date, project.target_date
        )
        for one in project.milestones:
            put(one.id, "milestone", one.name, project.url, None, one.target_date, parent)
    for cycle in cycles:
        start, end = _days(cycle, timezone)
        put(cycle.id, "cycle", cycle.name, "", start, end)
    session.flush()
    record_all(session, project_id, changes)
    return len(changes)


def _days(cycle: Cycle, timezone: str) -> tuple[date, date]:
    """The first and the last day of a cycle, which ends at the midnight at which the next one begins, as the
    team's clocks have it."""
    try:
        zone = ZoneInfo(timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    last = cycle.ends_at.astimezone(zone) - timedelta(seconds=1)
    return cycle.starts_at.astimezone(zone).date(), last.date()


def _change(actor: Actor, action: str, campaign: Campaign, data: dict[str, Any]) -> Change:
    return Change(actor, action, f"campaign:{campaign.id}", data)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in values.items()}


def list_campaigns(session: Session, project_id: str) -> list[dict[str, Any]]:
    """The project's campaigns with the number of their briefs, those that end first in front."""
    counts = pairs(
        session.execute(
            select(Brief.campaign_id, func.count())
            .where(Brief.project_id == project_id, Brief.campaign_id.is_not(None))
            .group_by(Brief.campaign_id)
        )
    )
    query = (
        select(Campaign)
        .filter_by(project_id=project_id)
        .order_by(Campaign.ends_on.is_(None), Campaign.ends_on, Campaign.name)
    )
    campaigns = list(session.scalars(query))
    names = {one.id: one.name for one in campaigns}
    return [
        {
            "id": one.id,
            "name": one.name,
            "kind": one.kind,
            "of": names.get(one.parent_id or "", ""),
            "starts_on": one.starts_on.isoformat() if one.starts_on else "",
            "ends_on": one.ends_on.isoformat() if one.ends_on else "",
            "briefs": counts.get(one.id, 0),
            "url": one.url,
        }
        for one in campaigns
    ]
