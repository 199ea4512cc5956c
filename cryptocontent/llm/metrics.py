"""The ledger, the circuits and the budgets as Prometheus sees them: counted when it asks, kept nowhere else.

Numbers are of the whole installation, whichever process made the calls; so one process shows them. Calls
are counted once they are settled. Nothing is deleted from the ledger, so that counters never go back.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from cryptocontent.llm.budgets import standing
from cryptocontent.llm.circuit import State
from cryptocontent.llm.policies import load_policies
from cryptocontent.llm.status import candidates_of, circuit_states
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import ModelCall, Project

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

PORT = 9464
"""Where `cryptocontent models metrics` listens unless told otherwise: the usual port of exporters."""
_STATES: tuple[State, ...] = ("closed", "cooling", "open", "half_open")
_LABELS = ["project", "provider", "model", "stage"]


@dataclass(frozen=True, eq=False)  # a registry knows collectors by identity
class LedgerCollector:
    """A collector for any registry of `prometheus_client`."""

    engine: Engine
    settings: Settings

    def collect(self) -> "Iterator[Metric]":
        """All metrics as of now. A database that is away raises: the scrape fails, and says so."""
        with reading(self.engine) as session:
            calls = session.execute(_SETTLED).all()
            waiting = session.execute(_UNDER_WAY).all()
            projects = list(session.scalars(select(Project.id).order_by(Project.id)))
            models = {
                model for project in projects for model in candidates_of(load_policies(session, project))
            }
            budgets = [(project, _month(session, project)) for project in projects]
        yield from _call_metrics(calls)
        yield from _waiting_metrics(waiting)
        yield _circuits(self.settings, sorted(models))
        yield from _budget_metrics(budgets)


def registry(engine: Engine, settings: Settings) -> "CollectorRegistry":
    """A registry that holds the collector alone."""
    from prometheus_client import CollectorRegistry

    made = CollectorRegistry()
    made.register(LedgerCollector(engine, settings))
    return made


_GROUP = (ModelCall.project_id, ModelCall.provider, ModelCall.model, ModelCall.stage)
_SETTLED = (
    select(
        *_GROUP,
        ModelCall.outcome,
        func.count().label("calls"),
        func.sum(ModelCall.input_tokens).label("input"),
        func.sum(ModelCall.output_tokens).label("output"),
        func.sum(ModelCall.cache_read_tokens).label("cache_read"),
        func.sum(ModelCall.cache_write_tokens).label("cache_write"),
        func.sum(ModelCall.cost_usd).label("cost"),
        func.sum(ModelCall.seconds).label("seconds"),
        func.count().filter(ModelCall.pricing == "unknown").label("unknown"),
    )
    .where(ModelCall.outcome != "reserved")
    .group_by(*_GROUP, ModelCall.outcome)
    .order_by(*_GROUP, ModelCall.outcome)
)
_UNDER_WAY = (
    select(*_GROUP, func.count().label("calls"), func.sum(ModelCall.reserved_usd).label("usd"))
    .where(ModelCall.outcome == "reserved")
    .group_by(*_GROUP)
    .order_by(*_GROUP)
)


def _call_metrics(rows: Any) -> "Iterator[Metric]":
    from prometheus_client.core import CounterMetricFamily

    def counter(name: str, what: str, *more: str) -> CounterMetricFamily:
        return CounterMetricFamily(f"cryptocontent_model_{name}", what, labels=[*_LABELS, *more])

    calls = counter("calls", "Settled calls of models.", "outcome")
    cost = counter("cost_usd", "What settled calls cost, in US dollars.", "outcome")
    seconds = counter("call_seconds", "Seconds that settled calls took.", "outcome")
    tokens = counter(
        "tokens", "Tokens of settled calls; input holds those read from and written to caches.", "kind"
    )
    unknown = counter("unknown_price_calls", "Settled calls whose price nobody knew: they count as 0.")
    summed: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        labels = [row.project_id, row.provider, row.model, row.stage]
        calls.add_metric([*labels, row.outcome], row.calls)
        cost.add_metric([*labels, row.outcome], row.cost)
        seconds.add_metric([*labels, row.outcome], row.seconds)
        sums = summed.setdefault(tuple(labels), [0] * 5)
        for index, count in enumerate((row.input, row.output, row.cache_read, row.cache_write, row.unknown)):
            sums[index] += int(count)
    for key, sums in summed.items():
        for kind, count in zip(("input", "output", "cache_read", "cache_write"), sums, strict=False):
            tokens.add_metric([*key, kind], count)
        unknown.add_metric(key, sums[-1])
    yield from (calls, cost, seconds, tokens, unknown)


def _waiting_metrics(rows: Any) -> "Iterator[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    calls = GaugeMetricFamily(
        "cryptocontent_model_calls_under_way", "Calls that are not settled.", labels=_LABELS
    )
    usd = GaugeMetricFamily("cryptocontent_model_reserved_usd", "What these may still cost.", labels=_LABELS)
    for row in rows:
        labels = [row.project_id, row.provider, row.model, row.stage]
        calls.add_metric(labels, row.calls)
        usd.add_metric(labels, row.usd)
    yield from (calls, usd)


def _circuits(settings: Settings, models: list[str]) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    gauge = GaugeMetricFamily(
        "cryptocontent_model_circuit",
        "1 for the state in which a candidate's circuit is.",
        labels=["provider", "model", "state"],
    )
    for name, circuit in circuit_states(settings, models).items():
        for state in _STATES:
            gauge.add_metric([*name.split(":", 1), state], float(state == circuit.state))
    return gauge


def _month(session: Session, project_id: str) -> dict[str, Any]:
    return standing(session, project_id)[0]


def _budget_metrics(budgets: "list[tuple[str, dict[str, Any]]]") -> "Iterator[Metric]":
    from prometheus_client.core import GaugeMetricFamily

    told = {
        "spent": "What the project's calls of this month (UTC) have cost.",
        "reserved": "What calls under way may still cost of this month.",
        "cap": "The project's budget for a month, where there is one.",
        "left": "What is left of that budget.",
    }
    for value, what in told.items():
        gauge = GaugeMetricFamily(f"cryptocontent_model_month_{value}_usd", what, labels=["project"])
        for project, month in budgets:
            if month[value] is not None:
                gauge.add_metric([project], month[value])
        yield gauge
