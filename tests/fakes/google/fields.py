"""Google's `fields` parameter, and the parameters of each method, as Google's own description has them."""

import json
import re
from functools import lru_cache
from typing import Any

Mask = dict[str, "Mask"]
_COMMON = {"alt", "fields", "key", "prettyPrint", "quotaUser", "userIp"}


class Problem(Exception):
    """An error as Google words it."""

    def __init__(self, status: int, reason: str, message: str, location: str = "", domain: str = "global"):
        super().__init__(message)
        self.status = status
        first = {"message": message, "domain": domain, "reason": reason}
        if location:
            first |= {"location": location, "locationType": "parameter"}
        self.data = {"error": {"code": status, "message": message, "errors": [first]}}


@lru_cache(maxsize=1)
def described() -> dict[str, Any]:
    from googleapiclient.discovery_cache import get_static_doc

    found: dict[str, Any] = json.loads(get_static_doc("drive", "v3"))
    return found


def check_parameters(method: str, query: dict[str, str], *, upload: bool = False) -> None:
    """Whether a method (`files.list`) has these parameters, and those that it requires."""
    resource, _, name = method.partition(".")
    known = described()["resources"][resource]["methods"][name]["parameters"]
    allowed = set(known) | _COMMON | ({"uploadType", "upload_id"} if upload else set())
    for parameter in query:
        if parameter not in allowed:
            raise Problem(400, "invalidParameter", f"Unknown parameter {parameter}", parameter)
    for parameter, about in known.items():
        if about.get("required") and about["location"] == "query" and parameter not in query:
            raise Problem(400, "required", f"Required parameter: {parameter}", parameter)


def parse(text: str) -> Mask:
    """`a,b(c,d/e)` as nested dicts."""
    tokens = re.findall(r"[\w*]+|[(),/]", text)
    if "".join(tokens) != text.replace(" ", ""):
        raise Problem(400, "invalidParameter", f"Invalid field selection {text}", "fields")

    def names() -> Mask:
        found: Mask = {}
        while tokens and tokens[0] != ")":
            name = tokens.pop(0)
            inner: Mask = {}
            if tokens and tokens[0] == "(":
                tokens.pop(0)
                inner = names()
                tokens.pop(0)
            elif tokens and tokens[0] == "/":
                tokens.pop(0)
                inner = {tokens.pop(0): {}}
            found[name] = inner
            if tokens and tokens[0] == ",":
                tokens.pop(0)
        return found

    return names()


def masked(data: Any, text: str, schema: str, default: str) -> Any:
    """Of an answer (of a schema of Google's) only what was asked for; without `fields` some are given."""
    mask = parse(text or default)
    _check(mask, {"$ref": schema})
    return _cut(data, mask)


def _check(mask: Mask, schema: dict[str, Any]) -> None:
    if "$ref" in schema:
        schema = described()["schemas"][schema["$ref"]]
    if schema.get("type") == "array":
        _check(mask, schema["items"])
        return
    for name, inner in mask.items():
        if name == "*":
            continue
        if name not in schema.get("properties", {}):
            raise Problem(400, "invalidParameter", f"Invalid field selection {name}", "fields")
        if inner:
            _check(inner, schema["properties"][name])


def _cut(data: Any, mask: Mask) -> Any:
    if not mask or "*" in mask:
        return data
    if isinstance(data, list):
        return [_cut(one, mask) for one in data]
    return {name: _cut(data[name], inner) for name, inner in mask.items() if name in data}
