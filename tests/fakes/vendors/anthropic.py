"""Anthropic's messages."""

import json
from typing import Any

from tests.fakes.vendors.asked import Asked, Content, Fault, Message, Tool, cut, settle_form, wait_headers


def parse(body: dict[str, Any], headers: dict[str, str]) -> Asked:
    """A request to `/v1/messages`."""
    parts: list[str] = []
    marks: list[int] = []

    def read(blocks: Any) -> list[str]:
        texts = []
        for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks or ():
            text = block["text"] if block.get("type") == "text" else json.dumps(block)
            parts.append(text)
            texts += [text] if block.get("type") == "text" else []
            if block.get("cache_control"):
                marks.append(len(parts))
        return texts

    tools = [
        Tool(one["name"], one.get("description", ""), one["input_schema"])
        for one in body.get("tools", ())
        if "input_schema" in one
    ]
    if tools:
        parts.append(json.dumps([{**one, "cache_control": None} for one in body["tools"]]))
        if any(one.get("cache_control") for one in body["tools"]):
            marks.append(1)
    system = "\n".join(read(body.get("system")))
    messages: list[Message] = []
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        calls = [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
        results = [_result(block) for block in blocks if block["type"] == "tool_result"]
        messages.append(Message(message["role"], "\n".join(read(message["content"])), calls, results))
    asked = Asked(
        "anthropic",
        "messages",
        body["model"],
        system,
        messages,
        tools,
        body,
        headers,
        stream=bool(body.get("stream")),
        max_tokens=body["max_tokens"],
        temperature=body.get("temperature"),
        parts=parts,
        marks=marks,
    )
    choice = body.get("tool_choice") or {}
    given = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    settle_form(asked, given.get("schema"), choice.get("type") == "any", choice.get("name"))
    return asked


def _result(block: dict[str, Any]) -> str:
    content = block.get("content") or ""
    return content if isinstance(content, str) else "\n".join(one.get("text", "") for one in content)


_FINISH = {"stop": "end_turn", "tool": "tool_use", "length": "max_tokens", "filtered": "refusal"}


def answer(asked: Asked, content: Content) -> dict[str, Any]:
    """The whole answer at once."""
    blocks: list[dict[str, Any]] = [{"type": "text", "text": content.text}] if content.text else []
    for id_, name, arguments in content.calls:
        blocks.append({"type": "tool_use", "id": id_, "name": name, "input": _whole(arguments)})
    return _message(asked, blocks, _FINISH[content.finish], _use(content))


def _whole(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


def _message(asked: Asked, blocks: list[Any], finish: str | None, use: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": f"msg_{asked.number}",
        "type": "message",
        "role": "assistant",
        "model": asked.model,
        "content": blocks,
        "stop_reason": finish,
        "stop_sequence": None,
        "usage": use,
    }


def _use(content: Content) -> dict[str, Any]:
    use = content.use
    return {
        "input_tokens": use.read - use.cached - use.stored,
        "cache_creation_input_tokens": use.stored,
        "cache_read_input_tokens": use.cached,
        "output_tokens": use.written,
        "service_tier": "standard",
    }


def stream(asked: Asked, content: Content) -> list[bytes]:
    """The answer as server-sent events."""
    events: list[bytes] = []

    def event(kind: str, **data: Any) -> None:
        events.append(f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode())

    event("message_start", message=_message(asked, [], None, {**_use(content), "output_tokens": 1}))
    index = 0
    if content.text:
        event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        event("ping")
        for piece in cut(content.text, content.pieces):
            event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        event("content_block_stop", index=index)
        index += 1
    for id_, name, arguments in content.calls:
        block = {"type": "tool_use", "id": id_, "name": name, "input": {}}
        event("content_block_start", index=index, content_block=block)
        for piece in cut(arguments, content.pieces):
            event(
                "content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece}
            )
        event("content_block_stop", index=index)
        index += 1
    ended = {"stop_reason": _FINISH[content.finish], "stop_sequence": None}
    event("message_delta", delta=ended, usage={"output_tokens": content.use.written})
    event("message_stop")
    return events


_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(fault: Fault) -> dict[str, Any]:
    """The body of an error, alone and in a batch's results."""
    said = {"type": fault.code or _ERRORS.get(fault.status, "api_error"), "message": fault.message}
    return {"type": "error", "error": said, "request_id": "req_fake"}


def error(fault: Fault) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of an error."""
    return error_body(fault), {"request-id": "req_fake", **wait_headers(fault)}
