"""The batch lane's rows: requests that were put down, who waits for them, and the vendors' batches.

All that happens to a batch is written here in short transactions before or after the vendor is asked, so
that a process may die at any point: what it leaves is found by its state, and by its age.

    queued ─► submitted ─► answered | failed (asked live when its stage comes again)
       │ ▲        │
       │ └────────┘ the vendor surely did not take it
       └─► withdrawn (nobody wants it any more) ─► deleted
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from sqlalchemy import Engine, Table, and_, delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from cryptocontent.llm.bookings import Settle, book
from cryptocontent.llm.calls import CallScope, Settlement
from cryptocontent.storage.database import batched, insert_ignoring_conflicts, reading, writing
from cryptocontent.storage.models import (
    BatchedRequest,
    BatchWaiter,
    Generation,
    GenerationBrief,
    ModelBatch,
    ModelCall,
)
from cryptocontent.storage.types import new_id, utc_now

CHUNK = 200
"""Rows of one transaction."""
OPEN = ("queued", "submitted")
"""A request that has one of these statuses is waited for."""
HANDOVER = timedelta(minutes=15)
"""A batch that is being submitted for longer belongs to a process that died."""
PAUSE = timedelta(minutes=5)
"""A refused request is left alone for so long: the ops of one run would else try it again at once."""
DEADLINE = timedelta(hours=26)
"""Vendors promise an answer within a day; after this time a batch is given up."""


@dataclass(frozen=True, slots=True)
class Row:
    """A request that was put down; `reserved_usd` is what its call may cost."""

    key: str
    call_id: str
    request: str
    reserved_usd: float


_ROW = select(
    BatchedRequest.request_key, BatchedRequest.call_id, BatchedRequest.request, ModelCall.reserved_usd
).outerjoin(ModelCall, ModelCall.id == BatchedRequest.call_id)


def _rows(session: Session, query: Any) -> list[Row]:
    found = session.execute(query)
    return [Row(key, call, request, reserved or 0.0) for key, call, request, reserved in found]


def join(engine: Engine, key: str, scope: CallScope) -> str:
    """The status of the request ("" if nobody put it down), for which this brief then waits, too."""
    with writing(engine) as session:
        query = select(BatchedRequest.status).filter_by(request_key=key).with_for_update()
        status = session.scalar(query) or ""
        if status in OPEN:
            _wait(session, key, scope)
    return status


def put(engine: Engine, values: Mapping[str, Any], scope: CallScope) -> bool:
    """Put a request down for this brief; whether it was this call that did: another may have been faster,
    whose request it then waits for."""
    with writing(engine) as session:
        connection, key = session.connection(), str(values["request_key"])
        table = cast(Table, BatchedRequest.__table__)
        connection.execute(insert_ignoring_conflicts(connection.dialect, table), [dict(values)])
        _wait(session, key, scope)
        there = session.scalar(select(BatchedRequest.call_id).filter_by(request_key=key))
        return bool(there == values["call_id"])


def _wait(session: Session, key: str, scope: CallScope) -> None:
    connection = session.connection()
    row = {"request_key": key, "generation_id": scope.generation_id, "brief_id": scope.brief_id}
    table = cast(Table, BatchWaiter.__table__)
    connection.execute(insert_ignoring_conflicts(connection.dialect, table), [row])


def queued(engine: Engine, project_id: str) -> dict[tuple[str, str], list[str]]:
    """The keys of the project's requests that are to be submitted, by provider and model, oldest first."""
    withdraw(engine, project_id)
    with reading(engine) as session:
        rows = session.execute(
            select(BatchedRequest.provider, BatchedRequest.model, BatchedRequest.request_key)
            .filter_by(project_id=project_id, status="queued")
            .where(or_(BatchedRequest.not_before.is_(None), BatchedRequest.not_before <= utc_now()))
            .order_by(BatchedRequest.created_at, BatchedRequest.request_key)
        ).all()
    groups: dict[tuple[str, str], list[str]] = {}
    for provider, model, key in rows:
        groups.setdefault((provider, model), []).append(key)
    return groups


def load(engine: Engine, keys: Collection[str]) -> list[Row]:
    """Those of the requests that are queued."""
    query = _ROW.where(BatchedRequest.request_key.in_(keys), BatchedRequest.status == "queued")
    with reading(engine) as session:
        return _rows(session, query.order_by(BatchedRequest.created_at, BatchedRequest.request_key))


def claim(
    engine: Engine, project_id: str, provider: str, model: str, keys: Sequence[str]
) -> tuple[str, set[str]]:
    """Write a batch down before it leaves: nobody else then takes its requests. Returns its id, and which of
    the requests are in it."""
    batch_id = new_id()
    with writing(engine) as session:
        free = select(BatchedRequest.request_key).where(
            BatchedRequest.request_key.in_(keys), BatchedRequest.status == "queued"
        )
        mine = set(session.scalars(free.order_by(BatchedRequest.request_key).with_for_update()))
        if mine:
            values = {"status": "submitted", "batch_id": batch_id}
            session.execute(
                update(BatchedRequest).where(BatchedRequest.request_key.in_(mine)).values(**values)
            )
            row = {
                "id": batch_id, "project_id": project_id, "provider": provider, "model": model,
                "status": "submitting", "handle": {},
            }  # fmt: skip
            session.execute(insert(ModelBatch), [row])
    return batch_id, mine


def taken(engine: Engine, batch_id: str, handle: Mapping[str, Any]) -> bool:
    """The vendor has the batch. False if it took so long that the batch was given up meanwhile."""
    with writing(engine) as session:
        mine = update(ModelBatch).filter_by(id=batch_id, status="submitting")
        result = session.execute(mine.values(status="in_progress", handle=dict(handle)))
        if taken := bool(result.rowcount):  # type: ignore[attr-defined]
            session.execute(update(BatchedRequest).filter_by(batch_id=batch_id).values(refusals=0))
        return taken


def refused(engine: Engine, batch_id: str, error: str) -> None:
    """The vendor surely did not take the batch: its requests are queued again."""
    with writing(engine) as session:
        values = {"status": "queued", "batch_id": None, "not_before": utc_now() + PAUSE, "error": error}
        mine = update(BatchedRequest).filter_by(batch_id=batch_id, status="submitted")
        session.execute(mine.values(**values, refusals=BatchedRequest.refusals + 1))
        _close(session, batch_id, "failed", error)


def unopened(engine: Engine, keys: Collection[str], error: str) -> None:
    """The requests could not even be sent: that counts as a refusal."""
    for some in batched(keys, CHUNK):
        with writing(engine) as session:
            mine = update(BatchedRequest).where(BatchedRequest.request_key.in_(some))
            more = {"error": error, "not_before": utc_now() + PAUSE}
            mine = mine.where(BatchedRequest.status == "queued")
            session.execute(mine.values(**more, refusals=BatchedRequest.refusals + 1))


def refused_often(engine: Engine, keys: Collection[str], times: int) -> list[Row]:
    """Those of the queued requests that were refused so many times in a row."""
    found: list[Row] = []
    for some in batched(keys, CHUNK):
        query = _ROW.where(
            BatchedRequest.request_key.in_(some),
            BatchedRequest.status == "queued",
            BatchedRequest.refusals >= times,
        )
        with reading(engine) as session:
            found += _rows(session, query)
    return found


def of_batch(engine: Engine, batch_id: str) -> list[Row]:
    """The next requests of the batch that are not through."""
    query = _ROW.where(BatchedRequest.batch_id == batch_id, BatchedRequest.status == "submitted")
    with reading(engine) as session:
        return _rows(session, query.order_by(BatchedRequest.request_key).limit(CHUNK))


def close(engine: Engine, batch_id: str, status: str, error: str = "") -> None:
    """The batch is over: `ended` or `failed`."""
    with writing(engine) as session:
        _close(session, batch_id, status, error)


def _close(session: Session, batch_id: str, status: str, error: str) -> None:
    now = utc_now()
    values = {"status": status, "error": error, "ended_at": now, "checked_at": now}
    session.execute(update(ModelBatch).filter_by(id=batch_id).values(**values))


def mark(engine: Engine, outcomes: Mapping[str, tuple[str, str]]) -> None:
    """Write down how requests ended, as status and error, in one transaction. What has ended stays."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for key, outcome in sorted(outcomes.items()):
        kinds.setdefault(outcome, []).append(key)
    with writing(engine) as session:
        for (status, error), keys in kinds.items():
            session.execute(
                update(BatchedRequest)
                .where(BatchedRequest.request_key.in_(keys), BatchedRequest.status.in_(OPEN))
                .values(status=status, error=error)
            )


def to_check(engine: Engine, most: int) -> list[ModelBatch]:
    """The batches to look at now, those looked at longest ago first. That they were looked at is written
    before anybody is asked: one that hangs does not come first again."""
    with writing(engine) as session:
        query = select(ModelBatch).filter_by(status="in_progress")
        order = (ModelBatch.checked_at.is_not(None), ModelBatch.checked_at, ModelBatch.created_at)
        found = list(session.scalars(query.order_by(*order).limit(most)))
        ids = [one.id for one in found]
        session.execute(update(ModelBatch).where(ModelBatch.id.in_(ids)).values(checked_at=utc_now()))
        session.expunge_all()
    return found


def note(engine: Engine, batch_id: str, error: str) -> None:
    """What the vendor said of a batch that is looked at again."""
    with writing(engine) as session:
        session.execute(update(ModelBatch).filter_by(id=batch_id).values(error=error))


def left_behind(engine: Engine) -> list[str]:
    """The batches whose process died between writing them down and hearing of the vendor."""
    with reading(engine) as session:
        query = select(ModelBatch.id).filter_by(status="submitting")
        return list(session.scalars(query.where(ModelBatch.created_at < utc_now() - HANDOVER)))


def withdraw(engine: Engine, project_id: str) -> int:
    """Withdraw the project's queued requests for which only cancelled generations wait: they never leave,
    and cost nothing. Returns how many; done again where a process died midway."""
    waiter = BatchWaiter.request_key == BatchedRequest.request_key
    cancelled = exists().where(Generation.id == BatchWaiter.generation_id, Generation.status == "cancelled")
    with writing(engine) as session:
        free = select(BatchedRequest.request_key).filter_by(project_id=project_id, status="queued")
        # Locked first, asked then: a brief that joins at this moment is seen.
        session.execute(free.order_by(BatchedRequest.request_key).with_for_update()).all()
        session.execute(
            update(BatchedRequest)
            .where(
                BatchedRequest.project_id == project_id,
                BatchedRequest.status == "queued",
                exists().where(waiter),
                ~exists().where(waiter, ~cancelled),
            )
            .values(status="withdrawn")
            .execution_options(synchronize_session=False)
        )
        query = select(BatchedRequest.request_key, BatchedRequest.call_id)
        rows = session.execute(query.filter_by(project_id=project_id, status="withdrawn")).all()
    for some in batched(rows, CHUNK):
        nothing = Settlement("cancelled", error="withdrawn before it was submitted")
        book(engine, [Settle(call, nothing, None) for _, call in some], set())
        with writing(engine) as session:
            _forget(session, [key for key, _ in some], ("withdrawn",))
    return len(rows)


def _forget(session: Session, keys: Collection[str], statuses: Sequence[str]) -> int:
    gone = session.execute(
        delete(BatchedRequest).where(
            BatchedRequest.request_key.in_(keys), BatchedRequest.status.in_(statuses)
        )
    )
    there = select(BatchedRequest.request_key).where(BatchedRequest.request_key.in_(keys))
    session.execute(
        delete(BatchWaiter).where(
            BatchWaiter.request_key.in_(keys), BatchWaiter.request_key.not_in(there.scalar_subquery())
        )
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]


def work(engine: Engine) -> tuple[int, list[str]]:
    """What there is to do: how many batches are under way, and the projects with requests to submit."""
    with reading(engine) as session:
        batches = session.scalars(
            select(ModelBatch.id).where(ModelBatch.status.in_(("submitting", "in_progress")))
        ).all()
        due = or_(BatchedRequest.status == "queued", BatchedRequest.status == "withdrawn")
        projects = session.scalars(select(BatchedRequest.project_id).where(due).distinct()).all()
    return len(batches), list(projects)


def ready(session: Session) -> dict[str, list[str]]:
    """The briefs that wait for a batch though none of their requests is open any more, by generation. By
    the state alone: whoever found out first, and when, does not matter."""
    request_open = exists().where(
        and_(
            BatchWaiter.generation_id == GenerationBrief.generation_id,
            BatchWaiter.brief_id == GenerationBrief.brief_id,
            BatchedRequest.request_key == BatchWaiter.request_key,
            BatchedRequest.status.in_(OPEN),
        )
    )
    query = select(GenerationBrief.generation_id, GenerationBrief.brief_id).where(
        GenerationBrief.status == "waiting", ~request_open
    )
    found: dict[str, list[str]] = {}
    for generation, brief in session.execute(query.order_by(GenerationBrief.generation_id)):
        found.setdefault(generation, []).append(brief)
    return found


def prune_batches(engine: Engine, older_than: timedelta) -> int:
    """Forget requests that ended, and batches that are over, if they are older; returns how many requests."""
    before, gone = utc_now() - older_than, 0
    ended = ("answered", "failed")
    query = select(BatchedRequest.request_key).where(
        BatchedRequest.status.in_(ended), BatchedRequest.created_at < before
    )
    with reading(engine) as session:
        keys = list(session.scalars(query))
    for some in batched(keys, CHUNK):
        with writing(engine) as session:
            gone += _forget(session, some, ended)
    over = ModelBatch.status.in_(("ended", "failed"))
    with writing(engine) as session:
        session.execute(delete(ModelBatch).where(over, ModelBatch.created_at < before))
    return gone
