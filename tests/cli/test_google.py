"""`cryptocontent google`, as a person uses it: a login by the browser, a check, and then a source."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.homes import SCRIPT
from tests.fakes.google import Google, client_secrets_file, environment, google_server, sample
from tests.fakes.google.oauth import CLIENT_SECRET


@pytest.fixture
def google() -> Iterator[Google]:
    with google_server() as running:
        yield running


@pytest.fixture
def environ(google: Google, tmp_path: Path) -> dict[str, str]:
    return os.environ | {
        "CRYPTOCONTENT_HOME": str(tmp_path / "home"),
        "GOOGLE_API_URL": google.url,
        "OAUTHLIB_INSECURE_TRANSPORT": "1",  # the fake speaks plain HTTP, which the library refuses else
    }


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def test_log_in_check_and_import(google: Google, environ: dict[str, str], tmp_path: Path) -> None:
    client = client_secrets_file(tmp_path / "client.json", google.url)
    command = [str(SCRIPT), "google", "login", "--no-browser", "--seconds", "30"]
    with subprocess.Popen(
        [*command, "--client-secrets", str(client)], env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        address = next(line.strip() for line in process.stdout if line.startswith(google.url))
        assert "drive.readonly" in address and "access_type=offline" in address
        assert "You are logged in" in httpx.get(address, follow_redirects=True).text
        said = process.stdout.read()
    assert process.returncode == 0, said
    file = tmp_path / "home" / "google-login.json"
    assert f"GOOGLE_CREDENTIALS_FILE={file}" in said and CLIENT_SECRET not in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    kept = json.loads(file.read_text())
    assert kept["type"] == "authorized_user" and kept["refresh_token"] in google.refresh_tokens

    environ["GOOGLE_CREDENTIALS_FILE"] = str(file)
    folder = sample(google)
    assert "logged in at Google as ada@example.org" in run(environ, "google", "check").stdout
    seen = json.loads(run(environ, "google", "check", folder, "--json").stdout)
    assert seen["folder"] == "Newsroom research" and "Prices" in seen["items"]
    hidden = run(environ, "google", "check", google.folder("Hidden", shared_with=()))
    assert hidden.returncode == 1 and re.search("not there, or not shared with", hidden.stderr)

    run(environ, "project", "create", "news")
    added = run(environ, "source", "add", "google_drive", "drive", f"folder={google.url}/folders/{folder}")
    assert added.returncode == 1 and "folder" in added.stderr  # not an address of Google's
    added = run(environ, "source", "add", "google_drive", "drive", f"folder={folder}")
    assert added.returncode == 0, added.stderr
    synced = run(environ, "source", "sync", "drive")
    assert "3 added" in synced.stdout, synced.stdout + synced.stderr


def test_what_does_not_work_is_said(google: Google, environ: dict[str, str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"installed": {"client_secret": "PLANTED"}}')
    for arguments, wrong in (
        (("check",), "GOOGLE_CREDENTIALS_FILE is not set"),
        (("login", "--client-secrets", str(tmp_path / "none.json")), "there is no file"),
        (("login", "--client-secrets", str(bad)), "is not the JSON file of an OAuth client"),
    ):
        result = run(environ, "google", *arguments)
        assert result.returncode == 1 and wrong in result.stderr and "PLANTED" not in result.stderr
    environ |= environment(google.url, tmp_path)
    google.revoke()
    result = run(environ, "google", "check")
    assert result.returncode == 1 and "invalid_grant" in result.stderr and "Traceback" not in result.stderr
