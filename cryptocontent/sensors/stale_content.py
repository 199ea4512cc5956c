"""Proposes a refresh of articles whose sources or market facts are newer than what they cite."""

import json
from datetime import datetime, timedelta

from dagster import DefaultSensorStatus, SensorEvaluationContext, SkipReason, sensor
from sqlalchemy import Engine

from cryptocontent.alerts import raise_alert
from cryptocontent.content.refresh import Looked, look, open_counts
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.storage import reading, writing
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
    _tell(platform.engine, looked, now)
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


def _tell(engine: Engine, looked: Looked, now: datetime) -> None:
    """One alert per project and day: the first round of the day that proposes something."""
    if not looked.proposed:
        return
    with writing(engine) as session:
        counts = open_counts(session)
        for project, slugs in sorted(looked.proposed.items()):
            more = f" and {len(slugs) - _NAMED} more" if len(slugs) > _NAMED else ""
            raise_alert(
                session,
                f"refresh:{project}:{now:%Y-%m-%d}",
                f"{project}: {counts.get(project, 0)} articles are behind their sources",
                f"New today: {', '.join(slugs[:_NAMED])}{more}\n"
                f"To look and decide: cryptocontent refresh list -p {project}",
                {"project": project, "articles": slugs[:100]},
            )
