"""Import (documents and passages per second) against the bare embedding loop; search latencies."""

import random
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.house import corpus
from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.knowledge.chunking import chunk
from cryptocontent.knowledge.embedding import open_embedder
from cryptocontent.knowledge.index import IndexPoint, Query, open_index
from cryptocontent.knowledge.loaders import load
from cryptocontent.knowledge.references import folder_files, import_paths
from cryptocontent.knowledge.search import sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, open_object_store, writing

WHO = Actor("benchmark", "bench")


def importing() -> list[dict[str, Any]]:
    """The corpus imported and indexed, imported again unchanged, and its passages merely embedded."""
    embedder = open_embedder("local:wordllama")
    embedder.embed(["warm"])
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = Settings(CRYPTOCONTENT_HOME=Path(folder))  # type: ignore[call-arg]
        engine = open_engine(settings.database_url)
        migrate(engine)
        with writing(engine) as session:
            create_project(session, "bench", "", WHO)
        objects = open_object_store(settings.object_store_url)
        rows = []
        for name in ("import", "import again, unchanged"):
            began = time.perf_counter()
            report = import_paths(
                engine, objects, "bench", [corpus()], WHO, max_bytes=settings.max_document_bytes
            )
            synced = sync_index(engine, settings, "bench")
            seconds = time.perf_counter() - began
            documents = len(report.added) + report.unchanged
            rows.append(_row(name, documents, synced.total, seconds))
    texts = [one.text for file in folder_files(corpus()) for one in _chunks(file.path)]
    began = time.perf_counter()
    embedder.embed(texts)
    rows.append(_row("bare embedding loop", rows[0]["documents"], len(texts), time.perf_counter() - began))
    limit = rows[-1]["passages/s"]
    return [row | {"of the loop": row["passages/s"] / limit} for row in rows]


def _chunks(path: Path) -> list[Any]:
    document = load(path, 25_000_000)
    return chunk(document.markdown, document.title)


def _row(name: str, documents: int, passages: int, seconds: float) -> dict[str, Any]:
    return {
        "what": name,
        "documents": documents,
        "passages": passages,
        "seconds": seconds,
        "documents/s": documents / seconds,
        "passages/s": passages / seconds,
    }


def searching(sizes: list[int]) -> list[dict[str, Any]]:
    """p50 and p95 of hybrid, dense and BM25 queries over passages of the corpus, repeated with other
    words mixed in until there are enough."""
    embedder = open_embedder("local:wordllama")
    texts = [one.text for file in folder_files(corpus()) for one in _chunks(file.path)]
    words = sorted({word for text in texts for word in text.split() if word.isalpha()})
    chance = random.Random(7)
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            with open_index(f"file://{folder}", embedder) as index:
                for start in range(0, size, 5000):
                    index.upsert(
                        [
                            _point(texts, words, chance, number)
                            for number in range(start, min(start + 5000, size))
                        ]
                    )
            began = time.perf_counter()
            with open_index(f"file://{folder}", embedder) as index:
                opened = time.perf_counter() - began
                row: dict[str, Any] = {"passages": size, "open ms": 1000 * opened}
                for mode in ("hybrid", "dense", "bm25"):
                    times = []
                    for _ in range(200):
                        query = Query(" ".join(chance.choices(words, k=6)), "bench", limit=10)
                        began = time.perf_counter()
                        index.search([query], mode)  # type: ignore[arg-type]
                        times.append(1000 * (time.perf_counter() - began))
                    row |= {
                        f"{mode} p50 ms": float(np.percentile(times, 50)),
                        f"{mode} p95 ms": float(np.percentile(times, 95)),
                    }
        rows.append(row)
    smallest = rows[0]["hybrid p50 ms"]
    return [row | {"p50 to the first": row["hybrid p50 ms"] / smallest} for row in rows]


def _point(texts: list[str], words: list[str], chance: random.Random, number: int) -> IndexPoint:
    text = texts[number % len(texts)]
    if number >= len(texts):
        text = f"{text} {' '.join(chance.choices(words, k=20))}"
    return IndexPoint(
        str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))), "bench", str(number % 500), "", (), text
    )
