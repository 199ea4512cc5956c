"""A house to measure: a home of its own with references, a template and briefs."""

import csv
import io
import os
from pathlib import Path

from sqlalchemy import Engine

from cryptocontent.audit import Actor
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules import current_rules, set_rules
from cryptocontent.content.templates import read_template, save_template
from cryptocontent.identity import Person
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.search import sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, open_object_store, reading, writing
from cryptocontent.storage.models import Reference

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "cryptocontent" / "sample"
CORPUS = ROOT.parent / "shared" / "corpus" / "eips"
PROJECT = "bench"
WHO = Actor("benchmark", "bench")
ANGLES = ("what it changes for users", "what it costs", "what clients must do", "why it was proposed")


def corpus() -> Path:
    """190 real documents where they lie beside the checkout, else the sample's."""
    return CORPUS if CORPUS.is_dir() else SAMPLE / "references"


def make_house(home: Path, briefs: int) -> tuple[Settings, Engine, list[str]]:
    """Import the corpus and make `briefs` briefs about its documents; returns their ids, in order."""
    os.environ["CRYPTOCONTENT_HOME"] = str(home)
    settings = Settings()
    engine = open_engine(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        create_project(session, PROJECT, "", WHO)
        save_template(session, PROJECT, read_template(SAMPLE / "templates" / "explainer.yaml"), WHO)
        # Several briefs for each document are alike by design: that is not what is measured.
        _, limits = current_rules(session, PROJECT, "limits")
        alike = limits | {"duplicate_similarity": 1.0}
        set_rules(session, PROJECT, "limits", alike, Person(WHO.name, "admin"))
    objects = open_object_store(settings.object_store_url)
    import_paths(engine, objects, PROJECT, [corpus()], WHO, max_bytes=settings.max_document_bytes)
    sync_index(engine, settings, PROJECT)
    with reading(engine) as session:
        titles = sorted(reference.title for reference in session.query(Reference))
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["template", "topic", "angle"])
    for number in range(briefs):
        round_, place = divmod(number, len(titles))
        again = f", part {round_ // len(ANGLES) + 1}" if round_ >= len(ANGLES) else ""
        rows.writerow(["explainer", titles[place], ANGLES[round_ % len(ANGLES)] + again])
    with writing(engine) as session:
        report = import_briefs(session, PROJECT, text.getvalue().encode(), WHO)
        if report.problems:
            raise SystemExit("; ".join(map(str, report.problems[:5])))
    with reading(engine) as session:
        return settings, engine, brief_ids(session, PROJECT)
