"""What all kinds of sources have in common: looks, items, imports, and what happens when they fail."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.knowledge.saving import ImportReport
from cryptocontent.knowledge.sources import KINDS, store
from cryptocontent.knowledge.sources.importing import import_items, refresh_sources
from cryptocontent.knowledge.sources.seam import Facts, Ignored, Unavailable
from cryptocontent.settings import Settings
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import (
    AuditEntry,
    MarketFact,
    Reference,
    ReferenceRevision,
    Source,
    SourceItem,
)
from cryptocontent.storage.types import utc_now
from tests.knowledge.sources import places
from tests.knowledge.sources.places import WORLD, World

ADMIN = Person("ada", "admin")
RUN = Actor("run", "r1")


class House:
    """A project whose sources are places."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self.engine = engine
        self.settings = Settings(_env_file=None, CRYPTOCONTENT_HOME=home)  # type: ignore[call-arg]
        self.objects = open_object_store(f"file://{home / 'objects'}")
        with writing(engine) as session:
            create_project(session, "news", "News", ADMIN.actor)

    def add(self, name: str = "place", **config: Any) -> str:
        with writing(self.engine) as session:
            return store.add_source(session, self.settings, "news", "place", name, config, ADMIN).id

    def look(self, source: str, **options: Any) -> store.Looked:
        return store.look_at(self.engine, self.settings, source, **({"seconds": 30} | options))

    def take(self, *sources: str) -> ImportReport:
        return import_items(self.engine, self.objects, self.settings, "news", sources, RUN, seconds=30)

    def statuses(self) -> dict[str, str]:
        with reading(self.engine) as session:
            return {one.external_id: one.status for one in session.scalars(select(Reference))}

    def item(self, external_id: str) -> SourceItem:
        with reading(self.engine) as session:
            return session.scalars(select(SourceItem).filter_by(external_id=external_id)).one()

    def revisions(self) -> int:
        with reading(self.engine) as session:
            return session.scalar(select(func.count()).select_from(ReferenceRevision)) or 0


@pytest.fixture
def house(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setitem(KINDS, "place", "tests.knowledge.sources.places:Place")
    for name, value in vars(World()).items():
        setattr(WORLD, name, value)
    WORLD.documents |= {name: ("1", f"# {name}\n\nWhat {name} says of fees.") for name in ("a", "b", "c")}
    yield House(engine, tmp_path)
    with reading(engine) as session:
        assert verify(session, "news").broken_at is None


def test_what_is_found_is_imported_once_and_again_when_it_changes(house: House) -> None:
    source = house.add()
    assert house.look(source) == store.Looked(found=3, pages=2)
    report = house.take(source)
    assert sorted(report.added) == ["a", "b", "c"]
    assert house.statuses() == dict.fromkeys("abc", "active")
    house.look(source)
    assert house.take(source) == ImportReport() and sorted(WORLD.fetched) == ["a", "b", "c"]
    WORLD.documents["b"] = ("2", "# b\n\nAnother text of b.")
    assert house.look(source).found == 1
    assert house.take(source).revised == ["b"]
    assert WORLD.fetched[3:] == ["b"]


def test_a_new_revision_with_the_same_content_makes_no_revision_of_the_reference(house: House) -> None:
    source = house.add()
    house.look(source)
    house.take(source)
    WORLD.documents["b"] = ("2", WORLD.documents["b"][1])
    house.look(source)
    report = house.take(source)
    assert (report.unchanged, report.revised, house.revisions()) == (1, [], 3)
    assert house.item("b").imported_revision == "2"


def test_what_is_no_longer_listed_is_withdrawn_and_comes_back(house: House) -> None:
    source = house.add()
    house.look(source)
    house.take(source)
    kept = WORLD.documents.pop("b")
    assert house.look(source).gone == 1
    assert house.statuses() == {"a": "active", "b": "withdrawn", "c": "active"}
    WORLD.documents["b"] = kept
    house.look(source)
    assert house.take(source).restored == ["b"]
    assert house.statuses()["b"] == "active" and house.revisions() == 3


def test_a_document_that_is_gone_when_it_is_fetched_is_gone(house: House) -> None:
    source = house.add()
    house.look(source)
    house.take(source)
    WORLD.documents["b"] = ("2", "new")
    house.look(source)
    del WORLD.documents["b"]
    assert house.take(source).withdrawn == ["b"]
    assert (house.item("b").status, house.item("b").error) == ("gone", "it was deleted")


def test_a_reference_goes_when_the_last_source_that_leads_to_it_has_lost_it(house: House) -> None:
    WORLD.documents = {"x1": ("1", "The page."), "y1": ("1", "The page.")}
    WORLD.shared = {"x1": "page", "y1": "page"}
    first, second = house.add("first", prefix="x"), house.add("second", prefix="y")
    for source in (first, second):
        house.look(source)
    report = house.take(first, second)
    assert report.added == ["page"] and house.statuses() == {"page": "active"}
    del WORLD.documents["x1"]
    house.look(first)
    assert house.statuses() == {"page": "active"}
    with writing(house.engine) as session:
        source = store.find_source(session, "news", "second")
        assert store.set_status(session, source, "removed", ADMIN) != []
    assert house.statuses() == {"page": "withdrawn"}


def test_a_listing_that_was_cut_goes_on_where_it_stopped(house: House) -> None:
    source = house.add()
    WORLD.page_size = 1

    def dies(number: int) -> None:
        if number == 2:
            raise KeyboardInterrupt

    WORLD.before_page = dies
    with pytest.raises(KeyboardInterrupt):
        house.look(source)
    WORLD.before_page = lambda number: None
    looked = house.look(source)
    # The two that were saved are neither found anew nor taken for gone.
    assert (looked.found, looked.gone) == (1, 0)
    assert len(house.take(source).added) == 3


def test_of_two_looks_at_once_the_slower_one_writes_nothing(house: House) -> None:
    source = house.add()
    raced = []

    def race(number: int) -> None:
        if number == 2:
            WORLD.before_page = lambda number: None
            raced.append(house.look(source))
            WORLD.documents["d"] = ("1", "d")

    WORLD.before_page = race
    looked = house.look(source)
    assert raced[0].pages == 1 and looked.pages == 1
    with reading(house.engine) as session:
        assert session.get_one(Source, source).cursor == {"looks": 1}


def test_a_source_that_asks_for_patience_is_left_alone_until_then(house: House) -> None:
    source = house.add()
    house.look(source)
    WORLD.troubles["a"] = Unavailable("too many requests", 120.0)
    report = house.take(source)
    assert ("a.md", "too many requests") in report.problems
    item = house.item("a")
    assert item.status == "failed" and item.attempts == 0 and item.not_before is not None
    assert 100 < (item.not_before - utc_now()).total_seconds() <= 120
    WORLD.troubles.clear()
    house.take(source)
    assert house.statuses() == {"b": "active", "c": "active"}
    assert store.due_sources(house.engine, store.watched(house.engine, ["place"])) == {}


def test_what_no_later_try_mends_waits_for_a_new_revision(house: House) -> None:
    source = house.add()
    WORLD.troubles = {"a": Refused("it is too large"), "b": Ignored("a video")}
    WORLD.documents["c"] = ("1", "\x00\x01 binary")
    house.look(source)
    report = house.take(source)
    assert {reason for _, reason in report.problems} >= {"it is too large"}
    assert [house.item(name).status for name in "abc"] == ["failed", "ignored", "failed"]
    assert house.take(source) == ImportReport()
    with reading(house.engine) as session:
        troubled = {row["external_id"]: row["reason"] for row in store.troubled_items(session, source)}
    assert troubled["b"] == "a video" and "binary" in troubled["c"]
    WORLD.troubles.clear()
    WORLD.documents["a"] = ("2", "A short one.")
    house.look(source)
    assert house.take(source).added == ["a"]


def test_a_recalled_reference_is_never_brought_back(house: House) -> None:
    source = house.add()
    house.look(source)
    house.take(source)
    with writing(house.engine) as session:
        session.scalars(select(Reference).filter_by(external_id="b")).one().status = "recalled"
    WORLD.documents["b"] = ("2", "A better text.")
    house.look(source)
    assert house.take(source).recalled == ["b"]
    del WORLD.documents["b"]
    house.look(source)
    assert house.statuses()["b"] == "recalled"


def test_a_source_that_breaks_is_told_and_keeps_no_place(house: House) -> None:
    source = house.add()

    def breaks(number: int) -> None:
        raise ZeroDivisionError("s3cret")

    WORLD.before_page = breaks
    looked = house.look(source)
    assert looked.error.startswith("unexpected ZeroDivisionError") and "s3cret" not in looked.error
    with reading(house.engine) as session:
        assert store.list_sources(session, "news")[0]["checked_at"]


def test_an_item_that_breaks_stops_no_other(house: House) -> None:
    WORLD.troubles["a"] = ZeroDivisionError("boom")  # as it is fetched
    WORLD.documents["b"] = ("1", "---\ndate: 0001-01-01T00:00:00+05:00\n---\nWhat b says.")
    source = house.add()
    house.look(source)
    report = house.take(source)
    assert house.statuses() == {"b": "active", "c": "active"}
    assert [name for name, _ in report.problems] == ["a.md"]
    assert house.item("a").status == "failed" and house.item("a").not_before is not None


def test_facts_that_can_not_be_saved_stop_no_other(house: House) -> None:
    row = "asset_id,metric,value,unit,source,as_of\nbitcoin,price,1,USD,De\0sk,2026-11-24T12:00:00Z\n"
    WORLD.troubles["a"] = Facts(row.encode())  # Postgres takes no NUL in a text
    source = house.add()
    house.look(source)
    house.take(source)
    assert house.statuses() == {"b": "active", "c": "active"}
    assert house.item("a").status == ("failed" if house.engine.name == "postgresql" else "imported")


def test_an_importer_that_is_late_overwrites_nothing_newer(house: House) -> None:
    source = house.add(prefix="a")
    house.look(source)
    raced = []

    class Late(str):
        def encode(self, *arguments: Any) -> bytes:  # type: ignore[override]
            if not raced:
                raced.append(True)
                WORLD.documents["a"] = ("2", "The newer text.")
                house.look(source)
                assert house.take(source).added == ["a"]
            return str(self).encode()

    WORLD.documents["a"] = ("1", Late("The older text."))
    house.take(source)
    with reading(house.engine) as session:
        assert session.scalars(select(ReferenceRevision.markdown)).all() == ["The newer text."]
    item = house.item("a")
    assert (item.revision, item.imported_revision, item.status) == ("2", "2", "imported")


def test_a_full_look_tries_again_what_was_given_up(house: House) -> None:
    WORLD.troubles = {"a": Refused("it is too large"), "b": Ignored("locked by its owner")}
    source = house.add()
    house.look(source)
    house.take(source)
    WORLD.troubles.clear()
    assert house.look(source).found == 0
    assert house.look(source, full=True).found == 2
    assert sorted(house.take(source).added) == ["a", "b"]


def test_patience_holds_for_all_items_of_the_source(house: House) -> None:
    WORLD.documents |= {f"d{number:02}": ("1", "More.") for number in range(30)}
    WORLD.troubles["a"] = Unavailable("too many requests", 3600.0)
    source = house.add()
    house.look(source)
    house.take(source)
    before = len(WORLD.fetched)
    house.take(source)
    assert len(WORLD.fetched) == before
    assert store.due_sources(house.engine, store.watched(house.engine, ["place"])) == {}


def test_names_that_no_database_takes_are_cleaned(house: House) -> None:
    WORLD.documents = {"a\0b": ("1\ud83d", "What it says.")}
    source = house.add()
    assert house.look(source).error == ""
    assert house.item("ab").status == "pending"


def test_what_is_withdrawn_is_by_who_looked(house: House) -> None:
    source = house.add()
    house.look(source)
    house.take(source)
    del WORLD.documents["b"]
    house.look(source, actor=ADMIN.actor)
    with reading(house.engine) as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="reference.withdrawn")).one()
    assert entry.actor == "person:ada"


def test_tables_of_facts_become_market_facts_all_or_none(house: House) -> None:
    header = "asset_id,metric,value,unit,source,as_of\n"
    good = f"{header}bitcoin,price,67123.45,USD,Desk,2026-11-24T12:00:00Z\n"
    WORLD.troubles = {
        "a": Facts(good.encode()),
        "b": Facts(f"{good}nocoin,price,x,USD,Desk,never\n".encode()),
    }
    source = house.add()
    house.look(source)
    report = house.take(source)
    assert house.item("a").status == "imported"
    assert [name for name, _ in report.problems] == ["b.md"] and house.item("b").status == "failed"
    with reading(house.engine) as session:
        assert session.scalar(select(func.count()).select_from(MarketFact)) == 1


def test_a_document_that_becomes_a_table_of_facts_leaves_its_reference(house: House) -> None:
    source = house.add()
    house.look(source)
    house.take(source)
    WORLD.documents["b"] = ("2", "")
    row = b"asset_id,metric,value,unit,source,as_of\nbitcoin,price,1,USD,Desk,2026-11-24T12:00:00Z\n"
    WORLD.troubles = {"b": Facts(row)}
    house.look(source)
    assert house.take(source).withdrawn == ["b"]
    assert house.statuses() == {"a": "active", "b": "withdrawn", "c": "active"}


def test_an_item_that_leaves_while_it_is_fetched_leaves_no_reference(house: House) -> None:
    source = house.add()
    house.look(source)
    with writing(house.engine) as session:
        items = list(session.scalars(select(SourceItem).order_by(SourceItem.external_id)))
    assert [item.external_id for item in items] == ["a", "b", "c"]
    fetched: list[str] = []

    def gone_meanwhile() -> None:
        WORLD.gone = {"b": "it was moved away"}
        WORLD.documents.pop("b", None)
        house.look(source)

    class Late(str):
        def encode(self, *arguments: Any) -> bytes:  # type: ignore[override]
            if not fetched:
                fetched.append("b")
                kept = WORLD.documents["b"]
                gone_meanwhile()
                WORLD.documents["b"] = kept
            return str(self).encode()

    WORLD.documents["b"] = ("1", Late("What b says."))
    house.take(source)
    assert house.statuses().get("b", "withdrawn") == "withdrawn"
    assert house.item("b").status == "gone"


def test_a_source_that_is_off_says_so_and_keeps_its_place(house: House) -> None:
    source = house.add()
    WORLD.off = "PLACE_KEY is not set"
    assert house.look(source).error == "PLACE_KEY is not set"
    with reading(house.engine) as session:
        row = store.list_sources(session, "news")[0]
    assert row["error"] == "PLACE_KEY is not set" and row["checked_at"]
    WORLD.off = ""
    assert house.look(source).found == 3
    with reading(house.engine) as session:
        assert store.list_sources(session, "news")[0]["error"] == ""


def test_paused_and_removed_sources_are_not_touched(house: House) -> None:
    source = house.add()
    with writing(house.engine) as session:
        store.set_status(session, store.find_source(session, "news", "place"), "paused", ADMIN)
    assert store.watched(house.engine, ["place"]) == []
    assert house.look(source).pages == 0 and house.take(source) == ImportReport()
    with writing(house.engine) as session:
        store.set_status(session, store.find_source(session, "news", "place"), "removed", ADMIN)
    with reading(house.engine) as session, pytest.raises(NotFound, match="place"):
        store.find_source(session, "news", "place")
    assert house.add() != source  # the name is free again


def test_sources_are_added_by_admins_with_settings_that_hold(house: House) -> None:
    with writing(house.engine) as session, pytest.raises(NotAllowed):
        store.add_source(session, house.settings, "news", "place", "p", {}, Person("eve", "editor"))
    for kind, name, config, wrong in (
        ("place", "Not A Name", {}, "name 'Not A Name'"),
        ("place", "p", {"folder": 1}, "folder: unknown"),
        ("ftp", "p", {}, "kind 'ftp'"),
    ):
        with writing(house.engine) as session, pytest.raises(Refused, match=wrong):
            store.add_source(session, house.settings, "news", kind, name, config, ADMIN)
    house.add("p")
    with pytest.raises(Refused, match="already"):
        house.add("p")
    with reading(house.engine) as session:
        entry = session.scalars(select(AuditEntry).filter_by(action="source.added")).one()
    assert entry.actor == "person:ada"


def test_a_refresh_looks_and_imports_within_its_time(house: House) -> None:
    house.add("x", prefix="a")
    house.add("y", prefix="b")
    looked, report = refresh_sources(
        house.engine, house.objects, house.settings, "news", RUN, seconds=30, names=["y"]
    )
    assert list(looked) == ["y"] and report.added == ["b"]
    looked, report = refresh_sources(house.engine, house.objects, house.settings, "news", RUN, seconds=30)
    assert sorted(looked) == ["x", "y"] and report.added == ["a"]
    assert places.WORLD.fetched == ["b", "a"]
