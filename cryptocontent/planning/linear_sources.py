"""Linear teams that are watched: which issues become briefs, by which template, and how states are named.

A watched team is a row of `sources` of the kind `linear`. Its `config` is what a person said, checked against
Linear; its `cursor` says how far the team was read, and holds the team's workflow as it was last seen.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from cryptocontent.content.briefs import PRIORITIES, current_templates
from cryptocontent.content.projects import get_project
from cryptocontent.content.templates.values import hint
from cryptocontent.content.watched import name_problem, watch
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.integrations.linear import Linear, State, Team
from cryptocontent.planning.linear_states import STATES
from cryptocontent.storage.database import reading
from cryptocontent.storage.models import LinearIssue, Source

KIND = "linear"
_FIELDS = ("team", "label", "project", "template", "priorities", "states", "generate", "roadmap")
_PRIORITIES = {"0": "normal", "1": "high", "2": "high", "3": "normal", "4": "low"}
"""Linear's priorities (none, urgent, high, normal, low) as ours."""


@dataclass(slots=True)
class Checked:
    """What of a configuration was found at Linear."""

    config: dict[str, Any]
    workflow: list[dict[str, Any]]
    problems: list[str]


def check_config(linear: Linear, session: Callable[[], list[str]], config: Mapping[str, Any]) -> Checked:
    """A configuration with what Linear knows of it. `session` gives the names of the project's templates.
    Everything that is wrong is in `problems`."""
    problems = [
        f"{name}: unknown{hint(name, _FIELDS)}; allowed are {', '.join(_FIELDS)}"
        for name in sorted(set(config) - set(_FIELDS))
    ]
    found = Checked({}, [], problems)
    values = found.config
    for name in ("team", "label", "project", "template"):
        value = config.get(name, "")
        if not isinstance(value, str):
            problems.append(f"{name} {value!r}: give a text")
            value = ""
        values[name] = value.strip()
    for name, default in (("generate", False), ("roadmap", True)):
        values[name] = config.get(name, default)
        if not isinstance(values[name], bool):
            problems.append(f"{name} {values[name]!r}: allowed are true and false")
    values["priorities"] = _PRIORITIES | _mapping(config, "priorities", _PRIORITIES, PRIORITIES, problems)
    states = _mapping(config, "states", STATES, None, problems)
    templates = session()
    if values["template"] and values["template"] not in templates:
        there = ", ".join(templates) or "none"
        problems.append(
            f"template {values['template']!r}: there are {there}{hint(values['template'], templates)}"
        )
    if not values["label"] and not values["project"]:
        problems.append("label, project: name at least one of them, else every issue would become a brief")
    team = _team(linear, values["team"], problems)
    if team is None:
        return found
    values |= {"team": team.key, "team_id": team.id, "timezone": team.timezone}
    workflow = linear.states(team.id)
    found.workflow = [as_row(state) for state in workflow]
    values["states"] = _named_states(states, workflow, problems)
    values["label_id"] = _label(linear, team, values["label"], problems) if values["label"] else ""
    values["project_id"] = _project(linear, team, values["project"], problems) if values["project"] else ""
    return found


def as_row(state: State) -> dict[str, Any]:
    """A state of a workflow as a cursor keeps it."""
    return {"id": state.id, "name": state.name, "type": state.type}


def _mapping(
    config: Mapping[str, Any],
    name: str,
    keys: Any,
    values: tuple[str, ...] | None,
    problems: list[str],
) -> dict[str, str]:
    given = config.get(name) or {}
    if not isinstance(given, Mapping):
        problems.append(f"{name} {given!r}: give a mapping")
        return {}
    good = {}
    for key, value in given.items():
        if str(key) not in keys:
            problems.append(f"{name}.{key}: unknown; allowed are {', '.join(keys)}")
        elif not isinstance(value, str) or (values is not None and value not in values):
            allowed = ", ".join(values) if values else "the name of a workflow state, or nothing"
            problems.append(f"{name}.{key} {value!r}: allowed: {allowed}")
        else:
            good[str(key)] = value.strip()
    return good


def _team(linear: Linear, key: str, problems: list[str]) -> Team | None:
    teams = linear.teams()
    for team in teams:
        if key and key.casefold() in (team.key.casefold(), team.name.casefold()):
            return team
    there = ", ".join(f"{team.key} ({team.name})" for team in teams) or "none"
    problems.append(f"team {key!r}: these can be seen: {there}" if key else f"team is missing: {there}")
    return None


def _named_states(states: Mapping[str, str], workflow: list[State], problems: list[str]) -> dict[str, str]:
    names = {state.name.casefold(): state.name for state in workflow}
    good = {}
    for ours, theirs in states.items():
        if theirs and theirs.casefold() not in names:
            there = ", ".join(names.values())
            problems.append(
                f"states.{ours} {theirs!r}: the team's states are {there}{hint(theirs, names.values())}"
            )
        good[ours] = names.get(theirs.casefold(), theirs)
    return good


def _label(linear: Linear, team: Team, name: str, problems: list[str]) -> str:
    labels = [label for label in linear.labels(name) if label.team_id in ("", team.id)]
    labels.sort(key=lambda label: label.team_id == "")  # the team's own first
    if not labels:
        problems.append(f"label {name!r}: neither team {team.key} nor the workspace has it")
        return ""
    if labels[0].group:
        problems.append(f"label {name!r}: it is a group; name one of its labels")
    return labels[0].id


def _project(linear: Linear, team: Team, name: str, problems: list[str]) -> str:
    projects = linear.projects(team.id)
    wanted = name.casefold().rstrip("/")
    for project in projects:
        if wanted in (project.id, project.name.casefold(), project.url.casefold()):
            return project.id
    there = ", ".join(project.name for project in projects[:20]) or "none"
    problems.append(
        f"project {name!r}: team {team.key} has {there}{hint(name, [one.name for one in projects])}"
    )
    return ""


def add_linear(
    engine: Engine, linear: Linear, project_id: str, name: str, config: Mapping[str, Any], by: Person
) -> Source:
    """Watch a team. `Refused` names everything that is wrong with the configuration. Linear is asked outside
    of any transaction."""
    from cryptocontent.storage.database import writing

    by.require("administer")

    def templates() -> list[str]:
        with reading(engine) as session:
            get_project(session, project_id)
            return sorted(current_templates(session, project_id))

    checked = check_config(linear, templates, config)
    if problem := name_problem(name):
        checked.problems.append(problem)
    if checked.problems:
        raise Refused("\n".join(checked.problems))
    with writing(engine) as session:
        cursor = {"workflow": checked.workflow}
        return watch(session, project_id, KIND, name, checked.config, by, cursor)


def active_sources(session: Session, project_id: str | None = None) -> list[Source]:
    """The watched teams, those that were looked at longest ago first."""
    query = select(Source).where(Source.kind == KIND, Source.status == "active")
    if project_id is not None:
        query = query.where(Source.project_id == project_id)
    return list(session.scalars(query.order_by(Source.checked_at.is_not(None), Source.checked_at)))


def find_linear(session: Session, project_id: str, name: str | None) -> Source:
    """The watched team of that name, or the only one; `NotFound` lists those that there are."""
    query = select(Source).where(
        Source.project_id == project_id, Source.kind == KIND, Source.status != "removed"
    )
    sources = {source.name: source for source in session.scalars(query.order_by(Source.name))}
    if name is None and len(sources) == 1:
        return next(iter(sources.values()))
    if name in sources:
        return sources[name]
    there = ", ".join(sources) or "none yet: `cryptocontent linear add`"
    wanted = f"no Linear source {name!r}" if name else "which Linear source?"
    raise NotFound(f"{wanted} in project {project_id!r}; there are: {there}")


def issue_counts(session: Session, source_id: str) -> dict[str, int]:
    """How many of the source's issues are in each state; those that never concerned us are left out."""
    rows = session.execute(
        select(LinearIssue.status, func.count())
        .where(LinearIssue.source_id == source_id, concerns_us())
        .group_by(LinearIssue.status)
    )
    return {status: count for status, count in rows.tuples()}  # noqa: C416 (`dict` does not see the types)


def concerns_us() -> Any:
    """Issues that are, were, or were to become briefs."""
    return LinearIssue.brief_id.is_not(None) | (LinearIssue.status == "refused")


def list_issues(session: Session, source_id: str) -> list[dict[str, Any]]:
    """The source's issues with their briefs, those that need a person first."""
    query = (
        select(LinearIssue)
        .where(LinearIssue.source_id == source_id, concerns_us())
        .order_by(LinearIssue.status != "refused", LinearIssue.updated_at.desc(), LinearIssue.issue_id)
    )
    return [
        {
            "issue": row.identifier,
            "title": row.title,
            "status": row.status,
            "linear_state": row.state,
            "brief": row.brief_id,
            "told": row.told.get("state", ""),
            "problem": row.problem or row.told.get("error", ""),
            "url": row.url,
            "updated_at": row.updated_at.isoformat(timespec="seconds"),
        }
        for row in session.scalars(query)
    ]
