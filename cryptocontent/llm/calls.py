"""What is said of a call of a model: whom it is for, what it used, how it ended. Plain data."""

from dataclasses import dataclass, field
from typing import Literal

from cryptocontent.errors import Explained

Outcome = Literal[
    "ok", "rate_limited", "quota", "unavailable", "server_error", "connection", "timeout", "rejected",
    "malformed", "filtered", "cancelled",
]  # fmt: skip
Pricing = Literal["listed", "own", "subscription", "unknown"]
"""Where a price comes from: the public list, the policy itself, a subscription (nothing per call), or
nowhere: an unknown price counts as 0 and is flagged."""


@dataclass(frozen=True, slots=True)
class CallScope:
    """Whom a call is for: what its budget and the ledger go by."""

    project_id: str
    stage: str
    generation_id: str = ""
    brief_id: str = ""
    article_id: str = ""
    run_id: str = ""
    lane: Literal["live", "batch"] = "live"


@dataclass(frozen=True, slots=True)
class TokenUse:
    """Tokens of one call. `input_tokens` holds all that was read, cached ones included."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt ended. `key` and `response` (a `ModelResponse` as JSON) are kept if given."""

    outcome: Outcome
    use: TokenUse = TokenUse()
    cost_usd: float = 0.0
    pricing: Pricing = "listed"
    seconds: float = 0.0
    first_token_seconds: float | None = None
    error: str = ""
    response: str | None = None


class ModelsFailed(Explained):
    """No model of the policy answered: the message names each and why. Trying again later may help."""


class BudgetExceeded(Explained):
    """The call could cost more than the budget has left; the message names project, budget and amounts."""


class AnswerPending(Explained):
    """The request waits in a vendor's batch; its answer comes in hours. Not a failure."""


@dataclass(slots=True)
class Spent:
    """What a stage's calls have used so far, failed attempts included. An answer kept from before (by a
    process that was killed, by a batch) is counted in `kept` and with what it did cost then: nobody else
    was charged for it. `models` are those that answered, `keys` the requests'."""

    calls: int = 0
    kept: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    models: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def add(self, other: "Spent") -> None:
        """Add what another question used."""
        self.calls += other.calls
        self.kept += other.kept
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cost_usd += other.cost_usd
        self.models += other.models
        self.keys += other.keys
