"""Which models a project's stages use: data that an admin edits, all versions kept.

A project without a policy uses no model at all. The whole document is one YAML file, see
`docs/models.md`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.content.text import content_hash
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.storage.models import ModelPolicyVersion

PROVIDERS = ("openai", "openai-chat", "anthropic", "google", "grok", "copilot", "local")
"""The first part of a model's name: `anthropic:claude-sonnet-5-5`. `openai` is its Responses API."""
_MODEL = re.compile(rf"(?:{'|'.join(PROVIDERS)}):[\w./:@-]{{1,180}}\Z")
StageName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(_Strict):
    """US dollars per million tokens, where the public price list does not know the model."""

    input: float = Field(ge=0, le=10_000)
    output: float = Field(ge=0, le=10_000)
    cache_read: float | None = Field(None, ge=0, le=10_000)


class Candidate(_Strict):
    """A model that may answer. Limits are those of the account: every process keeps to them together."""

    model: str
    weight: float = Field(1.0, ge=0, le=1000, description="0: only when the others fail")
    concurrency: int = Field(64, ge=1, le=10_000, description="calls in flight, per process")
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    price: Price | None = None

    @field_validator("model")
    @classmethod
    def _known_provider(cls, value: str) -> str:
        if not _MODEL.match(value):
            raise ValueError(f"{value!r} is not PROVIDER:MODEL; providers: {', '.join(PROVIDERS)}")
        return value

    @property
    def provider(self) -> str:
        """The part before the colon."""
        return self.model.split(":", 1)[0]

    @property
    def name(self) -> str:
        """The part after it: what the vendor calls the model."""
        return self.model.split(":", 1)[1]


class Timeouts(_Strict):
    """Seconds. `first_token` is only watched where answers are streamed; `total` bounds a request with all
    its retries, fallbacks and waiting."""

    attempt: float = Field(120.0, gt=0, le=3600)
    first_token: float = Field(30.0, gt=0, le=3600)
    total: float = Field(600.0, gt=0, le=86_400)


class StagePolicy(_Strict):
    """How a stage is done: by `rules`, or by a `model` out of the candidates.

    `choice` "in_order" takes the first candidate that is well, "weighted" spreads requests by weight.
    `output` "structured" has the vendor enforce the schema, "text" asks for it in the prompt.
    `attempts` bounds the upstream calls of one request, `tries` those in a row at one candidate.
    """

    engine: Literal["rules", "model"] = "model"
    candidates: tuple[Candidate, ...] = ()
    choice: Literal["in_order", "weighted"] = "in_order"
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int = Field(4000, ge=16, le=200_000)
    timeouts: Timeouts = Timeouts()
    output: Literal["structured", "text"] = "structured"
    stream: bool = False
    attempts: int = Field(12, ge=1, le=100)
    tries: int = Field(2, ge=1, le=20)
    on_failure: Literal["fail", "rules"] = "fail"

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.engine == "model" and not self.candidates:
            raise ValueError("engine: model needs candidates; none are given")
        names = [one.model for one in self.candidates]
        if len(set(names)) < len(names):
            raise ValueError(f"candidates: a model is named twice: {', '.join(names)}")
        if self.choice == "weighted" and not any(one.weight for one in self.candidates):
            raise ValueError("choice: weighted needs a candidate with a weight above 0")
        return self


class Policies(_Strict):
    """A project's policy: the stages, and what holds for all of them. `default` is the policy of stages
    that are not named under `stages`. `style` is the house's style, told to every model."""

    default: StagePolicy = StagePolicy(engine="rules")
    stages: Mapping[StageName, StagePolicy] = Field(default_factory=dict)
    style: str = Field("", max_length=8000)
    number: int = Field(0, ge=0, exclude=True)

    def of(self, stage: str) -> StagePolicy:
        """The policy of a stage."""
        return self.stages.get(stage, self.default)

    def identity(self, stage: str) -> str:
        """64 hex digits that change whenever what a model is asked, or which model, may change. Timeouts,
        limits and weights are left out: a stage that is done stays done when they are tuned."""
        policy = self.of(stage)
        return content_hash(
            [
                [one.model for one in policy.candidates],
                policy.temperature,
                policy.max_tokens,
                policy.output,
                self.style,
            ]
        )


def read_policies(text: str) -> Policies:
    """A policy file, checked; `Refused` naming the field and what is allowed."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"policy: {error}") from None
    return _checked(data if data is not None else {})


def _checked(data: Any) -> Policies:
    try:
        return Policies.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, item['loc'])) or 'policy'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        ]
        raise Refused("policy: " + "; ".join(problems)) from None


def load_policies(session: Session, project_id: str) -> Policies:
    """The policy in force for a project; all rules, numbered 0, where it has none."""
    newest = (
        select(ModelPolicyVersion)
        .filter_by(project_id=project_id)
        .order_by(ModelPolicyVersion.number.desc())
        .limit(1)
    )
    row = session.scalar(newest)
    return _checked(row.content).model_copy(update={"number": row.number}) if row else Policies()


def set_policies(session: Session, project_id: str, policies: Policies, by: Person) -> int:
    """Put a policy in force for a project; returns its number. Admins only; audited."""
    by.require("administer")
    lock(session, project_id)
    content = policies.model_dump(mode="json", exclude_defaults=True)
    before = load_policies(session, project_id)
    number = before.number
    if number and content == before.model_dump(mode="json", exclude_defaults=True):
        return number
    newest = session.scalar(select(func.max(ModelPolicyVersion.number)).filter_by(project_id=project_id)) or 0
    session.add(ModelPolicyVersion(project_id=project_id, number=newest + 1, content=content, author=by.name))
    session.flush()
    change = {
        "number": newest + 1,
        "before": content_hash(before.model_dump(mode="json")),
        "after": content_hash(content),
    }
    record(session, project_id, by.actor, "models.policy_set", "models:policy", change)
    return newest + 1
