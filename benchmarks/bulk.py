"""What 1,000 briefs take before any article is written: dry run, import and preflight, against a bare CSV
parse and a bare embedding of the same texts."""

import csv
import io
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine

from benchmarks.house import PROJECT, SAMPLE, WHO
from cryptocontent.agents.preflight import missing_references, preflight
from cryptocontent.agents.ranking import stem
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import read_template, save_template
from cryptocontent.knowledge.embedding import Embedder, open_embedder
from cryptocontent.knowledge.overlap import overlaps, pieces
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.search import sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, open_object_store, reading, writing

T = TypeVar("T")
BAR_SECONDS = 20.0  # the bar of issue 3: 1,000 briefs with dry run, duplicates and estimate
_SUBJECTS = (
    "Automated market makers",
    "The Bitcoin halving",
    "Bitcoin's proof of work",
    "Ethereum's base fee",
    "Blob data on Ethereum",
    "Checksums of Ethereum addresses",
    "The Merge",
    "The EU's MiCA regulation",
    "Light clients",
    "Merkle trees",
    "The Lightning Network",
    "Maximal extractable value",
    "Proof of stake",
    "Public keys and addresses",
    "Optimistic rollups",
    "Zero-knowledge rollups",
    "Seed phrases",
    "Hardware wallets",
    "Stablecoins",
    "Impermanent loss",
)
_QUESTIONS = (
    "{} and what changes for users",
    "How {} came about",
    "What {} costs, and whom",
    "Why critics doubt {}",
    "{} seen by an accountant",
    "The numbers behind {}",
    "Five mistakes people make with {}",
    "{} for developers of wallets",
    "What banks think of {}",
    "A history of {} in ten dates",
)
_PLACES = ("", "Germany", "France", "Japan", "Brazil")


def make_rows(briefs: int) -> str:
    """A CSV of briefs over the sample's references: subjects, questions and places, all combinations, and
    every 50th row with the title of the row before it."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["template", "topic", "title", "keywords", "priority"])
    title = ""
    for number, (subject, question, place) in enumerate(itertools.islice(_asked(), briefs)):
        if number % 50 != 49:
            title = question.format(subject) + (f" in {place}" if place else "")
        keywords = ";".join((title.lower(), subject.lower(), place.lower() or "worldwide"))
        rows.writerow(["explainer", f"{subject} ({number})", title, keywords, "normal"])
    return text.getvalue()


def _asked() -> Iterator[tuple[str, str, str]]:
    """All combinations; from the 1,001st on with a year, so that there are always more."""
    yield from itertools.product(_SUBJECTS, _QUESTIONS, _PLACES)
    for year in itertools.count(2025):
        for subject, question, place in itertools.product(_SUBJECTS, _QUESTIONS, _PLACES):
            yield subject, question, f"{place} {year}".strip()


def measuring(briefs: int = 1000) -> list[dict[str, Any]]:
    """Seconds per step; the bare loop parses the same CSV and embeds the same texts, one call each."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings, engine = _house(Path(folder))
        data = make_rows(briefs).encode()
        embedder = open_embedder(settings.embedding_model)
        embedder.embed(["warm"])  # loading the model is no part of either side
        bare, _ = _timed(lambda: _bare(data, embedder))

        def bring(dry_run: bool) -> int:
            with (reading if dry_run else writing)(engine) as session:
                report = import_briefs(session, PROJECT, data, WHO, dry_run=dry_run)
            if report.problems:
                raise RuntimeError("; ".join(map(str, report.problems[:5])))
            return len(report.created)

        dry, counted = _timed(lambda: bring(True))
        real, created = _timed(lambda: bring(False))
        if not counted == created == briefs:
            raise RuntimeError(f"{briefs} briefs asked for, {counted} counted, {created} imported")
        with reading(engine) as session:
            ids = brief_ids(session, PROJECT)
        whole, found = _timed(lambda: preflight(engine, settings, PROJECT, ids))
        planted = sum(one.exact for one in found.overlaps)
        if found.estimate.briefs != briefs or planted < briefs // 50:
            raise RuntimeError("the preflight has missed briefs or the planted duplicates")
        compared, pairs = _timed(lambda: _overlaps(engine, ids, embedder))
        searched, gaps = _timed(lambda: len(missing_references(engine, settings, PROJECT, ids)))
        engine.dispose()
    steps = [
        ("dry run", dry, f"{counted} new"),
        ("import", real, f"{created} new"),
        ("preflight", whole, f"{len(found.overlaps)} overlaps, {len(found.gaps)} gaps"),
        ("  of it: overlaps", compared, f"{pairs} pairs"),
        ("  of it: missing references", searched, f"{gaps} gaps"),
        ("all together", dry + real + whole, f"the bar is {BAR_SECONDS:g} s"),
        ("bare csv + embedding loop", bare, ""),
    ]
    return [
        {"what": what, "briefs": briefs, "seconds": seconds, "× bare": seconds / bare, "found": said}
        for what, seconds, said in steps
    ]


def _house(home: Path) -> tuple[Settings, Engine]:
    """A home with the sample's references and template, and no briefs yet."""
    os.environ["CRYPTOCONTENT_HOME"] = str(home)
    settings = Settings()
    engine = open_engine(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        create_project(session, PROJECT, "", WHO)
        for name in ("base-article", "explainer"):
            save_template(session, PROJECT, read_template(SAMPLE / "templates" / f"{name}.yaml"), WHO)
    objects = open_object_store(settings.object_store_url)
    paths = [SAMPLE / "references"]
    import_paths(engine, objects, PROJECT, paths, WHO, max_bytes=settings.max_document_bytes)
    sync_index(engine, settings, PROJECT)
    return settings, engine


def _bare(data: bytes, embedder: Embedder) -> int:
    """What a short script would do: read the rows, embed each one's title and keywords."""
    vectors = [
        embedder.embed([f"{row['title']} {row['keywords'].replace(';', ' ')}"])
        for row in csv.DictReader(io.StringIO(data.decode()))
    ]
    return len(vectors)


def _overlaps(engine: Engine, ids: Sequence[str], embedder: Embedder) -> int:
    with reading(engine) as session:
        known = pieces(session, PROJECT)
    return len(overlaps(known, ids, embedder, stem))


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
