"""Template files as their author wrote them: YAML whose every value remembers its line."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from cryptocontent.content.templates.spec import Loc, Name, TemplateError, TemplateProblem, field_name

MAX_BYTES = 200_000
"""Bytes that a template's file may have."""
_MAX_NODES = 10_000
_MAX_DEPTH = 12
_NAME: TypeAdapter[str] = TypeAdapter(Name)
IDENTITY = ("name", "extends")
"""What a child does not inherit."""
NAME_REASON = "a name has lower-case letters, digits, - and _, begins with a letter, and has at most 60"
"""What a template may be called."""


@dataclass(frozen=True, slots=True)
class Written:
    """A YAML value and where it stands: `value` is a dict or list of `Written`, or a plain scalar."""

    value: Any
    file: str
    line: int | None = None

    def plain(self) -> Any:
        """The value without its places."""
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value

    def at(self, loc: Loc) -> "Written":
        """What stands at `loc`; parts of it that are not there are passed over (what is missing is
        missing in the value around it)."""
        here = self
        for part in loc:
            inner = here.value
            if isinstance(inner, list):
                here = inner[part] if isinstance(part, int) and part < len(inner) else here
            elif isinstance(inner, dict):
                here = inner.get(part, here)
        return here

    def problem(self, loc: Loc, reason: str) -> TemplateProblem:
        """A problem at `loc`, with its file and line."""
        place = self.at(loc)
        return TemplateProblem(place.file, place.line, field_name(loc), reason)


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template as its author wrote it."""

    name: str
    extends: str | None
    written: Written

    @property
    def label(self) -> str:
        """The file or template that it was read from."""
        return self.written.file


def refuse(problems: Sequence[TemplateProblem]) -> TemplateError:
    """All problems as one error, a line each."""
    return TemplateError("\n".join(map(str, problems)), tuple(problems))


def written(data: Any, label: str) -> Written:
    """Plain data, all of it placed at `label` without lines."""
    if isinstance(data, dict):
        return Written({str(key): written(item, label) for key, item in data.items()}, label)
    if isinstance(data, list | tuple):
        return Written([written(item, label) for item in data], label)
    return Written(data, label)


@dataclass(slots=True)
class _Reader:
    """Turns YAML nodes into `Written`, and collects what YAML lets pass but a template must not hold."""

    label: str
    loader: yaml.SafeLoader
    problems: list[TemplateProblem] = field(default_factory=list)
    nodes: int = 0

    def read(self, node: yaml.Node, loc: Loc = ()) -> Written:
        self.nodes += 1
        line = node.start_mark.line + 1
        # An alias is read each time that it stands somewhere: a few lines of them can mean billions.
        if self.nodes > _MAX_NODES or len(loc) > _MAX_DEPTH:
            reason = f"too large or too deep: at most {_MAX_NODES:,} values and {_MAX_DEPTH} levels"
            raise refuse([TemplateProblem(self.label, line, "", reason)])
        if isinstance(node, yaml.MappingNode):
            return Written(self._mapping(node, loc), self.label, line)
        if isinstance(node, yaml.SequenceNode):
            items = [self.read(item, (*loc, number)) for number, item in enumerate(node.value)]
            return Written(items, self.label, line)
        return Written(self._scalar(node, loc), self.label, line)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Written]:
        values: dict[str, Written] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            # `<<` would merge another mapping: `extends` is for that.
            is_scalar = isinstance(key_node, yaml.ScalarNode) and not key_node.tag.endswith(":merge")
            key = self._scalar(key_node, loc) if is_scalar else None
            if not isinstance(key, str):
                shown = repr(getattr(key_node, "value", "")) if key_node.id == "scalar" else "it"
                reason = f"{shown} is not the name of a field; if it is meant as text, put it in quotes"
                self.problems.append(TemplateProblem(self.label, line, field_name(loc), reason))
            elif key in values:
                reason = f"it stands twice; first in line {values[key].line}"
                self.problems.append(TemplateProblem(self.label, line, field_name((*loc, key)), reason))
            else:
                item = self.read(value_node, (*loc, key))
                # The key's line: the value of a long text or a list begins below it.
                values[key] = Written(item.value, item.file, line)
        return values

    def _scalar(self, node: yaml.Node, loc: Loc) -> Any:
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            reason = getattr(error, "problem", None) or str(error)
            line = node.start_mark.line + 1
            self.problems.append(TemplateProblem(self.label, line, field_name(loc), f"{reason}"))
            return None


def parse_source(text: str, label: str) -> TemplateSource:
    """A template from YAML text; `TemplateError` with line and reason if it is not well-formed, or says
    no sound `name` or `extends`. The rest is checked when it is whole (`check`)."""
    loader = yaml.SafeLoader("")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        reader = _Reader(label, loader)
        root = reader.read(node) if node is not None else Written(None, label, 1)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "not YAML"
        raise refuse([TemplateProblem(label, mark.line + 1 if mark else None, "", reason)]) from None
    except yaml.YAMLError as error:
        raise refuse([TemplateProblem(label, None, "", " ".join(str(error).split()))]) from None
    except RecursionError:
        raise refuse([TemplateProblem(label, None, "", "it is nested too deeply")]) from None
    finally:
        loader.dispose()
    if not isinstance(root.value, dict):
        reason = "a template is a mapping with name, title, words and sections"
        raise refuse([TemplateProblem(label, root.line, "", reason)])
    return sound_source(root, reader.problems)


def sound_source(root: Written, problems: Sequence[TemplateProblem] = ()) -> TemplateSource:
    """A source from what was written; `TemplateError` naming `problems`, and `name` and `extends` where
    they are not sound."""
    found = list(problems)
    for key in IDENTITY:
        if key in root.value:
            try:
                _NAME.validate_python(root.value[key].value)
            except ValidationError:
                found.append(root.problem((key,), NAME_REASON))
        elif key == "name":
            found.append(root.problem((key,), "required, but missing"))
    if found:
        raise refuse(found)
    extends = root.value["extends"].value if "extends" in root.value else None
    return TemplateSource(root.value["name"].value, extends, root)


def read_source(path: Path) -> TemplateSource:
    """A template's YAML file as its author wrote it; `TemplateError` with file, line and reason."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise refuse([TemplateProblem(str(path), None, "", f"larger than {MAX_BYTES:,} bytes")])
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise refuse([TemplateProblem(str(path), None, "", str(error))]) from None
    return parse_source(text, str(path))


def read_sources(files: Sequence[Path | TemplateSource]) -> list[TemplateSource]:
    """Several files' templates; `TemplateError` with everything that is wrong in any of them."""
    sources: list[TemplateSource] = []
    problems: list[TemplateProblem] = []
    for one in files:
        try:
            sources.append(read_source(one) if isinstance(one, Path) else one)
        except TemplateError as error:
            problems += error.problems
    if problems:
        raise refuse(problems)
    return sources
