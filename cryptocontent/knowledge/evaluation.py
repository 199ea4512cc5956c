"""How good a ranking is, on queries with one known right document each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class JudgedQuery:
    """A query and the id of the document that answers it."""

    text: str
    document: str


@dataclass(frozen=True)
class Metrics:
    """Means over `queries` queries, each from 0 (worst) to 1."""

    mrr10: float
    recall10: float
    ndcg10: float
    queries: int


def read_queries(path: Path) -> list[JudgedQuery]:
    """Read a UTF-8 TSV file, `query<TAB>document id` on each line; blank lines are passed over.

    Raises ValueError with the line number for any other line, and for a file without queries.
    """
    queries: list[JudgedQuery] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) != 2 or not all(fields):
            raise ValueError(f"{path}, line {number}: expected 'query<TAB>document id'")
        queries.append(JudgedQuery(*fields))
    if not queries:
        raise ValueError(f"{path}: no queries")
    return queries


def evaluate(rankings: Sequence[Sequence[str]], relevant: Sequence[str]) -> Metrics:
    """Measure rankings of document ids, best first, against the one relevant document of each query.

    With a single relevant document at rank r (from 1), counted only if r <= 10:

    - MRR@10, mean of 1 / r: Voorhees, "The TREC-8 Question Answering Track Report" (1999);
    - recall@10, the share of queries with r <= 10: Manning, Raghavan and Schütze, "Introduction to
      Information
      Retrieval" (2008), section 8.4;
    - nDCG@10, mean of 1 / log2(1 + r), as the ideal DCG is 1: Järvelin and Kekäläinen, "Cumulated gain-based
      evaluation of IR techniques" (2002), with gain 1.

    A document that comes again in a ranking counts once. Raises ValueError if there are no queries, or not
    one ranking for each.
    """
    if len(rankings) != len(relevant) or not relevant:
        raise ValueError(f"{len(rankings)} rankings for {len(relevant)} queries")
    ranks = [_rank(ranking, document) for ranking, document in zip(rankings, relevant, strict=True)]
    found = [rank for rank in ranks if rank is not None]
    total = len(relevant)
    return Metrics(
        mrr10=sum(1 / rank for rank in found) / total,
        recall10=len(found) / total,
        ndcg10=sum(1 / math.log2(1 + rank) for rank in found) / total,
        queries=total,
    )


def _rank(ranking: Sequence[str], document: str) -> int | None:
    for rank, candidate in enumerate(list(dict.fromkeys(ranking))[:10], start=1):
        if candidate == document:
            return rank
    return None
