"""Formulas against numbers worked out by hand, and what retrieval makes of hits."""

import math
from pathlib import Path

import pytest

from cryptocontent.knowledge.evaluation import JudgedQuery, evaluate, read_queries
from cryptocontent.knowledge.index import Hit
from cryptocontent.knowledge.retrieval import collapse_near_duplicates, normalised_hash, rank_references


def test_metrics() -> None:
    eleven = [str(n) for n in range(11)]
    metrics = evaluate([["a", "b"], ["b", "b", "a"], ["b"], eleven], ["a", "a", "a", "10"])
    assert metrics.mrr10 == pytest.approx((1 + 1 / 2) / 4)  # the repeated b counts once; rank 11 not at all
    assert metrics.recall10 == pytest.approx(2 / 4)
    assert metrics.ndcg10 == pytest.approx((1 + 1 / math.log2(3)) / 4)
    assert metrics.queries == 4
    with pytest.raises(ValueError, match="1 rankings for 2 queries"):
        evaluate([["a"]], ["a", "b"])
    with pytest.raises(ValueError):
        evaluate([], [])


def test_queries_are_read_and_bad_lines_named(tmp_path: Path) -> None:
    file = tmp_path / "q.tsv"
    file.write_text("what is gas?\teip-1559\n\n two \t b \n", encoding="utf-8")
    assert read_queries(file) == [JudgedQuery("what is gas?", "eip-1559"), JudgedQuery("two", "b")]
    file.write_text("fine\ta\nno tab here\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2"):
        read_queries(file)
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no queries"):
        read_queries(file)


def test_near_duplicates_collapse_to_the_best_hit() -> None:
    words = " ".join(f"w{n}" for n in range(20))
    texts = {
        "a": "Gas is the fee of a transaction.",
        "b": "gas IS the fee\n\nof a transaction",
        "c": words,
        "d": words + " w20",  # Jaccard 20/21
        "e": words + " " + " ".join(f"x{n}" for n in range(5)),  # 20/25
        "f": "---",
        "g": "***",
    }
    hits = [Hit(key, "r" + key, 1 - n / 10) for n, key in enumerate([*texts, "unknown"])]
    assert [h.passage_id for h in collapse_near_duplicates(hits, texts)] == [
        "a",
        "c",
        "e",
        "f",
        "g",
        "unknown",
    ]
    assert normalised_hash(texts["a"]) == normalised_hash(texts["b"]) != normalised_hash(texts["c"])


def test_references_rank_by_their_best_passage() -> None:
    assert rank_references([Hit("1", "x", 0.9), Hit("2", "y", 0.95), Hit("3", "x", 0.1)]) == ["y", "x"]
    assert rank_references([]) == []
