"""Linear's GraphQL API: issues, workflow states, projects with their milestones, cycles; and what is told to
an issue. No policy: what becomes of an issue is `planning`'s business.

Pages are small, since Linear multiplies a query's cost by the size of its pages. Everything that changes
something may be sent twice: a state is set, an attachment is found by its address, a comment has an id that
the caller made.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from cryptocontent.integrations.linear_access import Connection, Missing, Rejected, connected, off
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

__all__ = [
    "Cycle",
    "Issue",
    "Label",
    "Linear",
    "Milestone",
    "Missing",
    "Page",
    "Project",
    "Rejected",
    "State",
    "Team",
    "Unavailable",
    "off",
    "open_linear",
    "read_issue",
]

PAGE = 50
_ISSUE = """
id identifier url title description priority dueDate updatedAt archivedAt trashed labelIds
state { id name type } team { id } assignee { name } project { id } projectMilestone { id } cycle { id }
"""
_ISSUES = f"""
query Issues($filter: IssueFilter, $first: Int, $after: String) {{
  issues(filter: $filter, first: $first, after: $after, orderBy: updatedAt, includeArchived: true) {{
    nodes {{ {_ISSUE} }} pageInfo {{ hasNextPage endCursor }}
  }}
}}"""
_NEWEST = """
query Newest($filter: IssueFilter) {
  issues(filter: $filter, first: 1, orderBy: updatedAt, includeArchived: true) { nodes { updatedAt } }
}"""
_VIEWER = "query Viewer { viewer { name email } organization { name urlKey } }"
_TEAMS = """
query Teams($after: String) {
  teams(first: 50, after: $after) {
    nodes { id key name timezone } pageInfo { hasNextPage endCursor }
  }
}"""
_STATES = """
query States($team: ID!, $after: String) {
  workflowStates(filter: { team: { id: { eq: $team } } }, first: 50, after: $after) {
    nodes { id name type position } pageInfo { hasNextPage endCursor }
  }
}"""
_LABELS = """
query Labels($name: String!, $after: String) {
  issueLabels(filter: { name: { eqIgnoreCase: $name } }, first: 50, after: $after) {
    nodes { id name isGroup team { id } } pageInfo { hasNextPage endCursor }
  }
}"""
_PROJECTS = """
query Projects($team: ID!, $after: String) {
  projects(filter: { accessibleTeams: { some: { id: { eq: $team } } } }, first: 20, after: $after) {
    nodes {
      id name url startDate targetDate
      projectMilestones(first: 25) { nodes { id name targetDate } pageInfo { hasNextPage } }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""
_MILESTONES = """
query Milestones($project: String!, $after: String) {
  project(id: $project) {
    projectMilestones(first: 100, after: $after) {
      nodes { id name targetDate } pageInfo { hasNextPage endCursor }
    }
  }
}"""
_CYCLES = """
query Cycles($team: ID!, $after: String) {
  cycles(filter: { team: { id: { eq: $team } } }, first: 50, after: $after) {
    nodes { id number name startsAt endsAt } pageInfo { hasNextPage endCursor }
  }
}"""
_MOVE = """
mutation Move($id: String!, $state: String!) {
  issueUpdate(id: $id, input: { stateId: $state }) { success }
}"""
_COMMENT = """
mutation Comment($input: CommentCreateInput!) { commentCreate(input: $input) { success } }"""
_HAS_COMMENT = "query HasComment($id: String!) { comment(id: $id) { id } }"
_ATTACH = """
mutation Attach($input: AttachmentCreateInput!) { attachmentCreate(input: $input) { success } }"""


class Issue(BaseModel):
    """An issue as it was at `updated_at`. `archived`: archived, or in the trash. Dates are days."""

    model_config = ConfigDict(frozen=True)

    id: str
    identifier: str
    url: str
    title: str
    description: str
    priority: int  # 0 none, 1 urgent, 2 high, 3 normal, 4 low
    due_date: date | None
    updated_at: AwareDatetime
    archived: bool
    label_ids: tuple[str, ...]
    team_id: str
    state_id: str
    state: str
    state_type: str  # triage | backlog | unstarted | started | completed | canceled | duplicate
    assignee: str
    project_id: str
    milestone_id: str
    cycle_id: str


@dataclass(frozen=True, slots=True)
class Team:
    """A team. `timezone` is that of its cycles (`Europe/Berlin`)."""

    id: str
    key: str
    name: str
    timezone: str


@dataclass(frozen=True, slots=True)
class State:
    """A state of a team's workflow."""

    id: str
    name: str
    type: str
    position: float


@dataclass(frozen=True, slots=True)
class Label:
    """A label, of one team or (`team_id` is empty) of the workspace."""

    id: str
    name: str
    group: bool
    team_id: str


@dataclass(frozen=True, slots=True)
class Milestone:
    """A milestone of a project."""

    id: str
    name: str
    target_date: date | None


@dataclass(frozen=True, slots=True)
class Project:
    """A project that the team takes part in, with its milestones."""

    id: str
    name: str
    url: str
    start_date: date | None
    target_date: date | None
    milestones: tuple[Milestone, ...]


@dataclass(frozen=True, slots=True)
class Cycle:
    """A cycle of a team, from one instant to another."""

    id: str
    name: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Issues, those that were changed last first; `after` leads to the next page, "" if there is none."""

    issues: tuple[Issue, ...]
    after: str


def read_issue(data: Mapping[str, Any]) -> Issue:
    """An issue from a GraphQL node or a webhook's `data`, which name things alike. `ValueError` if it is
    none."""

    def of(name: str, field: str = "id") -> str:
        nested = data.get(name)
        value = nested.get(field) if isinstance(nested, Mapping) else None
        if value is None and field == "id":
            value = data.get(f"{name}Id")
        return _storable(str(value or ""))

    try:
        return Issue(
            id=data["id"],
            identifier=_storable(data["identifier"]),
            url=_storable(data.get("url") or ""),
            title=_storable(data["title"]),
            description=_storable(data.get("description") or ""),
            priority=int(data.get("priority") or 0),
            due_date=data.get("dueDate") or None,
            updated_at=data["updatedAt"],
            archived=bool(data.get("archivedAt") or data.get("trashed")),
            label_ids=tuple(data.get("labelIds") or ()),
            team_id=of("team"),
            state_id=of("state"),
            state=of("state", "name"),
            state_type=of("state", "type"),
            assignee=of("assignee", "name"),
            project_id=of("project"),
            milestone_id=of("projectMilestone"),
            cycle_id=of("cycle"),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, ValueError) as error:
        missing = error.args[0] if isinstance(error, KeyError) else type(error).__name__
        raise ValueError(f"this is no issue of Linear's: {missing}") from None


def _storable(text: str) -> str:
    """Text without what databases refuse: zero bytes and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


@contextmanager
def open_linear(settings: Settings, patience: float = 5.0) -> Iterator["Linear"]:
    """Linear, for one thread. `patience`: seconds that may be spent on waiting for rate limits, in all.
    `Unavailable` if it is not configured."""
    with connected(settings, patience) as connection:
        yield Linear(connection)


class Linear:
    """What is asked of Linear. Every method may raise `Unavailable`, `Missing` or `Rejected`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.limits = connection.limits

    def viewer(self) -> dict[str, str]:
        """Who we are there, and in which workspace."""
        data = self._connection.ask(_VIEWER)
        return {
            "name": data["viewer"]["name"],
            "email": data["viewer"]["email"],
            "workspace": data["organization"]["name"],
        }

    def teams(self) -> list[Team]:
        """The teams that we can see."""
        return [
            Team(one["id"], one["key"], one["name"], one["timezone"]) for one in self._all(_TEAMS, "teams")
        ]

    def states(self, team_id: str) -> list[State]:
        """The team's workflow, in its order."""
        nodes = self._all(_STATES, "workflowStates", team=team_id)
        states = [State(one["id"], one["name"], one["type"], one["position"]) for one in nodes]
        return sorted(states, key=lambda state: state.position)

    def labels(self, name: str) -> list[Label]:
        """The labels of that name, of any team."""
        return [
            Label(one["id"], one["name"], one["isGroup"], (one["team"] or {}).get("id", ""))
            for one in self._all(_LABELS, "issueLabels", name=name)
        ]

    def projects(self, team_id: str) -> list[Project]:
        """The team's projects with their milestones."""
        found = []
        for node in self._all(_PROJECTS, "projects", team=team_id):
            milestones = node["projectMilestones"]
            if milestones["pageInfo"]["hasNextPage"]:
                nodes: list[dict[str, Any]] = self._milestones(node["id"])
            else:
                nodes = milestones["nodes"]
            found.append(
                Project(
                    node["id"],
                    node["name"],
                    node["url"],
                    _day(node["startDate"]),
                    _day(node["targetDate"]),
                    tuple(Milestone(one["id"], one["name"], _day(one["targetDate"])) for one in nodes),
                )
            )
        return found

    def cycles(self, team_id: str) -> list[Cycle]:
        """The team's cycles."""
        return [
            Cycle(
                one["id"],
                one["name"] or f"Cycle {one['number']:.0f}",
                datetime.fromisoformat(one["startsAt"]),
                datetime.fromisoformat(one["endsAt"]),
            )
            for one in self._all(_CYCLES, "cycles", team=team_id)
        ]

    def issues(
        self,
        team_id: str,
        *,
        since: datetime | None = None,
        label_id: str = "",
        project_id: str = "",
        ids: Sequence[str] = (),
        after: str = "",
        first: int = PAGE,
    ) -> Page:
        """A page of the team's issues, archived ones too: those changed at `since` or later, with the label,
        in the project, of these ids (at most a page of them)."""
        wanted: dict[str, Any] = {"team": {"id": {"eq": team_id}}}
        if since is not None:
            wanted["updatedAt"] = {"gte": since.isoformat()}
        if label_id:
            wanted["labels"] = {"some": {"id": {"eq": label_id}}}
        if project_id:
            wanted["project"] = {"id": {"eq": project_id}}
        if ids:
            wanted = {"id": {"in": list(ids)}}
        variables = {"filter": wanted, "first": first, "after": after or None}
        data = self._connection.ask(_ISSUES, variables)["issues"]
        more = data["pageInfo"]
        return Page(
            tuple(map(read_issue, data["nodes"])), more["endCursor"] or "" if more["hasNextPage"] else ""
        )

    def newest(self, team_id: str) -> datetime | None:
        """When an issue of the team was last changed, by Linear's clock; None if it has none."""
        wanted = {"team": {"id": {"eq": team_id}}}
        nodes = self._connection.ask(_NEWEST, {"filter": wanted})["issues"]["nodes"]
        return datetime.fromisoformat(nodes[0]["updatedAt"]) if nodes else None

    def move(self, issue_id: str, state_id: str) -> None:
        """Put an issue into a state of its workflow."""
        self._connection.ask(_MOVE, {"id": issue_id, "state": state_id})

    def comment(self, issue_id: str, comment_id: str, body: str) -> None:
        """Comment on an issue; `comment_id` is a UUID of version 4. Once, however often it is asked."""
        try:
            self._connection.ask(_COMMENT, {"input": {"id": comment_id, "issueId": issue_id, "body": body}})
        except Rejected:
            # Refused because it is there already? Linear's words for that are not documented.
            if not self.has_comment(comment_id):
                raise

    def has_comment(self, comment_id: str) -> bool:
        """Whether there is a comment of that id."""
        try:
            return bool(self._connection.ask(_HAS_COMMENT, {"id": comment_id})["comment"])
        except Missing:
            return False

    def attach(
        self, issue_id: str, url: str, title: str, subtitle: str, metadata: Mapping[str, str | int]
    ) -> None:
        """Show a link at an issue; the one of the same address is replaced."""
        value = {
            "issueId": issue_id,
            "url": url,
            "title": title,
            "subtitle": subtitle,
            "metadata": dict(metadata),
        }
        self._connection.ask(_ATTACH, {"input": value})

    def _milestones(self, project_id: str) -> list[dict[str, Any]]:
        found, after = [], None
        while True:
            variables = {"project": project_id, "after": after}
            data = self._connection.ask(_MILESTONES, variables)["project"]["projectMilestones"]
            found += data["nodes"]
            if not data["pageInfo"]["hasNextPage"]:
                return found
            after = data["pageInfo"]["endCursor"]

    def _all(self, document: str, name: str, /, **variables: str) -> Iterator[dict[str, Any]]:
        """The nodes of every page."""
        after = None
        while True:
            data = self._connection.ask(document, variables | {"after": after})[name]
            yield from data["nodes"]
            if not data["pageInfo"]["hasNextPage"]:
                return
            after = data["pageInfo"]["endCursor"]


def _day(value: str | None) -> date | None:
    return date.fromisoformat(value) if value else None
