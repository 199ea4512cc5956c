"""Market facts from services: which assets of a project, from whom, now or for past days.

A project's configuration is a row of `sources` of the kind `market`. What a service states goes the way of
every market fact: written once, never changed, known by its content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record
from cryptocontent.content.projects import get_project
from cryptocontent.content.rules import load_rules
from cryptocontent.content.watched import watch
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.knowledge.market_facts import AHEAD, Key, add_facts
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import Source
from cryptocontent.storage.types import utc_now

KIND = "market"
"""The kind of the row in `sources`, and its name."""
OFF = "no project has market data: `cryptocontent market set FILE.yaml` (docs/market-data.md)"
_ProviderName = Literal["coingecko", "defillama"]
_Tvl = Annotated[str, Field(pattern=r"^(chain|protocol):\S[^/?#]{0,99}$")]


class MarketConfig(BaseModel):
    """What is fetched for a project. `assets` are ids of its rules; where a service has another id for one,
    `ids` names it by service. The first of `providers` is asked first; each states what it can."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    providers: tuple[_ProviderName, ...] = Field(min_length=1)
    assets: tuple[str, ...] = Field(min_length=1, max_length=500)
    ids: dict[str, dict[_ProviderName, str]] = {}
    currencies: tuple[Annotated[str, Field(pattern=r"^[a-z]{3,10}$")], ...] = Field(("usd",), min_length=1)
    metrics: tuple[Literal["price", "market_cap", "volume_24h"], ...] = ("price", "market_cap", "volume_24h")
    tvl: dict[str, _Tvl] = {}
    divergence_percent: float = Field(2.0, gt=0, le=100)
    divergence_minutes: int = Field(60, ge=1, le=1440)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        problems = []
        for field_name in ("providers", "assets", "currencies", "metrics"):
            problems += [f"{field_name}: {one!r} stands twice" for one in _twice(getattr(self, field_name))]
        for field_name in ("ids", "tvl"):
            unknown = sorted(set(getattr(self, field_name)) - set(self.assets))
            problems += [f"{field_name}: {one!r} is none of assets" for one in unknown]
        if self.tvl and "defillama" not in self.providers:
            problems.append("tvl: only defillama states it; add it to providers")
        if set(self.providers) == {"defillama"} and "usd" not in self.currencies:
            problems.append("currencies: defillama states usd only; add it, or coingecko to providers")
        for provider in dict.fromkeys(self.providers):
            ids = [self.id_of(asset, provider) for asset in dict.fromkeys(self.assets)]
            problems += [f"ids: two assets are {one!r} at {provider}" for one in _twice(ids)]
        problems += [f"tvl: {one!r} stands twice" for one in _twice(list(self.tvl.values()))]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def id_of(self, asset: str, provider: str) -> str:
        """The service's id of an asset."""
        return next((id_ for name, id_ in self.ids.get(asset, {}).items() if name == provider), asset)


def _twice(names: Sequence[str]) -> list[str]:
    return sorted({one for one in names if names.count(one) > 1})


@dataclass(slots=True)
class Fetched:
    """What a fetch brought: how many new facts, how many known ones; `gaps` are (service, asset, metric) that
    were asked for and not stated, with how many days of how many; `problems` are (service, reason);
    `answered`: how many services stated anything."""

    created: int = 0
    known: int = 0
    answered: int = 0
    gaps: list[tuple[str, str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def set_config(session: Session, project_id: str, text: str, by: Person) -> MarketConfig:
    """Set a project's configuration from YAML. `Refused` names every problem."""
    by.require("administer")
    get_project(session, project_id)
    lock(session, project_id)
    try:
        given = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise Refused(f"market data: {' '.join(str(error).split())}") from None
    config, problems = _validated(given)
    named = given.get("assets") if isinstance(given, dict) else None
    known = {asset.id for asset in load_rules(session, project_id).assets.assets}
    listed = named if isinstance(named, list) else []
    unknown = [one for one in listed if isinstance(one, str) and one not in known]
    if unknown:
        names = ", ".join(map(repr, unknown))
        problems.append(f"assets: {names}: not in the project's rules (`cryptocontent rules show assets`)")
    if problems or config is None:
        raise Refused("market data: " + "; ".join(problems))
    source = _source(session, project_id)
    content = config.model_dump(mode="json")
    if source is None or source.status == "removed":
        watch(session, project_id, KIND, KIND, content, by)
        return config
    before, source.config = source.config, content
    session.flush()
    record(
        session, project_id, by.actor, "market.configured", f"project:{project_id}",
        {"before": before, "after": content},
    )  # fmt: skip
    return config


def _validated(given: Any) -> tuple[MarketConfig | None, list[str]]:
    try:
        return MarketConfig.model_validate(given), []
    except ValidationError as error:
        problems = []
        for one in error.errors():
            place = ".".join(map(str, one["loc"])) or "file"
            # Our own check of the whole names the fields itself.
            ours = one["type"] == "value_error"
            problems.append(one["msg"].removeprefix("Value error, ") if ours else f"{place}: {one['msg']}")
        return None, problems


def _source(session: Session, project_id: str) -> Source | None:
    return session.scalar(select(Source).filter_by(project_id=project_id, kind=KIND, name=KIND))


def load_config(session: Session, project_id: str) -> MarketConfig | None:
    """The project's configuration, if it has one that is in force."""
    source = _source(session, project_id)
    if source is None or source.status != "active":
        return None
    return MarketConfig.model_validate(source.config)


def off(session: Session, project_id: str) -> str:
    """Why nothing is fetched for a project that has no configuration in force, and what to do."""
    source = _source(session, project_id)
    if source is not None and source.status == "paused":
        return f"market data of project {project_id!r} is paused: `cryptocontent source resume {KIND}`"
    return f"project {project_id!r} has no market data: `cryptocontent market set FILE.yaml`"


def configured_projects(engine: Engine) -> list[str]:
    """The projects that have one."""
    with reading(engine) as session:
        query = select(Source.project_id).filter_by(kind=KIND, status="active").order_by(Source.project_id)
        return list(session.scalars(query))


def fetch_facts(
    engine: Engine,
    settings: Settings,
    project_id: str,
    actor: Actor,
    days: Sequence[date] = (),
) -> Fetched:
    """Fetch the newest facts, or those of past days (UTC), and save what is new. A service that does not
    answer is told in `problems`, and what the others state is saved. `Refused` without a configuration, or
    for a day that is not over."""
    with reading(engine) as session:
        config = load_config(session, project_id)
        if config is None:
            raise Refused(off(session, project_id))
    today = utc_now().date()
    if days and max(days) >= today:
        raise Refused(f"day {max(days)}: it is not over; the newest is the day before {today}")
    fetched = Fetched()
    facts: dict[Key, float] = {}
    for name in config.providers:
        facts |= _ask(settings, config, name, days, fetched)
    with writing(engine) as session:
        created, known = add_facts(session, project_id, facts, actor)
        source = _source(session, project_id)
        if source is not None:
            source.checked_at = utc_now()
            source.error = "; ".join(f"{service}: {why}" for service, why in fetched.problems)
    fetched.created, fetched.known = len(created), known
    return fetched


def _ask(
    settings: Settings, config: MarketConfig, name: str, days: Sequence[date], fetched: Fetched
) -> dict[Key, float]:
    from cryptocontent.integrations.market_data import PROVIDERS, Quote
    from cryptocontent.integrations.unavailable import Unavailable

    provider = PROVIDERS[name](settings)
    assets = {config.id_of(asset, name): asset for asset in config.assets}
    metrics = [metric for metric in config.metrics if metric in provider.metrics]
    locked = config.tvl if "tvl" in provider.metrics else {}
    asked = [*(assets if metrics else ()), *locked.values()]
    by_id: Mapping[str, str] = assets | {id_: asset for asset, id_ in locked.items()}
    wanted: set[tuple[str, str]] = {(asset, metric) for asset in config.assets for metric in metrics}
    wanted |= {(asset, "tvl") for asset in locked}
    facts: dict[Key, float] = {}
    stated: dict[tuple[str, str], set[date]] = {}
    currencies = config.currencies
    quotes = provider.days(asked, currencies, days) if days else provider.current(asked, currencies)
    try:
        for quoted in quotes:
            asset = by_id.get(quoted.id)
            if not isinstance(quoted, Quote):
                fetched.problems.append((provider.name, f"{asset or quoted.id}: {quoted.reason}"))
            elif asset and (asset, quoted.metric) in wanted and quoted.as_of <= utc_now() + AHEAD:
                facts[asset, quoted.metric, quoted.unit, provider.name, quoted.as_of] = quoted.value
                # A midnight ends the day before it.
                day = (quoted.as_of - timedelta(microseconds=1)).date()
                stated.setdefault((asset, quoted.metric), set()).add(day)
    except (Unavailable, Refused) as error:
        fetched.problems.append((provider.name, str(error)))
    fetched.answered += bool(facts)
    if any(service == provider.name for service, _ in fetched.problems):
        return facts  # what is missing has a reason
    for asset, metric in sorted(wanted):
        missing = len(set(days) - stated.get((asset, metric), set()))
        if missing:
            fetched.gaps.append((provider.name, asset, f"{metric} of {missing} of {len(set(days))} days"))
        elif not days and (asset, metric) not in stated:
            fetched.gaps.append((provider.name, asset, metric))
    return facts


def shown_config(session: Session, project_id: str) -> dict[str, Any]:
    """The configuration with when it was last used, and what was wrong then; empty without one."""
    source = _source(session, project_id)
    if source is None:
        return {}
    checked = source.checked_at.isoformat(timespec="seconds") if source.checked_at else None
    return {"status": source.status, "fetched_at": checked, "problem": source.error, **source.config}
