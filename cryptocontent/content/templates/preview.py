"""A template as an editor would read the outline that it makes, before any brief is written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from cryptocontent.content.rules import Rules, load_rules, shipped_rules
from cryptocontent.content.templates.files import check, read_whole
from cryptocontent.content.templates.spec import TemplateSpec, check_variables, outline
from cryptocontent.content.templates.store import current_templates, find_version, known_in
from cryptocontent.content.templates.values import Known, known_by
from cryptocontent.content.templates.variables import sample_value
from cryptocontent.content.templates.written import refuse, written


def spec_of_file(session: Session | None, project_id: str, path: Path) -> TemplateSpec:
    """The template of a file that need not be added yet. Its base is looked for beside it, then in the
    project if there is one at hand; `TemplateError` with file, line, field and what is allowed."""
    stored = {}
    rules = shipped_rules()
    if session is not None:
        rules = load_rules(session, project_id)
        stored = {
            name: written(version.spec, f"template {name!r}")
            for name, (version, _) in current_templates(session, project_id).items()
        }
    spec, problems = check(read_whole(path, stored)[1], rules)
    if spec is None:
        raise refuse(problems)
    return spec


def spec_of_version(session: Session, project_id: str, name: str, number: int | None = None) -> TemplateSpec:
    """A stored version of a template (default: the newest); `NotFound` says what there is."""
    return TemplateSpec.model_validate(find_version(session, project_id, name, number).spec)


def preview(
    session: Session | None,
    project_id: str,
    spec: TemplateSpec,
    given: Mapping[str, Any],
    title: str = "",
) -> dict[str, Any]:
    """The outline of a brief with the values `given`; for required ones that are not given, samples. As
    plain data: the outline's fields, `jurisdictions` with their notices, and `variables` with each value
    and whether it is a `sample`. `TemplateError` if a given value is not allowed; without a session the
    rules as they ship decide, and tags are not checked."""
    rules, known = shipped_rules(), known_by(shipped_rules())
    if session is not None:
        rules = load_rules(session, project_id)
        known = known_in(session, project_id, [spec])
    values, samples = _values(spec, given, known)
    plan = outline(spec, values, title)
    return {
        "template": spec.name,
        **plan.model_dump(mode="json"),
        "jurisdictions": [_jurisdiction(one, rules) for one in plan.jurisdictions],
        "variables": {name: {"value": value, "sample": name in samples} for name, value in values.items()},
    }


def _values(
    spec: TemplateSpec, given: Mapping[str, Any], known: Known
) -> tuple[dict[str, Any], dict[str, Any]]:
    samples = {
        name: sample_value(variable, known)
        for name, variable in spec.variables.items()
        if given.get(name) in (None, "") and variable.default is None and variable.required
    }
    # Samples are not checked: there may be no reference yet whose tag a sample could be.
    asked = {name: one for name, one in spec.variables.items() if name not in samples}
    stated = {name: value for name, value in given.items() if name not in samples}
    values = check_variables(spec.model_copy(update={"variables": asked}), stated, known) | samples
    return {name: values[name] for name in spec.variables}, samples


def _jurisdiction(one: str, rules: Rules) -> dict[str, Any]:
    found = next((each for each in rules.jurisdictions.jurisdictions if each.id == one), None)
    return {
        "id": one,
        "name": found.name if found else one,
        "notices": [
            {"id": notice.id, "position": notice.position, "when": notice.when}
            for notice in (found.notices if found else ())
        ],
    }
