"""What an issue's description says: a fenced block of fields for the brief, the rest a note to the writer.

    Readers ask what the base fee is for.

    ```brief
    template: explainer
    keywords: EIP-1559; base fee
    topic: the base fee
    ```

The block is YAML or, where that does not read it, lines of `name: value`. `template` and `keywords` are the
brief's; every other name, at the top or under `variables`, is a variable of the template. Values are text or
lists of text, as in a file of briefs: nothing is taken for a date, a number or a truth value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptocontent.content.brief_files import RowProblem

BLOCK = "brief"
MOST_CHARACTERS = 20_000
"""Characters that the block may have."""
_OF_THE_ISSUE = {
    "title": "the issue's title",
    "due_date": "the issue's due date",
    "priority": "the issue's priority",
    "assignee": "the issue's assignee",
}


@dataclass(slots=True)
class Description:
    """A description taken apart. `cells` are as in a row of a file of briefs."""

    cells: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    problems: list[RowProblem] = field(default_factory=list)


def read_description(text: str) -> Description:
    """The fields and the note of a description, and everything that is wrong with its block."""
    from markdown_it import MarkdownIt

    found = Description()
    lines = text.replace("\r\n", "\n").split("\n")
    fences = [
        token
        for token in MarkdownIt("commonmark").parse("\n".join(lines))
        if token.type == "fence" and token.map and token.info.strip().lower() == BLOCK
    ]
    for token in reversed(fences):
        start, end = token.map or (0, 0)
        del lines[start:end]
        if 0 < start < len(lines) and not lines[start - 1].strip() and not lines[start].strip():
            del lines[start]
    found.note = "\n".join(lines).strip()
    if len(fences) > 1:
        found.problems.append(_problem("", f"{len(fences)} blocks ```{BLOCK}: put all fields into one"))
    elif fences:
        _take(found, fences[0].content)
    return found


def _problem(name: str, reason: str, value: str = "") -> RowProblem:
    return RowProblem(0, name or f"```{BLOCK}", value, reason)


def _take(found: Description, block: str) -> None:
    if len(block) > MOST_CHARACTERS:
        reason = f"the block has {len(block):,} characters; at most {MOST_CHARACTERS:,}"
        found.problems.append(_problem("", reason))
        return
    try:
        fields = _read(block)
    except ValueError as error:
        found.problems.append(_problem("", str(error)))
        return
    variables = fields.pop("variables", "")
    if isinstance(variables, Mapping):
        for name in sorted(set(variables) & set(fields)):
            found.problems.append(
                _problem(name, "it stands at the top and under `variables`: once is enough")
            )
        fields |= variables
    elif variables:
        found.problems.append(_problem("variables", "write `name: value` lines under it, indented"))
    for name, value in fields.items():
        if name in _OF_THE_ISSUE:
            found.problems.append(_problem(name, f"it is {_OF_THE_ISSUE[name]}: set it there"))
        elif isinstance(value, Mapping) or (
            isinstance(value, list) and not all(isinstance(one, str) for one in value)
        ):
            found.problems.append(_problem(name, "allowed: a text, or a list of texts"))
        else:
            found.cells[name] = ";".join(value) if name == "keywords" and isinstance(value, list) else value


def _read(block: str) -> dict[str, Any]:
    """The block's fields; `ValueError` if it has none."""
    import yaml

    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(block, Loader=yaml.BaseLoader)):
            raise ValueError("aliases (`*name`) are not allowed in the block")
        data = yaml.load(block, Loader=yaml.BaseLoader)  # noqa: S506 (it makes texts, lists and mappings only)
    except (yaml.YAMLError, RecursionError):
        return _lines(block)
    if data is None or data == "":
        return {}
    if not isinstance(data, dict):
        return _lines(block)
    return {_name(name): value for name, value in data.items()}


def _lines(block: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for line in block.split("\n"):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, colon, value = text.partition(":")
        if not colon:
            raise ValueError(f"`{text[:80]}` is no `name: value`")
        fields[_name(name)] = _unquoted(value.strip())
    if not fields.get("variables"):
        fields.pop("variables", None)
    return fields


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _name(name: Any) -> str:
    return str(name).strip().removeprefix("- ")
