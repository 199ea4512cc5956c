"""The Gemini API's generateContent and streamGenerateContent."""

import json
from typing import Any

from tests.fakes.vendors.asked import Asked, Content, Fault, Message, Tool, cut, settle_form


def parse(model: str, streamed: bool, body: dict[str, Any], headers: dict[str, str]) -> Asked:
    """A request to `/v1beta/models/{model}:generateContent`; field names in either spelling."""
    config = body.get("generationConfig") or body.get("generation_config") or {}
    said = body.get("systemInstruction") or body.get("system_instruction") or {}
    declared = [
        one
        for group in body.get("tools") or ()
        for one in group.get("functionDeclarations") or group.get("function_declarations") or ()
    ]
    tools = [Tool(one["name"], one.get("description", ""), _schema(one)) for one in declared]
    system = [part.get("text", "") for part in said.get("parts", ())]
    parts = ([json.dumps(declared)] if declared else []) + system
    messages: list[Message] = []
    for content in body["contents"]:
        message = Message({"model": "assistant"}.get(content.get("role", "user"), "user"), "")
        texts = []
        for part in content["parts"]:
            parts.append(part["text"] if "text" in part else json.dumps(part))
            if "text" in part:
                texts.append(part["text"])
            elif call := part.get("functionCall") or part.get("function_call"):
                message.calls.append((call["name"], call.get("args", {})))
            elif result := part.get("functionResponse") or part.get("function_response"):
                message.results.append(json.dumps(result.get("response")))
        message.text = "\n".join(texts)
        messages.append(message)
    asked = Asked(
        "google",
        "generateContent",
        model,
        "\n".join(system),
        messages,
        tools,
        body,
        headers,
        stream=streamed,
        max_tokens=config.get("maxOutputTokens") or config.get("max_output_tokens"),
        temperature=config.get("temperature"),
        parts=parts,
    )
    choice = body.get("toolConfig") or body.get("tool_config") or {}
    choice = choice.get("functionCallingConfig") or choice.get("function_calling_config") or {}
    forced = choice.get("mode") == "ANY"
    allowed = choice.get("allowedFunctionNames") or choice.get("allowed_function_names") or []
    named = allowed[0] if forced and len(allowed) == 1 else None
    settle_form(asked, _response_schema(config), forced, named)
    return asked


def _schema(declared: dict[str, Any]) -> dict[str, Any]:
    for name in ("parametersJsonSchema", "parameters_json_schema", "parameters"):
        if name in declared:
            return declared[name]
    return {}


def _response_schema(config: dict[str, Any]) -> dict[str, Any] | None:
    for name in ("responseJsonSchema", "response_json_schema", "responseSchema", "response_schema"):
        if name in config:
            return config[name]
    return None


_FINISH = {"stop": "STOP", "tool": "STOP", "length": "MAX_TOKENS", "filtered": "SAFETY"}


def answer(asked: Asked, content: Content) -> dict[str, Any]:
    """The whole answer at once."""
    parts: list[dict[str, Any]] = [{"text": content.text}] if content.text else []
    return _chunk(asked, content, parts + _calls(content), _FINISH[content.finish])


def _calls(content: Content) -> list[dict[str, Any]]:
    return [
        {"functionCall": {"id": id_, "name": name, "args": _whole(arguments)}}
        for id_, name, arguments in content.calls
    ]


def _whole(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


def _chunk(asked: Asked, content: Content, parts: list[Any], finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    use = content.use
    used: dict[str, Any] = {
        "promptTokenCount": use.read,
        "candidatesTokenCount": use.written,
        "totalTokenCount": use.read + use.written,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": use.read}],
    }
    if use.cached:
        used["cachedContentTokenCount"] = use.cached
    return {
        "candidates": [candidate],
        "usageMetadata": used,
        "modelVersion": asked.model,
        "responseId": f"gemini-{asked.number}",
    }


def stream(asked: Asked, content: Content) -> list[bytes]:
    """The answer as server-sent events; calls come whole, as Gemini sends them."""
    chunks: list[list[dict[str, Any]]] = [[{"text": piece}] for piece in cut(content.text, content.pieces)]
    chunks += [[call] for call in _calls(content)]
    told = [_chunk(asked, content, parts, None) for parts in chunks]
    told.append(_chunk(asked, content, [{"text": ""}], _FINISH[content.finish]))
    return [b"data: " + json.dumps(one).encode() + b"\r\n\r\n" for one in told]


_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


def error(fault: Fault) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of an error; how long to wait stands in the body."""
    status = fault.code or _STATUSES.get(fault.status, "UNKNOWN")
    said: dict[str, Any] = {"code": fault.status, "message": fault.message, "status": status}
    if fault.retry_after is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        said["details"] = [{"@type": kind, "retryDelay": f"{fault.retry_after:g}s"}]
    return {"error": said}, {}
