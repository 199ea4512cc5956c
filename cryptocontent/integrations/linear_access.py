"""Access to Linear by gql's client: an API key or an OAuth application's token, rate limits, and what errors
mean to people.

Linear counts requests and complexity per hour. Each answer says what is left and when it is filled up again
(`X-RateLimit-Requests-…`, `X-RateLimit-Complexity-…`, reset in epoch milliseconds); what exceeds it is
answered with HTTP 400 and the code `RATELIMITED`. A connection waits for a few seconds at most, in all;
`Unavailable` says for how many more Linear wants to be left alone.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptocontent.errors import Explained, Refused
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

if TYPE_CHECKING:
    import httpx
    from gql.client import SyncClientSession

SCOPES = "read,write"
MOST_COMPLEXITY = 10_000
"""Points that Linear allows a single query."""

_SILENCE_SECONDS = 15.0
_CREDENTIALS_SECONDS = 900.0
_LIMITED_SECONDS = 60.0  # where Linear names no time
_TRIES = 3
_SECRETS = re.compile(r"\blin_\w+|\beyJ[\w-]+\.[\w-]+\.[\w-]+")
_MESSAGE = 300
_HEADER = re.compile(r"[\x21-\x7e]+")


class Missing(Refused):
    """Linear knows no such thing, or these credentials may not see it."""


class Rejected(Refused):
    """Linear does not take what it was sent."""


@dataclass(slots=True)
class Limits:
    """What Linear last said of its limits: what is left, and the epoch seconds at which it is filled up.
    `complexity` is what the last query cost, in points."""

    requests_left: float | None = None
    requests_reset: float = 0.0
    complexity: float = 0.0
    complexity_left: float | None = None
    complexity_reset: float = 0.0

    def read(self, headers: Mapping[str, str]) -> None:
        """Take over what an answer's headers say."""
        self.requests_left = _number(headers, "x-ratelimit-requests-remaining", self.requests_left)
        self.requests_reset = _seconds(headers, "x-ratelimit-requests-reset", self.requests_reset)
        self.complexity = _number(headers, "x-complexity", self.complexity) or 0.0
        self.complexity_left = _number(headers, "x-ratelimit-complexity-remaining", self.complexity_left)
        self.complexity_reset = _seconds(headers, "x-ratelimit-complexity-reset", self.complexity_reset)

    def wait(self, now: float) -> float:
        """Seconds until another request like the last one is allowed; 0 if it is."""
        waits = [0.0]
        if self.requests_left is not None and self.requests_left < 1:
            waits.append(self.requests_reset - now)
        if self.complexity_left is not None and self.complexity_left < max(self.complexity, 1):
            waits.append(self.complexity_reset - now)
        return max(waits)


def _number(headers: Mapping[str, str], name: str, otherwise: float | None) -> float | None:
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return otherwise


def _seconds(headers: Mapping[str, str], name: str, otherwise: float) -> float:
    milliseconds = _number(headers, name, None)
    return otherwise if milliseconds is None else milliseconds / 1000


def off(settings: Settings) -> str:
    """Why Linear can't be reached with these settings, or ""."""
    if not settings.linear_api_url.startswith(("https://", "http://")):
        return "LINEAR_API_URL is no address: it begins with https://"
    secret = settings.linear_client_secret.get_secret_value()
    if key := settings.linear_api_key.get_secret_value():
        # What no header takes would be shown by the logs of those who try.
        return "" if _HEADER.fullmatch(key) else "LINEAR_API_KEY holds a space, a line break or the like"
    if settings.linear_client_id and not secret:
        return "LINEAR_CLIENT_SECRET is not set (LINEAR_CLIENT_ID is)"
    if secret and not settings.linear_client_id:
        return "LINEAR_CLIENT_ID is not set (LINEAR_CLIENT_SECRET is)"
    if not secret:
        return "LINEAR_API_KEY is not set, nor LINEAR_CLIENT_ID with LINEAR_CLIENT_SECRET (docs/linear.md)"
    return ""


class Connection:
    """Asks Linear. For one thread. `patience`: seconds that it may wait for rate limits, in all."""

    def __init__(
        self, settings: Settings, session: "SyncClientSession", http: "httpx.Client", patience: float
    ) -> None:
        self.limits = Limits()
        self._settings, self._session, self._http, self._patience = settings, session, http, patience

    def ask(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's data. Everything that this module's users send may be sent twice. `Unavailable`,
        `Missing`, or `Rejected`."""
        renewed = False
        for attempt in range(1, _TRIES + 1):
            if wait := self.limits.wait(time.time()):
                self._pause(wait)
            try:
                return self._once(document, variables)
            except _Limited as error:
                self._pause(error.seconds)
            except _Unauthorized:
                if renewed or not _by_application(self._settings):
                    raise Unavailable(_not_accepted(self._settings), _CREDENTIALS_SECONDS) from None
                renewed = True
                _forget(self._settings)  # it ended before its time
            except _Broken as error:
                if attempt == _TRIES:
                    raise Unavailable(str(error)) from None
                time.sleep(0.2 * attempt)
        raise Unavailable("Linear's rate limit is used up", _LIMITED_SECONDS)

    def _pause(self, seconds: float) -> None:
        if seconds > self._patience:
            raise Unavailable(f"Linear's rate limit is used up, for {seconds:.0f} s", seconds)
        self._patience -= seconds
        time.sleep(seconds)

    def _once(self, document: str, variables: Mapping[str, Any] | None) -> dict[str, Any]:
        from gql import GraphQLRequest
        from gql.transport.exceptions import TransportError, TransportQueryError, TransportServerError

        authorization = _authorization(self._settings, self._http)
        request = GraphQLRequest(document, variable_values=dict(variables or {}))
        problem: Exception
        try:
            # As an argument of each request: a token may change while the connection is open.
            headers = {"Authorization": authorization}
            data = self._session.execute(request, extra_args={"headers": headers})
            self._read_limits()
            return dict(data)
        except TransportQueryError as error:
            self._read_limits()
            problem = self._problem(error.errors or [])
        except TransportServerError as error:
            self._read_limits()
            problem = self._status(error.code or 0)
        except (TransportError, ValueError, TypeError, AssertionError) as error:
            # Its text may hold what was sent: a header, for one.
            problem = _Broken(f"Linear does not answer ({type(error.__cause__ or error).__name__})")
        raise problem

    def _read_limits(self) -> None:
        headers = getattr(self._session.transport, "response_headers", None)
        if headers is not None:
            self.limits.read(headers)

    def _status(self, status: int) -> Exception:
        if status == 401:
            return _Unauthorized()
        if status == 429:
            return _Limited(self._reset())
        if status >= 500:
            return _Broken(f"Linear answers {status}")
        return Rejected(f"Linear refuses the request ({status})")

    def _problem(self, errors: list[Any]) -> Exception:
        """What Linear's errors mean: by the code of the first, else by its type."""
        first = errors[0] if errors and isinstance(errors[0], dict) else {}
        extensions = first.get("extensions")
        extensions = extensions if isinstance(extensions, dict) else {}
        code = str(extensions.get("code") or extensions.get("type") or "").upper().replace(" ", "_")
        said = self._cleaned(str(extensions.get("userPresentableMessage") or first.get("message") or code))
        match code:
            case "RATELIMITED":
                return _Limited(self._reset())
            case "AUTHENTICATION_ERROR":
                return _Unauthorized()
            case "FORBIDDEN" | "FEATURE_NOT_ACCESSIBLE":
                return Rejected(f"{_who(self._settings)} may not do this in Linear: {said}")
            case "ENTITY_NOT_FOUND":
                return Missing(f"Linear does not find it: {said}")
            case "INTERNAL_SERVER_ERROR" | "INTERNAL_ERROR" | "LOCK_TIMEOUT" | "NETWORK_ERROR":
                return _Broken(f"Linear has a problem of its own: {said}")
        if "entity not found" in said.lower() or "could not find" in said.lower():
            return Missing(f"Linear does not find it: {said}")
        return Rejected(f"Linear refuses: {said}")

    def _reset(self) -> float:
        """Seconds until the limit that was hit is filled up."""
        now = time.time()
        return self.limits.wait(now) or _LIMITED_SECONDS

    def _cleaned(self, text: str) -> str:
        return _SECRETS.sub("…", _without(self._settings, text))[:_MESSAGE].rstrip(". ")


class _Limited(Exception):
    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class _Unauthorized(Exception):
    pass


class _Broken(Exception):
    pass


@contextmanager
def connected(settings: Settings, patience: float) -> Iterator[Connection]:
    """A connection, closed at the end. `Unavailable` if Linear is not configured."""
    if why := off(settings):
        raise Unavailable(why, _CREDENTIALS_SECONDS)
    import httpx
    from gql import Client
    from gql.transport.httpx import HTTPXTransport

    timeout = httpx.Timeout(_SILENCE_SECONDS, connect=5.0)
    url = settings.linear_api_url.rstrip("/")
    transport = HTTPXTransport(f"{url}/graphql", timeout=timeout)
    client = Client(transport=transport, fetch_schema_from_transport=False, execute_timeout=None)
    with client as session, httpx.Client(timeout=timeout) as http:
        yield Connection(settings, session, http, patience)


def _by_application(settings: Settings) -> bool:
    return not settings.linear_api_key.get_secret_value()


def _who(settings: Settings) -> str:
    return (
        "the application of LINEAR_CLIENT_ID" if _by_application(settings) else "the owner of LINEAR_API_KEY"
    )


def _not_accepted(settings: Settings) -> str:
    names = "LINEAR_CLIENT_ID with LINEAR_CLIENT_SECRET" if _by_application(settings) else "LINEAR_API_KEY"
    return f"Linear does not accept {names}: set a new one"


def _without(settings: Settings, text: str) -> str:
    for secret in (settings.linear_api_key, settings.linear_client_secret, settings.linear_webhook_secret):
        if value := secret.get_secret_value():
            text = text.replace(value, "…")
    return text


_tokens: dict[tuple[str, str], tuple[str, float]] = {}
_tokens_lock = threading.Lock()


def _key(settings: Settings) -> tuple[str, str]:
    return settings.linear_api_url, settings.linear_client_id


def _forget(settings: Settings) -> None:
    with _tokens_lock:
        _tokens.pop(_key(settings), None)


def _authorization(settings: Settings, http: "httpx.Client") -> str:
    """The header's value: the key as it is, or the application's token, bought anew a minute before it ends
    (https://linear.app/developers/oauth-2-0-authentication, client credentials)."""
    if not _by_application(settings):
        return settings.linear_api_key.get_secret_value()
    with _tokens_lock:
        token, ends = _tokens.get(_key(settings), ("", 0.0))
        if time.time() >= ends - 60:
            token, seconds = _bought(settings, http)
            _tokens[_key(settings)] = token, time.time() + seconds
    return f"Bearer {token}"


def _bought(settings: Settings, http: "httpx.Client") -> tuple[str, float]:
    import httpx

    form = {
        "grant_type": "client_credentials",
        "scope": SCOPES,
        "client_id": settings.linear_client_id,
        "client_secret": settings.linear_client_secret.get_secret_value(),
    }
    problem: Explained
    try:
        answer = http.post(f"{settings.linear_api_url.rstrip('/')}/oauth/token", data=form)
        if answer.status_code == 200:
            data = answer.json()
            return str(data["access_token"]), float(data["expires_in"])
        if answer.status_code in (400, 401, 403):
            problem = Unavailable(_not_accepted(settings), _CREDENTIALS_SECONDS)
        else:
            problem = Unavailable(f"Linear's login answers {answer.status_code}")
    except httpx.HTTPError as error:
        problem = Unavailable(f"Linear's login does not answer ({type(error).__name__})")
    except (ValueError, KeyError, TypeError):
        problem = Unavailable("the answer of Linear's login is not understood")
    raise problem
