"""The ways by which an alert goes out: a webhook, e-mail. Each knows nothing of the others."""

import hashlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

from cryptocontent.settings import Settings
from cryptocontent.storage.models import Alert

TIMEOUT_SECONDS = 10.0
_SUBMISSION_PORT, _SMTPS_PORT = 587, 465


class NotSent(Exception):
    """It did not go out, and why; `seconds` until the receiver wants to be asked again, if it said."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds


class Way(Protocol):
    """How an alert goes out."""

    name: str

    def send(self, alert: Alert) -> None:
        """Hand the alert over; `NotSent`."""


def ways(settings: Settings) -> list[Way]:
    """The ways that are configured."""
    found: list[Way] = []
    if url := settings.alert_webhook_url.get_secret_value():
        found.append(Webhook(url))
    smtp, to = settings.smtp_url.get_secret_value(), _addresses(settings.alert_email_to)
    if smtp and to:
        found.append(Email(smtp, settings.alert_email_from, to))
    return found


def off(settings: Settings) -> str:
    """Why nothing is sent with these settings, and what to do; else ""."""
    if ways(settings):
        return ""
    half = ""
    if settings.smtp_url.get_secret_value():
        half = " (SMTP_URL is set, ALERT_EMAIL_TO is not)"
    elif settings.alert_email_to:
        half = " (ALERT_EMAIL_TO is set, SMTP_URL is not)"
    return f"alerts are kept, not sent: set ALERT_WEBHOOK_URL, or SMTP_URL and ALERT_EMAIL_TO{half}"


def _addresses(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


class Webhook:
    """A POST of JSON. `text` is what Slack, Mattermost and their like show; the other fields are for
    programs. The receiver may see an alert twice (we may be killed before we know that it arrived), and
    tells by the header `Idempotency-Key`."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        self.url = url

    def send(self, alert: Alert) -> None:
        """2xx is success; redirects are not followed."""
        import httpx

        headers = {"Idempotency-Key": quote(alert.key, safe=":/-._~")}
        try:
            with (
                httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as client,
                client.stream("POST", self.url, json=payload(alert), headers=headers) as response,
            ):
                if not response.is_success:
                    raise NotSent(
                        f"the receiver answered {response.status_code} {response.reason_phrase}".strip(),
                        _seconds(response.headers.get("retry-after", "")),
                    )
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise NotSent(f"{type(error).__name__}: {error}".removesuffix(": ")) from None


def payload(alert: Alert) -> dict[str, Any]:
    """The webhook's body."""
    return {
        "text": _escaped(f"*{alert.title}*\n{told(alert)}"),
        "key": alert.key,
        "title": alert.title,
        "body": alert.body,
        "data": alert.data,
        "created_at": alert.created_at.isoformat(timespec="seconds"),
    }


def told(alert: Alert) -> str:
    """What a person reads below the title."""
    link = str(alert.data.get("link") or "")
    return "\n".join(part for part in (alert.body.strip(), link) if part)


def _escaped(text: str) -> str:
    """Slack reads `<!channel>` and `<@U…>` as calls (api.slack.com/reference/surfaces/formatting)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _seconds(retry_after: str) -> float | None:
    return float(retry_after) if retry_after.isdecimal() else None


class Email:
    """A message by SMTP. `smtp://` uses STARTTLS where the server offers it, `smtps://` TLS from the first
    byte; the server's certificate is checked. A password is never sent in the clear, but to this machine."""

    name = "email"

    def __init__(self, url: str, sender: str, to: Sequence[str]) -> None:
        self.url, self.sender, self.to = url, sender, list(to)

    def send(self, alert: Alert) -> None:
        """Sent if the server took it for at least one address."""
        try:
            message = self.message(alert)
            with self._connected() as server:
                server.send_message(message, self.sender, self.to)
        except smtplib.SMTPRecipientsRefused as error:
            answers = [f"{code} {_text(answer)}" for code, answer in error.recipients.values()]
            raise NotSent(f"every address was refused: {'; '.join(answers)[:500]}") from None
        except smtplib.SMTPResponseException as error:
            raise NotSent(f"the server answered {error.smtp_code} {_text(error.smtp_error)}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(f"{type(error).__name__}: {error}".removesuffix(": ")) from None

    def message(self, alert: Alert) -> EmailMessage:
        """The message; its id follows from the alert's key, so that a repetition is one thread's."""
        message = EmailMessage()
        message["Subject"] = "".join(char if char.isprintable() else " " for char in alert.title)
        message["From"], message["To"] = self.sender, ", ".join(self.to)
        message["Date"] = format_datetime(alert.created_at)
        message["Message-ID"] = f"<{hashlib.sha256(alert.key.encode()).hexdigest()[:40]}@cryptocontent>"
        message["Auto-Submitted"] = "auto-generated"
        text = f"{told(alert)}\n\n-- \n{alert.key}, {alert.created_at:%Y-%m-%d %H:%M} UTC\n"
        message.set_content(text.encode("utf-8", "replace").decode())
        return message

    @contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        url = urlsplit(self.url)
        if url.scheme not in ("smtp", "smtps") or not url.hostname:
            raise NotSent("SMTP_URL is not smtp://user:password@host:587 or smtps://user:password@host:465")
        context = ssl.create_default_context()
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                url.hostname, url.port or _SMTPS_PORT, timeout=TIMEOUT_SECONDS, context=context
            )
        else:
            server = smtplib.SMTP(url.hostname, url.port or _SUBMISSION_PORT, timeout=TIMEOUT_SECONDS)
        with server:
            server.ehlo()
            encrypted = url.scheme == "smtps"
            if not encrypted and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
                encrypted = True
            if url.username:
                if not encrypted and not _is_here(url.hostname):
                    raise NotSent("the server offers no STARTTLS, and the password is not sent in the clear")
                server.login(unquote(url.username), unquote(url.password or ""))
            yield server


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:300]
