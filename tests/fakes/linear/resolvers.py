"""What the fake answers to the fields of its schema."""

import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from graphql import GraphQLError

from tests.fakes.linear.state import PRIORITIES, Linear, Node

_MOST = 250


def wrong(
    message: str, code: str = "INVALID_INPUT", kind: str = "invalid input", status: int = 400
) -> GraphQLError:
    """An error as Linear words them."""
    extensions = {
        "type": kind,
        "code": code,
        "statusCode": status,
        "userError": True,
        "userPresentableMessage": message,
    }
    return GraphQLError(message, extensions=extensions)


def not_found(what: str) -> GraphQLError:
    return wrong(f"Entity not found: {what} - Could not find referenced {what}.")


def root(linear: Linear) -> dict[str, Callable[..., Any]]:
    """The resolvers of queries and mutations."""
    views = Views(linear)

    def listed(table: Mapping[str, Node], view: Callable[[Node], Node]) -> Callable[..., Node]:
        def resolve(_info: Any, filter: Any = None, **page: Any) -> Node:
            return connection([view(one) for one in table.values()], filter, **page)

        return resolve

    def one(table: Mapping[str, Node], view: Callable[[Node], Node], what: str) -> Callable[..., Node]:
        def resolve(_info: Any, id: str = "", **_: Any) -> Node:
            if id not in table:
                raise not_found(what)
            return view(table[id])

        return resolve

    return {
        "viewer": lambda _info: next(iter(linear.users.values())),
        "organization": lambda _info: linear.organization,
        "teams": listed(linear.teams, views.team),
        "workflowStates": listed(linear.states, views.state),
        "issueLabels": listed(linear.labels, views.label),
        "projects": listed(linear.projects, views.project),
        "cycles": listed(linear.cycles, views.cycle),
        "issues": listed(linear.issues, views.issue),
        "issue": one(linear.issues, views.issue, "Issue"),
        "project": one(linear.projects, views.project, "Project"),
        "comment": one(linear.comments, views.comment, "Comment"),
        "issueUpdate": lambda _info, id, input: update(linear, views, id, input),
        "commentCreate": lambda _info, input: comment(linear, views, input),
        "attachmentCreate": lambda _info, input: attach(linear, views, input),
    }


class Views:
    """Stored nodes as GraphQL shows them: ids are replaced by what bears them."""

    def __init__(self, linear: Linear) -> None:
        self.linear = linear

    def team(self, node: Node) -> Node:
        return node

    def state(self, node: Node) -> Node:
        return node | {"team": self.linear.teams[node["team"]]}

    def label(self, node: Node) -> Node:
        return node | {"team": self.linear.teams[node["team"]] if node["team"] else None}

    def milestone(self, node: Node) -> Node:
        return node | {"project": self.linear.projects[node["project"]]}

    def project(self, node: Node) -> Node:
        def milestones(_info: Any, **page: Any) -> Node:
            mine = [one for one in self.linear.milestones.values() if one["project"] == node["id"]]
            return connection([self.milestone(one) for one in mine], None, **page)

        teams = [self.linear.teams[one] for one in node["teams"]]
        return node | {"projectMilestones": milestones, "accessibleTeams": teams}

    def cycle(self, node: Node) -> Node:
        return node | {"team": self.linear.teams[node["team"]]}

    def comment(self, node: Node) -> Node:
        issue = self.linear.issues[node["issue"]]
        return node | {"issue": self.issue(issue), "url": f"{issue['url']}#comment-{node['id'][:8]}"}

    def issue(self, node: Node) -> Node:
        linear = self.linear
        labels = [self.label(linear.labels[one]) for one in node["labelIds"]]
        return node | {
            "team": linear.teams[node["team"]],
            "state": self.state(linear.states[node["state"]]),
            "labels": Labels(labels),
            "priority": float(node["priority"]),
            "priorityLabel": PRIORITIES[int(node["priority"])],
            "assignee": linear.users.get(node["assignee"] or ""),
            "project": self.project(linear.projects[node["project"]]) if node["project"] else None,
            "projectMilestone": self.milestone(linear.milestones[node["projectMilestone"]])
            if node["projectMilestone"]
            else None,
            "cycle": self.cycle(linear.cycles[node["cycle"]]) if node["cycle"] else None,
        }


class Labels(list[Node]):
    """A list for filters, a connection for queries."""

    def __call__(self, _info: Any, **page: Any) -> Node:
        return connection(list(self), None, **page)


def connection(
    nodes: Iterable[Node],
    wanted: Mapping[str, Any] | None,
    first: int | None = None,
    after: str | None = None,
    orderBy: str | None = None,
    includeArchived: bool | None = False,
) -> Node:
    """A page, newest first. A cursor is the id of the last node: it moves with it."""
    size = 50 if first is None else first
    if not 0 < size <= _MOST:
        raise wrong(f"Argument Validation Error: first must be between 1 and {_MOST}")
    found = [one for one in nodes if (includeArchived or not one.get("archivedAt")) and matches(one, wanted)]
    found.sort(key=lambda one: (one[orderBy or "createdAt"], one["id"]), reverse=True)
    start = 0
    if after is not None:
        places = {one["id"]: place for place, one in enumerate(found)}
        if after not in places:
            raise wrong("Invalid cursor: the entity that it names is not there")
        start = places[after] + 1
    page = found[start : start + size]
    info = {
        "hasNextPage": start + size < len(found),
        "hasPreviousPage": start > 0,
        "startCursor": page[0]["id"] if page else None,
        "endCursor": page[-1]["id"] if page else None,
    }
    return {"nodes": page, "pageInfo": info}


def matches(value: Any, wanted: Mapping[str, Any] | None) -> bool:
    """Whether a node, a list of nodes or a value is as a filter wants it."""
    for name, rule in (wanted or {}).items():
        if rule is None:
            continue
        if name == "and":
            good = all(matches(value, one) for one in rule)
        elif name == "or":
            good = any(matches(value, one) for one in rule)
        elif isinstance(value, list):
            some = [matches(one, rule if name in ("some", "every") else {name: rule}) for one in value]
            good = all(some) if name == "every" else any(some)
        elif name == "null":
            good = (value is None) == rule
        elif value is None:
            good = False
        elif isinstance(value, dict):
            good = matches(value.get(name), rule)
        else:
            good = _compares(name, value, rule)
        if not good:
            return False
    return True


def _compares(name: str, value: Any, rule: Any) -> bool:
    if isinstance(value, str) and value[:4].isdigit() and "T" in value:
        value = datetime.fromisoformat(value)
        rule = (
            [datetime.fromisoformat(one) for one in rule]
            if isinstance(rule, list)
            else datetime.fromisoformat(rule)
        )
    match name:
        case "eq":
            return bool(value == rule)
        case "neq":
            return bool(value != rule)
        case "in":
            return value in rule
        case "nin":
            return value not in rule
        case "eqIgnoreCase":
            return str(value).casefold() == str(rule).casefold()
        case "gte":
            return bool(value >= rule)
        case "gt":
            return bool(value > rule)
        case "lte":
            return bool(value <= rule)
        case "lt":
            return bool(value < rule)
        case "contains":
            return str(rule) in str(value)
    raise wrong(f"the fake knows no comparison {name}")


def _issue(linear: Linear, name: str) -> Node:
    for issue in linear.issues.values():
        if name in (issue["id"], issue["identifier"]):
            return issue
    raise not_found("Issue")


def update(linear: Linear, views: Views, name: str, given: Mapping[str, Any]) -> Node:
    issue = _issue(linear, name)
    fields: dict[str, Any] = {}
    for key, value in given.items():
        field = key.removesuffix("Id")
        if key == "stateId" and linear.states.get(value, {}).get("team") != issue["team"]:
            raise wrong("The state does not belong to the issue's team.")
        fields[key if key == "labelIds" else field] = value
    linear.change(issue, **fields)
    return _done(issue=views.issue(issue))


def comment(linear: Linear, views: Views, given: Mapping[str, Any]) -> Node:
    issue = _issue(linear, given.get("issueId") or "")
    if not (given.get("body") or "").strip():
        raise wrong("body should not be empty")
    comment_id = _own_id(given)
    if comment_id in linear.comments:
        raise wrong("Entity already exists: a Comment with this id was created before.")
    at = linear.now()
    node = {"id": comment_id, "body": given["body"], "issue": issue["id"], "createdAt": at, "updatedAt": at}
    linear.comments[comment_id] = node
    issue["updatedAt"] = linear.now()
    linear.happened("create", "Comment", node)
    return _done(comment=views.comment(node))


def attach(linear: Linear, views: Views, given: Mapping[str, Any]) -> Node:
    issue = _issue(linear, given["issueId"])
    if not given["url"].startswith(("https://", "http://")):
        raise wrong("url must be a URL address")
    at = linear.now()
    same = [one for one in linear.attachments_of(issue) if one["url"] == given["url"]]
    node = (
        same[0]
        if same
        else {"id": _own_id(given), "createdAt": at, "issue": issue["id"], "url": given["url"]}
    )
    node |= {
        "title": given["title"],
        "subtitle": given.get("subtitle"),
        "metadata": given.get("metadata") or {},
        "updatedAt": at,
    }
    linear.attachments[node["id"]] = node
    linear.happened("update" if same else "create", "Attachment", node)
    return _done(attachment=node | {"issue": views.issue(issue)})


def _own_id(given: Mapping[str, Any]) -> str:
    """The id that a caller made, which has to be a UUID of version 4."""
    if not (value := given.get("id")):
        return str(uuid.uuid4())
    try:
        known = uuid.UUID(value)
    except ValueError:
        known = None
    if known is None or known.version != 4 or known.variant != uuid.RFC_4122:
        raise wrong("id must be a UUID v4")
    return str(value)


def _done(**node: Any) -> Node:
    return {"success": True, "lastSyncId": 1.0, **node}
