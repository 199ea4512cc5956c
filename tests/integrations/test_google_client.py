"""Google's logins, errors and limits, by Google's own client against a server that speaks its formats."""

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptocontent.errors import Refused
from cryptocontent.integrations.google import (
    Denied,
    Google,
    Missing,
    PageTokenExpired,
    Patience,
    TooLarge,
    off,
)
from cryptocontent.integrations.google_drive import DOCUMENT, Drive, open_drive
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.settings import Settings
from tests.fakes import google as fake
from tests.fakes.google import DOCX, PERSON, SERVICE_ACCOUNT, Fault, google_server
from tests.fakes.google.oauth import CLIENT_SECRET, READ, REFRESH_TOKEN

QUICK = Patience(silence=5, total=10, tries=3, first_wait=0.01)


@pytest.fixture(scope="module")
def _server() -> Iterator[fake.Google]:
    with google_server() as running:
        yield running


@pytest.fixture
def google(_server: fake.Google) -> fake.Google:
    return _server.begin_anew()


@pytest.fixture
def folder(google: fake.Google) -> str:
    return google.folder("Newsroom")


def make_settings(google: fake.Google, home: Path, **more: Any) -> Settings:
    values = {name.lower(): value for name, value in fake.environment(google.url, home).items()}
    return Settings(_env_file=None, **(values | more))


@pytest.fixture
def drive(google: fake.Google, tmp_path: Path) -> Iterator[Drive]:
    with open_drive(make_settings(google, tmp_path), write=True, patience=QUICK) as drive:
        yield drive


def as_person(google: fake.Google, home: Path, **more: Any) -> Settings:
    file = fake.person_file(google, home / "person.json", google.url, **more)
    return make_settings(google, home, google_credentials_file=file)


# Who we are.


def test_a_service_account_a_person_and_a_service_account_for_a_person(
    google: fake.Google, tmp_path: Path
) -> None:
    for chosen, account in (
        (make_settings(google, tmp_path), SERVICE_ACCOUNT),
        (make_settings(google, tmp_path, google_impersonate=PERSON), PERSON),
        (as_person(google, tmp_path), PERSON),
    ):
        with open_drive(chosen, patience=QUICK) as drive:
            assert drive.account() == account


def test_one_login_serves_all_threads_until_it_ends(google: fake.Google, tmp_path: Path, folder: str) -> None:
    chosen = make_settings(google, tmp_path)

    def ask() -> None:
        with open_drive(chosen, patience=QUICK) as drive:
            drive.get(folder)

    ask()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert google.logins == 1 and len(google.calls) == 5


def test_a_login_that_ends_on_the_way_is_renewed(google: fake.Google, drive: Drive, folder: str) -> None:
    file = google.file("a.md", b"# A", "text/markdown", folder)
    document = google.document("B", b"docx", folder)
    drive.get(folder)
    google.expire_logins()
    assert drive.download(file, 100) == b"# A"
    google.expire_logins()
    assert drive.export(document, DOCX, 100) == b"docx"
    google.expire_logins()
    assert drive.get(folder).name == "Newsroom"
    assert drive.create("C", b"text", "text/plain", folder=folder).name == "C"
    assert google.logins == 4


def test_reading_asks_for_no_right_to_write(google: fake.Google, tmp_path: Path, folder: str) -> None:
    with open_drive(make_settings(google, tmp_path), patience=QUICK) as drive:
        drive.get(folder)
        assert {tuple(access.scopes) for access in google.tokens.values()} == {(READ,)}
        with pytest.raises(Unavailable, match="--publish") as caught:
            drive.create("C", b"text", "text/plain", folder=folder)
        assert caught.value.seconds == 900


def test_a_login_that_was_revoked_says_what_to_do(google: fake.Google, tmp_path: Path, folder: str) -> None:
    for chosen, wrong in (
        (as_person(google, tmp_path), r"invalid_grant.*cryptocontent google login"),
        (make_settings(google, tmp_path), r"invalid_grant"),
        (make_settings(google, tmp_path, google_impersonate=PERSON), r"act for ada@example.org.*delegation"),
    ):
        google.revoke()
        with open_drive(chosen, patience=QUICK) as drive, pytest.raises(Unavailable, match=wrong) as caught:
            drive.get(folder)
        assert caught.value.seconds == 900 and google.calls == []


def test_what_is_wrong_with_the_settings_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    broken, other = tmp_path / "broken.json", tmp_path / "other.json"
    broken.write_text('{"private_key": "PLANTED')
    other.write_text(json.dumps({"installed": {"client_secret": "PLANTED"}}))
    person = tmp_path / "person.json"
    person.write_text(json.dumps({"type": "authorized_user", "refresh_token": "PLANTED"}))
    for values, wrong in (
        ({}, "GOOGLE_CREDENTIALS_FILE is not set"),
        ({"google_credentials_file": tmp_path / "none.json"}, "there is no file"),
        ({"google_credentials_file": broken}, "neither a service account's key nor a person's login"),
        ({"google_credentials_file": other}, "neither"),
        ({"google_credentials_file": person, "google_impersonate": "a@b.example"}, "for service accounts"),
        ({"google_credentials_file": person, "google_api_url": "example.org"}, "GOOGLE_API_URL"),
    ):
        said = off(Settings(_env_file=None, **values))  # type: ignore[arg-type]
        assert wrong in said and "PLANTED" not in said
    half = Settings(_env_file=None, google_credentials_file=person)  # type: ignore[call-arg]
    assert off(half) == ""
    with pytest.raises(Unavailable, match=r"person\.json is broken") as caught:
        Google(half)
    assert caught.value.__cause__ is None and "PLANTED" not in repr(caught.value.__context__)


def test_a_key_that_is_no_key_is_not_quoted(google: fake.Google, tmp_path: Path) -> None:
    chosen = make_settings(google, tmp_path)
    assert chosen.google_credentials_file is not None
    info = json.loads(chosen.google_credentials_file.read_text())
    chosen.google_credentials_file.write_text(json.dumps(info | {"private_key": "PLANTED"}))
    with pytest.raises(Unavailable, match="is broken") as caught:
        Google(chosen)
    assert "PLANTED" not in f"{caught.value!r} {caught.value.__context__!r}"


# What goes wrong.


@pytest.mark.parametrize(
    "fault",
    [
        Fault("status", 500),
        Fault("status", 503),
        Fault("rate"),
        Fault("rate", reason="rateLimitExceeded"),
        Fault("quota", retry_after=0),
        Fault("truncated"),
        Fault("dropped"),
        Fault("slow", seconds=0.01),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_what_passes_is_tried_again(google: fake.Google, drive: Drive, folder: str, fault: Fault) -> None:
    file = google.file("a.md", b"# A" * 1000, "text/markdown", folder)
    document = google.document("B", b"docx" * 1000, folder)
    drive.account()
    google.fail(fault, times=2)
    assert drive.get(folder).name == "Newsroom"
    google.calm()
    google.fail(fault, times=2)
    assert drive.download(file, 10_000) == b"# A" * 1000
    google.calm()
    google.fail(fault, times=2)
    assert drive.export(document, DOCX, 10_000) == b"docx" * 1000


@pytest.mark.parametrize(
    ("fault", "message", "seconds"),
    [
        (Fault("status", 503), "answers 503", None),
        (Fault("rate"), r"rate limit.*userRateLimitExceeded", 60),
        (Fault("quota", retry_after=120), "rate limit", 120),
        (Fault("rate", reason="dailyLimitExceeded"), "dailyLimitExceeded", 3600),
        (Fault("status", 403, reason="accessNotConfigured"), "Drive API is not enabled", 900),
        (Fault("status", 403, reason="domainPolicy"), "administrator", 900),
        (Fault("dropped"), "does not answer", None),
    ],
)
def test_what_does_not_pass_says_when_to_ask_again(
    google: fake.Google, drive: Drive, folder: str, fault: Fault, message: str, seconds: float | None
) -> None:
    drive.account()
    google.fail(fault, times=20)
    with pytest.raises(Unavailable, match=message) as caught:
        drive.get(folder)
    assert caught.value.seconds == seconds


def test_a_wait_that_is_too_long_for_the_call_is_left_to_the_caller(
    google: fake.Google, drive: Drive, folder: str
) -> None:
    google.fail(Fault("quota", retry_after=120, path="/drive/"))
    with pytest.raises(Unavailable):
        drive.get(folder)
    assert len(google.calls) == 1


def test_a_server_that_says_nothing_ends_the_call(google: fake.Google, tmp_path: Path, folder: str) -> None:
    google.fail(Fault("slow", seconds=3, path="/drive/"), times=3)
    patience = Patience(silence=0.2, total=0.5, tries=9, first_wait=0.01)
    chosen = make_settings(google, tmp_path)
    with open_drive(chosen, patience=patience) as drive, pytest.raises(Unavailable, match="does not answer"):
        drive.get(folder)
    assert len(google.calls) < 4


def test_what_is_not_there_and_what_may_not_be_done_are_told_apart(
    google: fake.Google, drive: Drive, folder: str
) -> None:
    with pytest.raises(Missing, match=SERVICE_ACCOUNT):
        drive.get("1nothing_like_that")
    hidden = google.folder("Hidden", shared_with=())
    with pytest.raises(Missing):
        drive.get(hidden)
    locked = google.file("locked.pdf", b"%PDF", "application/pdf", folder, locked=True)
    with pytest.raises(Denied) as caught:
        drive.download(locked, 100)
    assert caught.value.reason == "cannotDownloadFile"
    google.read_only.add(folder)
    with pytest.raises(Denied) as caught:
        drive.create("A", b"a", "text/plain", folder=folder)
    assert caught.value.reason == "insufficientFilePermissions" and len(google.files) == 3
    with pytest.raises(Refused, match="refuses"):
        drive.export(google.document("D", b"", folder), "image/png", 10)


@pytest.mark.parametrize("status", [400, 410])
def test_a_page_token_that_is_no_longer_good(google: fake.Google, drive: Drive, status: int) -> None:
    token = drive.start_token()
    google.expire_page_tokens(status)
    with pytest.raises(PageTokenExpired):
        drive.changes(token)
    assert drive.changes(drive.start_token()).changes == []
    with pytest.raises(PageTokenExpired):
        drive.children(google.folder("F"), page="~!!~stale")


# Bytes.


def test_a_file_is_never_read_beyond_the_limit(google: fake.Google, drive: Drive, folder: str) -> None:
    file = google.file("a.bin", b"x" * 5_000_000, "text/plain", folder)
    with pytest.raises(TooLarge, match="5,000,000 bytes, the limit is 1,000") as caught:
        drive.download(file, 1_000)
    assert caught.value.size == 5_000_000
    assert len(drive.download(file, 5_000_000)) == 5_000_000


def test_a_document_beyond_drives_export_limit_comes_by_its_link(
    google: fake.Google, drive: Drive, folder: str
) -> None:
    large = b"0123456789abcdef" * (11 << 16)  # 11 MiB
    document = google.document("Large", large, folder)
    assert drive.export(document, DOCX, 25_000_000) == large
    paths = [call.path for call in google.calls]
    assert paths[-1].startswith("/feeds/download/") and google.calls[-3].status == 403
    with pytest.raises(TooLarge):
        drive.export(document, DOCX, 11_000_000)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/export?id=1",
        "http://docs.google.com/export?id=1",
        "https://docs.google.com.evil.example/export",
        "https://docs.google.com@evil.example/export",
        "file:///etc/passwd",
    ],
)
def test_our_token_goes_to_google_only(tmp_path: Path, google: fake.Google, url: str) -> None:
    chosen = make_settings(google, tmp_path)
    for api_url in (google.url, ""):
        client = Google(chosen.model_copy(update={"google_api_url": api_url}), patience=QUICK)
        with pytest.raises(Denied, match="not its own"):
            client.download(url, 100)
    assert google.logins == 0


# Writing.


def test_an_article_is_made_once_found_again_and_changed_in_place(
    google: fake.Google, drive: Drive, folder: str
) -> None:
    marks = {"article": "it's a \\ mark", "version": "1"}
    made = drive.create("Fees", b"<h1>Fees</h1>", "text/html", folder=folder, mime=DOCUMENT, properties=marks)
    assert (made.mime, made.parent, made.properties) == (DOCUMENT, folder, marks)
    assert [one.id for one in drive.find({"article": "it's a \\ mark"})] == [made.id]
    assert drive.find({"article": "it's a"}) == []
    other = google.folder("Other")
    changed = drive.update(
        made.id, data=b"<h1>More</h1>", media_type="text/html", name="More", properties={"version": "2"}
    )
    assert (changed.id, changed.name, changed.properties["version"]) == (made.id, "More", "2")
    assert google.files[made.id].exports == {"text/html": b"<h1>More</h1>"}
    assert drive.update(made.id, folder=other).parent == other
    assert drive.update(made.id, trashed=True).trashed
    assert drive.find({"article": "it's a \\ mark"}) == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("dropped", after=True),
        Fault("dropped"),
        Fault("status", 500, after=True),
        Fault("status", 503),
        Fault("truncated"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.after}",
)
def test_an_upload_whose_answer_is_lost_makes_nothing_twice(
    google: fake.Google, drive: Drive, folder: str, fault: Fault
) -> None:
    drive.account()
    for begin in (0, 1):  # of the session, and of its content
        google.calm()
        google.fail(*[Fault("slow")] * begin, fault)
        data = f"<h1>{begin}</h1>".encode() * 50_000
        made = drive.create(f"{begin}", data, "text/html", folder=folder, mime=DOCUMENT)
        assert google.files[made.id].exports["text/html"] == data
    assert len(google.files) == 3


def test_uploads_in_one_request_are_understood_by_the_fake_too(
    google: fake.Google, tmp_path: Path, folder: str
) -> None:
    from googleapiclient.http import MediaInMemoryUpload

    client = Google(make_settings(google, tmp_path), scope="https://www.googleapis.com/auth/drive")
    media = MediaInMemoryUpload(b"<p>x</p>", mimetype="text/html")
    body = {"name": "X", "parents": [folder], "mimeType": DOCUMENT}
    made = client.call(client.drive.files().create(body=body, media_body=media, fields="id"))
    assert google.files[made["id"]].exports == {"text/html": b"<p>x</p>"}


# Shared drives, pages.


def test_a_shared_drive_has_a_feed_of_its_own(google: fake.Google, drive: Drive) -> None:
    team = google.shared_drive("Team")
    folder = google.folder("F", team)
    token, mine = drive.start_token(team), drive.start_token()
    file = google.file("a.md", b"a", "text/markdown", folder)
    google.file("b.md", b"b", "text/markdown", google.folder("Mine"))
    changes = drive.changes(token, team)
    assert [one.id for one in changes.changes] == [file] and changes.last
    found = drive.get(file)
    assert (found.drive, found.author) == (team, "Olga Owner")
    assert [one.name for one in drive.children(team, team)[0]] == ["F"]
    google.leave_drive(team)
    with pytest.raises(Missing):
        drive.changes(token, team)
    assert drive.changes(mine).drive_lost is False


def test_pages_are_followed_to_their_end(google: fake.Google, drive: Drive, folder: str) -> None:
    google.page_size = 2
    token = drive.start_token()
    files = {google.file(f"{n}.md", b"x", "text/markdown", folder, properties={"a": "1"}) for n in range(5)}
    google.edit(min(files), b"y")
    seen, last = [], False
    while not last:
        changes = drive.changes(token)
        seen += [one.id for one in changes.changes]
        token, last = changes.token, changes.last
    assert sorted(seen) == sorted(files)
    listed, page = drive.children(folder)
    while page:
        more, page = drive.children(folder, page=page)
        listed += more
    assert {one.id for one in listed} == files == {one.id for one in drive.find({"a": "1"})}


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20))
def test_any_mark_is_found_by_the_query_language(google: fake.Google, tmp_path: Path, mark: str) -> None:
    folder = google.folder("F")
    file = google.file("a", b"", "text/plain", folder, properties={"k": mark})
    with open_drive(make_settings(google, tmp_path), patience=QUICK) as drive:
        found = {one.id for one in drive.find({"k": mark})}
    assert file in found and all(google.files[one].properties == {"k": mark} for one in found)


# Secrets.


def test_no_secret_is_in_an_error_or_a_log(
    google: fake.Google, tmp_path: Path, folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chosen = as_person(google, tmp_path)
    said: list[str] = []
    with open_drive(chosen, write=True, patience=QUICK) as drive:
        drive.get(folder)
        secrets = [*google.tokens, REFRESH_TOKEN, CLIENT_SECRET]
        for fault in (Fault("status", 500), Fault("rate"), Fault("truncated"), Fault("dropped")):
            google.fail(fault, times=20)
            for ask in (lambda: drive.get(folder), lambda: drive.download(folder, 10)):
                with pytest.raises(Unavailable) as caught:
                    ask()
                said.append(f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}")
            google.calm()
        google.revoke()
        with pytest.raises(Unavailable) as caught:
            drive.get(folder)
        said.append(f"{caught.value!r} {caught.value.__context__!r}")
    secrets += google.tokens
    told = "\n".join([*said, caplog.text])
    assert told and not [secret for secret in secrets if secret in told]
