"""The embedded home of the passage index: a Qdrant Edge shard in a folder. The caller holds the lock."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from cryptocontent.knowledge.index import CANDIDATES, DENSE, KEYWORDS, SPARSE, Hit, Plan, Row

_PAGE: Final = 10_000
_OPTIMIZE_AFTER: Final = 2_000  # changed points; fewer are searched fast enough as they are


class EdgeBackend:
    """A shard opened for one batch of work. Writes survive a kill: they go to the shard's write-ahead log."""

    def __init__(self, directory: Path, dimensions: int) -> None:
        import qdrant_edge

        self._edge: Any = qdrant_edge
        if not directory.exists():
            self._create(directory, dimensions)
        self._shard: Any = qdrant_edge.EdgeShard.load(str(directory))
        self._changed = 0

    def _create(self, directory: Path, dimensions: int) -> None:
        # made aside and renamed when complete: a kill in between leaves nothing that looks like an index
        edge = self._edge
        unfinished = directory.with_name(directory.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        config = edge.EdgeConfig(
            vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
            sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        )
        shard = edge.EdgeShard.create(str(unfinished), config)
        for key in KEYWORDS:
            schema = edge.KeywordIndexParams(is_tenant=key == "project")
            shard.update(edge.UpdateOperation.create_field_index(key, schema))
        shard.update(edge.UpdateOperation.create_field_index("published_at", edge.PayloadSchemaType.Datetime))
        shard.flush()
        shard.close()
        unfinished.replace(directory)

    def close(self) -> None:
        """Write everything to disk and let go of the folder."""
        try:
            if self._changed >= _OPTIMIZE_AFTER:
                self._shard.optimize()
            if self._changed:
                self._shard.flush()
        finally:
            self._shard.close()

    def upsert(self, rows: Sequence[Row]) -> None:
        """Store the rows, replacing those with the same ids."""
        edge = self._edge
        points = [
            edge.Point(
                row.id,
                {DENSE: row.dense.tolist(), SPARSE: edge.SparseVector(row.indices, row.values)},
                row.payload,
            )
            for row in rows
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._changed += len(points)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove the points."""
        if ids:
            self._shard.update(self._edge.UpdateOperation.delete_points(list(ids)))
            self._changed += len(ids)

    def search(self, plans: Sequence[Plan]) -> list[list[Hit]]:
        """The hits of each plan, in one batch."""
        batch = self._edge.QueryBatchRequest([self._request(plan) for plan in plans])
        return [
            [Hit(str(point.id), point.payload["reference_id"], point.score) for point in points]
            for points in self._shard.query_batch(batch)
        ]

    def count(self, project: str) -> int:
        """Points of a project."""
        return int(self._shard.count(self._edge.CountRequest(exact=True, filter=self._project(project))))

    def ids(self, project: str) -> set[str]:
        """Ids of a project's points."""
        ids: set[str] = set()
        offset = None
        while True:
            records, offset = self._shard.scroll(
                self._edge.ScrollRequest(
                    offset=offset,
                    limit=_PAGE,
                    filter=self._project(project),
                    with_payload=False,
                    with_vector=False,
                )
            )
            ids.update(str(record.id) for record in records)
            if offset is None:
                return ids

    def _project(self, project: str) -> Any:
        edge = self._edge
        return edge.Filter(must=[edge.FieldCondition(key="project", match=edge.MatchValue(project))])

    def _filter(self, plan: Plan) -> Any:
        edge = self._edge
        must = [edge.FieldCondition(key="project", match=edge.MatchValue(plan.project))]
        must += [
            edge.FieldCondition(key=key, match=edge.MatchAny(list(values))) for key, values in plan.any_of
        ]
        if plan.since or plan.until:
            span = edge.RangeDateTime(gte=plan.since, lte=plan.until)
            must.append(edge.FieldCondition(key="published_at", range=span))
        return edge.Filter(must=must)

    def _request(self, plan: Plan) -> Any:
        edge = self._edge
        where = self._filter(plan)
        searches: list[tuple[Any, Any]] = []
        if plan.sparse:
            # each project is a corpus of its own: what is rare in one may be common in another
            params = edge.SearchParams(idf=edge.IdfParams(corpus=self._project(plan.project)))
            searches.append((edge.Query.Nearest(edge.SparseVector(*plan.sparse), SPARSE), params))
        if plan.dense:
            searches.append((edge.Query.Nearest(plan.dense, DENSE), None))
        if len(searches) == 1:
            query, params = searches[0]
            return edge.QueryRequest(
                query=query, params=params, filter=where, limit=plan.limit, with_payload=["reference_id"]
            )
        limit = max(CANDIDATES, plan.limit)
        scores = [edge.Expression.Variable(f"$score[{number}]") for number in (0, 1)]
        weighted = edge.Expression.Mult([edge.Expression.Constant(plan.bm25_weight), scores[0]])
        return edge.QueryRequest(
            prefetches=[
                edge.Prefetch(query=query, params=params, filter=where, limit=limit)
                for query, params in searches
            ],
            query=edge.Formula(
                edge.Expression.Sum([weighted, scores[1]]), {"$score[0]": 0.0, "$score[1]": 0.0}
            ),
            limit=plan.limit,
            with_payload=["reference_id"],
        )
