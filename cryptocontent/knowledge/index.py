"""The passage index: hybrid search over the passages of all projects, in Qdrant.

One code path for two homes of the data, chosen by the URL's scheme: `file://DIR` is Qdrant embedded in this
process (`index_edge`), `http(s)://` a Qdrant server or Qdrant Cloud (`index_server`). Both hold the same
points and answer the same plans; only the spelling of requests differs.

A hybrid search is one request that fetches candidates by BM25 and by cosine and adds their scores,

    score = bm25 / (SCALE * terms) + cosine

A matched term adds up to (k + 1) * idf to BM25, so BM25 grows with the number of terms of the query, while a
cosine does not; dividing by the terms makes short questions and long sentences weigh both the same. Ranks
(RRF) would throw away by how much the best BM25 hit leads, which is what tells known items apart.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from cryptocontent.errors import Explained
from cryptocontent.knowledge.embedding import Embedder

Mode = Literal["hybrid", "dense", "bm25"]

SCHEMA_VERSION: Final = 1  # raise it with any change to what is stored: a new collection is then filled
KEYWORDS: Final = ("project", "tags", "source", "reference_id")
DENSE, SPARSE = "dense", "bm25"

# BM25's usual k and b; the mean length in tokens, stop words apart, of the 5,131 passages that the chunker
# makes of 190 EIPs (43 with title and headings). The chunker bounds the length, so it holds for other
# documents too.
BM25_K, BM25_B, BM25_MEAN_LENGTH = 1.2, 0.75, 43.0
SCALE: Final = 0.7  # found on questions of our own about 190 EIPs; from 0.3 to 1.5 it hardly matters
CANDIDATES: Final = 200  # fetched by each of the two searches before the formula orders them
_BATCH: Final = 500


class IndexBusy(Explained, TimeoutError):
    """Another process kept the embedded index open for longer than we wait."""


class IndexUnavailable(Explained, ConnectionError):
    """The Qdrant server cannot be reached, or refuses the key."""


@dataclass(frozen=True)
class IndexPoint:
    """A passage as it is indexed; title, heading path and text are embedded together. `id` is a UUID."""

    id: str
    project: str
    reference_id: str
    title: str
    heading_path: tuple[str, ...]
    text: str
    tags: tuple[str, ...] = ()
    source: str = ""
    published_at: datetime | None = None


@dataclass(frozen=True)
class Query:
    """A search in one project for at most `limit` passages.

    A passage matches if it has any of `tags`, any of `sources`, any of `references` (ids), and was published
    from `since` to `until`, both included; an empty filter matches all. Times without a zone are UTC.
    """

    text: str
    project: str
    limit: int = 20
    tags: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hit:
    """A passage found; scores are comparable within one query and mode only."""

    passage_id: str
    reference_id: str
    score: float


@dataclass(frozen=True)
class Row:
    """A point as both backends store it."""

    id: str
    dense: NDArray[np.float32]
    indices: list[int]
    values: list[float]
    payload: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """A search that both backends understand: which vectors take part, and how BM25 is scaled if both do."""

    dense: list[float] | None
    sparse: tuple[list[int], list[float]] | None
    bm25_weight: float
    project: str
    any_of: tuple[tuple[str, tuple[str, ...]], ...]
    since: str | None
    until: str | None
    limit: int


class Backend(Protocol):
    """Where the points are."""

    def upsert(self, rows: Sequence[Row]) -> None:
        """Store the rows, replacing those with the same ids."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove the points; unknown ids are no error."""
        ...

    def search(self, plans: Sequence[Plan]) -> list[list[Hit]]:
        """The hits of each plan, best first."""
        ...

    def count(self, project: str) -> int:
        """Points of a project."""
        ...

    def ids(self, project: str) -> set[str]:
        """Their ids."""
        ...


class PassageIndex:
    """Puts passages in and finds them; made by `open_index`."""

    def __init__(self, backend: Backend, embedder: Embedder) -> None:
        self._backend = backend
        self._embedder = embedder

    def upsert(self, points: Sequence[IndexPoint]) -> None:
        """Embed and store the points, in batches; one with a known id is replaced, so repeating is safe."""
        for start in range(0, len(points), _BATCH):
            batch = points[start : start + _BATCH]
            texts = [_indexed_text(point) for point in batch]
            vectors = self._embedder.embed(texts)
            self._backend.upsert([_row(p, t, v) for p, t, v in zip(batch, texts, vectors, strict=True)])

    def delete(self, ids: Sequence[str]) -> None:
        """Remove passages; unknown ids are no error."""
        for start in range(0, len(ids), _BATCH):
            self._backend.delete(ids[start : start + _BATCH])

    def search(self, queries: Sequence[Query], mode: Mode = "hybrid") -> list[list[Hit]]:
        """The hits of each query, best first; a query without any searchable word finds nothing."""
        vectors = (
            self._embedder.embed([query.text for query in queries]) if queries and mode != "bm25" else None
        )
        plans: dict[int, Plan] = {}
        for number, query in enumerate(queries):
            dense = vectors[number] if vectors is not None else None
            plan = _plan(query, mode, dense)
            if plan is not None:
                plans[number] = plan
        found = dict(zip(plans, self._backend.search(list(plans.values())), strict=True)) if plans else {}
        return [found.get(number, []) for number in range(len(queries))]

    def count(self, project: str) -> int:
        """How many passages of the project are indexed."""
        return self._backend.count(project)

    def ids(self, project: str) -> set[str]:
        """The ids of the project's indexed passages."""
        return self._backend.ids(project)


def open_index(
    vector_url: str, embedder: Embedder, api_key: str = "", lock_timeout: float = 60.0
) -> AbstractContextManager[PassageIndex]:
    """The index at `vector_url`, for a batch of work: `with open_index(...) as index:`.

    An embedded index (`file://`) is open in one process at a time: others, readers too, wait up to
    `lock_timeout` seconds and then get IndexBusy. It is flushed and closed at the end, so keep the block
    short. Raises ValueError for another scheme.
    """
    parts = urlsplit(vector_url)
    if parts.scheme == "file":
        return _open_embedded(Path(unquote(parts.netloc + parts.path)), embedder, lock_timeout)
    if parts.scheme in ("http", "https"):
        return _open_server(vector_url, embedder, api_key)
    raise ValueError(f"vector URL {vector_url!r}: allowed schemes are file, http and https")


def collection_name(embedder: Embedder) -> str:
    """The collection of this embedder and schema: after a change of either, another one is filled."""
    digest = sha256(f"{embedder.name}/{embedder.dimensions}".encode()).hexdigest()[:8]
    readable = re.sub(r"[^A-Za-z0-9]+", "-", embedder.name).strip("-")[:40]
    return f"passages-v{SCHEMA_VERSION}-{readable}-{digest}"


@contextmanager
def _open_embedded(directory: Path, embedder: Embedder, lock_timeout: float) -> Iterator[PassageIndex]:
    from filelock import FileLock, Timeout

    from cryptocontent.knowledge.index_edge import EdgeBackend

    directory.mkdir(parents=True, exist_ok=True)
    name = collection_name(embedder)
    lock = FileLock(directory / f"{name}.lock", timeout=lock_timeout)
    try:
        lock.acquire()
    except Timeout:
        raise IndexBusy(
            f"the passage index is in use by another process: its lock {lock.lock_file} was not free within "
            f"{lock_timeout:g} s"
        ) from None
    try:
        backend = EdgeBackend(directory / name, embedder.dimensions)
        try:
            yield PassageIndex(backend, embedder)
        finally:
            backend.close()
    finally:
        lock.release()


@contextmanager
def _open_server(url: str, embedder: Embedder, api_key: str) -> Iterator[PassageIndex]:
    from qdrant_client import QdrantClient
    from qdrant_client.http.exceptions import ApiException

    from cryptocontent.knowledge.index_server import ServerBackend

    client = QdrantClient(url=url, api_key=api_key or None, timeout=30, check_compatibility=False)
    try:
        yield PassageIndex(ServerBackend(client, collection_name(embedder), embedder.dimensions), embedder)
    except ApiException as error:
        # The URL may hold a password: host and port say enough.
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.hostname}:{parts.port or 6333}"
        raise IndexUnavailable(f"passage index {where}: {str(error).splitlines()[0]}") from error
    finally:
        client.close()


@cache
def _bm25() -> Any:
    from qdrant_edge import Bm25, Bm25Config

    return Bm25(Bm25Config(k=BM25_K, b=BM25_B, avg_len=BM25_MEAN_LENGTH))


def _indexed_text(point: IndexPoint) -> str:
    return "\n".join(part for part in (point.title, " > ".join(point.heading_path), point.text) if part)


def _row(point: IndexPoint, text: str, vector: NDArray[np.float32]) -> Row:
    sparse = _bm25().embed_document(text)
    payload: dict[str, Any] = {
        "project": point.project,
        "reference_id": point.reference_id,
        "tags": list(point.tags),
        "source": point.source,
    }
    if point.published_at is not None:
        payload["published_at"] = _utc(point.published_at)
    return Row(point.id, vector, list(sparse.indices), list(sparse.values), payload)


def _plan(query: Query, mode: Mode, vector: NDArray[np.float32] | None) -> Plan | None:
    sparse = None
    if mode != "dense":
        terms = _bm25().embed_query(query.text)
        sparse = (list(terms.indices), list(terms.values)) if terms.indices else None
    dense = vector.tolist() if vector is not None and np.any(vector) else None
    if (sparse is None and dense is None) or query.limit < 1:
        return None
    filters = (("tags", query.tags), ("source", query.sources), ("reference_id", query.references))
    return Plan(
        dense=dense,
        sparse=sparse,
        bm25_weight=1 / (SCALE * len(sparse[0])) if sparse else 0.0,
        project=query.project,
        any_of=tuple((key, values) for key, values in filters if values),
        since=_utc(query.since) if query.since else None,
        until=_utc(query.until) if query.until else None,
        limit=query.limit,
    )


def _utc(time: datetime) -> str:
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
