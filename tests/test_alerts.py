"""Alerts: written once, sent by each way once, against a real SMTP server and a real webhook receiver."""

import asyncio
import email
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import Engine, select, update
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cryptocontent.alerts import list_alerts, off, raise_alert, retry, scrubbed, send_alerts, send_now
from cryptocontent.alerts.scrubbing import HIDDEN
from cryptocontent.alerts.sending import MOST_ATTEMPTS
from cryptocontent.alerts.ways import Email, ways
from cryptocontent.errors import NotFound, Refused
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Alert
from cryptocontent.storage.types import utc_now
from tests.fakes.serving import serving

SECRET = "hook-secret-T0K3N-8f2a"


class Receiver:
    """What a webhook received. `faults` are answered first, in order."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.faults: list[Response] = []
        self.asked = 0
        self.then: Callable[[], None] | None = None
        self.app = Starlette(routes=[Route(f"/{SECRET}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.asked += 1
        body = await request.json()
        if self.faults:
            return self.faults.pop(0)
        self.got.append((dict(request.headers), body))
        if self.then:
            self.then()
        return Response("ok")

    def keys(self) -> list[str]:
        return [body["key"] for _, body in self.got]


class Mailbox:
    """What an SMTP server took. `refuse` answers the next messages with it, in place of taking them."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.refuse: list[str] = []
        self.no_such: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.no_such:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return self.refuse.pop(0)
        self.messages.append(email.message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"p@ss word")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with serving(receiver.app) as url:
        receiver.url = f"{url}/{SECRET}"  # type: ignore[attr-defined]
        yield receiver


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def smtp(mailbox: Mailbox, **options: Any) -> Iterator[str]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def settings(home: Path, webhook: str = "", smtp_url: str = "", to: str = "", **more: Any) -> Settings:
    return Settings(
        CRYPTOCONTENT_HOME=home,  # type: ignore[call-arg]
        alert_webhook_url=SecretStr(webhook),
        smtp_url=SecretStr(smtp_url),
        alert_email_to=to,
        **more,
    )


def alarm(engine: Engine, key: str = "run:1", title: str = "It failed", **data: Any) -> bool:
    with writing(engine) as session:
        return raise_alert(session, key, title, "the body", data)


def rows(engine: Engine) -> dict[str, Alert]:
    with reading(engine) as session:
        return {one.key: one for one in session.scalars(select(Alert))}


def now_due(engine: Engine) -> None:
    """As if the time to wait were over."""
    with writing(engine) as session:
        session.execute(update(Alert).values(not_before=utc_now() - timedelta(seconds=1)))


def test_an_alert_is_written_once_per_key(engine: Engine) -> None:
    assert alarm(engine)
    assert not alarm(engine, title="again")
    assert rows(engine)["run:1"].title == "It failed"
    assert alarm(engine, "run:2", title="quotes \x00 and \ud800 of a\nbroken\tfile" * 20)
    assert rows(engine)["run:2"].title.startswith("quotes \ufffd and ? of a broken file")


def test_it_goes_out_by_both_ways_once(engine: Engine, tmp_path: Path, receiver: Any) -> None:
    mailbox = Mailbox()
    with smtp(mailbox) as server:
        told = settings(tmp_path, receiver.url, f"smtp://{server}", "ed@news.example, ada@news.example")
        alarm(engine, title="Kürzung: <!channel> & more", link="https://studio.example/dagster/runs/1")
        assert send_alerts(engine, told, 10).sent == ["run:1"]
        assert send_alerts(engine, told, 10).sent == []
    ((headers, body),) = receiver.got
    assert headers["idempotency-key"] == "run:1"
    assert body["text"] == (
        "*Kürzung: &lt;!channel&gt; &amp; more*\nthe body\nhttps://studio.example/dagster/runs/1"
    )
    assert body["title"] == "Kürzung: <!channel> & more" and body["data"]["link"].endswith("/runs/1")
    (message,) = mailbox.messages
    decoded = email.header.make_header(email.header.decode_header(message["Subject"]))
    assert str(decoded) == "Kürzung: <!channel> & more"
    assert mailbox.recipients == ["ed@news.example", "ada@news.example"]
    assert "https://studio.example/dagster/runs/1" in message.get_payload(decode=True).decode()
    alert = rows(engine)["run:1"]
    assert (alert.status, alert.sent, alert.error) == ("sent", ["webhook", "email"], "")


def test_a_failing_way_is_tried_again_and_the_other_not_repeated(
    engine: Engine, tmp_path: Path, receiver: Any
) -> None:
    mailbox = Mailbox()
    mailbox.refuse = ["451 try later"]
    with smtp(mailbox) as server:
        told = settings(tmp_path, receiver.url, f"smtp://{server}", "ed@news.example")
        alarm(engine)
        done = send_alerts(engine, told, 10)
        assert done.waiting == {"run:1": "email: the server answered 451 try later"}
        alert = rows(engine)["run:1"]
        assert (alert.status, alert.sent, alert.attempts) == ("pending", ["webhook"], 1)
        assert alert.not_before and alert.not_before > utc_now() + timedelta(seconds=20)
        assert send_alerts(engine, told, 10).sent == [], "it waits"
        now_due(engine)
        assert send_alerts(engine, told, 10).sent == ["run:1"]
    assert receiver.keys() == ["run:1"] and len(mailbox.messages) == 1


def test_a_receiver_that_fails_is_given_up_after_some_attempts_and_retried_by_hand(
    engine: Engine, tmp_path: Path, receiver: Any
) -> None:
    told = settings(tmp_path, receiver.url)
    alarm(engine)
    receiver.faults = [Response("no", status_code=500) for _ in range(MOST_ATTEMPTS)]
    for _ in range(MOST_ATTEMPTS):
        done = send_alerts(engine, told, 10)
        now_due(engine)
    assert done.failed == {"run:1": "webhook: the receiver answered 500 Internal Server Error"}
    assert send_alerts(engine, told, 10).sent == [] and receiver.asked == MOST_ATTEMPTS
    with writing(engine) as session:
        assert retry(session) == ["run:1"]
    assert send_now(engine, told, ["run:1"]).sent == ["run:1"]
    with writing(engine) as session:
        assert retry(session, "run:1") == [], "it was sent"
        with pytest.raises(NotFound):
            retry(session, "run:2")


def test_a_receiver_that_asks_for_patience_gets_it(engine: Engine, tmp_path: Path, receiver: Any) -> None:
    receiver.faults = [Response(status_code=429, headers={"Retry-After": "900"})]
    alarm(engine)
    send_alerts(engine, settings(tmp_path, receiver.url), 10)
    waits = rows(engine)["run:1"].not_before
    assert waits and timedelta(seconds=800) < waits - utc_now() < timedelta(seconds=901)


def test_nobody_is_there(engine: Engine, tmp_path: Path) -> None:
    told = settings(tmp_path, f"http://127.0.0.1:{free_port()}/{SECRET}")
    alarm(engine, "run:1")
    alarm(engine, "run:2")
    done = send_alerts(engine, told, 10)
    assert list(done.waiting) == ["run:1"], "the second would only wait for the same timeout"
    assert "ConnectError" in done.waiting["run:1"]
    assert rows(engine)["run:2"].attempts == 0


def test_a_redirect_is_no_success(engine: Engine, tmp_path: Path, receiver: Any) -> None:
    receiver.faults = [Response(status_code=302, headers={"Location": receiver.url})]
    alarm(engine)
    assert "302" in send_alerts(engine, settings(tmp_path, receiver.url), 10).waiting["run:1"]


def test_off_is_said_and_what_is_raised_meanwhile_is_kept_not_sent_later(
    engine: Engine, tmp_path: Path, receiver: Any
) -> None:
    nothing = settings(tmp_path)
    assert "ALERT_WEBHOOK_URL, or SMTP_URL and ALERT_EMAIL_TO" in off(nothing)
    assert "ALERT_EMAIL_TO is not" in off(settings(tmp_path, smtp_url="smtp://mail.example"))
    for number in range(3):
        alarm(engine, f"run:{number}", project="p")
    assert send_alerts(engine, nothing, 10).kept == 3
    told = settings(tmp_path, receiver.url)
    assert off(told) == ""
    assert send_alerts(engine, told, 10).sent == []
    with reading(engine) as session:
        assert {row["status"] for row in list_alerts(session)} == {"kept"}
        assert len(list_alerts(session, project_id="p")) == 3 and not list_alerts(session, project_id="q")
        with pytest.raises(Refused, match="pending, sent, failed, kept"):
            list_alerts(session, "open")
    with writing(engine) as session:
        assert retry(session) == [], "what was kept is sent by its key only"
        assert retry(session, "run:1") == ["run:1"]
    assert send_alerts(engine, told, 10).sent == ["run:1"]
    with pytest.raises(Refused):
        send_now(engine, nothing, ["run:1"])


def test_what_is_older_than_a_day_is_kept_but_what_was_asked_for_again_is_sent(
    engine: Engine, tmp_path: Path, receiver: Any
) -> None:
    alarm(engine, "old")
    with writing(engine) as session:
        session.execute(update(Alert).values(created_at=utc_now() - timedelta(days=2)))
    alarm(engine, "new")
    told = settings(tmp_path, receiver.url)
    done = send_alerts(engine, told, 10)
    assert (done.sent, done.kept) == (["new"], 1)
    with writing(engine) as session:
        retry(session, "old")
    assert send_alerts(engine, told, 10).sent == ["old"]


def test_two_processes_send_each_alert_once(engine: Engine, tmp_path: Path, receiver: Any) -> None:
    for number in range(12):
        alarm(engine, f"run:{number:02}")
    program = (
        "import sys; from cryptocontent.alerts import send_alerts;"
        "from cryptocontent.settings import Settings;"
        "from cryptocontent.storage import open_engine; send_alerts(open_engine(sys.argv[1]), Settings(), 30)"
    )
    url = engine.url.render_as_string(hide_password=False)
    environment = {"ALERT_WEBHOOK_URL": receiver.url, "CRYPTOCONTENT_HOME": str(tmp_path), "PATH": "/usr/bin"}
    running = [
        subprocess.Popen([sys.executable, "-c", program, url], env=environment, cwd=Path(__file__).parents[1])
        for _ in range(2)
    ]
    assert [one.wait(60) for one in running] == [0, 0]
    assert sorted(receiver.keys()) == [f"run:{number:02}" for number in range(12)]
    assert {one.status for one in rows(engine).values()} == {"sent"}


def test_a_sender_that_is_killed_leaves_its_alert_to_the_next(
    engine: Engine, tmp_path: Path, receiver: Any
) -> None:
    """At least once: what arrived and was not written down arrives again, under the same key."""
    alarm(engine)
    program = (
        "import sys; from cryptocontent.alerts import send_alerts;"
        "from cryptocontent.settings import Settings;"
        "from cryptocontent.storage import open_engine; send_alerts(open_engine(sys.argv[1]), Settings(), 30)"
    )
    url = engine.url.render_as_string(hide_password=False)
    environment = {"ALERT_WEBHOOK_URL": receiver.url, "CRYPTOCONTENT_HOME": str(tmp_path), "PATH": "/usr/bin"}
    running = subprocess.Popen(
        [sys.executable, "-c", program, url], env=environment, cwd=Path(__file__).parents[1]
    )
    receiver.then = running.kill  # it has arrived, and the answer will find nobody
    assert running.wait(60) == -9
    receiver.then = None
    told = settings(tmp_path, receiver.url)
    assert send_alerts(engine, told, 10).sent == [], "it is claimed for some minutes"
    now_due(engine)
    assert send_alerts(engine, told, 10).sent == ["run:1"]
    assert [headers["idempotency-key"] for headers, _ in receiver.got] == ["run:1", "run:1"]


def test_one_good_address_is_enough_and_none_is_named(engine: Engine, tmp_path: Path) -> None:
    mailbox = Mailbox()
    mailbox.no_such = {"gone@news.example"}
    with smtp(mailbox) as server:
        told = settings(tmp_path, smtp_url=f"smtp://{server}", to="gone@news.example,ed@news.example")
        alarm(engine, "run:1")
        assert send_alerts(engine, told, 10).sent == ["run:1"]
        alarm(engine, "run:2")
        told = settings(tmp_path, smtp_url=f"smtp://{server}", to="gone@news.example")
        assert "550 no such mailbox" in send_alerts(engine, told, 10).waiting["run:2"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and key for `localhost`, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", "key.pem", "-out", "cert.pem", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


def test_tls_is_used_and_checked(
    engine: Engine, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    mailbox = Mailbox()
    login = "ed%40news.example:p%40ss%20word"
    options = {"authenticator": mailbox.authenticate, "auth_require_tls": True, "tls_context": context}
    with smtp(mailbox, require_starttls=True, **options) as server:
        told = settings(tmp_path, smtp_url=f"smtp://{login}@{server}", to="ed@news.example")
        alarm(engine, "run:1")
        assert "certificate" in send_alerts(engine, told, 10).waiting["run:1"].lower()
        assert mailbox.logins == [], "no password for a stranger"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        assert send_now(engine, told, ["run:1"]).sent == ["run:1"]
        assert mailbox.logins == [(b"ed@news.example", b"p@ss word")]
    with smtp(mailbox, ssl_context=context) as server:
        told = settings(tmp_path, smtp_url=f"smtps://{server}", to="ed@news.example")
        alarm(engine, "run:2")
        assert send_alerts(engine, told, 10).sent == ["run:2"]


def test_a_password_is_not_sent_in_the_clear(engine: Engine, tmp_path: Path) -> None:
    mailbox = Mailbox()
    options = {"authenticator": mailbox.authenticate, "auth_require_tls": False}
    here = socket.gethostbyname(socket.gethostname())
    controller = Controller(mailbox, hostname="0.0.0.0", port=free_port(), **options)
    controller.start()
    try:
        alarm(engine)
        told = settings(
            tmp_path, smtp_url=f"smtp://ed:p%40ss%20word@127.0.0.1:{controller.port}", to="ed@news.example"
        )
        assert send_alerts(engine, told, 10).sent == ["run:1"], "this machine is trusted"
        if not here.startswith("127."):
            alarm(engine, "run:2")
            told = settings(
                tmp_path, smtp_url=f"smtp://ed:p%40ss%20word@{here}:{controller.port}", to="ed@news.example"
            )
            assert "in the clear" in send_alerts(engine, told, 10).waiting["run:2"]
            assert len(mailbox.logins) == 1
    finally:
        controller.stop()


@given(st.text(), st.text(max_size=50))
def test_no_title_or_body_makes_a_header(title: str, body: str) -> None:
    alert = Alert(
        key="k",
        title=f"{title}\r\nBcc: eve@evil.example",
        body=f"{body}\n.\nBcc: x",
        data={},
        created_at=utc_now(),
    )
    message = Email("smtp://x", "a@news.example", ["b@news.example"]).message(alert)
    parsed = email.message_from_bytes(message.as_bytes())
    assert parsed["Bcc"] is None and parsed["To"] == "b@news.example"
    assert len(parsed.get_all("Subject") or []) == 1


def test_no_secret_is_in_an_alert_a_problem_or_a_log(
    engine: Engine, tmp_path: Path, receiver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    told = settings(
        tmp_path,
        f"http://127.0.0.1:{free_port()}/{SECRET}",
        "smtp://ed:hunter2hunter2@127.0.0.1:1",
        "ed@news.example",
        openai_api_key=SecretStr("openai-planted-1"),
        wordpress_logins={"blog.example": SecretStr("ed:wp-planted-2")},
        database_url="postgresql+psycopg://ed:db-planted-3@db.example/x",
    )
    planted = [SECRET, "hunter2hunter2", "openai-planted-1", "wp-planted-2", "db-planted-3"]
    with writing(engine) as session:
        text = f"no: {' '.join(planted)}"
        raise_alert(session, "run:1", text, text, {"deep": [text, {"er": text}]})
    send_alerts(engine, told, 10)
    error = rows(engine)["run:1"].error
    assert error and not any(secret in error + caplog.text for secret in planted)
    sending = told.model_copy(
        update={"alert_webhook_url": SecretStr(receiver.url), "smtp_url": SecretStr("")}
    )
    send_now(engine, sending, ["run:1"])
    ((_, body),) = receiver.got
    said = json.dumps(body)
    assert HIDDEN in body["title"] and not any(secret in said for secret in planted[2:])


def test_what_looks_like_a_secret_is_hidden_and_other_text_is_not(tmp_path: Path) -> None:
    told = settings(tmp_path)
    texts = {
        "postgresql://ed:pass@host.example/x": f"postgresql://{HIDDEN}@host.example/x",
        "GET https://api.example/x?api_key=abc123&page=2": f"GET https://api.example/x?api_key={HIDDEN}&page=2",
        "Authorization: Bearer eyJhbGciOi.JIUzI1NiIs": f"Authorization: Bearer {HIDDEN}",
        "key sk-abcdefghijklmnop1234 was refused": f"key {HIDDEN} was refused",
        "ghp_0123456789abcdefghij0123": HIDDEN,
        "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----!": f"{HIDDEN}!",
        "a bearer of news asked": "a bearer of news asked",
        "step writer at 12:30: a@b.example": "step writer at 12:30: a@b.example",
    }
    for text, expected in texts.items():
        assert scrubbed(text, told) == expected


def test_ways_are_what_is_configured(tmp_path: Path) -> None:
    assert [way.name for way in ways(settings(tmp_path, "http://x", "smtp://y", "a@b.example"))] == [
        "webhook",
        "email",
    ]
    assert ways(settings(tmp_path, smtp_url="smtp://y", to=" , ")) == []


def test_a_slow_receiver_does_not_hold_the_tick(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cryptocontent.alerts.ways.TIMEOUT_SECONDS", 0.2)

    async def hang(request: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    with serving(Starlette(routes=[Route("/", hang, methods=["POST"])])) as url:
        alarm(engine)
        assert "ReadTimeout" in send_alerts(engine, settings(tmp_path, url), 10).waiting["run:1"]
