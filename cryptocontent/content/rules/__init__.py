"""The rules that checks go by: data files with their source, which a project's admin may replace.

Each rule file ships as `<name>.yaml` beside this module, and is checked whole against its model. A
project's own version of one (`set_rules`) takes the place of the shipped one; all versions are kept.
What the files say of law is a newsroom's reading of the source that they name, never legal advice.
"""

from functools import cache, cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.content.rules.files import Assets, Claims, Injection, Jurisdictions, Limits, Links
from cryptocontent.content.text import content_hash
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.storage.models import RuleSetVersion

_FOLDER = Path(__file__).parent
_MODELS: dict[str, type[BaseModel]] = {
    "assets": Assets,
    "claims": Claims,
    "injection": Injection,
    "jurisdictions": Jurisdictions,
    "limits": Limits,
    "links": Links,
}
NAMES = tuple(_MODELS)


class Rules(BaseModel):
    """All rule files in force for a project."""

    model_config = ConfigDict(frozen=True)

    assets: Assets
    claims: Claims
    injection: Injection
    jurisdictions: Jurisdictions
    limits: Limits
    links: Links

    @cached_property
    def version(self) -> str:
        """64 hex digits that change whenever any of the files does."""
        return content_hash(self.model_dump(mode="json"))


def read_rules(name: str, text: str) -> dict[str, Any]:
    """A rule file's content, checked; `Refused` naming the file, the field and what is allowed."""
    if name not in _MODELS:
        raise NotFound(f"no rule file {name!r}; there are: {', '.join(NAMES)}")
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Refused(f"rules {name}: {error}") from None
    return _checked(name, data).model_dump(mode="json")


def _checked(name: str, data: Any) -> BaseModel:
    try:
        return _MODELS[name].model_validate(data)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or name}: {item['msg']}" for item in error.errors()]
        raise Refused(f"rules {name}: " + "; ".join(problems)) from None


@cache
def _shipped(name: str) -> BaseModel:
    return _checked(name, yaml.safe_load((_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def shipped_text(name: str) -> str:
    """The rule file as it ships, with its comments: what an admin starts from."""
    if name not in _MODELS:
        raise NotFound(f"no rule file {name!r}; there are: {', '.join(NAMES)}")
    return (_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


@cache
def shipped_rules() -> Rules:
    """The rules as they ship."""
    return Rules.model_validate({name: _shipped(name) for name in NAMES})


def load_rules(session: Session, project_id: str) -> Rules:
    """The rules in force for a project: its own versions where it has them, else the shipped ones."""
    newest = session.execute(
        select(RuleSetVersion.name, func.max(RuleSetVersion.number))
        .filter_by(project_id=project_id)
        .group_by(RuleSetVersion.name)
    ).all()
    if not newest:
        return shipped_rules()
    files: dict[str, Any] = {name: _shipped(name) for name in NAMES}
    for name, number in newest:
        if name in files:
            row = session.get_one(RuleSetVersion, (project_id, name, number))
            files[name] = _checked(name, row.content)
    return Rules.model_validate(files)


def current_rules(session: Session, project_id: str, name: str) -> tuple[int, dict[str, Any]]:
    """The number (0: as shipped) and content of a rule file in force."""
    if name not in _MODELS:
        raise NotFound(f"no rule file {name!r}; there are: {', '.join(NAMES)}")
    row = session.scalar(
        select(RuleSetVersion)
        .filter_by(project_id=project_id, name=name)
        .order_by(RuleSetVersion.number.desc())
        .limit(1)
    )
    return (row.number, row.content) if row else (0, _shipped(name).model_dump(mode="json"))


def set_rules(session: Session, project_id: str, name: str, content: dict[str, Any], by: Person) -> int:
    """Put a project's own version of a rule file in force; returns its number. Admins only; audited."""
    by.require("administer")
    content = _checked(name, content).model_dump(mode="json")
    lock(session, project_id)
    number, before = current_rules(session, project_id, name)
    if content == before:
        return number
    session.add(
        RuleSetVersion(project_id=project_id, name=name, number=number + 1, content=content, author=by.name)
    )
    session.flush()
    change = {"number": number + 1, "before": content_hash(before), "after": content_hash(content)}
    record(session, project_id, by.actor, "rules.set", f"rules:{name}", change)
    return number + 1
