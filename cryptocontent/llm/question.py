"""One question to the models, on its way through cache, router and guards; and the key of a request."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptocontent.llm.calls import CallScope, Spent
from cryptocontent.llm.policies import StagePolicy

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import ModelRequestParameters

log = logging.getLogger(__name__)
_BYTES_PER_TOKEN = 2
"""Text has 3 to 4 bytes a token, code and addresses down to 2: what is reserved must not be too little."""


@dataclass(slots=True)
class Question:
    """What the wrappers around a model share while they answer one question: it may take several requests
    (tool calls, going back with problems), one after the other. `accept` raises `ValueError` on an
    answer's JSON that is not of the form asked for; `watch` is told of tokens as they come."""

    policy: StagePolicy
    scope: CallScope
    accept: Callable[[str], object] | None
    watch: Callable[[str, Mapping[str, Any]], None] | None
    spent: Spent
    request_key: str = ""
    input_bytes: int = 0
    attempts: int = 0
    problems: list[str] = field(default_factory=list)

    def begin(self, key: str, input_bytes: int) -> None:
        """Start with the next request."""
        self.request_key, self.input_bytes, self.attempts, self.problems = key, input_bytes, 0, []
        self.spent.keys.append(key)

    def tell(self, kind: str, **data: Any) -> None:
        """Tell whoever watches; `request` tells apart the requests of questions asked at once."""
        if self.watch is None:
            return
        try:
            self.watch(kind, {"request": self.request_key[:12], **data})
        except Exception:  # who watches must not disturb the work
            log.exception("an event was not told")

    @property
    def likely_tokens(self) -> int:
        """About so many tokens are sent, and may come back: what vendors pace by."""
        return self.input_bytes // 4 + self.policy.max_tokens

    @property
    def input_tokens(self) -> int:
        """At most so many tokens are sent."""
        return self.input_bytes // _BYTES_PER_TOKEN + 100


def request_key(
    question: Question,
    messages: "Sequence[ModelMessage]",
    parameters: "ModelRequestParameters",
) -> tuple[str, int]:
    """The key of a request, 64 hex digits made of all that decides on its answer (who may answer, the
    messages, the form of the answer, the tools), and the size in bytes of what is sent. Two projects never
    share an answer."""
    policy = question.policy
    tools = [
        (one.name, one.description, one.parameters_json_schema)
        for one in (*parameters.function_tools, *parameters.output_tools)
    ]
    sent = json.dumps(
        [
            [[type(part).__name__, _content(part)] for part in message.parts]
            + [getattr(message, "instructions", None)]
            for message in messages
        ]
        + [tools, parameters.output_mode, getattr(parameters.output_object, "json_schema", None)],
        ensure_ascii=False,
        default=str,
    ).encode()
    asked = json.dumps(
        [
            question.scope.project_id,
            [one.model for one in policy.candidates],
            policy.temperature,
            policy.max_tokens,
            policy.output,
        ]
    ).encode()
    return sha256(asked + b"\0" + sent).hexdigest(), len(sent)


def _content(part: Any) -> Any:
    """What of a message's part says something; ids and times do not."""
    content = getattr(part, "content", None)
    if content is not None and not isinstance(content, str):
        content = [one if isinstance(one, str) else type(one).__name__ for one in content]
    return [content, getattr(part, "tool_name", None), getattr(part, "args", None)]
