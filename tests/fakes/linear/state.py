"""What the fake Linear holds: plain objects, by id, in `Linear`; and what a test may do to them."""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

Node = dict[str, Any]
FaultKind = Literal["status", "slow", "truncated", "dropped", "limited"]
_WORKFLOW = (
    ("Triage", "triage"),
    ("Backlog", "backlog"),
    ("Todo", "unstarted"),
    ("In Progress", "started"),
    ("In Review", "started"),
    ("Done", "completed"),
    ("Canceled", "canceled"),
)
PRIORITIES = ("No priority", "Urgent", "High", "Medium", "Low")


@dataclass(slots=True)
class Fault:
    """A trouble for the next request (of the operation named, if any): an HTTP `status`, `seconds` of
    silence, half an answer, a connection that ends, or a rate limit that is used up for `seconds`. With
    `after` it comes when the request was carried out."""

    kind: FaultKind
    operation: str = ""
    status: int = 500
    seconds: float = 0.0
    after: bool = False


@dataclass(slots=True)
class Call:
    """A request that was answered."""

    operation: str
    variables: dict[str, Any]
    complexity: float


def new_id() -> str:
    return str(uuid.uuid4())


class Linear:
    """A workspace. Times are strictly rising, to the millisecond, as if one clock gave them all."""

    def __init__(self) -> None:
        self.url = ""
        self.lock = threading.RLock()
        self.keys = {"lin_api_" + "k" * 40: "ada"}
        self.applications = {"newsroom-app": "application-secret"}
        self.tokens: dict[str, float] = {}  # OAuth token -> epoch seconds at which it ends
        self.token_seconds = 2_591_999.0
        self.webhook_secret = "lin_wh_" + "w" * 40
        self.webhook_url = ""
        self.requests_limit, self.requests_left = 2_500, 2_500
        self.complexity_limit, self.complexity_left = 3_000_000.0, 3_000_000.0
        self.reset_at = time.time() + 3600
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.on_call: Callable[[Call], None] = lambda call: None
        self.on_event: Callable[[Node], None] = lambda event: None
        self.events: list[Node] = []  # what webhooks say, oldest first
        self.users: dict[str, Node] = {}
        self.teams: dict[str, Node] = {}
        self.states: dict[str, Node] = {}
        self.labels: dict[str, Node] = {}
        self.projects: dict[str, Node] = {}
        self.milestones: dict[str, Node] = {}
        self.cycles: dict[str, Node] = {}
        self.issues: dict[str, Node] = {}
        self.comments: dict[str, Node] = {}
        self.attachments: dict[str, Node] = {}
        self.organization = {"id": new_id(), "name": "Newsroom", "urlKey": "newsroom"}
        self._clock = 0

    def now(self) -> str:
        """The next instant."""
        self._clock = max(int(time.time() * 1000), self._clock + 1)
        at = datetime.fromtimestamp(self._clock / 1000, UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _added(self, table: dict[str, Node], **values: Any) -> Node:
        at = self.now()
        node = {"id": new_id(), "createdAt": at, "updatedAt": at} | values
        table[node["id"]] = node
        return node

    def add_user(self, name: str) -> Node:
        email = f"{name.lower().replace(' ', '.')}@newsroom.example"
        return self._added(
            self.users,
            name=name,
            displayName=name,
            email=email,
            active=True,
            url=f"{self.place}/profiles/{name}",
        )

    def add_team(self, key: str, name: str, timezone: str = "Europe/Berlin") -> Node:
        """A team with the usual workflow."""
        team = self._added(self.teams, key=key, name=name, timezone=timezone)
        for position, (state, kind) in enumerate(_WORKFLOW):
            self._added(
                self.states, name=state, type=kind, position=float(position), color="#888888", team=team["id"]
            )
        return team

    def add_label(self, name: str, team: Node | None = None, group: bool = False) -> Node:
        return self._added(
            self.labels, name=name, isGroup=group, color="#888888", team=team["id"] if team else None
        )

    def add_project(self, name: str, team: Node, target: str | None = None, start: str | None = None) -> Node:
        slug = name.lower().replace(" ", "-")
        return self._added(
            self.projects, name=name, slugId=slug, url=f"{self.place}/project/{slug}", startDate=start,
            targetDate=target, teams=[team["id"]], archivedAt=None,
        )  # fmt: skip

    def add_milestone(self, name: str, project: Node, target: str | None = None) -> Node:
        return self._added(self.milestones, name=name, project=project["id"], targetDate=target)

    def add_cycle(self, team: Node, number: int, starts: str, ends: str, name: str | None = None) -> Node:
        return self._added(
            self.cycles, name=name, number=float(number), startsAt=starts, endsAt=ends, team=team["id"]
        )

    @property
    def place(self) -> str:
        return f"https://linear.app/{self.organization['urlKey']}"

    def state(self, team: Node, name: str) -> Node:
        """The team's state of that name."""
        return next(one for one in self.states.values() if one["team"] == team["id"] and one["name"] == name)

    def add_issue(
        self, team: Node, title: str, description: str = "", *, state: str = "Todo", **fields: Any
    ) -> Node:
        """An issue. `fields` are Linear's: labelIds, project, projectMilestone, cycle, assignee (ids),
        priority, dueDate."""
        with self.lock:
            number = 1 + sum(one["team"] == team["id"] for one in self.issues.values())
            identifier = f"{team['key']}-{number}"
            issue = self._added(
                self.issues,
                number=float(number), identifier=identifier, title=title, description=description,
                url=f"{self.place}/issue/{identifier}", team=team["id"], state=self.state(team, state)["id"],
                labelIds=[], project=None, projectMilestone=None, cycle=None, assignee=None, priority=0,
                dueDate=None, archivedAt=None, trashed=None,
            )  # fmt: skip
            issue.update(fields)
            self.happened("create", "Issue", issue)
            return issue

    def change(self, issue: Node, **fields: Any) -> Node:
        """What a person does to an issue; returns it. The webhook's event is kept."""
        with self.lock:
            before = {name: issue[name] for name in fields if issue[name] != fields[name]}
            if not before:
                return issue
            before["updatedAt"] = issue["updatedAt"]
            issue.update(fields, updatedAt=self.now())
            self.happened("update", "Issue", issue, before)
            return issue

    def move(self, issue: Node, state: str) -> Node:
        """A person moves an issue."""
        return self.change(issue, state=self.state(self.teams[issue["team"]], state)["id"])

    def trash(self, issue: Node) -> None:
        """A person deletes an issue: it lies in the trash for 30 days."""
        with self.lock:
            issue.update(trashed=True, archivedAt=self.now(), updatedAt=self.now())
            self.happened("remove", "Issue", issue)

    def destroy(self, issue: Node) -> None:
        """An issue is gone for good, without a word."""
        with self.lock:
            del self.issues[issue["id"]]

    def happened(self, action: str, kind: str, node: Node, before: Node | None = None) -> None:
        """Keep what a webhook would say of it."""
        from tests.fakes.linear.webhooks import payload

        event = payload(self, action, kind, node, before)
        self.events.append(event)
        self.on_event(event)

    def comments_on(self, issue: Node) -> list[str]:
        """The texts of an issue's comments, oldest first."""
        return [one["body"] for one in self.comments.values() if one["issue"] == issue["id"]]

    def attachments_of(self, issue: Node) -> list[Node]:
        return [one for one in self.attachments.values() if one["issue"] == issue["id"]]

    def state_of(self, issue: Node) -> str:
        """The name of the state that an issue is in."""
        return str(self.states[issue["state"]]["name"])

    def fault(self, kind: FaultKind, **values: Any) -> None:
        """Put a fault into the queue."""
        self.faults.append(Fault(kind, **values))

    def next_fault(self, operation: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.operation in ("", operation):
                    self.faults.remove(fault)
                    return fault
        return None

    def refill(self, seconds: float = 3600) -> None:
        """The limits are as at the beginning of an hour."""
        self.requests_left, self.complexity_left = self.requests_limit, self.complexity_limit
        self.reset_at = time.time() + seconds

    def use_up(self, seconds: float) -> None:
        """No request is left for so many seconds."""
        self.requests_left, self.reset_at = 0, time.time() + seconds

    def revoke_tokens(self) -> None:
        """Every OAuth token ends now."""
        self.tokens.clear()


def later(at: str, **by: float) -> str:
    """An instant as Linear writes it, moved by a `timedelta` of these."""
    moved = datetime.fromisoformat(at) + timedelta(**by)
    return moved.isoformat(timespec="milliseconds").replace("+00:00", "Z")
