"""Google's APIs: credentials, the Drive service by Google's own client, bounded calls, and what errors mean.

A call is tried again for a while where that may help, and every error that leaves this module is one for
people: Google's own texts may hold what was sent, so only its reasons and cleaned messages are passed on.
"""

import json
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from cryptocontent.errors import Explained, Refused
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

READ = "https://www.googleapis.com/auth/drive.readonly"
WRITE = "https://www.googleapis.com/auth/drive"
"""Scopes: to import, and to publish into a folder that a person chose (`drive.file` sees no such folder)."""

_GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
_LIMITED = {"rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded", "dailyLimitExceeded"}
_LONGEST_PATIENCE = 86_400.0
_RATE_LIMIT_SECONDS = 60.0  # Google's quotas are per minute
_DAILY_LIMIT_SECONDS = 3600.0
_MEND_SECONDS = 900.0
_SECRETS = re.compile(r"\b(?:ya29\.[\w.-]+|1//[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+|GOCSPX-[\w-]+)")
_MESSAGE = 300
_CHUNK = 1 << 20
_ERROR_BYTES = 100_000
T = TypeVar("T")


class Missing(Refused):
    """Google says 404: there is no such thing, or it is not shared with us."""


class Denied(Refused):
    """Google says 403 for good; `reason` is its code (`exportSizeLimitExceeded`, `cannotDownloadFile`)."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class TooLarge(Refused):
    """More bytes than were allowed; `size` is how many there are, as far as it is known."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


class PageTokenExpired(Refused):
    """A page token is no longer good: what it was for has to begin anew."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may be silent, how long it may take with all its tries, how many tries there are, and
    the wait before the second (doubled before each further one, with some chance in it). In seconds."""

    silence: float
    total: float
    tries: int = 4
    first_wait: float = 0.5


LOOKING = Patience(silence=10, total=15)
"""For sensors: Dagster gives a tick 60 s."""
FETCHING = Patience(silence=60, total=120)
"""For runs: Google may think for half a minute before it exports a long document."""


def off(settings: Settings) -> str:
    """Why Google can't be reached with these settings, or ""."""
    path = settings.google_credentials_file
    if path is None:
        return "GOOGLE_CREDENTIALS_FILE is not set (docs/google-drive.md)"
    if settings.google_api_url and not settings.google_api_url.startswith(("https://", "http://")):
        return "GOOGLE_API_URL is no address: it begins with https://"
    try:
        kind = _info(path).get("type")
    except Refused as error:
        return str(error)
    if settings.google_impersonate and kind != "service_account":
        return "GOOGLE_IMPERSONATE is for service accounts; GOOGLE_CREDENTIALS_FILE holds a person's login"
    return ""


def who(settings: Settings) -> str:
    """With whom a folder has to be shared: the service account or the person for whom it acts, as far as the
    settings tell."""
    if settings.google_impersonate:
        return settings.google_impersonate
    if settings.google_credentials_file is None:
        return "nobody"
    return str(_info(settings.google_credentials_file).get("client_email") or "the person who logged in")


def _info(path: Path) -> dict[str, Any]:
    """What a credentials file says. `Refused`, which quotes nothing of it."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(info, dict) and info.get("type") in ("service_account", "authorized_user"):
            return info
    except FileNotFoundError:
        raise Refused(f"GOOGLE_CREDENTIALS_FILE: there is no file {path}") from None
    except (OSError, ValueError):
        pass
    text = f"GOOGLE_CREDENTIALS_FILE: {path} is neither a service account's key nor a person's login"
    raise Refused(f"{text} (`cryptocontent google login` makes one)")


def credentials(settings: Settings, scope: str) -> Any:
    """Google's credentials object, shared by all that use one file; `Unavailable` if it can't be read."""
    if why := off(settings):
        raise Unavailable(why, _MEND_SECONDS)
    path = settings.google_credentials_file or Path()
    try:
        return _credentials(
            path, path.stat().st_mtime_ns, settings.google_impersonate, scope, settings.google_api_url
        )
    except (ValueError, KeyError, OSError):
        pass  # what is wrong with it may quote it
    raise Unavailable(f"GOOGLE_CREDENTIALS_FILE: {path} is broken: make a new one", _MEND_SECONDS)


@lru_cache(maxsize=8)
def _credentials(path: Path, changed: int, impersonate: str, scope: str, api_url: str) -> Any:
    info = _info(path)
    if info["type"] == "service_account":
        from google.oauth2.service_account import Credentials as ServiceAccount

        return ServiceAccount.from_service_account_info(info, scopes=[scope], subject=impersonate or None)  # type: ignore[no-untyped-call]
    from google.oauth2.credentials import Credentials as Person

    # What was granted at the login counts, so no scope is named. As in Google's library, a person's file does
    # not say where its refresh token is sent, unless there is another Google.
    return Person(  # type: ignore[no-untyped-call]
        None,
        refresh_token=info["refresh_token"],
        token_uri=info.get("token_uri") if api_url else _GOOGLE_TOKENS,
        client_id=info["client_id"],
        client_secret=info["client_secret"],
    )


def drive_service(settings: Settings) -> Any:
    """Drive v3 as Google's client has it, from the description that comes with the library: no request is
    made. It only builds requests, for any thread; `Google.call` sends them."""
    return _drive_service(settings.google_api_url.rstrip("/"))


@lru_cache(maxsize=4)
def _drive_service(root: str) -> Any:
    import httplib2
    from googleapiclient.discovery import build_from_document
    from googleapiclient.discovery_cache import get_static_doc

    described = json.loads(get_static_doc("drive", "v3"))
    if root:
        described["rootUrl"] = f"{root}/"
    return build_from_document(described, http=httplib2.Http())


class Google:
    """A connection for one thread."""

    def __init__(self, settings: Settings, *, scope: str = READ, patience: Patience = LOOKING) -> None:
        import httplib2
        from google.auth.transport.requests import AuthorizedSession
        from google_auth_httplib2 import AuthorizedHttp

        self._settings, self._patience = settings, patience
        self.drive = drive_service(settings)
        allowed = credentials(settings, scope)
        self._plain = httplib2.Http(timeout=patience.silence)
        # 308 is "go on" in a resumable upload, and no redirect.
        self._plain.redirect_codes = self._plain.redirect_codes - {308}
        self._http = AuthorizedHttp(allowed, http=self._plain)
        self._session: Any = AuthorizedSession(  # type: ignore[no-untyped-call]
            allowed, refresh_timeout=patience.silence
        )
        self._session.max_redirects = 5

    def close(self) -> None:
        """Close its connections."""
        self._plain.close()
        self._session.close()

    def call(self, request: Any) -> Any:
        """What a request of the service answers."""
        return self._patiently(lambda: request.execute(http=self._http))

    def upload(self, request: Any) -> Any:
        """What a request with a resumable upload answers. After an interruption it asks how far the upload
        came, so that nothing is made twice."""

        def go() -> Any:
            answer = None
            while answer is None:
                _, answer = request.next_chunk(http=self._http)
            return answer

        try:
            return self._patiently(go)
        except (Missing, PageTokenExpired):
            if not request.resumable_uri:
                raise
        raise Unavailable("Google has forgotten a half-done upload: it has to begin anew")

    def download(self, url: str, limit: int) -> bytes:
        """The bytes behind an address of Google's, at most `limit` of them: `TooLarge`. Our token goes to
        Google alone, whatever the address."""
        if not _is_googles(url, self._settings):
            raise Denied("Google named an address that is not its own", "foreignAddress")
        return self._patiently(lambda: self._stream(url, limit))

    def _stream(self, url: str, limit: int) -> bytes:
        deadline = time.monotonic() + self._patience.total
        # As it is: what is packed could be larger than it says.
        headers = {"Accept-Encoding": "identity"}
        with self._session.get(url, stream=True, timeout=self._patience.silence, headers=headers) as answer:
            if answer.status_code >= 400:
                body = next(answer.iter_content(_ERROR_BYTES), b"")
                raise _Answered(answer.status_code, url, answer.headers, body)
            data = bytearray()
            size = answer.headers.get("content-length", "")
            if size.isdigit() and int(size) > limit:
                raise TooLarge(f"it is too large: {int(size):,} bytes, the limit is {limit:,}", int(size))
            for chunk in answer.iter_content(_CHUNK):
                data += chunk
                if len(data) > limit:
                    raise TooLarge(f"it is too large: more than the limit of {limit:,} bytes", len(data))
                if time.monotonic() > deadline:
                    raise TimeoutError
            return bytes(data)

    def _patiently(self, go: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._patience.total
        backoff, left = self._patience.first_wait, self._patience.tries - 1
        while True:
            try:
                return go()
            except Exception as error:
                problem, wait = self._explained(error)
            pause = max(wait or 0.0, backoff * random.uniform(0.5, 1.5))  # noqa: S311
            if wait is None or not left or time.monotonic() + pause > deadline:
                raise problem
            time.sleep(pause)
            backoff, left = backoff * 2, left - 1

    def _explained(self, error: Exception) -> tuple[Explained, float | None]:
        """What went wrong, for people, and the least seconds before another try (`None`: none makes sense
        now). The original, which may hold what was sent, is not its cause."""
        from http.client import HTTPException

        from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
        from googleapiclient.errors import HttpError
        from httplib2 import HttpLib2Error

        match error:
            case Explained():
                return error, None
            case HttpError():
                answered = _Answered(error.resp.status, error.uri or "", error.resp, error.content)
                return _problem(answered, self._settings)
            case _Answered():
                return _problem(error, self._settings)
            case RefreshError():
                return _not_let_in(error, self._settings)
            case TransportError() | HttpLib2Error() | HTTPException() | OSError():
                self.close()  # half an answer may be left in a connection
                return Unavailable(f"Google does not answer ({type(error).__name__})"), 0.0
            case GoogleAuthError() | ValueError() | LookupError() | TypeError():
                return Unavailable(f"Google's answer is not understood ({type(error).__name__})"), 0.0
        raise error


class _Answered(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, url: str, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status, self.url, self.headers, self.body = int(status), url, headers, body


def _is_googles(url: str, settings: Settings) -> bool:
    parts = urlsplit(url)
    if settings.google_api_url:
        return parts[:2] == urlsplit(settings.google_api_url)[:2]
    host = parts.hostname or ""
    return parts.scheme == "https" and host.endswith((".google.com", ".googleapis.com"))


def _problem(answered: _Answered, settings: Settings) -> tuple[Explained, float | None]:
    """As Google's page on Drive's errors tells them apart, by status and `reason`."""
    status = answered.status
    reason, location, said = _said(answered.body)
    after = str(answered.headers.get("retry-after", ""))
    told = min(float(after), _LONGEST_PATIENCE) if after.isascii() and after.isdecimal() else None
    if status == 429 or (status == 403 and reason in _LIMITED):
        usual = _DAILY_LIMIT_SECONDS if reason == "dailyLimitExceeded" else _RATE_LIMIT_SECONDS
        text = f"Google's rate limit is used up ({reason or status})"
        return Unavailable(text, told or usual), told or (0.0 if reason != "dailyLimitExceeded" else usual)
    if status >= 500 or status == 408:
        return Unavailable(f"Google answers {status}", told), told or 0.0
    if status == 401:
        text = f"Google does not accept GOOGLE_CREDENTIALS_FILE: {said}. Make a new one"
        return Unavailable(text, _MEND_SECONDS), None
    if status == 403 and (mend := _MENDED.get(reason)):
        return Unavailable(f"{mend} ({said})", _MEND_SECONDS), None
    if "pageToken=" in answered.url and (status == 410 or (status == 400 and location == "pageToken")):
        return PageTokenExpired(f"Google's page token is no longer good ({status})"), None
    if status == 404 or status == 410:
        return Missing(f"not found, or not shared with {who(settings)} ({said})"), None
    if status == 403:
        return Denied(f"Google does not allow it ({reason or said})", reason), None
    return Refused(f"Google refuses ({status}): {said}"), None


_MENDED = {
    "accessNotConfigured": "the Google Drive API is not enabled in the project of GOOGLE_CREDENTIALS_FILE",
    "insufficientPermissions": "the login in GOOGLE_CREDENTIALS_FILE does not cover this: log in anew, to "
    "publish with `cryptocontent google login --publish`",
    "domainPolicy": "the administrator of your Google domain has turned Drive apps off",
}
"""What a person has to mend, by Google's reason."""


def _said(body: bytes) -> tuple[str, str, str]:
    """Reason, location and message of an error, in either of the formats that Google's servers use, without
    what could be a secret in it."""
    try:
        error = json.loads(body)["error"]
        first = (error.get("errors") or [{}])[0]
        message = str(error.get("message") or "no message")
        reason = str(first.get("reason") or "")
        location = str(first.get("location") or "")
    except (ValueError, LookupError, TypeError, AttributeError):
        return "", "", "no message"
    message = " ".join(_SECRETS.sub("…", message).split())
    return reason[:100], location[:100], message[:_MESSAGE].rstrip(". ")


def _not_let_in(error: Any, settings: Settings) -> tuple[Explained, float | None]:
    """No access token was given out."""
    if getattr(error, "retryable", False):
        return Unavailable("Google's token service does not answer"), 0.0
    data = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], dict) else {}
    code = str(data.get("error") or "refused")
    code = code if re.fullmatch(r"[a-z_]{1,60}", code) else "refused"
    if settings.google_impersonate:
        text = (
            f"Google does not let the service account act for {settings.google_impersonate} ({code}): allow "
            "its client id in the admin console (domain-wide delegation)"
        )
    else:
        text = (
            f"Google does not accept GOOGLE_CREDENTIALS_FILE ({code}): it was revoked, has expired or was "
            "deleted. `cryptocontent google login` anew, or make a new key of the service account"
        )
    return Unavailable(text, _MEND_SECONDS), None
