"""The ledger's transactions: calls that are reserved and settled, and the accounts that they burden.

A call's month (UTC, that of the reservation, whenever it is settled) and its generation have an account
each in `spending`; no budget is exceeded as long as no call costs more than was reserved for it. Amounts
are US dollars to the nano-dollar. Reservations of processes that died stay counted, since their calls may
have been paid: `release_lost`.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Engine, Row, Table, bindparam, delete, insert, select, tuple_, update

from cryptocontent.audit import record
from cryptocontent.errors import NotFound
from cryptocontent.identity import Person
from cryptocontent.llm.calls import BudgetExceeded, CallScope, Settlement
from cryptocontent.storage.database import insert_ignoring_conflicts, pairs, reading, writing
from cryptocontent.storage.models import BatchedRequest, Budget, KeptResponse, ModelCall, Spending
from cryptocontent.storage.types import new_id, utc_now

log = logging.getLogger(__name__)

MOST_ERROR_CHARACTERS = 2000

# Tables, not mapped classes: on the way of every call.
_CALLS = cast(Table, ModelCall.__table__)
_SPENDING = cast(Table, Spending.__table__)
_KEPT = cast(Table, KeptResponse.__table__)
Account = tuple[str, str]
"""An account: project, and month or generation."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """A call that is about to leave. `worst` is the most that it may cost; it waits for other calls under
    way until `deadline` (of the event loop's clock), which is `patience` seconds after it was asked for."""

    scope: CallScope
    request_key: str
    provider: str
    model: str
    attempt: int
    worst: float
    lane: str
    patience: float
    deadline: float

    def accounts(self, month: str) -> list[tuple[str, Account]]:
        """The accounts that it burdens, each with the scope of the budget that bounds it."""
        project, generation = self.scope.project_id, self.scope.generation_id
        own = [("generation", (project, generation))] if generation else []
        return [("month", (project, month)), *own]


@dataclass(frozen=True, slots=True)
class Settle:
    """A call that ended. Its response is kept under `request_key`, or under that of its reservation."""

    call_id: str
    settlement: Settlement
    request_key: str | None


@dataclass(slots=True)
class _Balance:
    spent: float
    reserved: float


@dataclass(frozen=True, slots=True)
class InTheWay:
    """Only the reservations of other calls keep this one from its budget."""

    message: str


Result = str | None | InTheWay | Exception
"""A reservation's call id, nothing for a settlement, or why not."""


def book(engine: Engine, items: Sequence[Reserve | Settle], known: set[Account]) -> list[Result]:
    """Book all of them in one transaction, settlements first; the result of each.

    Locks are taken in one order everywhere: calls by id, then accounts by key. `known` are accounts that
    are known to exist; an account, once made, is never deleted.
    """
    now = utc_now()
    month = month_of(now)
    settles: dict[str, Settle] = {}
    reserves: list[Reserve] = []
    for item in items:
        if isinstance(item, Reserve):
            reserves.append(item)
        else:
            settles.setdefault(item.call_id, item)
    with writing(engine) as session:
        connection = session.connection()
        unsettled, strangers = _unsettled(connection, settles)
        new = {key for item in reserves for _, key in item.accounts(month)}
        _open_accounts(connection, new - known)
        accounts = _locked(connection, new | {key for row in unsettled for key in _accounts_of(row)})
        if unsettled:
            closed = [(row, settles[row.id].settlement) for row in unsettled]
            _close(connection, accounts, closed, now)
            _keep(connection, [(settles[row.id], row.request_key) for row in unsettled], now)
        granted: list[dict[str, Any]] = []
        if reserves:
            caps = _caps(connection, {item.scope.project_id for item in reserves})
        results: list[Result] = []
        for item in items:
            if isinstance(item, Settle):
                missing = NotFound(f"no call {item.call_id!r} in the ledger: nothing to settle")
                results.append(missing if item.call_id in strangers else None)
                continue
            refusal = _refusal(item, month, accounts, caps)
            if refusal is None:
                granted.append(_row(item, now))
                for _, key in item.accounts(month):
                    accounts[key].reserved = nano(accounts[key].reserved + item.worst)
            results.append(refusal or granted[-1]["id"])
        if granted:
            connection.execute(insert(_CALLS), granted)
        if granted or unsettled:
            _write(connection, accounts)
    known |= new
    return results


_UNSETTLED = (
    select(
        _CALLS.c.id,
        _CALLS.c.request_key,
        _CALLS.c.project_id,
        _CALLS.c.generation_id,
        _CALLS.c.created_at,
        _CALLS.c.reserved_usd,
    )
    .where(_CALLS.c.outcome == "reserved")
    .order_by(_CALLS.c.id)
    .with_for_update()
)


def _unsettled(connection: Connection, ids: Collection[str]) -> tuple[Sequence[Row[Any]], set[str]]:
    """Those of the calls that are still to be settled, locked; and ids that no call has."""
    if not ids:
        return [], set()
    rows = connection.execute(_UNSETTLED.where(_CALLS.c.id.in_(ids))).all()
    if len(rows) == len(ids):
        return rows, set()
    others = set(ids) - {row.id for row in rows}
    return rows, others - set(connection.scalars(select(_CALLS.c.id).where(_CALLS.c.id.in_(others))))


def _accounts_of(row: Row[Any]) -> list[Account]:
    keys = [(row.project_id, month_of(row.created_at))]
    return [*keys, (row.project_id, row.generation_id)] if row.generation_id else keys


def _open_accounts(connection: Connection, keys: Collection[Account]) -> None:
    if keys:
        rows = [
            {"project_id": project, "period": period, "spent_usd": 0.0, "reserved_usd": 0.0}
            for project, period in sorted(keys)
        ]
        connection.execute(insert_ignoring_conflicts(connection.dialect, _SPENDING), rows)


def _locked(connection: Connection, keys: Collection[Account]) -> dict[Account, _Balance]:
    """The accounts, which nobody else books on until the transaction ends."""
    if not keys:
        return {}
    key = (_SPENDING.c.project_id, _SPENDING.c.period)
    query = select(_SPENDING).where(tuple_(*key).in_(keys)).order_by(*key).with_for_update()
    return {
        (row.project_id, row.period): _Balance(row.spent_usd, row.reserved_usd)
        for row in connection.execute(query)
    }


def _caps(connection: Connection, projects: Collection[str]) -> dict[Account, float]:
    """The budgets in force, by project and scope."""
    query = select(Budget.project_id, Budget.scope, Budget.cap_usd).where(Budget.project_id.in_(projects))
    return {(project, scope): cap for project, scope, cap in connection.execute(query)}


def _refusal(
    item: Reserve, month: str, accounts: Mapping[Account, _Balance], caps: Mapping[Account, float]
) -> BudgetExceeded | InTheWay | None:
    """Why the call may not leave now, if it may not."""
    in_the_way: InTheWay | None = None
    for scope, key in item.accounts(month):
        cap, account = caps.get((item.scope.project_id, scope)), accounts[key]
        if cap is None or nano(account.spent + account.reserved + item.worst) <= cap:
            continue
        message = (
            f"project {item.scope.project_id!r}: the budget of {scope} {key[1]} is {dollars(cap)}, "
            f"{dollars(account.spent)} of it is spent, and this call ({item.scope.stage}, "
            f"{item.provider}:{item.model}) may cost {dollars(item.worst)}"
        )
        if nano(account.spent + item.worst) > cap:
            return BudgetExceeded(message)
        in_the_way = in_the_way or InTheWay(
            f"{message}; {dollars(account.reserved)} is reserved by calls under way, or whose process died: "
            f"waited {item.patience:g} seconds for them"
        )
    return in_the_way


def _row(item: Reserve, now: datetime) -> dict[str, Any]:
    scope = item.scope
    # Every column, so that no default is asked for row by row.
    return {
        "id": new_id(),
        "request_key": item.request_key,
        "project_id": scope.project_id,
        "generation_id": scope.generation_id,
        "brief_id": scope.brief_id,
        "article_id": scope.article_id,
        "stage": scope.stage,
        "run_id": scope.run_id,
        "provider": item.provider,
        "model": item.model,
        "lane": item.lane,
        "attempt": item.attempt,
        "outcome": "reserved",
        "error": "",
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reserved_usd": item.worst,
        "cost_usd": 0.0,
        "pricing": "listed",
        "seconds": 0.0,
        "first_token_seconds": None,
        "created_at": now,
        "settled_at": None,
    }


_SETTLED = (
    "outcome", "error", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "cost_usd", "pricing", "seconds", "first_token_seconds", "settled_at",
)  # fmt: skip
_SETTLE = (
    update(_CALLS)
    .where(_CALLS.c.id == bindparam("call_id"))
    .values({name: bindparam(name) for name in _SETTLED})
)
_WRITE = (
    update(_SPENDING)
    .where(_SPENDING.c.project_id == bindparam("of_project"), _SPENDING.c.period == bindparam("of_period"))
    .values(spent_usd=bindparam("spent"), reserved_usd=bindparam("reserved"))
)


def _close(
    connection: Connection,
    accounts: Mapping[Account, _Balance],
    closed: Sequence[tuple[Row[Any], Settlement]],
    now: datetime,
) -> None:
    """Settle calls, and move their amounts in `accounts` (which the caller writes)."""
    updates = []
    for row, settlement in closed:
        cost, use = nano(settlement.cost_usd), settlement.use
        if cost > row.reserved_usd:
            log.warning("call %s cost %s, reserved were %s", row.id, dollars(cost), dollars(row.reserved_usd))
        for key in _accounts_of(row):
            account = accounts[key]
            account.reserved = nano(account.reserved - row.reserved_usd)
            account.spent = nano(account.spent + cost)
        updates.append(
            {
                "call_id": row.id,
                "outcome": settlement.outcome,
                "error": _storable(settlement.error),
                "input_tokens": use.input_tokens,
                "output_tokens": use.output_tokens,
                "cache_read_tokens": use.cache_read_tokens,
                "cache_write_tokens": use.cache_write_tokens,
                "cost_usd": cost,
                "pricing": settlement.pricing,
                "seconds": settlement.seconds,
                "first_token_seconds": settlement.first_token_seconds,
                "settled_at": now,
            }
        )
    connection.execute(_SETTLE, updates)


def _storable(text: str) -> str:
    """A vendor's words: cut, and without what Postgres refuses."""
    return text[:MOST_ERROR_CHARACTERS].encode("utf-8", "replace").decode().replace("\0", "")


def _keep(connection: Connection, settled: Iterable[tuple[Settle, str]], now: datetime) -> None:
    rows = [
        {
            "request_key": item.request_key or request_key,
            "call_id": item.call_id,
            "response": item.settlement.response,
            "created_at": now,
        }
        for item, request_key in settled
        if item.settlement.response is not None
    ]
    if rows:
        # In order, as all locks: two processes may have paid for the same requests.
        rows.sort(key=lambda row: str(row["request_key"]))
        connection.execute(insert_ignoring_conflicts(connection.dialect, _KEPT), rows)


def _write(connection: Connection, accounts: Mapping[Account, _Balance]) -> None:
    rows = [
        {"of_project": project, "of_period": period, "spent": account.spent, "reserved": account.reserved}
        for (project, period), account in accounts.items()
    ]
    connection.execute(_WRITE, rows)


def kept_responses(engine: Engine, keys: Sequence[str]) -> list[str | None]:
    """For each request its kept response, if there is one."""
    query = select(_KEPT.c.request_key, _KEPT.c.response).where(_KEPT.c.request_key.in_(set(keys)))
    with reading(engine) as session:
        found = pairs(session.connection().execute(query))
    return [found.get(key) for key in keys]


class Paid(NamedTuple):
    """What a kept answer did cost: `model` is `provider:name`."""

    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: float


def paid_for(engine: Engine, key: str) -> Paid | None:
    """What the kept answer to a request did cost, if its call is known."""
    query = (
        select(
            _CALLS.c.provider,
            _CALLS.c.model,
            _CALLS.c.input_tokens,
            _CALLS.c.output_tokens,
            _CALLS.c.cost_usd,
        )
        .join(_KEPT, _KEPT.c.call_id == _CALLS.c.id)
        .where(_KEPT.c.request_key == key)
    )
    with reading(engine) as session:
        row = session.connection().execute(query).one_or_none()
    return Paid(f"{row[0]}:{row[1]}", *row[2:]) if row else None


def forget_kept(engine: Engine, keys: Sequence[str]) -> None:
    """Forget the responses to these requests."""
    with writing(engine) as session:
        session.connection().execute(delete(_KEPT).where(_KEPT.c.request_key.in_(set(keys))))


def prune_kept(engine: Engine, older_than: timedelta) -> int:
    """Forget responses that have been kept for longer; returns how many."""
    with writing(engine) as session:
        gone = session.connection().execute(delete(_KEPT).where(_KEPT.c.created_at < utc_now() - older_than))
        return gone.rowcount


def release_lost(
    engine: Engine, project_id: str, older_than: timedelta, by: Person, *, as_spent: bool = True
) -> int:
    """Settle the project's calls that have been under way for longer, as those of processes that died are;
    returns how many. They count as spent, each with all that was reserved for it, since a vendor may have
    been paid: whoever knows better (from the vendor's bill) says `as_spent=False`, and they cost nothing.
    Calls that wait in a vendor's batch are left alone. Admins only; audited. Choose `older_than` longer
    than any call takes: a call that is settled here keeps its amount, and its answer is not kept."""
    by.require("administer")
    now = utc_now()
    batched = select(BatchedRequest.call_id).where(BatchedRequest.status.in_(("queued", "submitted")))
    query = _UNSETTLED.where(
        _CALLS.c.project_id == project_id, _CALLS.c.created_at < now - older_than, _CALLS.c.id.not_in(batched)
    )
    with writing(engine) as session:
        connection = session.connection()
        rows = connection.execute(query).all()
        if not rows:
            return 0
        accounts = _locked(connection, {key for row in rows for key in _accounts_of(row)})
        error = f"never settled; released by {by.name}"
        closed = [
            (row, Settlement("cancelled", cost_usd=row.reserved_usd if as_spent else 0.0, error=error))
            for row in rows
        ]
        _close(connection, accounts, closed, now)
        _write(connection, accounts)
        change = {"calls": len(rows), "usd": nano(sum(row.reserved_usd for row in rows)), "spent": as_spent}
        record(session, project_id, by.actor, "budget.lost_released", "models:budget", change)
    return len(rows)


def month_of(moment: datetime) -> str:
    """The calendar month of a moment, in UTC: "2026-11"."""
    return moment.astimezone(UTC).strftime("%Y-%m")


def dollars(amount: float) -> str:
    """An amount for people: cents, and as much more as it needs, to the millionth."""
    whole, _, cents = f"{amount:,.6f}".partition(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def nano(amount: float) -> float:
    """To the nano-dollar: sums of such amounts, rounded at each step, are exact (up to millions)."""
    return round(amount, 9)
