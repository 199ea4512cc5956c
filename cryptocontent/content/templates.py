"""Templates: the outline, length and tone of a kind of article, with typed variables.

A template is a YAML file, checked whole before anything of it is stored. Text in it is Jinja2,
rendered in a sandbox with nothing but the brief's variables.
"""

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from sqlalchemy import select

from cryptocontent.audit import Actor, record
from cryptocontent.content.text import content_hash
from cryptocontent.errors import Explained
from cryptocontent.storage.models import Template, TemplateVersion
from cryptocontent.storage.types import new_id

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,59}$")]


class TemplateError(Explained, ValueError):
    """A template or a brief's variables are not acceptable; the message names file, field and reason."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WordRange(_Strict):
    """A length in words, both ends included."""

    min: int = Field(ge=0, le=20_000)
    max: int = Field(ge=1, le=20_000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Variable(_Strict):
    """What a brief must or may fill in."""

    type: Literal["text", "enum", "number", "date", "list"]
    required: bool = True
    default: Any = None
    description: str = ""
    values: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _enum_has_values(self) -> Self:
        if (self.type == "enum") != bool(self.values):
            raise ValueError("`values` belongs to an enum, and an enum needs it")
        return self


class Section(_Strict):
    """A part of the outline: what to look for, what to write, how long."""

    heading: str = Field(min_length=1)
    query: str = Field(min_length=1)
    instructions: str = ""
    words: WordRange


class InternalLinks(_Strict):
    """How many links to other articles of the project (`[text](article:slug)`) an article has."""

    min: int = Field(0, ge=0, le=50)
    max: int = Field(50, ge=0, le=50)


class TemplateSpec(_Strict):
    """A whole template, as its YAML file says it."""

    name: Name
    description: str = ""
    language: str = Field("en", pattern=r"^[a-z]{2}$")
    tone: str = "neutral"
    audience: str = ""
    jurisdictions: tuple[str, ...] = ("generic",)
    required_phrases: tuple[str, ...] = ()
    forbidden_phrases: tuple[str, ...] = ()
    internal_links: InternalLinks = InternalLinks()
    title: str = Field(min_length=1)
    words: WordRange
    variables: dict[Name, Variable] = Field(default_factory=dict)
    sections: tuple[Section, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _renders(self) -> Self:
        sample = {name: sample_value(variable) for name, variable in self.variables.items()}
        for field, text in self._texts():
            try:
                _render(text, sample)
            except TemplateError as error:
                raise ValueError(f"{field}: {error}") from None
        if sum(section.words.min for section in self.sections) > self.words.max:
            raise ValueError("the sections' least words sum to more than the article's most words")
        return self

    def _texts(self) -> list[tuple[str, str]]:
        texts = [("title", self.title)]
        for number, section in enumerate(self.sections, 1):
            texts += [
                (f"section {number} {field}", getattr(section, field))
                for field in ("heading", "query", "instructions")
            ]
        return texts


class OutlineSection(_Strict):
    """A section with the brief's variables filled in."""

    heading: str
    query: str
    instructions: str
    words: WordRange


class Outline(_Strict):
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


def sample_value(variable: Variable) -> Any:
    """A value that the variable takes, for previews and checks."""
    if variable.default is not None:
        return variable.default
    samples = {"text": "Sample", "number": variable.min or 1, "date": "2026-01-01", "list": ["one", "two"]}
    return variable.values[0] if variable.type == "enum" else samples[variable.type]


@lru_cache(maxsize=1)
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


@lru_cache(maxsize=1000)
def _compiled(text: str) -> Any:
    return _environment().from_string(text)


def _render(text: str, variables: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError as JinjaError

    try:
        return " ".join(str(_compiled(text).render(**variables)).split())
    except JinjaError as error:
        raise TemplateError(str(error)) from None


def check_variables(spec: TemplateSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    """The brief's values, typed and with defaults; `TemplateError` naming the variable, the value and
    what is allowed."""
    if unknown := sorted(set(given) - set(spec.variables)):
        allowed = ", ".join(spec.variables) or "none"
        raise TemplateError(
            f"variable {unknown[0]!r} is not one of template {spec.name!r}; allowed: {allowed}"
        )
    values: dict[str, Any] = {}
    for name, variable in spec.variables.items():
        value = given.get(name)
        if value in (None, ""):
            if variable.default is None and variable.required:
                raise TemplateError(f"variable {name!r} is required ({variable.type})")
            values[name] = variable.default if variable.default is not None else ""
        else:
            values[name] = _typed(name, variable, value)
    return values


def _typed(name: str, variable: Variable, value: Any) -> Any:
    match variable.type:
        case "enum":
            if str(value) not in variable.values:
                raise TemplateError(
                    f"variable {name!r}: {value!r} is not one of {', '.join(variable.values)}"
                )
            return str(value)
        case "number":
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise TemplateError(f"variable {name!r}: {value!r} is not a number") from None
            low = variable.min if variable.min is not None else float("-inf")
            high = variable.max if variable.max is not None else float("inf")
            if not low <= number <= high:
                raise TemplateError(
                    f"variable {name!r}: {value!r} is not between {variable.min} and {variable.max}"
                )
            return int(number) if number.is_integer() else number
        case "date":
            try:
                return date.fromisoformat(str(value)).isoformat()
            except ValueError:
                raise TemplateError(
                    f"variable {name!r}: {value!r} is not a date such as 2026-01-31"
                ) from None
        case "list":
            items = value if isinstance(value, list) else str(value).split(";")
            return [str(item).strip() for item in items if str(item).strip()]
        case _:
            return str(value).strip()


def outline(spec: TemplateSpec, variables: Mapping[str, Any], title: str = "") -> Outline:
    """The template with a brief's checked variables filled in; `title` replaces the template's."""
    return Outline(
        title=title or _render(spec.title, variables),
        language=spec.language,
        tone=spec.tone,
        audience=spec.audience,
        jurisdictions=spec.jurisdictions,
        required_phrases=tuple(_render(phrase, variables) for phrase in spec.required_phrases),
        forbidden_phrases=spec.forbidden_phrases,
        internal_links=spec.internal_links,
        words=spec.words,
        sections=tuple(
            OutlineSection(
                heading=_render(section.heading, variables),
                query=_render(section.query, variables),
                instructions=_render(section.instructions, variables),
                words=section.words,
            )
            for section in spec.sections
        ),
    )


def read_template(path: Path) -> TemplateSpec:
    """A template from its YAML file; `TemplateError` with file, line where known, field and reason."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise TemplateError(f"{path}:{line}: {error.problem}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: {error}") from None
    if not isinstance(data, dict):
        raise TemplateError(f"{path}: a template is a mapping with name, title, words and sections")
    try:
        return TemplateSpec.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, item['loc'])) or 'template'}: {item['msg']}" for item in error.errors()
        ]
        raise TemplateError(f"{path}: " + "; ".join(problems)) from None


def save_template(session: Any, project_id: str, spec: TemplateSpec, actor: Actor) -> tuple[str, bool]:
    """Store `spec` as the template's newest version. Returns the version's id, and whether it is new:
    the same content again makes nothing."""
    data = spec.model_dump(mode="json")
    digest = content_hash(data)
    template = session.scalar(select(Template).filter_by(project_id=project_id, name=spec.name))
    if template is None:
        template = Template(id=new_id(), project_id=project_id, name=spec.name)
        session.add(template)
        session.flush()
        number, before = 1, None
    else:
        current = session.get_one(TemplateVersion, template.version_id)
        if current.content_hash == digest:
            return current.id, False
        number, before = current.number + 1, current.content_hash
    version = TemplateVersion(
        id=new_id(), template_id=template.id, number=number, content_hash=digest, spec=data
    )
    session.add(version)
    template.version_id = version.id
    change = {"number": number, "before": before, "after": digest}
    record(session, project_id, actor, "template.saved", f"template:{spec.name}", change)
    return version.id, True
