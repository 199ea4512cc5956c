"""The gateway over real HTTP: whose webhooks it takes, that it keeps them first, and what becomes of them."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, select, update

from cryptocontent.api.app import create_app
from cryptocontent.integrations.linear_webhooks import MOST_BYTES
from cryptocontent.planning import webhooks
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Brief, LinearIssue, WebhookDelivery
from tests.fakes.linear import Node, signed
from tests.fakes.linear.webhooks import payload
from tests.fakes.serving import serving
from tests.planning.world import World, block, world_of


@contextmanager
def gateway(world: World, lifespan: bool = True) -> Iterator[httpx.Client]:
    """The gateway over the world's database. Without its lifespan nothing is applied."""
    url = world.engine.url.render_as_string(hide_password=False)
    world.settings = world.settings.model_copy(update={"database_url": url})
    with (
        serving(create_app(world.settings), lifespan=lifespan) as base,
        httpx.Client(base_url=base) as client,
    ):
        yield client


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    with world_of(engine) as world:
        world.watch()
        yield world


def event(world: World, node: Node, action: str = "update") -> dict[str, Any]:
    return payload(world.linear, action, "Issue", node, None)


def post(client: httpx.Client, world: World, what: dict[str, Any], **how: Any) -> httpx.Response:
    body, headers = signed(world.linear.webhook_secret, what, **how)
    return client.post("/webhooks/linear", content=body, headers=headers)


def deliveries(world: World) -> dict[str, int]:
    query = select(WebhookDelivery.status, func.count()).group_by(WebhookDelivery.status)
    with reading(world.engine) as session:
        return dict(session.execute(query).tuples().all())


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def test_a_webhook_becomes_a_brief(world: World) -> None:
    node = world.issue()
    with gateway(world) as client:
        answer = post(client, world, event(world, node, "create"))
        assert (answer.status_code, answer.json()) == (200, {"status": "kept"})
        until(lambda: deliveries(world) == {"applied": 1})
    assert [brief.title for brief in world.briefs()] == ["Base fee"]
    assert world.linear.calls[-1].operation != "Issues"  # Linear was not asked for it


def test_a_delivery_is_kept_before_it_is_acknowledged_and_applied_by_whoever_comes(world: World) -> None:
    node = world.issue()
    with gateway(world, lifespan=False) as client:  # a gateway that dies before it applies
        assert post(client, world, event(world, node)).status_code == 200
        assert deliveries(world) == {"received": 1}
        assert world.briefs() == []
    with gateway(world):  # the next one takes up what lies there
        until(lambda: deliveries(world) == {"applied": 1})
    assert len(world.briefs()) == 1


def test_a_delivery_that_comes_twice_is_kept_once(world: World) -> None:
    node = world.issue()
    with gateway(world) as client:
        first = post(client, world, event(world, node), delivery="one")
        second = post(client, world, event(world, node), delivery="one")
        assert (first.json()["status"], second.json()["status"]) == ("kept", "known")
        until(lambda: deliveries(world) == {"applied": 1})


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    return answer.status_code, body["detail"]


def test_what_is_not_from_linear_is_refused(world: World) -> None:
    node = world.issue()
    what = event(world, node)
    body, headers = signed(world.linear.webhook_secret, what)
    with gateway(world) as client:

        def tried(content: bytes, **changed: str | bytes) -> tuple[int, str]:
            told = {name: value for name, value in (headers | changed).items() if value}
            return problem(client.post("/webhooks/linear", content=content, headers=told))

        assert tried(body, **{"linear-signature": "0" * 64})[0] == 401
        assert tried(body, **{"linear-signature": ""})[0] == 401
        assert tried(body, **{"linear-signature": "\u00e9".encode()})[0] == 401
        assert tried(body.replace(b"Base fee", b"Base fed"))[0] == 401
        assert tried(body + b" ")[0] == 401
        assert tried(body, **{"linear-delivery": ""})[0] == 400
        assert tried(body, **{"linear-delivery": "x" * 101})[0] == 400
        assert problem(post(client, world, what, at=time.time() - 61))[0] == 401
        assert problem(post(client, world, what, at=time.time() + 62))[0] == 401
        status, detail = problem(
            client.post("/webhooks/linear", content=b"x" * (MOST_BYTES + 1), headers=headers)
        )
        assert (status, "1,000,000 bytes" in detail) == (413, True)
    assert deliveries(world) == {} and world.briefs() == []


@pytest.mark.parametrize(
    "what", [[], {"action": "create"}, {"type": "Issue"}, {"type": "Issue", "data": {"id": "x"}}]
)
def test_what_is_not_understood_is_refused(sqlite_engine: Engine, what: Any) -> None:
    import hashlib
    import hmac

    with world_of(sqlite_engine) as world, gateway(world) as client:
        body = json.dumps(what).encode()
        signature = hmac.new(world.linear.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"linear-signature": signature, "linear-delivery": "one"}
        assert problem(client.post("/webhooks/linear", content=body, headers=headers))[0] == 400


def test_a_stream_without_an_end_is_cut_off(sqlite_engine: Engine) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    with world_of(sqlite_engine) as world, gateway(world) as client:
        assert client.post("/webhooks/linear", content=endless()).status_code == 413


def test_without_a_secret_it_is_off_and_says_so(sqlite_engine: Engine) -> None:
    with world_of(sqlite_engine, linear_webhook_secret="") as world, gateway(world) as client:
        status, detail = problem(client.post("/webhooks/linear", content=b"{}"))
    assert (status, "LINEAR_WEBHOOK_SECRET is not set" in detail) == (503, True)


def test_what_we_do_not_follow_is_acknowledged_and_ignored(world: World) -> None:
    with gateway(world) as client:
        for kind in ("Comment", "Reaction", "SomethingNew"):
            what = {"action": "create", "type": kind, "data": {"id": "x"}, "organizationId": "o"}
            assert post(client, world, what).status_code == 200
        until(lambda: deliveries(world) == {"ignored": 3})
    assert world.briefs() == []


def test_a_change_of_the_roadmap_has_it_read_anew(world: World) -> None:
    world.sync()
    assert world.source().cursor["roadmap_at"]
    with gateway(world) as client:
        project = world.linear.add_project("Fees", world.team)
        assert (
            post(client, world, payload(world.linear, "create", "Project", project, None)).status_code == 200
        )
        until(lambda: deliveries(world) == {"applied": 1})
    assert world.source().cursor["roadmap_at"] == ""


def test_a_removal_removes(world: World) -> None:
    node = world.issue()
    with gateway(world) as client:
        post(client, world, event(world, node))
        world.linear.trash(node)
        post(client, world, world.linear.events[-1])
        until(lambda: deliveries(world) == {"applied": 2})
    assert world.row(node).status == "removed"


def test_a_poisoned_delivery_keeps_no_other_waiting(
    sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world_of(sqlite_engine) as world:
        world.watch()
        nodes = [world.issue(f"Number {number}") for number in range(5)]
        for number, node in enumerate(nodes):
            body, _ = signed(world.linear.webhook_secret, event(world, node))
            webhooks.keep_delivery(world.engine, "linear", str(number), body.decode())
        apply = webhooks.apply_issues

        def poisoned(session: Any, source: Any, issues: Any, **how: Any) -> Any:
            if any(issue.title == "Number 2" for issue in issues):
                raise RuntimeError("a fault of ours")
            return apply(session, source, issues, **how)

        monkeypatch.setattr(webhooks, "apply_issues", poisoned)
        done = webhooks.apply_deliveries(world.engine, world.settings)
        assert done == {"applied": 4, "ignored": 1}
        with reading(world.engine) as session:
            bad = session.get_one(WebhookDelivery, ("linear", "2"))
        assert bad.error == "RuntimeError: it could not be applied"


def test_old_deliveries_are_forgotten(world: World) -> None:
    for name in ("old", "new", "waiting"):
        webhooks.keep_delivery(world.engine, "linear", name, "{}")
    with writing(world.engine) as session:
        session.execute(update(WebhookDelivery).values(created_at=webhooks.utc_now() - 2 * webhooks.KEPT))
        session.get_one(WebhookDelivery, ("linear", "old")).status = "applied"
        session.get_one(WebhookDelivery, ("linear", "new")).status = "applied"
        session.get_one(WebhookDelivery, ("linear", "new")).created_at = webhooks.utc_now()
    webhooks.prune_deliveries(world.engine)
    with reading(world.engine) as session:
        assert set(session.scalars(select(WebhookDelivery.delivery_id))) == {"new", "waiting"}


def test_health(world: World) -> None:
    with gateway(world) as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert problem(client.get("/nothing"))[0] == 404
        assert problem(client.get("/webhooks/linear"))[0] == 405


def test_a_thousand_webhooks_out_of_order_and_twice_beside_polling(world: World) -> None:
    """Each issue one brief, and the last state right. Issues change while their webhooks are sent by eight
    threads: in no order, some delivered twice, some sent again under another id; and somebody polls."""
    chance = random.Random(5)
    waiting: list[tuple[str, dict[str, Any]]] = []
    lock = threading.Lock()
    numbers = iter(range(1_000_000))

    def happened(told: dict[str, Any]) -> None:
        with lock:
            name = f"delivery-{next(numbers)}"
            waiting.append((name, told))
            if chance.random() < 0.2:
                waiting.append((name, told))
            if chance.random() < 0.2:
                waiting.append((f"{name}-again", told))

    def taken() -> tuple[str, dict[str, Any]] | None:
        with lock:
            return waiting.pop(chance.randrange(len(waiting))) if waiting else None

    world.linear.on_event = happened
    sent = 0
    done = threading.Event()
    troubles: list[str] = []

    def poll() -> None:
        while not done.is_set():
            synced = world.sync(seconds=5, full=chance.random() < 0.2)
            if synced.error:
                troubles.append(synced.error)

    with gateway(world) as client, ThreadPoolExecutor(8) as senders:
        nodes = [world.issue(f"Number {number}", state="Backlog") for number in range(150)]
        poller = threading.Thread(target=poll)
        poller.start()

        def send(told: tuple[str, dict[str, Any]]) -> int:
            return post(client, world, told[1], delivery=told[0]).status_code

        for step in range(5):
            for node in nodes:
                match chance.randrange(6):
                    case 0:
                        labels = [] if node["labelIds"] else [world.label["id"]]
                        world.linear.change(node, labelIds=labels)
                    case 1 if not node["archivedAt"]:
                        world.linear.trash(node)
                    case 2 if node["archivedAt"]:
                        world.linear.change(node, archivedAt=None, trashed=None)
                    case _:
                        text = block(topic=f"topic {step}")
                        world.linear.change(node, title=f"{node['identifier']} at {step}", description=text)
            # Half of what waits, at random: what is left comes after much that is newer.
            some = [one for _ in range(len(waiting) // 2) if (one := taken()) is not None]
            assert set(senders.map(send, some)) <= {200}
            sent += len(some)
        done.set()
        poller.join()
        while rest := [one for _ in range(100) if (one := taken()) is not None]:
            assert set(senders.map(send, rest)) == {200}
            sent += len(rest)
        until(lambda: "received" not in deliveries(world))
    assert sent >= 1000
    assert troubles == []
    with reading(world.engine) as session:
        rows = {row.issue_id: row for row in session.scalars(select(LinearIssue))}
        briefs = {brief.id: brief for brief in session.scalars(select(Brief))}
        errors = session.scalars(select(WebhookDelivery.error).where(WebhookDelivery.error != "")).all()
    assert errors == []
    owners = [row.brief_id for row in rows.values() if row.brief_id]
    assert len(owners) == len(set(owners)) == len(briefs)
    for node in nodes:
        row = rows[node["id"]]
        wanted = "removed" if node["archivedAt"] else "brief" if node["labelIds"] else "left"
        assert row.status == wanted, node["identifier"]
        if wanted == "brief":
            brief = briefs[row.brief_id or ""]
            assert brief.title == node["title"]
            assert f"topic: {brief.variables['topic']}" in node["description"]
