"""Generations: requests to take briefs through the pipeline, and how far each brief came."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, record
from cryptocontent.errors import NotFound, Refused
from cryptocontent.storage.database import pairs
from cryptocontent.storage.models import Brief, Generation, GenerationBrief
from cryptocontent.storage.types import new_id, utc_now


def brief_ids(session: Session, project_id: str) -> list[str]:
    """The project's briefs in the order they were given: the order of their Dagster partitions."""
    query = (
        select(Brief.id).filter_by(project_id=project_id).order_by(Brief.created_at, Brief.ordinal, Brief.id)
    )
    return list(session.scalars(query))


def request_generation(
    session: Session,
    project_id: str,
    ids: Sequence[str],
    actor: Actor,
    *,
    batch_size: int,
    runner: str = "dagster",
) -> str:
    """Ask for articles; returns the generation's id. With the runner `dagster` the `generations` sensor
    starts it once; with `local` the caller carries it out."""
    if not ids:
        raise Refused("a generation needs at least one brief")
    if not 1 <= batch_size <= 100:
        raise Refused(f"batch size {batch_size}: allowed are 1 to 100 briefs a run")
    known = set(session.scalars(select(Brief.id).where(Brief.project_id == project_id, Brief.id.in_(ids))))
    if missing := [brief for brief in ids if brief not in known]:
        raise NotFound(f"no brief {missing[0]!r} in project {project_id!r}")
    generation = Generation(
        id=new_id(), project_id=project_id, requested_by=str(actor), batch_size=batch_size, runner=runner
    )
    session.add(generation)
    session.flush()
    rows = [
        {"generation_id": generation.id, "brief_id": brief, "status": "queued"}
        for brief in dict.fromkeys(ids)
    ]
    session.execute(insert(GenerationBrief), rows)
    change = {"briefs": len(rows), "batch_size": batch_size}
    record(session, project_id, actor, "generation.requested", f"generation:{generation.id}", change)
    return generation.id


def set_outcomes(session: Session, generation_id: str, errors: Mapping[str, str | None], run_id: str) -> None:
    """Record, for the briefs of one run, success (`None`) or the reason of the failure."""
    for brief, error in errors.items():
        session.execute(
            update(GenerationBrief)
            .filter_by(generation_id=generation_id, brief_id=brief)
            .values(status="failed" if error else "done", error=error, run_id=run_id)
        )
    close_if_finished(session, generation_id)


def close_if_finished(session: Session, generation_id: str) -> str:
    """The generation's status, moved to `done` or `failed` when no brief is waiting any more."""
    generation = session.get(Generation, generation_id)
    if generation is None:
        raise NotFound(f"no generation {generation_id!r}")
    counts = state_counts(session, generation_id)
    if not counts.get("queued") and generation.status in ("requested", "running"):
        generation.status = "failed" if counts.get("failed") else "done"
        generation.finished_at = utc_now()
        actor = Actor("system", "generations")
        subject = f"generation:{generation_id}"
        record(
            session, generation.project_id, actor, f"generation.{generation.status}", subject, dict(counts)
        )
    return generation.status


def state_counts(session: Session, generation_id: str) -> dict[str, int]:
    """How many of the generation's briefs are queued, done and failed."""
    rows = session.execute(
        select(GenerationBrief.status, func.count())
        .filter_by(generation_id=generation_id)
        .group_by(GenerationBrief.status)
    )
    return pairs(rows)


def failures(session: Session, generation_id: str) -> list[dict[str, Any]]:
    """The briefs that failed, with the reason."""
    rows = session.execute(
        select(GenerationBrief.brief_id, GenerationBrief.error, GenerationBrief.run_id)
        .filter_by(generation_id=generation_id, status="failed")
        .order_by(GenerationBrief.brief_id)
    )
    return [{"brief": brief, "error": error, "run": run} for brief, error, run in rows]
