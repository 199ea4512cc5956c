"""The passage index in both homes, on a real Qdrant Edge shard and the official client."""

import os
import signal
import subprocess
import sys
import uuid
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient

from cryptocontent.knowledge import index as module
from cryptocontent.knowledge.index import (
    IndexBusy,
    IndexPoint,
    PassageIndex,
    Query,
    collection_name,
    open_index,
)
from cryptocontent.knowledge.index_server import ServerBackend


class LetterEmbedder:
    """Vectors of letter counts: cheap, and different texts have different ones."""

    name = "test:letters"
    dimensions = 26

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.array([[t.lower().count(chr(97 + n)) for n in range(26)] for t in texts], dtype=np.float32)
        lengths = np.linalg.norm(rows.reshape(-1, 26), axis=1, keepdims=True)
        return rows.reshape(-1, 26) / np.maximum(lengths, 1e-9)


def point(number: int, text: str, project: str = "p", **more: object) -> IndexPoint:
    key = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{project}/{number}"))
    return IndexPoint(key, project, f"r{number}", f"Title{number}", (), text, **more)  # type: ignore[arg-type]


POINTS = [
    point(0, "The halving cuts the block subsidy of miners", tags=("btc", "mining"), source="folder"),
    point(1, "Validators earn rewards", tags=("eth",), source="drive", published_at=datetime(2024, 1, 1)),
    point(
        2,
        "Tokens trade on an exchange",
        tags=("defi",),
        source="drive",
        published_at=datetime(
            2024, 3, 1, 1, tzinfo=timezone(timedelta(hours=2))
        ),  # 23:00 of February 29th, UTC
    ),
    point(3, "Stablecoins keep a peg", source="feed", published_at=datetime(2024, 6, 1, tzinfo=UTC)),
]


@pytest.fixture(params=["embedded", "server"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[PassageIndex]:
    embedder = LetterEmbedder()
    with ExitStack() as stack:
        if request.param == "embedded":
            yield stack.enter_context(open_index(f"file://{tmp_path}", embedder))
        else:
            yield PassageIndex(_server(), embedder)


def _server() -> ServerBackend:
    embedder = LetterEmbedder()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Payload indexes have no effect in the local Qdrant")
        return ServerBackend(QdrantClient(":memory:"), collection_name(embedder), embedder.dimensions)


def found(index: PassageIndex, text: str = "exchange", project: str = "p", **filters: object) -> set[str]:
    (hits,) = index.search([Query(text, project, **filters)])  # type: ignore[arg-type]
    return {hit.reference_id for hit in hits}


def test_points_come_and_go(index: PassageIndex) -> None:
    index.upsert(POINTS)
    index.upsert([*POINTS, point(9, "elsewhere", "other")])
    assert index.count("p") == 4 and index.ids("p") == {p.id for p in POINTS}
    index.upsert([replace(POINTS[0], text="Something about whales")])
    assert found(index, "whales", limit=1) == {"r0"} and index.count("p") == 4
    assert index.search([Query("halving", "p")], "bm25") == [[]]
    index.delete([POINTS[0].id, str(uuid.uuid4())])
    index.delete([])
    assert index.ids("p") == {p.id for p in POINTS[1:]} and index.count("other") == 1


def test_filters(index: PassageIndex) -> None:
    index.upsert([*POINTS, point(9, "exchange", "other")])
    assert found(index) == {"r0", "r1", "r2", "r3"}
    assert found(index, project="nobody") == set()
    assert found(index, tags=("mining", "defi")) == {"r0", "r2"}
    assert found(index, sources=("drive",)) == {"r1", "r2"}
    assert found(index, references=("r0", "r3")) == {"r0", "r3"}
    assert found(index, since=datetime(2024, 1, 1)) == {"r1", "r2", "r3"}
    assert found(index, until=datetime(2024, 2, 29, 23)) == {"r1", "r2"}
    assert found(index, until=datetime(2024, 2, 29, 22, 59)) == {"r1"}
    assert found(index, sources=("drive",), since=datetime(2024, 2, 1), until=datetime(2024, 4, 1)) == {"r2"}
    assert len(index.search([Query("exchange", "p", limit=2)])[0]) == 2


def test_modes_and_queries_without_words(index: PassageIndex) -> None:
    index.upsert(POINTS)
    queries = [Query("halving subsidies", "p"), Query("", "p"), Query("the of", "p"), Query("пеший", "p")]
    hybrid, dense, bm25 = (index.search(queries, mode) for mode in ("hybrid", "dense", "bm25"))  # type: ignore[arg-type]
    assert [h.reference_id for h in bm25[0]] == ["r0"]
    assert len(dense[0]) == 4 and dense[0][0].score <= 1
    assert hybrid[0][0].reference_id == "r0" and len(hybrid[0]) == 4
    # the formula: both scores, BM25 divided by the scale and the two terms of the query
    cosine = {h.passage_id: h.score for h in dense[0]}[bm25[0][0].passage_id]
    assert hybrid[0][0].score == pytest.approx(bm25[0][0].score / (module.SCALE * 2) + cosine, rel=1e-4)
    assert hybrid[1] == dense[1] == bm25[1] == bm25[2] == bm25[3] == []
    assert len(hybrid[2]) == 4  # stop words only: meaning still counts
    assert index.search([]) == [] and index.search([Query("halving", "p", limit=0)]) == [[]]


def test_rarity_of_words_is_counted_per_project(index: PassageIndex) -> None:
    index.upsert(POINTS)
    (alone,) = index.search([Query("halving", "p")], "bm25")
    index.upsert([point(n, "halving halving", "other") for n in range(50)])
    (beside,) = index.search([Query("halving", "p")], "bm25")
    assert beside[0].score == pytest.approx(alone[0].score)


def test_both_homes_answer_alike(tmp_path: Path) -> None:
    server = PassageIndex(_server(), LetterEmbedder())
    queries = [Query(p.text.split()[-1] + " " + p.title, "p") for p in POINTS]
    with open_index(f"file://{tmp_path}", LetterEmbedder()) as embedded:
        for index in (server, embedded):
            index.upsert(POINTS)
        for mode in ("hybrid", "dense", "bm25"):
            for one, other in zip(server.search(queries, mode), embedded.search(queries, mode), strict=True):  # type: ignore[arg-type]
                assert [h.passage_id for h in one] == [h.passage_id for h in other] != []
                assert [h.score for h in one] == pytest.approx([h.score for h in other], rel=1e-4)


def test_an_embedded_index_stays_and_another_model_gets_its_own(tmp_path: Path) -> None:
    url = f"file://{tmp_path / 'a folder'}".replace(" ", "%20")
    with open_index(url, LetterEmbedder()) as index:
        index.upsert(POINTS)
    with open_index(url, LetterEmbedder()) as index:
        assert index.count("p") == 4 and found(index, "halving", limit=1) == {"r0"}
    other = LetterEmbedder()
    other.name = "test:others"
    with open_index(url, other) as index:
        assert index.count("p") == 0
    assert len([d for d in (tmp_path / "a folder").iterdir() if d.is_dir()]) == 2


def test_an_unfinished_index_of_a_killed_process_is_made_again(tmp_path: Path) -> None:
    unfinished = tmp_path / (collection_name(LetterEmbedder()) + ".new")
    (unfinished / "segments").mkdir(parents=True)
    (unfinished / "edge_config.json").write_text("{ half")
    with open_index(f"file://{tmp_path}", LetterEmbedder()) as index:
        index.upsert(POINTS)
        assert index.count("p") == 4
    assert not unfinished.exists()


def test_other_schemes_are_refused() -> None:
    with pytest.raises(ValueError, match="file, http and https"):
        open_index("ftp://x", LetterEmbedder())


_CHILD = """
    import importlib.util, sys
    spec = importlib.util.spec_from_file_location("t", sys.argv[1])
    t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)
    with t.open_index(sys.argv[2], t.LetterEmbedder()) as index:
        for batch in range(10**6 if sys.argv[3] == "write" else 0):
            numbers = range(batch * 20, batch * 20 + 20)
            index.upsert([t.point(n, f"passage number {n} says halving") for n in numbers])
            print(batch, flush=True)
        print("open", flush=True)
        sys.stdin.readline()
"""


def _child(directory: Path, what: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", dedent(_CHILD), __file__, f"file://{directory}", what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with _child(tmp_path, "hold") as child:
        assert child.stdout is not None and child.stdout.readline() == "open\n"
        with (
            pytest.raises(IndexBusy, match=r"passages-v.*\.lock"),
            open_index(f"file://{tmp_path}", LetterEmbedder(), lock_timeout=0.05),
        ):
            pass
        child.communicate("go\n")
        assert child.returncode == 0
    with open_index(f"file://{tmp_path}", LetterEmbedder(), lock_timeout=5) as index:
        index.upsert(POINTS)
        assert index.count("p") == 4


def test_a_kill_in_the_middle_of_writing_loses_nothing_acknowledged(tmp_path: Path) -> None:
    with _child(tmp_path, "write") as child:
        assert child.stdout is not None
        for _ in range(15):
            done = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        done = max([done, *(int(line) for line in child.stdout.read().splitlines())])
        child.wait()
        assert child.returncode == -signal.SIGKILL
    total = (done + 2) * 20
    with open_index(f"file://{tmp_path}", LetterEmbedder(), lock_timeout=5) as index:
        kept = index.ids("p")
        assert {point(n, "").id for n in range((done + 1) * 20)} <= kept
        for _ in range(2):
            index.upsert([point(n, f"passage number {n} says halving") for n in range(total)])
        assert index.count("p") == total
        assert found(index, "Title7 passage number 7 halving", limit=1) == {"r7"}
