"""A project whose sources are on a website of the test's own."""

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, func, select

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.identity import Person
from cryptocontent.knowledge.saving import ImportReport
from cryptocontent.knowledge.sources import store
from cryptocontent.knowledge.sources.importing import import_items
from cryptocontent.settings import Settings
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import Reference, ReferenceRevision, Source, SourceItem
from tests.fakes.web import Site

ADMIN = Person("ada", "admin")


class WebHouse:
    """`look` (always due, unless `full=False`) and `take` a source; then see what became of it."""

    def __init__(self, engine: Engine, home: Path, site: Site, *private: str) -> None:
        self.engine, self.site = engine, site
        hosts = [site.url.removeprefix("http://"), *private]
        self.settings = Settings(_env_file=None, CRYPTOCONTENT_HOME=home, web_private_hosts=hosts)  # type: ignore[call-arg]
        self.objects = open_object_store(f"file://{home / 'objects'}")
        with writing(engine) as session:
            create_project(session, "news", "News", ADMIN.actor)

    def add(self, kind: str, name: str = "source", **config: Any) -> str:
        with writing(self.engine) as session:
            given = {"delay": 0} | config
            return store.add_source(session, self.settings, "news", kind, name, given, ADMIN).id

    def look(self, source: str, **options: Any) -> store.Looked:
        return store.look_at(self.engine, self.settings, source, **({"seconds": 30, "full": True} | options))

    def take(self, *sources: str) -> ImportReport:
        return import_items(
            self.engine, self.objects, self.settings, "news", sources, Actor("run", "r1"), seconds=30
        )

    def sync(self, source: str) -> ImportReport:
        looked = self.look(source)
        assert not looked.error, looked
        return self.take(source)

    def due(self, source: str) -> None:
        """As if the time to look again had come."""
        with writing(self.engine) as session:
            row = session.get_one(Source, source)
            row.cursor = {name: value for name, value in row.cursor.items() if name != "next_at"}

    def references(self) -> dict[str, str]:
        """Statuses by external id, without the site's address."""
        with reading(self.engine) as session:
            rows = session.scalars(select(Reference))
            return {one.external_id.replace(self.site.url, ""): one.status for one in rows}

    def reference(self, path: str) -> tuple[Reference, str]:
        """A reference and its current Markdown."""
        with reading(self.engine) as session:
            one = session.scalars(select(Reference).filter_by(external_id=self.site.url + path)).one()
            return one, session.get_one(ReferenceRevision, one.revision_id).markdown

    def revisions(self) -> int:
        with reading(self.engine) as session:
            return session.scalar(select(func.count()).select_from(ReferenceRevision)) or 0

    def items(self) -> dict[str, tuple[str, str]]:
        """Status and error by external id, without the site's address."""
        with reading(self.engine) as session:
            rows = session.scalars(select(SourceItem))
            return {one.external_id.replace(self.site.url, ""): (one.status, one.error) for one in rows}

    def item(self, external_id: str) -> SourceItem:
        with reading(self.engine) as session:
            return session.scalars(select(SourceItem).filter_by(external_id=external_id)).one()

    def source(self, source: str) -> Source:
        with reading(self.engine) as session:
            return session.get_one(Source, source)
