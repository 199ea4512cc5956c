"""Importing folders: what is unchanged costs nothing, what is changed keeps what it can, what vanished
stays citable; one bad file never stops the rest."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.errors import NotFound, Refused
from cryptocontent.knowledge import references as module
from cryptocontent.knowledge.index import Query
from cryptocontent.knowledge.references import (
    has_changes,
    import_paths,
    register_folder,
    registered_folders,
)
from cryptocontent.knowledge.saving import ImportReport
from cryptocontent.knowledge.search import passage_counts, rank_documents, reference_names, search, sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import (
    Image,
    Passage,
    Project,
    Reference,
    ReferenceRevision,
    RevisionPassage,
)

SAMPLE = Path(__file__).parents[2] / "cryptocontent" / "sample" / "references"
WHO = Actor("test", "t")


class Base:
    """A project with a folder, on a database, an object store and an index of its own."""

    def __init__(self, engine: Engine, home: Path) -> None:
        self.engine = engine
        self.settings = Settings(CRYPTOCONTENT_HOME=home)  # type: ignore[call-arg]
        self.objects = open_object_store(self.settings.object_store_url)
        self.folder = home / "notes"
        self.folder.mkdir()
        with writing(engine) as session:
            create_project(session, "p", "", WHO)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def ingest(self, *paths: Path, **options: Any) -> ImportReport:
        limit = options.pop("max_bytes", 1_000_000)
        return import_paths(
            self.engine, self.objects, "p", paths or (self.folder,), WHO, max_bytes=limit, **options
        )

    def sync(self) -> Any:
        return sync_index(self.engine, self.settings, "p")

    def find(self, text: str, **filters: Any) -> list[str]:
        query = Query(text=text, project="p", limit=5, **filters)
        return [found.external_id for found in search(self.engine, self.settings, query)]

    def all(self, statement: Any) -> list[Any]:
        with reading(self.engine) as session:
            return list(session.scalars(statement))


@pytest.fixture
def base(engine: Engine, tmp_path: Path) -> Base:
    return Base(engine, tmp_path)


HALVING = (
    "# The halving\n\nThe block subsidy of Bitcoin halves every 210,000 blocks.\n\n"
    "## Dates\n\nIt halved in 2012.\n"
)
FEES = (
    "---\ntitle: Fees\ntags: [fees, gas]\ndate: 2024-05-01\nlicense: CC0-1.0\n---\n\n"
    "The base fee of Ethereum is burned.\n"
)


def test_a_folder_is_imported_and_found(base: Base) -> None:
    base.write("halving.md", HALVING)
    base.write("deep/fees.md", FEES)
    report = base.ingest()
    assert report.added == ["notes/deep/fees.md", "notes/halving.md"]
    assert base.sync().total == 3
    assert base.find("when does the subsidy halve?")[0] == "notes/halving.md"
    assert base.find("base fee", tags=("gas",)) == ["notes/deep/fees.md"]
    assert base.find("base fee", tags=("nothing",)) == []
    fees = next(ref for ref in base.all(select(Reference)) if ref.title == "Fees")
    assert (fees.licence, fees.published_at.isoformat()) == ("CC0-1.0", "2024-05-01T00:00:00+00:00")
    assert registered_folders(base.engine, "p") == [base.folder]


def test_unchanged_documents_are_neither_read_nor_embedded(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.write("halving.md", HALVING)
    base.ingest()
    base.sync()
    monkeypatch.setattr(module, "load", lambda *_: pytest.fail("an unchanged document was read"))
    assert not has_changes(base.engine, "p", max_bytes=1_000_000)
    report = base.ingest()
    assert (report.unchanged, report.changed) == (1, 0)
    assert base.sync().embedded == 0


def test_a_changed_document_embeds_only_its_changed_passages(base: Base) -> None:
    base.write("halving.md", HALVING)
    base.ingest()
    base.sync()
    before = set(base.all(select(Passage.id)))
    base.write("halving.md", HALVING.replace("in 2012", "in 2012 and in 2016"))
    assert has_changes(base.engine, "p", max_bytes=1_000_000)
    assert base.ingest().revised == ["notes/halving.md"]
    synced = base.sync()
    assert (synced.embedded, synced.removed, synced.total) == (1, 1, 2)
    assert before < set(base.all(select(Passage.id))), "old passages stay, for the versions that cite them"
    assert base.all(select(ReferenceRevision.number).order_by("number")) == [1, 2]


def test_offsets_point_into_the_revision(base: Base) -> None:
    base.write("halving.md", HALVING)
    base.ingest()
    with reading(base.engine) as session:
        rows = session.execute(
            select(Passage.text, RevisionPassage.start, RevisionPassage.end, ReferenceRevision.markdown)
            .join(RevisionPassage, RevisionPassage.passage_id == Passage.id)
            .join(ReferenceRevision, ReferenceRevision.id == RevisionPassage.revision_id)
        ).all()
    assert rows
    for text, start, end, markdown in rows:
        assert text in markdown[start:end]


def test_a_vanished_document_is_withdrawn_from_search_and_comes_back(base: Base) -> None:
    path = base.write("halving.md", HALVING)
    base.write("fees.md", FEES)
    base.ingest()
    base.sync()
    path.unlink()
    assert base.ingest().withdrawn == ["notes/halving.md"]
    base.sync()
    assert "notes/halving.md" not in base.find("when does the subsidy halve?")
    assert len(base.all(select(Passage.id))) == 3
    base.write("halving.md", HALVING)
    assert base.ingest().restored == ["notes/halving.md"]
    assert base.sync().embedded == 2
    assert base.find("when does the subsidy halve?")[0] == "notes/halving.md"


def test_bad_files_are_reported_and_the_rest_goes_on(base: Base) -> None:
    base.write("good.md", HALVING)
    base.write("data.xyz", "what is this")
    base.write("huge.txt", "word " * 500)
    base.write("empty.md", "")
    (base.folder / "broken.pdf").write_bytes(b"%PDF-1.7 nothing follows")
    (base.folder / "broken.docx").write_bytes(b"PK\x03\x04 nothing follows")
    base.write(".hidden.md", HALVING)
    report = base.ingest(max_bytes=2000)
    assert report.added == ["notes/good.md"]
    problems = {Path(path).name: reason for path, reason in report.problems}
    assert sorted(problems) == ["broken.docx", "broken.pdf", "data.xyz", "empty.md", "huge.txt"]
    assert "limit is 2,000" in problems["huge.txt"] and "not supported" in problems["data.xyz"]


def test_images_are_stored_once_with_their_alt_text(base: Base) -> None:
    shutil.copytree(SAMPLE, base.folder, dirs_exist_ok=True)
    report = base.ingest()
    assert not report.problems
    images = base.all(select(Image))
    assert len(images) == 2 and {image.media_type for image in images} == {"image/png"}
    for image in images:
        assert len(base.objects.get(f"p/images/{image.sha256}")) == image.bytes
        assert image.width >= 1000


def test_every_format_of_the_sample_is_searchable(base: Base) -> None:
    base.ingest(SAMPLE)
    base.sync()
    for question, suffix in (
        ("title III of MiCA on stablecoin issuers", ".pdf"),
        ("payment channels of the Lightning Network", ".docx"),
        ("mixed-case checksum of an address", ".html"),
    ):
        assert base.find(question)[0].endswith(suffix), question
    names = reference_names(base.engine, "p")
    ranked = rank_documents(base.engine, base.settings, "p", ["payment channels"], "hybrid")
    assert ranked[0][0] == names["lightning-network"]


def test_a_renamed_title_reaches_the_index(base: Base) -> None:
    base.write("fees.md", FEES)
    base.ingest()
    base.sync()
    base.write("fees.md", FEES.replace("tags: [fees, gas]", "tags: [burn]"))
    base.ingest()
    assert base.sync().embedded == 1
    assert base.find("base fee", tags=("burn",)) == ["notes/fees.md"]


def test_a_lost_index_is_mended(base: Base) -> None:
    base.write("halving.md", HALVING)
    base.ingest()
    base.sync()
    shutil.rmtree(base.settings.home / "vectors")
    assert passage_counts(base.engine, base.settings, ["p"]) == {"p": (0, 2)}
    assert base.sync().embedded == 2
    assert passage_counts(base.engine, base.settings, ["p"]) == {"p": (2, 2)}


def test_search_knows_when_the_knowledge_changed(base: Base) -> None:
    base.write("halving.md", HALVING)
    base.ingest()
    base.sync()
    versions = [base.all(select(Project.knowledge_version))[0]]
    base.sync()
    versions.append(base.all(select(Project.knowledge_version))[0])
    base.write("fees.md", FEES)
    base.ingest()
    base.sync()
    versions.append(base.all(select(Project.knowledge_version))[0])
    assert versions == [1, 1, 2]


def test_what_cannot_be_imported_is_refused_by_name(base: Base, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nowhere"):
        base.ingest(tmp_path / "nowhere")
    base.ingest()
    twin = tmp_path / "other" / "notes"
    twin.mkdir(parents=True)
    with pytest.raises(Refused, match="has a folder of that name already"):
        base.ingest(twin)
    with pytest.raises(NotFound, match="no project 'q'; there are: p"):
        import_paths(base.engine, base.objects, "q", [base.folder], WHO, max_bytes=10)


def test_every_import_is_in_the_audit_trail(base: Base) -> None:
    path = base.write("halving.md", HALVING)
    base.ingest()
    base.write("halving.md", HALVING + "More.\n")
    base.ingest()
    path.unlink()
    base.ingest()
    with reading(base.engine) as session:
        assert verify(session, "p").entries == 4
        assert verify(session, "p").broken_at is None
        assert session.scalar(select(func.count()).select_from(Reference)) == 1


def test_a_file_of_a_folder_is_the_folders_reference(base: Base) -> None:
    path = base.write("deep/fees.md", FEES)
    base.ingest()
    assert base.ingest(path).unchanged == 1
    base.write("deep/fees.md", FEES + "And more.\n")
    assert base.ingest(path).revised == ["notes/deep/fees.md"]
    assert len(base.all(select(Reference.id))) == 1


def test_a_folder_that_moved_takes_the_place_of_the_old_one(base: Base, tmp_path: Path) -> None:
    base.write("halving.md", HALVING)
    base.ingest()
    twin = tmp_path / "other" / "notes"
    shutil.copytree(base.folder, twin)
    with writing(base.engine) as session:
        register_folder(session, "p", twin, moved=True)
    assert registered_folders(base.engine, "p") == [twin]
    assert not has_changes(base.engine, "p", max_bytes=1_000_000)
