"""A project that watches a folder of the fake Drive, with all of the platform's own code in between."""

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
from tests.fakes.google import Google, environment

ADMIN = Person("ada", "admin")
RUN = Actor("run", "r1")


class House:
    """`add` a source, `look`, `take`; `titles` of what can be cited, by state."""

    def __init__(self, engine: Engine, google: Google, home: Path, **more: Any) -> None:
        self.engine, self.google, self.home = engine, google, home
        self.environment = environment(google.url, home) | {
            "CRYPTOCONTENT_HOME": str(home),
            "DATABASE_URL": engine.url.render_as_string(hide_password=False),
        }
        values = {name.lower(): value for name, value in environment(google.url, home).items()}
        self.settings = Settings(_env_file=None, CRYPTOCONTENT_HOME=home, **(values | more))  # type: ignore[call-arg]
        self.objects = open_object_store(self.settings.object_store_url)
        with writing(engine) as session:
            create_project(session, "news", "News", ADMIN.actor)

    def add(self, folder: str, name: str = "drive", **config: Any) -> str:
        with writing(self.engine) as session:
            told = {"folder": folder} | config
            return store.add_source(session, self.settings, "news", "google_drive", name, told, ADMIN).id

    def look(self, source: str, **options: Any) -> store.Looked:
        return store.look_at(self.engine, self.settings, source, **({"seconds": 60} | options))

    def take(self, *sources: str) -> ImportReport:
        return import_items(self.engine, self.objects, self.settings, "news", sources, RUN, seconds=60)

    def both(self, source: str, **options: Any) -> ImportReport:
        looked = self.look(source, **options)
        assert looked.error == ""
        return self.take(source)

    def titles(self, status: str = "active") -> list[str]:
        with reading(self.engine) as session:
            return sorted(session.scalars(select(Reference.title).filter_by(status=status)))

    def reference(self, external_id: str) -> Reference:
        with reading(self.engine) as session:
            return session.scalars(select(Reference).filter_by(external_id=external_id)).one()

    def markdown(self, external_id: str) -> str:
        query = select(ReferenceRevision.markdown).join(
            Reference, Reference.revision_id == ReferenceRevision.id
        )
        with reading(self.engine) as session:
            return session.scalars(query.where(Reference.external_id == external_id)).one()

    def item(self, external_id: str) -> SourceItem:
        with reading(self.engine) as session:
            return session.scalars(select(SourceItem).filter_by(external_id=external_id)).one()

    def source(self, source: str) -> Source:
        with reading(self.engine) as session:
            return session.get_one(Source, source)

    def revisions(self) -> dict[str, int]:
        """How many revisions each reference has, by its external id."""
        query = (
            select(Reference.external_id, func.count())
            .join(ReferenceRevision, ReferenceRevision.reference_id == Reference.id)
            .group_by(Reference.external_id)
        )
        with reading(self.engine) as session:
            return dict(session.execute(query).tuples().all())
