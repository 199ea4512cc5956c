"""Whole templates from files: everything that is wrong is said at once, with file, line and field."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.content.templates.inheritance import Resolver
from cryptocontent.content.templates.spec import (
    InternalLinks,
    Loc,
    Section,
    TemplateProblem,
    TemplateSpec,
    WordRange,
    spec_texts,
    text_problems,
    variable_name_problems,
)
from cryptocontent.content.templates.values import Known, hint
from cryptocontent.content.templates.variables import VARIABLE_TYPES
from cryptocontent.content.templates.written import NAME_REASON, Written, read_source, refuse


def check(
    whole: Written, rules: Rules, known: Known | None = None
) -> tuple[TemplateSpec | None, list[TemplateProblem]]:
    """A whole template as a specification, or everything that is wrong with it."""
    data = whole.plain()
    try:
        spec = TemplateSpec.model_validate(data)
    except ValidationError as error:
        found = list(_problems_of(error, data))
    else:
        found = spec.rule_problems(rules, known)
        if not found:
            return spec, []
    problems = [whole.problem(loc, reason) for loc, reason in dict.fromkeys(found)]
    return None, sorted(problems, key=lambda one: one.line or 0)


def _problems_of(error: ValidationError, data: dict[str, Any]) -> Iterator[tuple[Loc, str]]:
    fields_only = True
    for item in error.errors(include_url=False):
        if item["type"] == "template":
            fields_only = False
            yield from item["ctx"]["problems"]
        else:
            yield _place(item["loc"]), _reason(item)
    if fields_only:
        # The checks across fields did not run: as many of them as unsound fields allow are made here.
        variables = data.get("variables")
        variables = variables if isinstance(variables, dict) else {}
        names = [name for name in variables if isinstance(name, str)]
        lists = [
            name for name in names if isinstance(one := variables[name], dict) and one.get("type") == "list"
        ]
        yield from variable_name_problems(dict.fromkeys(names))
        yield from text_problems(spec_texts(data), names, lists)


def _place(loc: tuple[str | int, ...]) -> Loc:
    """pydantic's place without what it adds: the type of a variable, and the mark of a key."""
    parts = [part for part in loc if part != "[key]"]
    if len(parts) > 2 and parts[0] == "variables":
        del parts[2]
    return tuple(parts)


def _model(loc: tuple[str | int, ...]) -> type[BaseModel]:
    match loc:
        case ["variables", _, kind, *_]:
            return VARIABLE_TYPES[str(kind)]
        case [*_, "words", _]:
            return WordRange
        case ["sections", *_]:
            return Section
        case ["internal_links", *_]:
            return InternalLinks
        case _:
            return TemplateSpec


def _reason(item: Mapping[str, Any]) -> str:
    loc, value, message = item["loc"], item["input"], str(item["msg"]).removeprefix("Value error, ")
    match item["type"]:
        case "missing":
            return "required, but missing"
        case "extra_forbidden":
            fields = list(_model(loc).model_fields)
            if len(loc) == 1:
                fields.insert(1, "extends")
            return f"no such field; allowed: {', '.join(fields)}{hint(str(loc[-1]), fields)}"
        case "union_tag_invalid" | "union_tag_not_found":
            kind = value.get("type") if isinstance(value, dict) else None
            said = f"{kind!r} is no type" if kind is not None else "`type` is missing"
            return f"{said}; allowed: {', '.join(VARIABLE_TYPES)}" + (
                hint(kind, VARIABLE_TYPES) if kind else ""
            )
        case "string_pattern_mismatch" if loc[0] == "name":
            return NAME_REASON
        case "string_pattern_mismatch" if loc[0] == "variables":
            return "a variable's name has lower-case letters, digits and _, begins with a letter, at most 60"
        case "value_error":
            return message
        case "string_type":
            return f"{value!r} is not text; put it in quotes"
        case _:
            shown = f", not {value!r}" if isinstance(value, str | int | float) else ""
            return message[:1].lower() + message[1:] + shown


def read_whole(path: Path, stored: Mapping[str, Written] | None = None) -> tuple[str, Written]:
    """The template of a file with what it inherits, and its name. A base is looked for beside the file, as
    `NAME.yaml`, then among `stored`; `TemplateError` with file, line, field and reason."""
    source = read_source(path)
    sources = {source.name: source}
    base = source.extends
    while base is not None and base not in sources:
        beside = path.with_name(f"{base}.yaml")
        if not beside.is_file():
            break
        above = read_source(beside)
        if above.name != base:
            break
        sources[base] = above
        base = above.extends
    resolver = Resolver(sources, stored or {})
    problems: list[TemplateProblem] = []
    for name in resolver.order():
        problems += resolver.whole(name)[1]
    if problems:
        raise refuse(problems)
    return source.name, resolver.whole(source.name)[0]


def read_template(path: Path, rules: Rules | None = None) -> TemplateSpec:
    """A whole template from its YAML file, checked against `rules` (default: as they ship). Its base is
    looked for beside it. `TemplateError` with file, line, field and what is allowed, of all problems."""
    spec, problems = check(read_whole(path)[1], rules or shipped_rules())
    if spec is None:
        raise refuse(problems)
    return spec
