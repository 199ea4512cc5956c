"""What a vendor was asked and answers, whatever the vendor's wire format."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

Kind = Literal["status", "malformed", "truncated", "hang", "disconnect", "slow"]
SHAPES: dict[frozenset[str], str] = {}
"""The title of a form of answer by the names of its properties: vendors' output tools carry no title."""


@dataclass(slots=True)
class Tool:
    name: str
    description: str
    schema: dict[str, Any]


@dataclass(slots=True)
class Message:
    """`calls` are tool calls as (name, arguments), `results` what tools answered."""

    role: str
    text: str
    calls: list[tuple[str, Any]] = field(default_factory=list)
    results: list[str] = field(default_factory=list)


@dataclass
class Asked:
    """`schema` is the form of answer, `schema_from` where it stood; `parts` is all that was read, as vendors
    cache it: tools, system, messages; `marks` is how many of them each cache marker covers."""

    vendor: str
    api: str
    model: str
    system: str
    messages: list[Message]
    tools: list[Tool]
    body: dict[str, Any]
    headers: dict[str, str]
    stream: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    schema: dict[str, Any] | None = None
    schema_from: Literal["tool", "format", "prompt"] | None = None
    output_tool: str | None = None
    parts: Sequence[str] = ()
    marks: Sequence[int] = ()
    custom_id: str = ""
    number: int = 0

    @cached_property
    def title(self) -> str:
        """The name of the class that the answer is to be of, "" if not known."""
        if not self.schema:
            return ""
        schema = root(self.schema)
        return schema.get("title") or SHAPES.get(frozenset(schema.get("properties", ())), "")

    @property
    def text(self) -> str:
        """All that the user said."""
        return "\n".join(one.text for one in self.messages if one.role == "user")

    @property
    def results(self) -> list[str]:
        """What tools have answered so far; a request to mend an answer is among them."""
        return [result for message in self.messages for result in message.results]


@dataclass(frozen=True)
class Reply:
    """An answer. `json` is a call of the output tool where there is one, else text. `delay` seconds pass
    before each event of a stream (about `pieces` of them), and once before a plain answer."""

    text: str = ""
    json: Any = None
    tool_calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    delay: float = 0.0
    pieces: int = 8
    finish: Literal["", "length", "filtered"] = ""
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True)
class Fault:
    """What goes wrong: `Fault(status=429, retry_after=2)`, `Fault("hang")`, `Fault("disconnect", after=3)`.

    `hang` and `disconnect` come after that many events of a stream (0: before the answer). `truncated` ends a
    stream in good order after half of its events, and breaks off a plain answer after half of its bytes.
    `malformed` is a 200 with broken JSON. `slow` is answered, with `delay` seconds before each event."""

    kind: Kind = "status"
    status: int = 500
    retry_after: float | None = None
    after: int = 0
    delay: float = 0.05
    code: str = ""
    message: str = "The fake was told to fail."


@dataclass(frozen=True, slots=True)
class Use:
    """Tokens; `read` holds all, `cached` those of it that came from the cache, `stored` those put into it."""

    read: int
    written: int
    cached: int = 0
    stored: int = 0


@dataclass(slots=True)
class Content:
    """A reply as a vendor would put it: text, then calls as (id, name, arguments as JSON)."""

    text: str
    calls: list[tuple[str, str, str]]
    finish: str
    use: Use
    pieces: int


def content_of(asked: Asked, reply: Reply, read: int, cached: int, stored: int) -> Content:
    """The reply as content, with what it used."""
    text, calls = reply.text, list(reply.tool_calls)
    if reply.json is not None:
        if asked.output_tool:
            calls.append((asked.output_tool, reply.json))
        else:
            text += json.dumps(reply.json)
    made = [
        (f"call_{asked.vendor}_{asked.number}_{n}", name, json.dumps(a)) for n, (name, a) in enumerate(calls)
    ]
    written = tokens(text) + sum(tokens(name) + tokens(arguments) for _, name, arguments in made)
    finish = reply.finish or ("tool" if made else "stop")
    if asked.max_tokens is not None and written > asked.max_tokens:
        # What a vendor cuts off at the limit is never whole.
        finish, text = "length", text[: asked.max_tokens * 4]
        made = [(id_, name, arguments[: asked.max_tokens * 4]) for id_, name, arguments in made]
        written = asked.max_tokens
    use = Use(
        read if reply.input_tokens is None else reply.input_tokens,
        written if reply.output_tokens is None else reply.output_tokens,
        cached,
        stored,
    )
    return Content(text, made, finish, use, reply.pieces)


def root(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the form itself, where it is a recursive one's reference to its definition."""
    return schema["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def wait_headers(fault: Fault) -> dict[str, str]:
    """`Retry-After` knows whole seconds only; parts of one are told as OpenAI and Anthropic do."""
    seconds = fault.retry_after
    if seconds is None:
        return {}
    return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": f"{seconds * 1000:g}"}


def tokens(text: str) -> int:
    """About how many tokens a text has."""
    return (len(text) + 3) // 4


def cut(text: str, pieces: int) -> list[str]:
    """The text in about that many pieces."""
    size = max(1, -(-len(text) // max(1, pieces)))
    return [text[at : at + size] for at in range(0, len(text), size)]


def settle_form(asked: Asked, given: dict[str, Any] | None, forced: bool, named: str | None) -> None:
    """Find out which answer is wanted: `given` is the schema of a response format, `named` a tool that the
    request demands by name, `forced` whether it demands any."""
    final = [tool for tool in asked.tools if tool.name.startswith("final_result")]
    if named:
        final = [tool for tool in asked.tools if tool.name == named]
    elif not final and forced and len(asked.tools) == 1:
        final = asked.tools
    if len(final) == 1:
        asked.schema, asked.schema_from, asked.output_tool = final[0].schema, "tool", final[0].name
    elif given:
        asked.schema, asked.schema_from = given, "format"
    else:
        asked.schema = _prompted(asked.system) or _prompted(asked.text)
        asked.schema_from = "prompt" if asked.schema else None


def _prompted(text: str) -> dict[str, Any] | None:
    at = text.rfind("this schema:")
    start = text.find("{", at) if at >= 0 else -1
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text, start)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
