"""Generations: requests to take briefs through the pipeline, and how far each brief came.

    requested ─► running ─► done | failed
        ▲  ▲        │ ├───► awaiting_approval (the canary is through) ─► requested, by approval
        │  └────────┘ └───► paused ─► requested, by resumption
    any of these but done and failed ─► cancelled

`requested` is what nobody has picked up yet. A brief is `held` until the canary is approved, `queued`
until it is `done`, `failed` or `cancelled`, and `waiting` while a vendor's batch has a request of it; what
is finished stays, whatever becomes of the generation.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record
from cryptocontent.content.briefs import PRIORITIES
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Permission, Person
from cryptocontent.storage.database import batched, pairs
from cryptocontent.storage.models import AuditEntry, Brief, Generation, GenerationBrief
from cryptocontent.storage.types import new_id, utc_now

STARTABLE = ("requested", "running")
"""The statuses in which new runs may start."""
ENDED = ("done", "failed", "cancelled")
LANES = ("live", "batch")
"""How models are asked: at once, or by the vendors' batch APIs at half the price, within a day."""
_UNDER_WAY = (*STARTABLE, "paused")


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
    priority: str = "normal",
    canary: int = 0,
    lane: str = "live",
    newest_facts: bool = False,
    estimate: Mapping[str, Any] | None = None,
) -> str:
    """Ask for articles; returns the generation's id. With the runner `dagster` the `generations` sensor
    starts it once; with `local` the caller carries it out.

    With `canary` only so many briefs (by their priority, then as given) go first; the rest is held until
    somebody approves. With `newest_facts` each brief is researched anew where newer market facts are known
    of its assets. `estimate` is what the person was told that it would cost: it is kept in the audit
    trail, to be compared with what it did cost.
    """
    if not ids:
        raise Refused("a generation needs at least one brief")
    if not 1 <= batch_size <= 100:
        raise Refused(f"batch size {batch_size}: allowed are 1 to 100 briefs a run")
    if priority not in PRIORITIES:
        raise Refused(f"priority {priority!r}: allowed are {', '.join(PRIORITIES)}")
    if lane not in LANES:
        raise Refused(f"lane {lane!r}: allowed are {', '.join(LANES)}")
    if canary < 0:
        raise Refused(f"canary {canary}: allowed is 0 (none) or a number of briefs")
    ids = list(dict.fromkeys(ids))
    known: dict[str, str] = {}
    for some in batched(ids, 500):
        query = select(Brief.id, Brief.priority).where(Brief.project_id == project_id, Brief.id.in_(some))
        known |= pairs(session.execute(query))
    if missing := [brief for brief in ids if brief not in known]:
        raise NotFound(f"no brief {missing[0]!r} in project {project_id!r}")
    generation = Generation(
        id=new_id(),
        project_id=project_id,
        requested_by=str(actor),
        batch_size=batch_size,
        runner=runner,
        priority=priority,
        canary=canary,
        lane=lane,
        newest_facts=newest_facts,
    )
    session.add(generation)
    session.flush()
    first = set(sorted(ids, key=lambda brief: rank(known[brief]))[: canary or len(ids)])
    rows = [
        {
            "generation_id": generation.id,
            "brief_id": brief,
            "status": "queued" if brief in first else "held",
        }
        for brief in ids
    ]
    session.execute(insert(GenerationBrief), rows)
    change: dict[str, Any] = {"briefs": len(rows), "batch_size": batch_size, "priority": priority}
    if canary:
        change["canary"] = canary
    if lane != "live":
        change["lane"] = lane
    if newest_facts:
        change["newest_facts"] = True
    if estimate is not None:
        change["estimate"] = dict(estimate)
    record(session, project_id, actor, "generation.requested", _subject(generation.id), change)
    return generation.id


def rank(priority: str) -> int:
    """0 for the highest priority: what has the lower rank goes first."""
    return len(PRIORITIES) - 1 - PRIORITIES.index(priority)


def _subject(generation_id: str) -> str:
    return f"generation:{generation_id}"


def find_generation(session: Session, name: str, project_id: str | None = None) -> Generation:
    """The generation whose id is `name` or, if it is the only one, begins so."""
    query = select(Generation).where(Generation.id.startswith(name.lower(), autoescape=True))
    if project_id:
        query = query.filter_by(project_id=project_id)
    found = session.scalars(query.order_by(Generation.created_at.desc()).limit(5)).all() if name else []
    exact = [one for one in found if one.id == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if found:
        raise NotFound(f"{name!r} begins several generations: {', '.join(one.id for one in found)}")
    raise NotFound(f"no generation {name!r} (`cryptocontent generation list`)")


def list_generations(session: Session, project_id: str) -> list[dict[str, Any]]:
    """One row per generation of the project with the number of its briefs in each state, newest first."""
    counts: dict[str, dict[str, int]] = {}
    rows = session.execute(
        select(GenerationBrief.generation_id, GenerationBrief.status, func.count())
        .join(Generation, Generation.id == GenerationBrief.generation_id)
        .where(Generation.project_id == project_id)
        .group_by(GenerationBrief.generation_id, GenerationBrief.status)
    )
    for generation_id, status, count in rows:
        counts.setdefault(generation_id, {})[status] = count
    query = select(Generation).filter_by(project_id=project_id).order_by(Generation.created_at.desc())
    return [
        {
            "id": one.id,
            "status": one.status,
            "priority": one.priority,
            "canary": one.canary,
            "lane": one.lane,
            "briefs": sum(counts.get(one.id, {}).values()),
            "states": counts.get(one.id, {}),
            "runner": one.runner,
            "requested_by": one.requested_by,
            "created_at": one.created_at.isoformat(timespec="seconds"),
            "finished_at": one.finished_at.isoformat(timespec="seconds") if one.finished_at else None,
        }
        for one in session.scalars(query)
    ]


def requested_estimate(session: Session, generation: Generation) -> dict[str, Any] | None:
    """What the person who asked was told that the generation would cost, if they were told."""
    query = select(AuditEntry.data).filter_by(
        project_id=generation.project_id, subject=_subject(generation.id), action="generation.requested"
    )
    data = session.scalars(query).first() or {}
    estimate: dict[str, Any] | None = data.get("estimate")
    return estimate


def approve_generation(session: Session, generation_id: str, by: Person) -> None:
    """The canary is good: release the briefs that are held."""
    generation = _changeable(session, generation_id, by, "review", "approved", ("awaiting_approval",))
    released = _move(session, generation_id, "held", "queued")
    _set_status(session, generation, "requested", "generation.approved", by.actor, {"released": released})


def pause_generation(session: Session, generation_id: str, by: Person) -> None:
    """Start nothing new; runs under way stop before their next stage and give their briefs back."""
    generation = _changeable(session, generation_id, by, "write", "paused", STARTABLE)
    _set_status(session, generation, "paused", "generation.paused", by.actor, {})


def resume_generation(session: Session, generation_id: str, by: Person) -> None:
    """Go on with what is queued; finished stages are not repeated."""
    generation = _changeable(session, generation_id, by, "write", "resumed", ("paused",))
    _set_status(session, generation, "requested", "generation.resumed", by.actor, {})


def cancel_generation(session: Session, generation_id: str, by: Person, reason: str = "") -> None:
    """Give up what is not done yet; runs under way stop before their next stage. What was put down for
    a vendor's batch is withdrawn by `llm.batch_rows.withdraw`, at the latest when it would be submitted."""
    allowed = (*_UNDER_WAY, "awaiting_approval")
    generation = _changeable(session, generation_id, by, "review", "cancelled", allowed)
    dropped = _move(session, generation_id, "queued", "cancelled")
    dropped += _move(session, generation_id, "held", "cancelled")
    dropped += _move(session, generation_id, "waiting", "cancelled")
    generation.finished_at = utc_now()
    change = {"cancelled": dropped, "reason": reason}
    _set_status(session, generation, "cancelled", "generation.cancelled", by.actor, change)


def _changeable(
    session: Session,
    generation_id: str,
    by: Person,
    permission: Permission,
    verb: str,
    allowed: Collection[str],
) -> Generation:
    by.require(permission)
    generation = _locked(session, generation_id)
    if generation.status not in allowed:
        states = " or ".join(status.replace("_", " ") for status in allowed)
        raise Refused(
            f"generation {generation_id} is {generation.status.replace('_', ' ')}: only one that is {states} "
            f"can be {verb}"
        )
    return generation


def _locked(session: Session, generation_id: str) -> Generation:
    """The generation as it is now; nobody else changes the project's until the transaction ends."""
    generation = session.get(Generation, generation_id)
    if generation is None:
        raise NotFound(f"no generation {generation_id!r}")
    lock(session, generation.project_id)
    session.refresh(generation)
    return generation


def _move(session: Session, generation_id: str, before: str, after: str) -> int:
    chosen = {"generation_id": generation_id, "status": before}
    result = session.execute(update(GenerationBrief).filter_by(**chosen).values(status=after))
    count: int = result.rowcount  # type: ignore[attr-defined]
    return count


def _set_status(
    session: Session, generation: Generation, status: str, action: str, actor: Actor, data: dict[str, Any]
) -> None:
    change = {"before": generation.status, "after": status} | data
    generation.status = status
    session.flush()
    record(session, generation.project_id, actor, action, _subject(generation.id), change)


def set_running(session: Session, generation_id: str) -> None:
    """Somebody has picked the generation up: its runs are requested."""
    session.execute(
        update(Generation).filter_by(id=generation_id, status="requested").values(status="running")
    )


def waiting(session: Session, generation_id: str) -> list[tuple[str, str]]:
    """The queued briefs that no batch has yet, each with its priority."""
    query = (
        select(GenerationBrief.brief_id, Brief.priority)
        .join(Brief, Brief.id == GenerationBrief.brief_id)
        .where(
            GenerationBrief.generation_id == generation_id,
            GenerationBrief.status == "queued",
            GenerationBrief.batch.is_(None),
        )
    )
    return [(brief, priority) for brief, priority in session.execute(query)]


def give_batches(session: Session, generation_id: str, batches: Sequence[Sequence[str]]) -> None:
    """Number the batches on from the last one that the generation ever had, and write each brief's number
    down: a number that was given back is not given again, since Dagster knows a run by it."""
    generation = session.get_one(Generation, generation_id)
    session.refresh(generation)
    for number, briefs in enumerate(batches, generation.batches):
        session.execute(
            update(GenerationBrief)
            .where(GenerationBrief.generation_id == generation_id, GenerationBrief.brief_id.in_(briefs))
            .values(batch=number)
        )
    generation.batches += len(batches)
    session.flush()


def open_batches(session: Session, generation_id: str) -> dict[int, list[str]]:
    """The batches that hold briefs which are not through, by number, with those briefs."""
    query = (
        select(GenerationBrief.batch, GenerationBrief.brief_id)
        .where(
            GenerationBrief.generation_id == generation_id,
            GenerationBrief.status == "queued",
            GenerationBrief.batch.is_not(None),
        )
        .order_by(GenerationBrief.batch, GenerationBrief.brief_id)
    )
    batches: dict[int, list[str]] = {}
    for number, brief in session.execute(query):
        batches.setdefault(number or 0, []).append(brief)
    return batches


def held_back(
    session: Session, generation_id: str, ids: Sequence[str], batch: int | None = None
) -> dict[str, str]:
    """Of the briefs of a run (`batch`: its number), those with which it may not go on, and why: `paused`
    (or given to another run since) or `cancelled`."""
    generation = session.get(Generation, generation_id)
    if generation is None:
        return {}
    if generation.status in ("paused", "cancelled"):
        return dict.fromkeys(ids, generation.status)
    elsewhere = select(GenerationBrief.brief_id).where(
        GenerationBrief.generation_id == generation_id,
        GenerationBrief.brief_id.in_(ids),
        GenerationBrief.status == "queued",
        GenerationBrief.batch.is_distinct_from(batch),
    )
    return {} if batch is None else dict.fromkeys(session.scalars(elsewhere), "paused")


def wanting_newest_facts(session: Session, generation_id: str, ids: Collection[str]) -> set[str]:
    """Of these briefs of a generation, those whose research is to hold the newest market facts: if it was
    asked for so, all of which no run has told yet what became of them. A later run (one that waited for
    a vendor's batch) goes on from the same facts: each tick of the market would begin it all anew."""
    query = (
        select(GenerationBrief.brief_id)
        .join(Generation, Generation.id == GenerationBrief.generation_id)
        .where(
            Generation.id == generation_id,
            Generation.newest_facts.is_(True),
            GenerationBrief.run_id.is_(None),
        )
    )
    return {
        brief
        for some in batched(ids, 500)
        for brief in session.scalars(query.where(GenerationBrief.brief_id.in_(some)))
    }


def give_back(session: Session, generation_id: str, ids: Collection[str], batch: int | None) -> None:
    """A run does not go on with these briefs: they wait for a new batch, unless they have one already."""
    session.execute(
        update(GenerationBrief)
        .where(
            GenerationBrief.generation_id == generation_id,
            GenerationBrief.brief_id.in_(ids),
            GenerationBrief.status == "queued",
            GenerationBrief.batch == batch,
        )
        .values(batch=None)
    )


def set_outcomes(
    session: Session,
    generation_id: str,
    errors: Mapping[str, str | None],
    run_id: str,
    pending: Collection[str] = (),
) -> None:
    """Record, for the briefs of one run, success (`None`) or the reason of the failure. `pending` are those
    of which a vendor's batch has a request: they wait, and go on in another run, unless the generation was
    cancelled meanwhile."""
    generation = _locked(session, generation_id)
    for brief, error in errors.items():
        values: dict[str, Any] = {"status": "failed" if error else "done", "error": error, "run_id": run_id}
        if brief in pending:
            status = "cancelled" if generation.status == "cancelled" else "waiting"
            values = {"status": status, "error": None, "batch": None, "run_id": run_id}
        session.execute(
            update(GenerationBrief).filter_by(generation_id=generation_id, brief_id=brief).values(**values)
        )
    close_if_finished(session, generation_id)


def answered(session: Session, generation_id: str, ids: Collection[str]) -> int:
    """No request of these briefs waits for a batch any more: they are queued again. Returns how many were."""
    _locked(session, generation_id)
    queued = 0
    for some in batched(ids, 500):
        result = session.execute(
            update(GenerationBrief)
            .where(
                GenerationBrief.generation_id == generation_id,
                GenerationBrief.brief_id.in_(some),
                GenerationBrief.status == "waiting",
            )
            .values(status="queued")
        )
        queued += result.rowcount  # type: ignore[attr-defined]
    return queued


def close_if_finished(session: Session, generation_id: str) -> str:
    """The generation's status, moved on when no brief is queued or waiting any more: to `awaiting_approval`
    if some are held, else to `done` or `failed`."""
    generation = _locked(session, generation_id)
    counts = state_counts(session, generation_id)
    if not counts.get("queued") and not counts.get("waiting") and generation.status in _UNDER_WAY:
        if counts.get("held"):
            status = "awaiting_approval"
        else:
            status = "failed" if counts.get("failed") else "done"
            generation.finished_at = utc_now()
        actor = Actor("system", "generations")
        _set_status(session, generation, status, f"generation.{status}", actor, dict(counts))
    return generation.status


def state_counts(session: Session, generation_id: str) -> dict[str, int]:
    """How many of the generation's briefs are in each state."""
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
