"""A process that looks at a source and imports from it until nothing is left, for tests that kill it."""

import sys

from cryptocontent.audit import Actor
from cryptocontent.knowledge.sources.importing import import_items
from cryptocontent.knowledge.sources.store import due_sources, look_at, watched
from cryptocontent.settings import Settings
from cryptocontent.storage import open_engine, open_object_store


def main(source_id: str) -> None:
    settings = Settings()
    engine, objects = open_engine(settings.database_url), open_object_store(settings.object_store_url)
    while True:
        looked = look_at(engine, settings, source_id, seconds=600)
        report = import_items(
            engine, objects, settings, "news", [source_id], Actor("run", "worker"), seconds=600
        )
        problems = [looked.error] if looked.error else [f"{name}: {why}" for name, why in report.problems]
        if problems:
            sys.exit("; ".join(problems))
        if not looked.more and not due_sources(engine, watched(engine, ["google_drive"])):
            return


if __name__ == "__main__":
    main(sys.argv[1])
