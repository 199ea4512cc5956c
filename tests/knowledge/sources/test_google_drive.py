"""Drive folders as sources: what comes in, what follows a change, what is gone, and what fails how."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.errors import Refused
from cryptocontent.knowledge.sources.google_drive import GoogleDrive
from cryptocontent.settings import Settings
from cryptocontent.storage import reading
from cryptocontent.storage.models import MarketFact
from tests.fakes.google import SERVICE_ACCOUNT, Fault, Google, docx, google_server, xlsx
from tests.knowledge.sources.drive_house import House


@pytest.fixture(scope="module")
def _server() -> Iterator[Google]:
    with google_server() as running:
        yield running


@pytest.fixture
def google(_server: Google) -> Google:
    return _server.begin_anew()


@pytest.fixture
def house(sqlite_engine: Engine, google: Google, tmp_path: Path) -> House:
    return House(sqlite_engine, google, tmp_path)


@pytest.fixture
def folder(google: Google) -> str:
    return google.folder("Newsroom")


def note(google: Google, name: str, folder: str, text: str = "") -> str:
    """A Markdown file that has no title of its own."""
    return google.file(f"{name}.md", f"What {name} says. {text}".encode(), "text/markdown", folder)


# What comes in.


def test_documents_of_every_kind_become_references(house: House, google: Google, folder: str) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.add_page()
    pdf.set_font("helvetica", size=12)
    pdf.multi_cell(0, 8, "The merge ended proof of work on Ethereum in September 2022. " * 5)
    inner = google.folder("Explainers", folder)
    doc = google.document(
        "How blobs work", docx("A blob holds 4096 field elements.", heading="Blobs"), inner, description="v1"
    )
    word = docx("Rollups post data to Ethereum.", heading="Rollups")
    docx_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    files = {
        "Word": google.file("rollups.docx", word, docx_type, inner),
        "PDF": google.file("merge.pdf", bytes(pdf.output()), "application/pdf", folder),
        "Markdown": google.file("staking.md", b"# Staking\n\nStake 32 ether.", "text/markdown", folder),
        "plain": google.file("notes.txt", b"Gas is paid in ether.", "text/plain", folder),
        "HTML": google.file("page", b"<html><title>Fees</title><p>Fees burn.</p>", "text/html", folder),
        "by its type": google.file("no suffix", b"A note of gas.", "text/markdown", folder),
    }
    source = house.add(folder, licence="CC-BY-4.0")
    report = house.both(source)
    assert report.problems == [] and sorted(report.added) == sorted([doc, *files.values()])
    reference = house.reference(doc)
    assert (reference.title, reference.author, reference.licence) == (
        "How blobs work",
        "Olga Owner",
        "CC-BY-4.0",
    )
    assert reference.url == f"{google.url}/document/d/{doc}/edit" and reference.published_at is not None
    assert "4096 field elements" in house.markdown(doc)
    assert house.reference(files["Markdown"]).title == "Staking"  # it says so itself
    assert "proof of work" in house.markdown(files["PDF"])
    assert house.item(doc).details["description"] == "v1"


def test_a_sheet_with_the_header_of_market_facts_becomes_facts(
    house: House, google: Google, folder: str
) -> None:
    header = ("asset_id", "metric", "value", "unit", "source", "as_of")
    row = ("bitcoin", "price", 67123.45, "USD", "Desk", "2026-03-02T12:00:00Z")
    good = google.spreadsheet("Prices", xlsx({"p": [header, row], "notes": [("just", "notes")]}), folder)
    bad = google.spreadsheet("Bad", xlsx({"p": [header, ("nocoin", *row[1:])]}), folder)
    table = google.spreadsheet("Upgrades", xlsx({"u": [("Name", "Block"), ("London", 12965000)]}), folder)
    csv = google.file("more.csv", b"Name,Block\nParis,15537394\n", "text/csv", folder)
    source = house.add(folder)
    report = house.both(source)
    assert [name for name, _ in report.problems] == ["Bad"] and "nocoin" in house.item(bad).error
    assert house.item(good).status == "imported"
    with reading(house.engine) as session:
        assert session.scalar(select(func.count()).select_from(MarketFact)) == 1
    assert house.titles() == ["Upgrades", "more"]
    assert "| London | 12965000 |" in house.markdown(table) and "| Paris | 15537394 |" in house.markdown(csv)


def test_what_can_not_be_a_reference_says_why_and_is_not_fetched(
    house: House, google: Google, folder: str
) -> None:
    why = {
        google.other("Slides", "presentation", folder): "Google presentation",
        google.other("Link", "shortcut", folder, target="1x"): "shortcut",
        google.file("clip.mp4", b"x", "video/mp4", folder): "video/mp4",
        google.file(
            "big.txt", b"x" * 2_000_000, "text/plain", folder
        ): "2,000,000 bytes, the limit is 1,000,000",
        google.document(
            "Ours", docx("An article."), folder, properties={"cryptocontent_article": "1"}
        ): "published from here",
    }
    locked = google.document("Locked", docx("Text."), folder, locked=True)
    house.settings.max_document_bytes = 1_000_000
    source = house.add(folder)
    house.look(source)
    google.reset()
    house.take(source)
    assert {call.path.split("/")[4] for call in google.calls} == {locked}
    for file, reason in (why | {locked: "lets nobody download"}).items():
        assert house.item(file).status == "ignored" and reason in house.item(file).error
    # With a higher limit the large one comes in by the next whole listing.
    house.settings.max_document_bytes = 25_000_000
    house.both(source, full=True)
    assert house.titles() == ["Big"]


def test_a_document_beyond_the_export_limit_comes_in(house: House, google: Google, folder: str) -> None:
    large = google.document("Long read", docx("A long read.", padding=11 << 20), folder)
    too_large = google.document("Too long", docx("Longer.", padding=26 << 20), folder)
    house.both(house.add(folder))
    assert house.titles() == ["Long read"] and "A long read." in house.markdown(large)
    assert house.item(too_large).status == "ignored" and "too large" in house.item(too_large).error


# What follows a change.


def test_only_what_changed_is_fetched_again(house: House, google: Google, folder: str) -> None:
    first, second = note(google, "first", folder), note(google, "second", folder)
    doc = google.document("Doc", docx("Old text."), folder)
    source = house.add(folder)
    house.both(source)
    google.edit(first, b"What first says now.")
    google.edit(doc, docx("New text."))
    google.comment(second)  # and somebody looked at it
    added = note(google, "third", folder)
    google.reset()
    report = house.both(source)
    assert sorted(report.revised) == sorted([first, doc]) and report.added == [added]
    fetched = [call.path.split("/")[4] for call in google.calls if call.path != "/drive/v3/changes"]
    assert sorted(fetched) == sorted([first, doc, added])
    assert "New text." in house.markdown(doc) and house.revisions()[second] == 1


def test_a_new_name_is_a_new_title(house: House, google: Google, folder: str) -> None:
    doc, file = google.document("Old name", docx("Text."), folder), note(google, "old", folder)
    source = house.add(folder)
    house.both(source)
    google.rename(doc, "New name")
    google.rename(file, "brand new.md")
    house.both(source)
    assert house.titles() == ["Brand new", "New name"]


def test_what_is_moved_away_trashed_deleted_or_unshared_is_withdrawn_and_comes_back(
    house: House, google: Google, folder: str
) -> None:
    elsewhere, inner = google.folder("Elsewhere"), google.folder("Inner", folder)
    moved, trashed, deleted, hopping, staying = (
        note(google, name, folder) for name in ("moved", "trashed", "deleted", "hopping", "staying")
    )
    source = house.add(folder)
    house.both(source)
    google.move(moved, elsewhere)
    google.trash(trashed)
    google.delete(deleted)
    google.move(hopping, inner)  # within the watched folder
    assert house.look(source).gone == 3
    assert house.titles() == ["Hopping", "Staying"]
    for file, reason in ((moved, "moved out"), (trashed, "the trash"), (deleted, "deleted")):
        assert reason in house.item(file).error
    google.move(moved, folder)
    google.restore(trashed)
    google.reset()
    report = house.both(source)
    assert sorted(report.restored) == sorted([moved, trashed])
    assert house.titles() == ["Hopping", "Moved", "Staying", "Trashed"]
    assert set(house.revisions().values()) == {1} and staying in house.revisions()


def test_a_folder_takes_what_is_in_it_along(house: House, google: Google, folder: str) -> None:
    elsewhere = google.folder("Elsewhere")
    outer = google.folder("Outer", folder)
    inner = google.folder("Inner", outer)
    kept = note(google, "kept", folder)
    note(google, "outer", outer)
    escaping = note(google, "inner", inner)
    source = house.add(folder)
    house.both(source)
    everything = ["Inner", "Kept", "Outer"]
    assert house.titles() == everything
    for leave, come_back in (
        (lambda: google.trash(outer), lambda: google.restore(outer)),
        (lambda: google.move(outer, elsewhere), lambda: google.move(outer, folder)),
    ):
        leave()
        assert house.look(source).gone == 2 and house.titles() == ["Kept"]
        come_back()
        house.both(source)
        assert house.titles() == everything
    # One that is taken out of a folder before the folder leaves stays where it was put.
    google.move(escaping, folder)
    google.trash(outer)
    assert house.look(source).gone == 1
    assert house.titles() == ["Inner", "Kept"] and kept in house.revisions()
    google.delete(outer)
    new = google.folder("New", elsewhere)
    note(google, "came", google.folder("Deep", new))
    google.move(new, folder)
    house.both(source)
    assert house.titles() == ["Came", "Inner", "Kept"]


def test_without_recursion_only_the_folder_itself_is_watched(
    house: House, google: Google, folder: str
) -> None:
    inner = google.folder("Inner", folder)
    here, there = note(google, "here", folder), note(google, "there", inner)
    source = house.add(folder, recursive=False)
    house.both(source)
    assert house.titles() == ["Here"]
    google.move(there, folder)
    google.move(here, inner)
    house.both(source)
    assert house.titles() == ["There"]


def test_a_folder_in_a_shared_drive_is_followed_by_that_drives_feed(house: House, google: Google) -> None:
    team = google.shared_drive("Team")
    folder = google.folder("Research", team)
    first = note(google, "first", folder)
    source = house.add(f"https://drive.google.com/drive/folders/{folder}?usp=sharing")
    house.both(source)
    google.edit(first, b"What first says today.")
    google.reset()
    house.both(source)
    assert google.calls[0].query["driveId"] == team and "today" in house.markdown(first)


# What fails.


def test_lost_access_says_what_to_do_and_all_is_well_once_it_is_back(
    house: House, google: Google, folder: str
) -> None:
    team = google.shared_drive("Team")
    for root, lose, find in (
        (folder, lambda: google.unshare(folder), lambda: google.share(folder)),
        (folder, lambda: google.trash(folder), lambda: google.restore(folder)),
        (team, lambda: google.leave_drive(team), lambda: google.drives[team].add(SERVICE_ACCOUNT)),
    ):
        note(google, "a", root)
        source = house.add(root, f"s{len(google.log)}")
        house.both(source)
        before = house.titles()
        lose()
        for _ in range(2):
            error = house.look(source).error
            assert "share it with them" in error or "restore it" in error
        assert house.titles() == before  # a person decides
        assert house.source(source).error == error
        find()
        changed = note(google, f"meanwhile {root}", root)
        assert changed in house.both(source).added and house.source(source).error == ""


def test_a_folder_that_can_not_be_watched_is_refused(house: House, google: Google, folder: str) -> None:
    file = note(google, "a", folder)
    hidden = google.folder("Hidden", shared_with=())
    for number, (root, wrong) in enumerate(
        ((file, "is no folder"), (hidden, f"not shared with {SERVICE_ACCOUNT}"), ("1" * 33, "is not there"))
    ):
        assert wrong in house.look(house.add(root, f"s{number}")).error


@pytest.mark.parametrize("status", [400, 410])
def test_an_expired_page_token_means_a_whole_listing(
    house: House, google: Google, folder: str, status: int
) -> None:
    kept, gone = note(google, "kept", folder), note(google, "gone", folder)
    source = house.add(folder)
    house.both(source)
    google.delete(gone)
    added = note(google, "added", folder)
    google.expire_page_tokens(status)
    looked = house.look(source)
    assert (looked.error, looked.found, looked.gone) == ("", 1, 1)
    assert house.take(source).added == [added] and house.revisions()[kept] == 1
    google.reset()
    house.look(source)
    assert len(google.calls) == 1


def test_a_listing_goes_on_where_it_was_cut(house: House, google: Google, folder: str) -> None:
    google.page_size = 2
    for number in range(7):
        note(google, f"n{number}", folder if number % 2 else google.folder(f"f{number}", folder))
    source = house.add(folder)
    looks = 0
    while house.look(source, seconds=0).more:
        looks += 1
        if looks == 2:  # what happens meanwhile is in the feed, whose token is older than the listing
            note(google, "meanwhile", folder)
    assert looks > 4
    house.both(source)
    assert len(house.titles()) == 8
    listed = [call.query.get("q", "") + call.query.get("pageToken", "") for call in google.calls]
    asked = [one for one in listed if "in parents" in one]
    assert len(asked) == len(set(asked))  # no page was asked for twice


def test_a_page_of_the_listing_that_is_no_longer_good_begins_the_folder_again(
    house: House, google: Google, folder: str
) -> None:
    google.page_size = 2
    for number in range(5):
        note(google, f"n{number}", folder)
    source = house.add(folder)
    house.look(source, seconds=0)
    google.fail(Fault("status", 410, path="/drive/v3/files$"))
    house.both(source)
    assert len(house.titles()) == 5


def test_patience_is_passed_on(house: House, google: Google, folder: str) -> None:
    files = [note(google, f"n{number}", folder) for number in range(3)]
    source = house.add(folder)
    house.look(source)
    google.fail(Fault("quota", retry_after=200, path="/drive/v3/files/"), times=9)
    report = house.take(source)
    assert {reason for _, reason in report.problems} == {"Google's rate limit is used up (rateLimitExceeded)"}
    failed = [house.item(file) for file in files]
    assert {item.status for item in failed} == {"failed"} and all(item.not_before for item in failed)
    google.calm()
    google.fail(Fault("quota", retry_after=200, path="/changes"))
    assert "rate limit" in house.look(source).error


def test_credentials_that_end_are_asked_for_again_and_lose_nothing(
    house: House, google: Google, folder: str
) -> None:
    file = note(google, "a", folder)
    source = house.add(folder)
    house.look(source)
    google.revoke()
    assert "GOOGLE_CREDENTIALS_FILE" in house.take(source).problems[0][1]
    item = house.item(file)
    assert item.status == "failed" and item.not_before is not None  # it is tried again
    house.settings.google_credentials_file = None
    assert house.look(source).error.startswith("GOOGLE_CREDENTIALS_FILE is not set")


def test_a_file_that_vanishes_before_it_is_fetched_is_gone(house: House, google: Google, folder: str) -> None:
    file = note(google, "a", folder)
    source = house.add(folder)
    house.look(source)
    google.delete(file)
    house.take(source)
    assert house.item(file).status == "gone" and house.titles() == []


def test_a_file_that_changes_before_it_is_fetched_comes_in_its_newest_state(
    house: House, google: Google, folder: str
) -> None:
    file = note(google, "a", folder)
    source = house.add(folder)
    house.look(source)
    google.edit(file, b"What a says at last.")
    house.take(source)
    assert house.item(file).status == "failed"
    house.both(source)
    assert "at last" in house.markdown(file) and house.revisions() == {file: 1}


def test_settings_that_do_not_hold_are_refused() -> None:
    kind = GoogleDrive()
    url = "https://drive.google.com/drive/u/0/folders/1AbC-dEf_GhIjKlMnOp?resourcekey=0-x"
    assert kind.check({"folder": url}) == {
        "folder": "1AbC-dEf_GhIjKlMnOp",
        "recursive": True,
        "licence": "",
    }
    assert (
        kind.check({"folder": "https://drive.google.com/open?id=1AbCdEfGhIjKl"})["folder"] == "1AbCdEfGhIjKl"
    )
    bad: list[tuple[dict[str, Any], str]] = [
        ({}, "folder None"),
        ({"folder": "My folder"}, "folder 'My folder'"),
        ({"folder": "https://example.org/"}, "folder"),
        ({"folder": "x' or 'a' in parents"}, "folder"),
        ({"folder": url, "recursive": "yes"}, "recursive 'yes'"),
        ({"folder": url, "licence": 4}, "licence 4"),
        ({"folder": url, "Folder": 4}, "Folder: unknown"),
    ]
    for config, wrong in bad:
        with pytest.raises(Refused, match=wrong):
            kind.check(config)
    assert kind.off(Settings(_env_file=None)).startswith("GOOGLE_CREDENTIALS_FILE is not set")  # type: ignore[call-arg]


def test_a_look_at_ten_thousand_unchanged_files_is_one_request(
    house: House, google: Google, folder: str
) -> None:
    folders = [google.folder(f"f{number}", folder) for number in range(20)]
    for number in range(10_000):
        google.file(f"n{number}.md", b"x", "text/markdown", folders[number % 20])
    source = house.add(folder)
    assert house.look(source).found == 10_000
    google.reset()
    looked = house.look(source)
    assert (looked.found, looked.gone, looked.more, looked.error) == (0, 0, False, "")
    assert [call.path for call in google.calls] == ["/drive/v3/changes"] and google.logins == 0
