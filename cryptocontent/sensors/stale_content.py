"""Proposes a refresh of articles whose sources or market facts are newer than what they cite."""

import json
from datetime import datetime, timedelta
from typing import Any

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor
from sqlalchemy import Engine, exists, literal, select

from cryptocontent.alerts import raise_alert
from cryptocontent.content.refresh import look, open_counts
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Alert, Article, RefreshProposal
from cryptocontent.storage.types import utc_now

_SECONDS = 30.0
_REST = timedelta(hours=1)
_NAMED = 10


@sensor(minimum_interval_seconds=300, default_status=DefaultSensorStatus.RUNNING)
def stale_content(context: SensorEvaluationContext, platform: PlatformResource) -> SkipReason:
    """Goes through all articles once an hour, a stretch of them per tick; starts no run: people decide."""
    state, now = json.loads(context.cursor or "{}"), utc_now()
    after, rests_until = state.get("after", ""), state.get("rests_until", "")
    if rests_until and now < datetime.fromisoformat(rests_until):
        return SkipReason(f"{_open(platform.engine)}; all articles were looked at, again {rests_until}")
    looked = look(platform.engine, after, seconds=_SECONDS, now=now)
    _tell(platform.engine, now)
    # An hour from the beginning of this tick: the last stretch of a long round ends it all the same.
    rests = "" if looked.cursor else (now + _REST).isoformat(timespec="seconds")
    context.update_cursor(json.dumps({"after": looked.cursor, "rests_until": rests}))
    news = sum(map(len, looked.proposed.values()))
    more = "; the others at the next tick" if looked.cursor else ""
    return SkipReason(
        f"{_open(platform.engine)}; {looked.articles} articles looked at: {news} newly proposed, "
        f"{looked.outdated} outdated{more}"
    )


def _open(engine: Engine) -> str:
    with reading(engine) as session:
        count = sum(open_counts(session).values())
    return f"{count} refreshes are proposed" + (" (`cryptocontent refresh list`)" if count else "")


def _tell(engine: Engine, now: datetime) -> None:
    """One alert per project and day, if something was proposed that day. Asked of the proposals themselves: a
    tick that was killed after it had made them is made up for by the next."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    query = (
        select(RefreshProposal.project_id, Article.slug)
        .join(Article, Article.id == RefreshProposal.article_id)
        .where(RefreshProposal.status == "open", RefreshProposal.created_at >= today)
        .where(~exists().where(Alert.key == _key(RefreshProposal.project_id, now)))
        .order_by(RefreshProposal.project_id, RefreshProposal.id)
    )
    with reading(engine) as session:
        new: dict[str, list[str]] = {}
        for project, slug in session.execute(query).tuples():
            new.setdefault(project, []).append(slug)
    if not new:
        return
    with writing(engine) as session:
        counts = open_counts(session)
        for project, slugs in new.items():
            more = f" and {len(slugs) - _NAMED} more" if len(slugs) > _NAMED else ""
            raise_alert(
                session,
                f"refresh:{project}:{now:%Y-%m-%d}",
                f"{project}: {counts.get(project, 0)} articles are behind their sources",
                f"New today: {', '.join(slugs[:_NAMED])}{more}\n"
                f"To look and decide: cryptocontent refresh list -p {project}",
                {"project": project, "articles": slugs[:100]},
            )


def _key(project: Any, now: datetime) -> Any:
    return literal("refresh:").concat(project).concat(f":{now:%Y-%m-%d}")
