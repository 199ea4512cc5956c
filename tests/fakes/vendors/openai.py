"""OpenAI's chat completions and responses, and what speaks the former: xAI, Copilot, local servers."""

import json
import time
from typing import Any

from tests.fakes.vendors.asked import Asked, Content, Fault, Message, Tool, cut, settle_form, wait_headers


def parse_chat(vendor: str, body: dict[str, Any], headers: dict[str, str]) -> Asked:
    """A request to `/chat/completions`."""
    system: list[str] = []
    messages: list[Message] = []
    tools = [
        Tool(one["function"]["name"], one["function"].get("description", ""), one["function"]["parameters"])
        for one in body.get("tools", ())
    ]
    parts = [json.dumps(body["tools"])] if tools else []
    for message in body["messages"]:
        texts = _texts(message.get("content"))
        parts += texts
        text = "\n".join(texts)
        if message["role"] in ("system", "developer"):
            system.append(text)
        elif message["role"] == "tool":
            messages.append(Message("tool", "", results=[text]))
        else:
            calls = [
                (call["function"]["name"], _arguments(call["function"]["arguments"]))
                for call in message.get("tool_calls") or ()
            ]
            messages.append(Message(message["role"], text, calls))
    asked = Asked(
        vendor,
        "chat",
        body["model"],
        "\n".join(system),
        messages,
        tools,
        body,
        headers,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
        temperature=body.get("temperature"),
        parts=parts,
    )
    choice = body.get("tool_choice")
    named = choice["function"]["name"] if isinstance(choice, dict) and "function" in choice else None
    given = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    settle_form(asked, given, choice == "required", named)
    return asked


def parse_responses(vendor: str, body: dict[str, Any], headers: dict[str, str]) -> Asked:
    """A request to `/responses`."""
    system = [body["instructions"]] if body.get("instructions") else []
    tools = [
        Tool(one["name"], one.get("description", ""), one["parameters"])
        for one in body.get("tools", ())
        if one["type"] == "function"
    ]
    parts = ([json.dumps(body["tools"])] if tools else []) + system
    messages: list[Message] = []
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        if item.get("type") == "function_call":
            messages.append(Message("assistant", "", [(item["name"], _arguments(item["arguments"]))]))
            continue
        texts = _texts(
            item.get("output") if item.get("type") == "function_call_output" else item.get("content")
        )
        parts += texts
        text = "\n".join(texts)
        if item.get("type") == "function_call_output":
            messages.append(Message("tool", "", results=[text]))
        elif item.get("role") in ("system", "developer"):
            system.append(text)
        else:
            messages.append(Message(item.get("role", "assistant"), text))
    asked = Asked(
        vendor,
        "responses",
        body["model"],
        "\n".join(system),
        messages,
        tools,
        body,
        headers,
        stream=bool(body.get("stream")),
        max_tokens=body.get("max_output_tokens"),
        temperature=body.get("temperature"),
        parts=parts,
    )
    choice = body.get("tool_choice")
    named = choice.get("name") if isinstance(choice, dict) else None
    given = (body.get("text") or {}).get("format", {}).get("schema")
    settle_form(asked, given, choice == "required", named)
    return asked


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part.get("text", "") for part in content or ()]


def _arguments(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


# What chat completions answer.

_FINISH = {"stop": "stop", "tool": "tool_calls", "length": "length", "filtered": "content_filter"}


def chat(asked: Asked, content: Content) -> dict[str, Any]:
    """The whole answer at once."""
    message: dict[str, Any] = {"role": "assistant", "content": content.text or None, "refusal": None}
    if content.calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
            for id_, name, arguments in content.calls
        ]
    answer = {
        "id": f"chatcmpl-{asked.number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[content.finish]}
        ],
        "usage": _chat_use(content),
    }
    if asked.vendor == "copilot":
        # It omits these, as pydantic-ai's model for it documents.
        del answer["object"], answer["created"]
    return answer


def chat_stream(asked: Asked, content: Content) -> list[bytes]:
    """The answer as server-sent events."""
    head = {
        "id": f"chatcmpl-{asked.number}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": asked.model,
    }

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**head, "choices": [choice]})

    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": piece}) for piece in cut(content.text, content.pieces)]
    for index, (id_, name, arguments) in enumerate(content.calls):
        begun = {"index": index, "id": id_, "type": "function", "function": {"name": name, "arguments": ""}}
        events.append(event({"tool_calls": [begun]}))
        events += [
            event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
            for piece in cut(arguments, content.pieces)
        ]
    events.append(event({}, _FINISH[content.finish]))
    if (asked.body.get("stream_options") or {}).get("include_usage"):
        events.append(_data({**head, "choices": [], "usage": _chat_use(content)}))
    return [*events, b"data: [DONE]\n\n"]


def _chat_use(content: Content) -> dict[str, Any]:
    use = content.use
    return {
        "prompt_tokens": use.read,
        "completion_tokens": use.written,
        "total_tokens": use.read + use.written,
        "prompt_tokens_details": {"cached_tokens": use.cached, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


# What responses answer.


def responses(asked: Asked, content: Content) -> dict[str, Any]:
    """The whole answer at once."""
    status = "completed" if content.finish in ("stop", "tool") else "incomplete"
    reason = {"length": "max_output_tokens", "filtered": "content_filter"}.get(content.finish)
    return _response(asked, status, _items(asked, content), reason) | {"usage": _responses_use(content)}


def _response(asked: Asked, status: str, output: list[Any], reason: str | None = None) -> dict[str, Any]:
    return {
        "id": f"resp_{asked.number}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": asked.body.get("instructions"),
        "max_output_tokens": asked.max_tokens,
        "model": asked.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": asked.temperature,
        "text": asked.body.get("text", {"format": {"type": "text"}}),
        "tool_choice": asked.body.get("tool_choice", "auto"),
        "tools": asked.body.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }


def _items(asked: Asked, content: Content) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    if content.text:
        part = {"type": "output_text", "text": content.text, "annotations": [], "logprobs": []}
        message = {"type": "message", "id": f"msg_{asked.number}", "role": "assistant", "status": "completed"}
        items.append({**message, "content": [part]})
    for id_, name, arguments in content.calls:
        call = {"type": "function_call", "id": f"fc_{id_}", "call_id": id_, "name": name}
        items.append({**call, "arguments": arguments, "status": "completed"})
    return items


def _responses_use(content: Content) -> dict[str, Any]:
    use = content.use
    return {
        "input_tokens": use.read,
        "input_tokens_details": {"cached_tokens": use.cached, "cache_write_tokens": 0},
        "output_tokens": use.written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": use.read + use.written,
    }


def responses_stream(asked: Asked, content: Content) -> list[bytes]:
    """The answer as server-sent events."""
    events: list[bytes] = []

    def event(kind: str, **data: Any) -> None:
        told = {"type": kind, "sequence_number": len(events), **data}
        events.append(f"event: {kind}\n".encode() + _data(told))

    event("response.created", response=_response(asked, "in_progress", []))
    event("response.in_progress", response=_response(asked, "in_progress", []))
    for index, item in enumerate(_items(asked, content)):
        where = {"output_index": index, "item_id": item["id"]}
        if item["type"] == "message":
            part = item["content"][0]
            empty = {**item, "status": "in_progress", "content": []}
            event("response.output_item.added", output_index=index, item=empty)
            at = {**where, "content_index": 0}
            event("response.content_part.added", **at, part={**part, "text": ""})
            for piece in cut(content.text, content.pieces):
                event("response.output_text.delta", **at, delta=piece, logprobs=[])
            event("response.output_text.done", **at, text=content.text, logprobs=[])
            event("response.content_part.done", **at, part=part)
        else:
            empty = {**item, "status": "in_progress", "arguments": ""}
            event("response.output_item.added", output_index=index, item=empty)
            for piece in cut(item["arguments"], content.pieces):
                event("response.function_call_arguments.delta", **where, delta=piece)
            done = {"arguments": item["arguments"], "name": item["name"]}
            event("response.function_call_arguments.done", **where, **done)
        event("response.output_item.done", output_index=index, item=item)
    whole = responses(asked, content)
    event(f"response.{whole['status']}", response=whole)
    return events


def _data(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


# What they say when they fail.

_ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("service_unavailable_error", None),
    529: ("service_unavailable_error", None),
}


def error(vendor: str, fault: Fault) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of an error."""
    headers = wait_headers(fault)
    if vendor == "xai":
        codes = {429: "Some resource has been exhausted", 401: "Unauthenticated"}
        return {
            "code": fault.code or codes.get(fault.status, "Internal error"),
            "error": fault.message,
        }, headers
    kind, code = _ERRORS.get(fault.status, ("server_error", None))
    said = {"message": fault.message, "type": kind, "param": None, "code": fault.code or code}
    return {"error": said}, headers
