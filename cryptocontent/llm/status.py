"""How a project's models do: for displays, and for whoever wants to know whether they answer at all.

To look costs no import of `pydantic_ai`; to ask (`ask_each`) does.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from cryptocontent.errors import Explained
from cryptocontent.llm.budgets import budgets_of, standing
from cryptocontent.llm.calls import CallScope
from cryptocontent.llm.circuit import Circuits, CircuitState
from cryptocontent.llm.policies import Candidate, Policies, StagePolicy, Timeouts, load_policies
from cryptocontent.llm.providers import configured
from cryptocontent.llm.records import open_records
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import BatchedRequest, ModelCall
from cryptocontent.storage.types import new_id, utc_now

if TYPE_CHECKING:
    from cryptocontent.llm.router import Router

EXAMPLE = Path(__file__).with_name("example.yaml")
"""An annotated policy, to begin with."""
TEST_STAGE = "test"
RECENT = timedelta(hours=24)
_TEST_SECONDS = 60.0
_TEST_TOKENS = 1000  # models that think before they answer spend them on that, too


def candidates_of(policies: Policies) -> dict[str, tuple[Candidate, list[str]]]:
    """The models that may be asked, each as first named, with the stages that name it (`default`: those
    that have no policy of their own)."""
    found: dict[str, tuple[Candidate, list[str]]] = {}
    for stage, policy in {"default": policies.default, **policies.stages}.items():
        for candidate in policy.candidates if policy.engine == "model" else ():
            found.setdefault(candidate.model, (candidate, []))[1].append(stage)
    return found


def circuit_states(settings: Settings, names: Sequence[str]) -> dict[str, CircuitState]:
    """The circuits of models as they are now; callable with or without a running event loop."""
    if not names:
        return {}
    # In a thread of its own: the caller's may have a loop, and connections belong to one loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(
            lambda: asyncio.run(Circuits(open_records(settings.cache_url)).states(names))
        ).result()


def status(engine: Engine, settings: Settings, project_id: str) -> dict[str, Any]:
    """The candidates of the project's policy (whether their provider is configured, their circuit, their
    calls of the last 24 hours) and its budgets, as plain data. Nothing is asked of any vendor."""
    with reading(engine) as session:
        policies = load_policies(session, project_id)
        recent = _recent(session, project_id, utc_now() - RECENT)
        budgets = budget_lines(session, project_id)
        calls_under_way = under_way(session, project_id)
    ready, candidates = configured(settings), candidates_of(policies)
    circuits = circuit_states(settings, list(candidates))
    rows = [
        {
            "model": model,
            "stages": stages,
            "configured": ready[candidate.provider],
            **_circuit_values(circuits[model]),
            **recent.get(model, dict(_NO_CALLS)),
        }
        for model, (candidate, stages) in candidates.items()
    ]
    return {
        "policy": policies.number,
        "candidates": rows,
        "budgets": budgets,
        "under_way": calls_under_way,
    }


def budget_lines(session: Session, project_id: str) -> list[dict[str, Any]]:
    """The project's budgets as `budgets.standing` tells them; that of any one generation has a cap only."""
    generation = {
        "scope": "generation",
        "period": "each",
        "cap": budgets_of(session, project_id).get("generation"),
        "spent": None,
        "reserved": None,
        "left": None,
    }
    return [*standing(session, project_id), generation]


def under_way(session: Session, project_id: str) -> dict[str, Any]:
    """The calls that are reserved and not settled: how many, US dollars, since when; and how many of them
    wait in a vendor's batch. What is older than any call takes is of a process that died."""
    calls, usd, since = session.execute(
        select(func.count(), func.sum(ModelCall.reserved_usd), func.min(ModelCall.created_at)).where(
            ModelCall.project_id == project_id, ModelCall.outcome == "reserved"
        )
    ).one()
    waiting = session.scalar(
        select(func.count())
        .select_from(BatchedRequest)
        .where(BatchedRequest.project_id == project_id, BatchedRequest.status.in_(("queued", "submitted")))
    )
    return {"calls": calls, "in_batches": waiting or 0, "reserved_usd": usd or 0.0, "oldest": since}


def price_notes(
    session: Session, project_id: str, since: datetime | None = None
) -> dict[str, dict[str, int]]:
    """The models whose price nobody knew, and those of a subscription: calls by `provider:model`, under
    `unknown` and `subscription`. Neither adds to what the ledger sums."""
    query = select(ModelCall.pricing, ModelCall.provider, ModelCall.model, func.count()).where(
        ModelCall.project_id == project_id,
        ModelCall.outcome != "reserved",
        ModelCall.pricing.in_(("unknown", "subscription")),
    )
    if since is not None:
        query = query.where(ModelCall.created_at >= since)
    notes: dict[str, dict[str, int]] = {"unknown": {}, "subscription": {}}
    grouped = query.group_by(ModelCall.pricing, ModelCall.provider, ModelCall.model)
    for pricing, provider, model, count in session.execute(
        grouped.order_by(ModelCall.provider, ModelCall.model)
    ):
        notes[pricing][f"{provider}:{model}"] = count
    return notes


_NO_CALLS: Mapping[str, Any] = {"calls": 0, "failed": 0, "cost_usd": 0.0, "seconds": None}


def _recent(session: Session, project_id: str, since: datetime) -> dict[str, dict[str, Any]]:
    """Settled calls by model: how many, how many without an answer, their cost, and how long an answer took
    on average."""
    answered = ModelCall.outcome == "ok"
    query = (
        select(
            ModelCall.provider,
            ModelCall.model,
            func.count(),
            func.count().filter(~answered),
            func.sum(ModelCall.cost_usd),
            # A batch's answer takes hours, and nobody waited for it.
            func.avg(ModelCall.seconds).filter(answered, ModelCall.lane == "live"),
        )
        .where(
            ModelCall.project_id == project_id,
            ModelCall.created_at >= since,
            ModelCall.outcome != "reserved",
        )
        .group_by(ModelCall.provider, ModelCall.model)
    )
    return {
        f"{provider}:{model}": {"calls": calls, "failed": failed, "cost_usd": cost, "seconds": seconds}
        for provider, model, calls, failed, cost, seconds in session.execute(query)
    }


def _circuit_values(circuit: CircuitState) -> dict[str, Any]:
    return {
        "circuit": circuit.state,
        "since": _moment(circuit.since),
        "retry_at": _moment(circuit.retry_at),
        "window_calls": circuit.calls,
        "window_failures": circuit.failures,
        "window_limited": circuit.limited,
    }


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


class Sum(BaseModel):
    """The answer to the question of `ask_each`."""

    sum: int


async def ask_each(
    engine: Engine, settings: Settings, project_id: str, candidates: Iterable[tuple[Candidate, StagePolicy]]
) -> list[dict[str, Any]]:
    """Ask each candidate, at once and really, one tiny typed question: a row of what its call took and cost,
    `error` being none if it answered. By the ledger, so that budgets hold, under the stage `test`; circuits
    are left out, so that a model is asked however it did before. Each is asked as its policy says."""
    from cryptocontent.llm.router import Router

    # In memory: what is shared with other processes are the ledger and the vendors.
    router = Router(engine, settings.model_copy(update={"cache_url": "sqlite://"}))
    return await asyncio.gather(*(_ask(router, project_id, one, policy) for one, policy in candidates))


async def _ask(
    router: "Router", project_id: str, candidate: Candidate, policy: StagePolicy
) -> dict[str, Any]:
    from pydantic_ai import Agent, PromptedOutput
    from pydantic_ai.exceptions import AgentRunError

    tiny = StagePolicy(
        candidates=(candidate,),
        max_tokens=_TEST_TOKENS,
        timeouts=Timeouts(attempt=_TEST_SECONDS, total=2 * _TEST_SECONDS),
        output=policy.output,
        stream=policy.stream,
        attempts=1,
        tries=1,
    )
    test = new_id()
    form: Any = PromptedOutput(Sum) if tiny.output == "text" else Sum
    agent: Agent[None, Sum] = Agent(None, output_type=form, retries=0)
    error = None
    try:
        model = router.model(
            tiny,
            CallScope(project_id, TEST_STAGE, run_id=test),
            accept=Sum.model_validate_json,
        )
        # Its number makes the question a new one: an answer that was kept would prove nothing.
        await agent.run(f"Question {test}: what is 17 + 25?", model=model)
    except (Explained, AgentRunError) as raised:
        error = str(raised)
    with reading(router.engine) as session:
        call = session.scalars(select(ModelCall).filter_by(project_id=project_id, run_id=test)).first()
    if error is not None and call is not None and call.error:
        error = f"{call.outcome}: {call.error}"  # it was asked once: what became of that says more
    return {
        "model": candidate.model,
        "seconds": call.seconds if call else None,
        "input_tokens": call.input_tokens if call else 0,
        "output_tokens": call.output_tokens if call else 0,
        "cost_usd": call.cost_usd if call else 0.0,
        "pricing": call.pricing if call else None,
        "outcome": call.outcome if call else "not_sent",
        "error": error,
    }
