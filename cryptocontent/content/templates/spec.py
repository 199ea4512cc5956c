"""What a template may hold, and the outline that it makes of a brief."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from cryptocontent.content.rules import Rules
from cryptocontent.content.templates.rendering import RESERVED, TextError, render, text_problem
from cryptocontent.content.templates.values import Known, Strict, hint, known_by, shipped_known
from cryptocontent.content.templates.variables import (
    Variable,
    VariableName,
    read_variables,
    sample_value,
)
from cryptocontent.errors import Explained

Loc = tuple[str | int, ...]
"""Where in a template: `("sections", 0, "query")`."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]
_Phrase = Annotated[str, StringConstraints(min_length=1, max_length=500)]
FIXED_COLUMNS = ("template", "title", "keywords", "due_date", "priority")
"""The columns of a file of briefs that are no variables."""
MAX_TITLE = 300
"""Characters that an article's title may have."""
_ONCE_EMPTY: tuple[tuple[str, Any], ...] = (("values", []), ("min", None), ("max", None))
ALWAYS_KNOWN = "generic"
"""The jurisdiction of a template that names none; it is known even if the rules say nothing on it."""


@dataclass(frozen=True, slots=True)
class TemplateProblem:
    """One thing that is wrong with a template: the file or template, the line (from 1) where it is known,
    the field (list items count from 1: `sections[2].query`), and the reason with what is allowed."""

    file: str
    line: int | None
    field: str
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.field}: {self.reason}" if self.field else f"{place}: {self.reason}"


class TemplateError(Explained, ValueError):
    """A template, or a brief's variables or file, is not acceptable. The message names file, line, field
    and what is allowed; `problems` has them one by one where a template's file was read."""

    def __init__(self, message: str, problems: tuple[TemplateProblem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class WordRange(Strict):
    """A length in words, both ends included."""

    min: int = Field(ge=0, le=20_000)
    max: int = Field(ge=1, le=20_000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Section(Strict):
    """A part of the outline: what to look for, what to write, how long."""

    heading: str = Field(min_length=1, max_length=500)
    query: str = Field(min_length=1, max_length=2_000)
    instructions: str = Field("", max_length=5_000)
    words: WordRange


class InternalLinks(Strict):
    """How many links to other articles of the project (`[text](article:slug)`) an article has."""

    min: int = Field(0, ge=0, le=50)
    max: int = Field(50, ge=0, le=50)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class TemplateSpec(Strict):
    """A whole template: what its YAML file says, with what it inherits filled in."""

    name: Name
    description: str = Field("", max_length=1_000)
    language: str = Field("en", pattern=r"^[a-z]{2}$")
    tone: str = Field("neutral", max_length=500)
    audience: str = Field("", max_length=500)
    jurisdictions: tuple[str, ...] = (ALWAYS_KNOWN,)
    required_phrases: tuple[_Phrase, ...] = Field((), max_length=100)
    forbidden_phrases: tuple[_Phrase, ...] = Field((), max_length=500)
    internal_links: InternalLinks = InternalLinks()
    title: str = Field(min_length=1, max_length=500)
    words: WordRange
    variables: dict[VariableName, Variable] = Field(default_factory=dict, max_length=60)
    sections: tuple[Section, ...] = Field(min_length=1, max_length=60)

    @model_validator(mode="before")
    @classmethod
    def _as_once_stored(cls, data: Any) -> Any:
        """Stored versions never change. Those from before variables had fields by type hold the empty
        fields of every type, and one `jurisdiction` instead of a list."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if isinstance(data.get("jurisdiction"), str) and "jurisdictions" not in data:
            data["jurisdictions"] = [data.pop("jurisdiction")]
        if isinstance(variables := data.get("variables"), dict):
            data["variables"] = {
                name: {key: value for key, value in one.items() if (key, value) not in _ONCE_EMPTY}
                if isinstance(one, dict)
                else one
                for name, one in variables.items()
            }
        return data

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if problems := self._problems():
            message = "; ".join(f"{field_name(loc)}: {reason}" for loc, reason in problems)
            # In braces, because pydantic would fill in what stands in braces in the message itself.
            raise PydanticCustomError("template", "{message}", {"message": message, "problems": problems})
        return self

    def _problems(self) -> list[tuple[Loc, str]]:
        problems = [
            *variable_name_problems(self.variables),
            *self._value_problems(shipped_known(), all=False),
        ]
        texts = spec_texts(self.model_dump(include={"title", "required_phrases", "sections"}))
        lists = [name for name, variable in self.variables.items() if variable.type == "list"]
        unsound = text_problems(texts, list(self.variables), lists)
        problems += unsound
        if not problems:
            sample = {name: sample_value(variable) for name, variable in self.variables.items()}
            for loc, text in texts:
                try:
                    render(text, sample)
                except TextError as error:
                    problems.append((loc, str(error)))
        if sum(section.words.min for section in self.sections) > self.words.max:
            reason = "the sections' least words sum to more than the article's most words"
            problems.append((("sections",), reason))
        return problems

    def _value_problems(self, known: Known, *, all: bool) -> list[tuple[Loc, str]]:
        """Defaults and examples that their own variable would not take. Without `all`, those that depend
        on the rules or the references, which change, are left alone."""
        problems: list[tuple[Loc, str]] = []
        for name, variable in self.variables.items():
            for field in ("default", "example"):
                value = getattr(variable, field)
                if value is None or (not all and variable.type in ("asset_id", "reference_tag")):
                    continue
                try:
                    variable.read(value, known)
                except ValueError as error:
                    problems.append((("variables", name, field), str(error)))
        return problems

    def rule_problems(self, rules: Rules, known: Known | None = None) -> list[tuple[Loc, str]]:
        """What of the template the rules in force don't allow: unknown jurisdictions, and values that are
        no asset ids (or, with `known`, no tags)."""
        ids = sorted({ALWAYS_KNOWN, *(one.id for one in rules.jurisdictions.jurisdictions)})
        problems: list[tuple[Loc, str]] = [
            (
                ("jurisdictions", number),
                f"{one!r} is not in the rules; there are: {', '.join(ids)}{hint(one, ids)}",
            )
            for number, one in enumerate(self.jurisdictions)
            if one not in ids
        ]
        return problems + self._value_problems(known or known_by(rules), all=True)


class OutlineSection(Strict):
    """A section with the brief's variables filled in."""

    heading: str
    query: str
    instructions: str
    words: WordRange


class Outline(Strict):
    """What a brief asks for, in full: the template with its variables filled in."""

    title: str
    language: str
    tone: str
    audience: str
    jurisdictions: tuple[str, ...]
    required_phrases: tuple[str, ...] = ()
    forbidden_phrases: tuple[str, ...] = ()
    internal_links: InternalLinks = InternalLinks()
    words: WordRange
    sections: tuple[OutlineSection, ...]


def field_name(loc: Loc) -> str:
    """`sections[2].query` for `("sections", 1, "query")`."""
    return "".join(f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")


def spec_texts(data: Mapping[str, Any]) -> list[tuple[Loc, str]]:
    """The texts of a template's data that are rendered, with their places; data may be unsound."""
    texts: list[tuple[Loc, Any]] = [(("title",), data.get("title"))]
    phrases = data.get("required_phrases")
    if isinstance(phrases, list | tuple):
        texts += [(("required_phrases", number), phrase) for number, phrase in enumerate(phrases)]
    sections = data.get("sections")
    for number, section in enumerate(sections if isinstance(sections, list | tuple) else ()):
        if isinstance(section, dict):
            fields = ("heading", "query", "instructions")
            texts += [(("sections", number, field), section.get(field)) for field in fields]
    return [(loc, text) for loc, text in texts if isinstance(text, str)]


def text_problems(
    texts: list[tuple[Loc, str]], variables: list[str], lists: list[str]
) -> list[tuple[Loc, str]]:
    """What is wrong with texts in themselves, by place. `lists`: the variables that are lists."""
    return [(loc, reason) for loc, text in texts if (reason := text_problem(text, variables, lists))]


def variable_name_problems(variables: Mapping[str, Any]) -> list[tuple[Loc, str]]:
    """Variables whose name means something else, in a file of briefs or in Jinja2."""
    problems: list[tuple[Loc, str]] = []
    for name in variables:
        if name in FIXED_COLUMNS:
            problems.append((("variables", name), "every brief has a column of this name; choose another"))
        elif name in RESERVED:
            problems.append(
                (("variables", name), "the name has a meaning of its own in Jinja2; choose another")
            )
    return problems


def check_variables(
    spec: TemplateSpec, given: Mapping[str, Any], known: Known | None = None
) -> dict[str, Any]:
    """The brief's values, typed and with defaults; `TemplateError` naming each variable that is wrong, the
    value and what is allowed. `known` defaults to the assets that ship, and leaves tags unchecked."""
    values, problems = read_variables(spec.variables, given, known or shipped_known())
    if problems:
        raise TemplateError(
            "; ".join(
                f"variable {name!r} is not one of template {spec.name!r}: {reason}"
                if name not in spec.variables
                else f"variable {name!r}: {reason}"
                for name, _, reason in problems
            )
        )
    return values


def outline(spec: TemplateSpec, variables: Mapping[str, Any], title: str = "") -> Outline:
    """The template with a brief's checked variables filled in; `title` replaces the template's.
    `TemplateError` naming the field if a text can't be rendered with these values."""

    def filled(text: str, loc: Loc) -> str:
        try:
            return render(text, variables)
        except TextError as error:
            raise TemplateError(f"{field_name(loc)}: {error}") from None

    return Outline(
        title=title or filled(spec.title, ("title",)),
        language=spec.language,
        tone=spec.tone,
        audience=spec.audience,
        jurisdictions=spec.jurisdictions,
        required_phrases=tuple(
            filled(phrase, ("required_phrases", number))
            for number, phrase in enumerate(spec.required_phrases)
        ),
        forbidden_phrases=spec.forbidden_phrases,
        internal_links=spec.internal_links,
        words=spec.words,
        sections=tuple(
            OutlineSection(
                heading=filled(section.heading, ("sections", number, "heading")),
                query=filled(section.query, ("sections", number, "query")),
                instructions=filled(section.instructions, ("sections", number, "instructions")),
                words=section.words,
            )
            for number, section in enumerate(spec.sections)
        ),
    )
