"""Access to GitHub by PyGithub: as a person (token) or as an App (a signed JWT buys an installation's token,
renewed before it ends), bounded waits, and what errors mean to people.

Nothing here sleeps for a rate limit: `Unavailable` says for how many seconds GitHub wants to be left alone.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptocontent.errors import Explained, Refused
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings

if TYPE_CHECKING:
    from github import Github
    from github.Auth import AppInstallationAuth, Auth
    from github.GithubException import GithubException

TIMEOUT = 12  # seconds of silence: GitHub ends each request by itself after 10
_SECONDARY_SECONDS = 60.0  # what GitHub's documentation asks for when it names no time
_CREDENTIALS_SECONDS = 900.0
_TOKENS = re.compile(r"\b(?:gh[opsru]_\w+|github_pat_\w+|eyJ[\w-]+\.[\w-]+\.[\w-]+)")
_MESSAGE = 300


class Missing(Refused):
    """GitHub says 404: there is none, or these credentials may not see it."""


def off(settings: Settings) -> str:
    """Why GitHub can't be reached with these settings, or ""."""
    if not settings.github_api_url.startswith(("https://", "http://")):
        return "GITHUB_API_URL is no address: it begins with https://"
    key = settings.github_app_private_key_file
    if settings.github_app_id and not key:
        return "GITHUB_APP_PRIVATE_KEY_FILE is not set (GITHUB_APP_ID is)"
    if key and not settings.github_app_id:
        return "GITHUB_APP_ID is not set (GITHUB_APP_PRIVATE_KEY_FILE is)"
    if key and not key.is_file():
        return f"GITHUB_APP_PRIVATE_KEY_FILE: there is no file {key}"
    if not key and not settings.github_token.get_secret_value():
        return "GITHUB_TOKEN is not set, nor GITHUB_APP_ID with GITHUB_APP_PRIVATE_KEY_FILE"
    return ""


def client(settings: Settings, name: str, timeout: int) -> "Github":
    """PyGithub's client for the repository `owner/name`; to be closed."""
    from github import Github
    from github.Auth import Token

    auth: Auth
    if settings.github_app_id:
        auth = _as_installation(settings, name)
    else:
        auth = Token(settings.github_token.get_secret_value())
    return Github(**_options(settings, timeout), auth=auth, lazy=True)


def _options(settings: Settings, timeout: int) -> dict[str, Any]:
    from urllib3 import Retry

    # Only what changes nothing is asked again at once; the rest is taken up by the next delivery.
    retry = Retry(
        total=1,
        backoff_factor=0.2,
        status_forcelist=(500, 502, 503, 504),
        allowed_methods={"GET"},
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    return {
        "base_url": settings.github_api_url.rstrip("/"),
        "timeout": timeout,
        "retry": retry,
        "user_agent": "cryptocontent",
        # A delivery is a handful of calls: GitHub asks for pauses between many, and says when it had enough.
        "seconds_between_requests": 0,
        "seconds_between_writes": 0,
    }


_Key = tuple[str, str, str]
_installations: dict[_Key, "AppInstallationAuth"] = {}
_installations_lock = threading.Lock()


def _key(settings: Settings, name: str) -> _Key:
    return settings.github_api_url, settings.github_app_id, name


def _as_installation(settings: Settings, name: str) -> "AppInstallationAuth":
    """The App's installation on the repository, kept with its token (for an hour) for the next delivery."""
    from github.Auth import AppAuth
    from github.GithubIntegration import GithubIntegration

    with _installations_lock:
        auth = _installations.get(_key(settings, name))
    app = AppAuth(settings.github_app_id, _private_key(settings))
    with explained(name, settings):
        if auth is None:
            with GithubIntegration(**_options(settings, TIMEOUT), auth=app) as integration:
                found = integration.get_repo_installation(*name.split("/"))
                auth = app.get_installation_auth(found.id, requester=integration.requester)
        try:
            _ = auth.token  # bought here, if it has to be: a 404 of it means that the App was removed
        except Exception:
            _forget(settings, name)
            raise
    with _installations_lock:
        return _installations.setdefault(_key(settings, name), auth)


def _forget(settings: Settings, name: str) -> None:
    with _installations_lock:
        _installations.pop(_key(settings, name), None)


def _private_key(settings: Settings) -> str:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = settings.github_app_private_key_file or Path()
    try:
        text = path.read_text()
        if isinstance(load_pem_private_key(text.encode(), None), RSAPrivateKey):
            return text
    except (OSError, ValueError, TypeError):
        pass  # what is wrong with it may quote it
    raise Refused(f"GITHUB_APP_PRIVATE_KEY_FILE: {path} holds no RSA private key in PEM format")


@contextmanager
def explained(name: str, settings: Settings) -> Iterator[None]:
    """PyGithub's and its transport's errors as `Refused` or `Unavailable`. Their own texts may hold what was
    sent or received, so none is passed on, not even as the cause."""
    from github.GithubException import BadAttributeException, GithubException
    from requests import RequestException

    problem: Explained
    try:
        yield
        return
    except GithubException as error:
        if error.status == 401:
            _forget(settings, name)  # revoked before its time: the next try buys another
        problem = _problem(error, name, "the GitHub App" if settings.github_app_id else "GITHUB_TOKEN")
    except RequestException as error:
        problem = Unavailable(f"GitHub does not answer ({type(error).__name__}); repository {name}")
    except (BadAttributeException, ValueError, LookupError, TypeError, AssertionError, RuntimeError):
        problem = Unavailable(f"GitHub's answer is not understood; repository {name}")
    raise problem from None


def _problem(error: "GithubException", name: str, who: str) -> Explained:
    said, headers = _said(error), {key.lower(): value for key, value in (error.headers or {}).items()}
    if error.status >= 500:
        return Unavailable(f"GitHub answers {error.status}; repository {name}")
    if error.status in (403, 429) and (wait := _patience(error.status, said, headers)) is not None:
        return Unavailable(f"GitHub's rate limit is used up, for {wait:.0f} s; repository {name}", wait)
    if error.status == 401:
        text = f"GitHub does not accept {who}: {said}. Set a new one; deliveries go on by themselves"
        return Unavailable(text, _CREDENTIALS_SECONDS)
    if error.status == 404:
        return Missing(f"repository {name}: not found, or {who} has no access to it ({said})")
    if error.status == 403:
        return Refused(
            f"repository {name}: {who} may not do this ({said}); it needs contents and pull requests"
        )
    return Refused(f"repository {name}: GitHub refuses ({error.status}): {said}")


def _patience(status: int, said: str, headers: Mapping[str, str]) -> float | None:
    """How long a rate limit asks to wait, or `None`: it is none. By GitHub's order: Retry-After, then the
    reset of a used up limit, then a minute."""
    if (after := headers.get("retry-after", "")).isdigit():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdigit():
        return max(float(headers["x-ratelimit-reset"]) - time.time(), 0) + 1
    return _SECONDARY_SECONDS if status == 429 or "rate limit" in said.lower() else None


def _said(error: "GithubException") -> str:
    """GitHub's message, without what could be a secret in it."""
    data = error.data if isinstance(error.data, dict) else {}
    parts = [str(data.get("message") or "no message")]
    for one in data.get("errors") or ():
        if isinstance(one, dict):
            parts.append(
                str(one.get("message") or " ".join(str(one[key]) for key in ("field", "code") if key in one))
            )
        else:
            parts.append(str(one))
    return _TOKENS.sub("…", "; ".join(filter(None, parts)))[:_MESSAGE].rstrip(". ")
