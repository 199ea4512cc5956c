"""An alert for each run that failed for good: written once, sent by the sensor `alerts`."""

import time
from collections.abc import Iterator
from typing import Any

from dagster import (
    DagsterRun,
    DefaultSensorStatus,
    MarkdownMetadataValue,
    RunFailureSensorContext,
    run_failure_sensor,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)
from sqlalchemy import Engine, func, select, update
from sqlalchemy.orm import Session

from cryptocontent.alerts import off, raise_alert, scrubbed
from cryptocontent.assets.articles import GENERATION_TAG
from cryptocontent.assets.sources import IMPORT_TAG
from cryptocontent.resources.platform import PlatformResource
from cryptocontent.settings import Settings
from cryptocontent.storage import writing
from cryptocontent.storage.database import DatabaseUnavailable
from cryptocontent.storage.models import Alert, Brief, Generation, Project

_MOST_STEPS, _MOST_CHARACTERS = 3, 1000
_TRIES, _PAUSE_SECONDS = 3, 2.0
_SENT_PER_GENERATION = 5


@run_failure_sensor(
    name="run_failures", minimum_interval_seconds=30, default_status=DefaultSensorStatus.RUNNING
)
def run_failures(context: RunFailureSensorContext, platform: PlatformResource) -> None:
    """Looks at every job of this code location. A run that Dagster starts again by itself is no news yet."""
    run, settings = context.dagster_run, platform.settings
    if run.tags.get(WILL_RETRY_TAG) == "true":
        context.log.info(f"run {run.run_id} is started again: no alert yet")
        return
    # First without secrets, then cut: a half of one must not stay.
    errors = [(step, _cut(scrubbed(text, settings))) for step, text in failures(context)]
    new = _written(platform.engine, settings, run, errors)
    if new and (why := off(settings)):
        context.log.info(why)


def failures(context: RunFailureSensorContext) -> list[tuple[str, str]]:
    """What failed: steps with their errors; without step, if the run itself did (its process was killed)."""
    found = list(_of_steps(context))
    return found or [("", (context.failure_event.message or "it says no more").strip())]


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def _of_steps(context: RunFailureSensorContext) -> Iterator[tuple[str, str]]:
    for event in context.get_step_failure_events()[:_MOST_STEPS]:
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            # Which briefs failed, and why, stands in what our ops attach to their verdict.
            attached = data.user_failure_data.metadata.values()
            lists = [str(one.value) for one in attached if isinstance(one, MarkdownMetadataValue)]
            yield event.step_key or "", "\n".join([data.user_failure_data.description, *lists])
            continue
        error: Any = data.error
        # Dagster's own error says only that the step failed; what the code raised is its cause.
        if error is not None and error.cause is not None and (error.cls_name or "").startswith("Dagster"):
            error = error.cause
        yield event.step_key or "", (error.message if error is not None else event.message or "").strip()


def _written(engine: Engine, settings: Settings, run: DagsterRun, errors: list[tuple[str, str]]) -> bool:
    """Write the alert. Dagster goes on to the next run whatever happens here, so a database that is not there
    for a moment is asked again."""
    for left in reversed(range(_TRIES)):
        try:
            with writing(engine) as session:
                return _raise(session, run, *_alert(session, settings, run, errors))
        except DatabaseUnavailable:
            if not left:
                raise
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError("unreachable")


def _raise(session: Session, run: DagsterRun, title: str, body: str, data: dict[str, Any]) -> bool:
    """Raise the alert. Of a generation whose runs fail in their hundreds, people are sent the first few."""
    generation, key = data.get("generation"), f"run:{run.run_id}"
    of_it = Alert.data["generation"].as_string() == generation
    before = session.scalar(select(func.count()).where(of_it)) if generation else 0
    if before == _SENT_PER_GENERATION - 1:
        body += "\nOther runs of this generation that fail are not sent: cryptocontent alert list"
    new = raise_alert(session, key, title, body, data)
    if new and before and before >= _SENT_PER_GENERATION:
        why = "enough runs of its generation were told of"
        session.execute(update(Alert).where(Alert.key == key).values(status="kept", error=why))
    return new


def _alert(
    session: Session, settings: Settings, run: DagsterRun, errors: list[tuple[str, str]]
) -> tuple[str, str, dict[str, Any]]:
    """Title, body and data of the alert."""
    project, generation = project_of(session, run), run.tags.get(GENERATION_TAG, "")
    lines = [f"Step {step}: {text}" if step else text for step, text in errors]
    if generation:
        lines.append(f"Generation {generation}: cryptocontent generation show {generation[:8]}")
    lines.append(f"Run {run.run_id}")
    data: dict[str, Any] = {
        "run": run.run_id,
        "job": run.job_name,
        "steps": [step for step, _ in errors if step],
    }
    if project:
        data["project"] = project
    if generation:
        data["generation"] = generation
    if settings.public_url:
        data["link"] = f"{settings.public_url.rstrip('/')}/dagster/runs/{run.run_id}"
    return f"{f'{project}: ' if project else ''}run of {run.job_name} failed", "\n".join(lines), data


def project_of(session: Session, run: DagsterRun) -> str:
    """The project that a run works for, by its tags; empty if they do not say."""
    if found := session.get(Generation, run.tags.get(GENERATION_TAG, "")):
        return found.project_id
    if importing := run.tags.get(IMPORT_TAG):
        return importing.partition(":")[0]
    key = run.tags.get(PARTITION_NAME_TAG) or run.tags.get(ASSET_PARTITION_RANGE_START_TAG) or ""
    if project := session.get(Project, key):
        return project.id
    brief = session.get(Brief, key)
    return brief.project_id if brief else ""
