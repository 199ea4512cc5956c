"""Jinja2 in templates, held short: what is not on the list below can't be written, let alone run.

Three nets, one behind the other. (1) The parsed text may hold only output, `if`, `for` over a variable,
comparisons, `+ - ~` and the filters below: no calls, no assignments, no `*` or `**`, no attributes but
those of `loop`. So nothing can loop more often than a list has items, and nothing can double itself.
(2) What is left runs in Jinja's sandbox. (3) Every filter's result and the whole output end at
`MAX_OUTPUT` characters.
"""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache, wraps
from typing import Any

from cryptocontent.content.templates.values import hint
from cryptocontent.errors import Explained

MAX_OUTPUT = 10_000
"""Characters that a rendered field may have."""
RESERVED = frozenset({"loop", "self", "true", "false", "none", "not", "and", "or", "in", "is", "if", "else"})
"""Names that mean something else in Jinja2."""

_FILTERS = [
    "abs",
    "capitalize",
    "count",
    "d",
    "default",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "reverse",
    "sort",
    "string",
    "title",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
]
_NODES = frozenset(
    [
        "Template",
        "Output",
        "TemplateData",
        "Name",
        "Const",
        "List",
        "Tuple",
        "If",
        "CondExpr",
        "For",
        "Filter",
        "Test",
        "Compare",
        "Operand",
        "And",
        "Or",
        "Not",
        "Concat",
        "Add",
        "Sub",
        "Neg",
        "Getattr",
        "Getitem",
        "Keyword",
    ]
)
_LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})
_WORDS = {
    "Call": "calls such as range(…) or x.method()",
    "Assign": "assignments ({% set %})",
    "AssignBlock": "assignments ({% set %})",
    "Mul": "the operator *",
    "Pow": "the operator **",
    "Mod": "the operator %",
    "Div": "the operator /",
    "FloorDiv": "the operator //",
    "Import": "imports",
    "FromImport": "imports",
    "Include": "includes",
    "Extends": "{% extends %} (a template's base is the field `extends`)",
    "Macro": "macros",
}


class TextError(Explained, ValueError):
    """A text of a template can't be rendered; the message gives the reason."""


def _bounded(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        if isinstance(result, str) and len(result) > MAX_OUTPUT:
            raise TextError(f"it makes more than {MAX_OUTPUT:,} characters")
        return result

    return call


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters = {name: _bounded(environment.filters[name]) for name in _FILTERS}
    return environment


@lru_cache(maxsize=2000)
def _parsed(text: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """What is wrong with a text in itself ("" if nothing is), the names that it uses, and those of them
    that it loops over."""
    from jinja2 import TemplateError, meta, nodes

    try:
        tree = _environment().parse(text)
        # First: looking for names already computes what is constant, such as 9 ** 9 ** 9.
        if reason := _refused(tree, 0):
            return reason, frozenset(), frozenset()
        names = frozenset(meta.find_undeclared_variables(tree))
        looped = {loop.iter.name for loop in tree.find_all(nodes.For) if isinstance(loop.iter, nodes.Name)}
        return "", names, frozenset(looped)
    except TemplateError as error:
        return str(error), frozenset(), frozenset()
    except RecursionError:
        return "it is nested too deeply", frozenset(), frozenset()


def _refused(node: Any, loops: int) -> str:
    from jinja2 import nodes

    kind = type(node).__name__
    if kind not in _NODES:
        return f"{_WORDS.get(kind, f'Jinja2’s {kind}')} can't be used here"
    if isinstance(node, nodes.Name) and node.name == "self":
        return "the name self can't be used"
    if isinstance(node, nodes.Getattr) and (
        not isinstance(node.node, nodes.Name) or node.node.name != "loop" or node.attr not in _LOOP
    ):
        return f"the attribute .{node.attr} can't be used; a variable is text, a number or a list"
    if isinstance(node, nodes.Getitem) and not (
        isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, int)
    ):
        return "[…] takes only the number of a list's item"
    if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
        return f"no filter {node.name!r}; allowed: {', '.join(_FILTERS)}{hint(node.name, _FILTERS)}"
    if isinstance(node, nodes.For):
        if not isinstance(node.iter, nodes.Name) or node.recursive:
            return "{% for %} goes over a variable, such as {% for item in items %}"
        loops += 1
        if loops > 2:
            return "more than two {% for %} in each other can't be used"
    return next((reason for child in node.iter_child_nodes() if (reason := _refused(child, loops))), "")


def text_problem(text: str, variables: Collection[str], lists: Collection[str]) -> str:
    """Why a text can't be rendered with variables of these names, of which `lists` are lists; "" if nothing
    speaks against it."""
    reason, names, looped = _parsed(text)
    if reason:
        return reason
    for name in sorted(names.difference(variables)):
        there = ", ".join(variables) or "none"
        return f"{name!r} is not a variable; there are: {there}{hint(name, variables)}"
    if others := sorted(looped.difference(lists)):
        return f"{{% for %}} goes over lists only, and {others[0]!r} is none"
    return ""


@lru_cache(maxsize=2000)
def _compiled(text: str) -> Any:
    reason, _, _ = _parsed(text)
    if reason:
        raise TextError(reason)
    return _environment().from_string(text)


def render(text: str, variables: Mapping[str, Any]) -> str:
    """The text with variables filled in, on one line with single spaces; `TextError` if it can't be."""
    from jinja2 import TemplateError

    pieces: list[str] = []
    length = 0
    try:
        for piece in _compiled(text).generate(**variables):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_OUTPUT:
                raise TextError(f"it makes more than {MAX_OUTPUT:,} characters")
    except TemplateError as error:
        raise TextError(str(error)) from None
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        if isinstance(error, TextError):
            raise
        raise TextError(str(error) or type(error).__name__) from None
    return " ".join("".join(pieces).split())
