"""Linear's webhooks: what they say, how they are signed, and somebody who sends them
(https://linear.app/developers/webhooks)."""

import hashlib
import hmac
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.fakes.linear.state import Linear, Node


def payload(linear: "Linear", action: str, kind: str, node: "Node", before: "Node | None") -> dict[str, Any]:
    """The body of a webhook, but for the time at which it is sent."""
    body: dict[str, Any] = {
        "action": action,
        "type": kind,
        "createdAt": node["updatedAt"],
        "data": _data(linear, kind, node),
        "url": node.get("url", ""),
        "organizationId": linear.organization["id"],
        "webhookId": "5a7a6c66-3f5c-4f32-9d0e-0d3e2c4f4f10",
    }
    if before is not None:
        body["updatedFrom"] = {_NAMES.get(name, name): value for name, value in before.items()}
    return body


_NAMES = {
    "state": "stateId",
    "team": "teamId",
    "project": "projectId",
    "projectMilestone": "projectMilestoneId",
    "cycle": "cycleId",
    "assignee": "assigneeId",
    "issue": "issueId",
}


def _data(linear: "Linear", kind: str, node: "Node") -> dict[str, Any]:
    data = {_NAMES.get(name, name): value for name, value in node.items()}
    if kind != "Issue":
        return data

    def some(table: dict[str, "Node"], key: str | None, *fields: str) -> dict[str, Any] | None:
        return {name: table[key][name] for name in ("id", *fields)} if key else None

    nested = {
        "team": some(linear.teams, node["team"], "key", "name"),
        "state": some(linear.states, node["state"], "color", "name", "type"),
        "assignee": some(linear.users, node["assignee"], "name", "email", "url"),
        "project": some(linear.projects, node["project"], "name", "url"),
        "projectMilestone": some(linear.milestones, node["projectMilestone"], "name", "targetDate"),
        "cycle": some(linear.cycles, node["cycle"], "number", "name", "startsAt", "endsAt"),
    }
    data |= {name: value for name, value in nested.items() if value is not None}
    labels = [linear.labels[one] for one in node["labelIds"]]
    data["labels"] = [{name: one[name] for name in ("id", "color", "name")} for one in labels]
    return {name: value for name, value in data.items() if value is not None}


def signed(
    secret: str, event: dict[str, Any], *, delivery: str = "", at: float | None = None
) -> tuple[bytes, dict[str, str]]:
    """A request's body and headers, sent now unless `at` (epoch seconds) says otherwise."""
    sent = int((time.time() if at is None else at) * 1000)
    body = json.dumps(event | {"webhookTimestamp": sent}).encode()
    headers = {
        "content-type": "application/json; charset=utf-8",
        "linear-delivery": delivery or str(uuid.uuid4()),
        "linear-event": event["type"],
        "linear-signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
        "user-agent": "Linear-Webhook",
    }
    return body, headers


def sender(linear: "Linear") -> Callable[[], None]:
    """Send each event to `linear.webhook_url` from now on, in a thread, thrice if need be; returns what ends
    it."""
    waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def work() -> None:
        while (event := waiting.get()) is not None:
            delivery = str(uuid.uuid4())
            for _ in range(3):
                body, headers = signed(linear.webhook_secret, event, delivery=delivery)
                try:
                    if httpx.post(linear.webhook_url, content=body, headers=headers, timeout=5).is_success:
                        break
                except httpx.HTTPError:
                    continue

    linear.on_event = lambda event: waiting.put(event) if linear.webhook_url else None
    thread = threading.Thread(target=work, name="linear-webhooks", daemon=True)
    thread.start()

    def end() -> None:
        waiting.put(None)
        thread.join(20)

    return end
