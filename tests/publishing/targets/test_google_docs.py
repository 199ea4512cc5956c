"""Publishing as a Google Doc: one document per article, found again and updated where it is."""

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mammoth
import pytest

from cryptocontent.errors import Refused
from cryptocontent.integrations.google import Patience
from cryptocontent.publishing.targets import open_target
from cryptocontent.publishing.targets.google_docs import GoogleDocs
from cryptocontent.publishing.targets.seam import Delivered, Parcel, TryLater
from cryptocontent.settings import Settings
from tests.fakes.google import (
    DOCUMENT,
    DOCX,
    SERVICE_ACCOUNT,
    Fault,
    Google,
    Node,
    environment,
    google_server,
    person_file,
)
from tests.publishing.targets.parcels import after, parcel

TARGET = GoogleDocs(Patience(silence=5, total=5, tries=2, first_wait=0.01))


@pytest.fixture
def google() -> Iterator[Google]:
    with google_server() as google:
        yield google


@pytest.fixture
def settings(google: Google, tmp_path: Path) -> Settings:
    given = environment(google.url, tmp_path)
    return Settings.model_validate({name.lower(): value for name, value in given.items()})


@pytest.fixture(params=["shared folder", "shared drive"])
def folder(google: Google, request: pytest.FixtureRequest) -> str:
    if request.param == "shared folder":
        return google.folder("Articles")
    return google.folder("Articles", google.shared_drive("Newsroom"))


@pytest.fixture
def deliver(settings: Settings, folder: str) -> Any:
    return lambda parcel: TARGET.deliver(settings, TARGET.check({"folder": folder}), parcel)


@pytest.fixture
def withdraw(settings: Settings, folder: str) -> Any:
    return lambda parcel: TARGET.withdraw(settings, TARGET.check({"folder": folder}), parcel)


def documents(google: Google) -> list[Node]:
    return [one for one in google.files.values() if one.mime == DOCUMENT and not google.in_trash(one.id)]


def html(node: Node) -> str:
    return str(mammoth.convert_to_html(io.BytesIO(node.exports[DOCX])).value)


def failed(google: Google, deliver: Any, parcel: Parcel, fault: Fault) -> TryLater:
    """A delivery that is given up, since the fault stays."""
    google.fail(fault, times=10)
    with pytest.raises(TryLater) as caught:
        deliver(parcel)
    google.calm()
    return caught.value


def test_an_article_becomes_a_document_with_all_that_it_has(
    google: Google, folder: str, deliver: Any
) -> None:
    delivered = deliver(parcel())
    (made,) = documents(google)
    assert (made.name, made.parent) == ("The base fee", folder)
    assert (
        made.properties["cryptocontent_article"] == "a1" and made.properties["cryptocontent_version"] == "v1"
    )
    page = html(made)
    assert "<h1>" in page and "<table>" in page and 'src="data:image/png' in page and "[1]" in page
    assert page.index("Sources") < page.index("Ethereum handbook") and "<ol><li>" in page
    assert delivered.external_id == made.id and delivered.url == f"{google.url}/document/d/{made.id}/edit"


def test_the_same_version_again_changes_nothing(google: Google, deliver: Any) -> None:
    first = deliver(parcel())
    made = replace(documents(google)[0])
    assert deliver(replace(parcel(), previous=first)) == first
    assert deliver(parcel()) == first, "found by its marks"
    assert documents(google) == [made]


def test_a_newer_version_is_put_into_the_same_document(google: Google, deliver: Any) -> None:
    first = deliver(parcel())
    google.share(first.external_id, "reader@example.org")
    google.comment(first.external_id)
    second = deliver(after(first, 2, title="The base fee, again"))
    (made,) = documents(google)
    assert (second.external_id, second.url) == (first.external_id, first.url)
    assert made.name == "The base fee, again" and "version 2" in html(made) and "version 1" not in html(made)
    assert "reader@example.org" in made.shared


@pytest.mark.parametrize("previous", [True, False], ids=["known", "not known"])
def test_a_document_that_a_person_moved_and_renamed_is_updated_where_it_is(
    google: Google, folder: str, deliver: Any, previous: bool
) -> None:
    first = deliver(parcel())
    elsewhere = google.folder("Elsewhere", google.files[folder].drive)
    google.move(first.external_id, elsewhere)
    google.rename(first.external_id, "Mine")
    second = deliver(after(first, 2) if previous else parcel(2))
    (made,) = documents(google)
    assert (made.id, made.parent, made.name) == (first.external_id, elsewhere, "The base fee")
    assert second.details["folder"] == elsewhere and "version 2" in html(made)


@pytest.mark.parametrize("how", ["trash", "delete"])
def test_a_document_that_a_person_threw_away_is_made_anew_and_told(
    google: Google, deliver: Any, how: str
) -> None:
    first = deliver(parcel())
    getattr(google, how)(first.external_id)
    second = deliver(after(first, 2))
    (made,) = documents(google)
    assert made.id == second.external_id != first.external_id
    assert first.external_id in second.details["notes"][0]
    third = deliver(after(first, 2))
    assert third.external_id == second.external_id and len(documents(google)) == 1


# Lost answers


@pytest.mark.parametrize("kind", ["create", "update"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("dropped", after=True, path="/upload/"),
        Fault("dropped", path="/upload/"),
        Fault("truncated", path="/upload/"),
        Fault("status", status=503, path="/upload/"),
        Fault("dropped", path="/drive/"),
    ],
    ids=lambda fault: f"{fault.kind} {'after' if fault.after else ''} {fault.path}",
)
@pytest.mark.parametrize("folder", ["shared drive"], indirect=True)
def test_a_delivery_whose_answer_is_lost_makes_no_second_document(
    google: Google, deliver: Any, kind: str, fault: Fault
) -> None:
    first = deliver(parcel()) if kind == "update" else None
    wanted = after(first, 2) if first else parcel()
    failed(google, deliver, wanted, fault)
    delivered = deliver(wanted)
    (made,) = documents(google)
    assert made.id == delivered.external_id and wanted.version_id.replace("v", "version ") in html(made)
    assert made.revision == (documents(google)[0].revision)
    assert not first or delivered.external_id == first.external_id


def test_one_lost_answer_is_not_even_noticed(google: Google, deliver: Any) -> None:
    google.fail(Fault("dropped", after=True, path="/upload/"))
    deliver(parcel())
    assert len(documents(google)) == 1


def test_of_two_documents_that_were_made_at_one_moment_one_stays(
    google: Google, folder: str, deliver: Any
) -> None:
    first = deliver(parcel())
    google.document("The base fee", b"x", folder, properties={"cryptocontent_article": "a1"})
    second = deliver(parcel(2))
    assert [one.id for one in documents(google)] == [second.external_id] == [first.external_id]


@pytest.mark.parametrize("folder", ["shared drive"], indirect=True)
def test_a_rate_limit_is_waited_for_by_whoever_delivers(google: Google, deliver: Any) -> None:
    assert failed(google, deliver, parcel(), Fault("quota", retry_after=90, path="/drive/")).seconds == 90
    assert (
        failed(google, deliver, parcel(), Fault("rate", reason="dailyLimitExceeded", path="/drive/")).seconds
        == 3600
    )


# Taking back


def test_an_article_that_is_withdrawn_goes_to_the_trash_and_comes_back(
    google: Google, deliver: Any, withdraw: Any
) -> None:
    first = deliver(parcel())
    gone = withdraw(replace(parcel(), previous=first))
    assert gone.details["state"] == "trashed" and not documents(google)
    assert withdraw(replace(parcel(), previous=gone)).details["state"] == "trashed"
    again = deliver(replace(parcel(), previous=gone))
    assert again.external_id == first.external_id and len(documents(google)) == 1
    assert "notes" not in again.details


def test_who_may_not_throw_it_away_renames_it(google: Google, deliver: Any, withdraw: Any) -> None:
    first = deliver(parcel())
    denied = Fault(
        "status", status=403, reason="insufficientFilePermissions", path=f"/files/{first.external_id}"
    )
    google.fail(Fault("slow", path=f"/files/{first.external_id}"), denied)  # the look is let through
    gone = withdraw(replace(parcel(), previous=first))
    (made,) = documents(google)
    assert made.name == "[withdrawn] The base fee" and gone.details["state"] == "renamed"
    assert SERVICE_ACCOUNT in gone.details["notes"][0]
    deliver(replace(parcel(), previous=gone))
    assert [one.name for one in documents(google)] == ["The base fee"]


def test_a_document_that_is_gone_is_withdrawn_already(google: Google, deliver: Any, withdraw: Any) -> None:
    first = deliver(parcel())
    google.delete(first.external_id)
    assert withdraw(replace(parcel(), previous=first)).details["state"] == "withdrawn"


# Refusals, and what to do


def test_a_folder_without_access_says_with_whom_to_share_it(
    google: Google, folder: str, deliver: Any
) -> None:
    google.unshare(folder)
    google.drives.clear()
    with pytest.raises(
        Refused, match=rf"folder {folder}: not found.*Share it with {SERVICE_ACCOUNT} as Editor"
    ):
        deliver(parcel())


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (
            "storageQuotaExceeded",
            r"owns no files: choose a folder of a shared drive, or set GOOGLE_IMPERSONATE",
        ),
        ("insufficientFilePermissions", rf"Share it with {SERVICE_ACCOUNT} as Editor"),
    ],
)
def test_a_folder_that_takes_nothing(google: Google, deliver: Any, reason: str, text: str) -> None:
    google.fail(Fault("status", status=403, reason=reason, path="/upload/"))
    with pytest.raises(Refused, match=text):
        deliver(parcel())


def test_a_document_that_may_only_be_read(google: Google, deliver: Any) -> None:
    first = deliver(parcel())
    google.fail(Fault("status", status=403, reason="insufficientFilePermissions", path="/upload/"))
    with pytest.raises(Refused, match=f"document {first.external_id} can't be changed"):
        deliver(after(first, 2))


def test_a_folder_that_is_none_or_in_the_trash(google: Google, settings: Settings) -> None:
    file, folder = google.document("A document", b"x"), google.folder("Old")
    google.trash(folder)
    for place, text in ((file, "is no folder"), (folder, "is in the trash")):
        with pytest.raises(Refused, match=text):
            TARGET.deliver(settings, {"folder": place}, parcel())


def test_a_login_that_may_only_read_can_be_mended(google: Google, folder: str, tmp_path: Path) -> None:
    read = "https://www.googleapis.com/auth/drive.readonly"
    file = person_file(google, tmp_path / "person.json", google.url, scopes=(read,))
    settings = Settings.model_validate({"google_api_url": google.url, "google_credentials_file": file})
    with pytest.raises(TryLater, match="login"):
        TARGET.deliver(settings, {"folder": folder}, parcel())
    person_file(google, file, google.url)
    google.expire_logins()
    assert TARGET.deliver(settings, {"folder": folder}, parcel()).url


def test_no_secret_is_in_what_is_told(
    google: Google, settings: Settings, deliver: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path = settings.google_credentials_file
    assert path
    key = path.read_text().split("\\n")[3]
    told = str(failed(google, deliver, parcel(), Fault("truncated", path="/upload/")))
    told += str(failed(google, deliver, parcel(), Fault("status", status=401)))
    delivered = deliver(parcel())
    assert google.tokens
    for text in (told, repr(delivered), caplog.text):
        assert key not in text and not any(token in text for token in google.tokens)


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("1AbcDEF-_ghijkl", "1AbcDEF-_ghijkl"),
        ("https://drive.google.com/drive/folders/1AbcDEF-_ghijkl?usp=sharing", "1AbcDEF-_ghijkl"),
        ("https://drive.google.com/drive/u/0/folders/1AbcDEF-_ghijkl/", "1AbcDEF-_ghijkl"),
    ],
)
def test_a_folder_by_its_id_or_address(given: str, folder: str) -> None:
    assert TARGET.check({"folder": given}) == {"folder": folder}


@pytest.mark.parametrize(
    "config",
    [{}, {"folder": ""}, {"folder": "https://evil.example/drive/folders/1AbcDEF-_ghijkl"}, {"folder": "a b"}],
)
def test_what_is_no_folder_is_refused(config: dict[str, str]) -> None:
    with pytest.raises(Refused, match=r"folder: .* is no id and no address"):
        TARGET.check(config)


def test_every_problem_is_named() -> None:
    with pytest.raises(Refused, match=r"fodler: not known.*; folder: ''"):
        TARGET.check({"fodler": "1AbcDEF-_ghijkl"})


def test_it_is_off_until_configured(settings: Settings) -> None:
    target = open_target("google_docs")
    assert target.off(settings) == "" and "GOOGLE_CREDENTIALS_FILE is not set" in target.off(Settings())
    assert target.follow(settings, {}, Delivered("x", "")) is None
