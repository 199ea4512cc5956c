"""Google's logins: the token endpoint for service accounts (signed JWTs), people (refresh tokens, codes) and
the page on which a person allows an application."""

import base64
import hashlib
import json
import secrets
import time
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from tests.fakes.google.state import PERSON, SERVICE_ACCOUNT, Access, Google

CLIENT_ID = "1234567890-fake.apps.googleusercontent.com"
CLIENT_SECRET = "GOCSPX-fake-secret-of-the-client"
REFRESH_TOKEN = "1//0fake-refresh-token-that-is-secret"
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DRIVE = "https://www.googleapis.com/auth/drive"
READ = f"{DRIVE}.readonly"


@lru_cache(maxsize=1)
def _key() -> tuple[str, Any]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode(), key.public_key()


def service_account_file(path: Path, url: str) -> Path:
    """A service account's key file, as the console gives it, that leads to the fake."""
    info = {
        "type": "service_account",
        "project_id": "fake-project",
        "private_key_id": "0123456789abcdef",
        "private_key": _key()[0],
        "client_email": SERVICE_ACCOUNT,
        "client_id": "100000000000000000001",
        "auth_uri": f"{url}/o/oauth2/auth",
        "token_uri": f"{url}/token",
        "universe_domain": "googleapis.com",
    }
    path.write_text(json.dumps(info))
    return path


def client_secrets_file(path: Path, url: str) -> Path:
    """The file of a desktop application's OAuth client, as the console gives it."""
    installed = {
        "client_id": CLIENT_ID,
        "project_id": "fake-project",
        "auth_uri": f"{url}/o/oauth2/auth",
        "token_uri": f"{url}/token",
        "client_secret": CLIENT_SECRET,
        "redirect_uris": ["http://localhost"],
    }
    path.write_text(json.dumps({"installed": installed}))
    return path


def person_file(google: Google, path: Path, url: str, *, scopes: tuple[str, ...] = (DRIVE,)) -> Path:
    """What is left of a person's login."""
    google.refresh_tokens[REFRESH_TOKEN] = Access(PERSON, frozenset(scopes))
    info = {
        "type": "authorized_user",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
        "token_uri": f"{url}/token",
    }
    path.write_text(json.dumps(info))
    return path


def basic(header: str) -> dict[str, str]:
    """A client may name itself in the form, or by HTTP's basic authentication."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return {}
    name, _, secret = base64.b64decode(value).decode().partition(":")
    return {"client_id": unquote(name), "client_secret": unquote(secret)}


def token(google: Google, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """`POST /token`."""
    match form.get("grant_type"):
        case grant if grant == _JWT_GRANT:
            return _service_account(google, form.get("assertion", ""))
        case "refresh_token":
            if (problem := _client(form)) is not None:
                return problem
            access = google.refresh_tokens.get(form.get("refresh_token", ""))
            if access is None:
                return 400, _error("invalid_grant", "Token has been expired or revoked.")
            return 200, _given(google, access)
        case "authorization_code":
            return _code(google, form)
    return 400, _error("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")


def _service_account(google: Google, assertion: str) -> tuple[int, dict[str, Any]]:
    import jwt

    try:
        claims = jwt.decode(
            assertion,
            _key()[1],
            algorithms=["RS256"],
            audience="https://oauth2.googleapis.com/token",  # whatever `token_uri` says
            issuer=SERVICE_ACCOUNT,
            options={"require": ["iat", "exp", "iss", "aud"]},
        )
    except jwt.PyJWTError as error:
        return 400, _error("invalid_grant", f"Invalid JWT: {error}")
    if claims["exp"] > claims["iat"] + 3600 or claims["exp"] < time.time():
        return 400, _error("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes).")
    scopes = frozenset(claims.get("scope", "").split())
    if not scopes or not scopes <= {DRIVE, READ}:
        return 400, _error("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    account = claims.get("sub", SERVICE_ACCOUNT)
    if account != SERVICE_ACCOUNT and account not in google.delegated:
        text = "Client is unauthorized to retrieve access tokens using this method, or client not authorized."
        return 401, _error("unauthorized_client", text)
    if not google.delegated:
        return 400, _error("invalid_grant", "Invalid grant: account not found")
    return 200, _given(google, Access(account, scopes))


def _code(google: Google, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
    if (problem := _client(form)) is not None:
        return problem
    asked = google.codes.pop(form.get("code", ""), None)
    verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    if (
        asked is None
        or asked["redirect_uri"] != form.get("redirect_uri")
        or (asked.get("code_challenge") and asked["code_challenge"] != _base64(verifier))
    ):
        return 400, _error("invalid_grant", "Malformed auth code.")
    access = Access(PERSON, frozenset(asked["scope"].split()))
    given = _given(google, access)
    if asked.get("access_type") == "offline":
        given["refresh_token"] = f"1//0{secrets.token_urlsafe(24)}"
        google.refresh_tokens[given["refresh_token"]] = access
    return 200, given


def authorize(google: Google, query: dict[str, str]) -> tuple[int, str]:
    """`GET /o/oauth2/auth`, as if the person had said yes: the address to which they are sent back."""
    wrong = query.get("client_id") != CLIENT_ID or query.get("response_type") != "code"
    if wrong or not query.get("redirect_uri", "").startswith("http://localhost:") or not query.get("scope"):
        return 400, ""
    code = f"4/0{secrets.token_urlsafe(24)}"
    google.codes[code] = query
    answer = {"state": query.get("state", ""), "code": code, "scope": query["scope"]}
    return 302, f"{query['redirect_uri']}?{urlencode(answer)}"


def _client(form: dict[str, str]) -> tuple[int, dict[str, Any]] | None:
    if (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET):
        return None
    return 401, _error("invalid_client", "The OAuth client was not found.")


def _given(google: Google, access: Access) -> dict[str, Any]:
    google.logins += 1
    value = f"ya29.{secrets.token_urlsafe(48)}"
    google.tokens[value] = access
    scope = " ".join(sorted(access.scopes))
    return {"access_token": value, "expires_in": 3599, "token_type": "Bearer", "scope": scope}


def _error(code: str, description: str) -> dict[str, Any]:
    return {"error": code, "error_description": description}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
