"""The server home of the passage index: a collection of a Qdrant server, by the official client."""

from collections.abc import Sequence
from typing import Any, Final

from cryptocontent.knowledge.index import CANDIDATES, DENSE, KEYWORDS, SPARSE, Hit, Plan, Row

_PAGE: Final = 5_000
_SEARCHES: Final = 100  # in one request: the server has limits on the size of a body


class ServerBackend:
    """A collection, made on first use. `client` is a `qdrant_client.QdrantClient`, closed by its owner."""

    def __init__(self, client: Any, collection: str, dimensions: int) -> None:
        from qdrant_client import models

        self._models: Any = models
        self._client = client
        self._collection = collection
        if not client.collection_exists(collection):
            self._create(dimensions)

    def _create(self, dimensions: int) -> None:
        from qdrant_client.http.exceptions import UnexpectedResponse

        models = self._models
        try:
            self._client.create_collection(
                self._collection,
                vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )
        except UnexpectedResponse as error:
            if error.status_code != 409:  # another process was faster, which is as well
                raise
        for key in KEYWORDS:
            schema = models.KeywordIndexParams(type="keyword", is_tenant=key == "project")
            self._client.create_payload_index(self._collection, key, schema)
        self._client.create_payload_index(self._collection, "published_at", models.PayloadSchemaType.DATETIME)

    def upsert(self, rows: Sequence[Row]) -> None:
        """Store the rows, replacing those with the same ids."""
        models = self._models
        points = [
            models.PointStruct(
                id=row.id,
                vector={
                    DENSE: row.dense.tolist(),
                    SPARSE: models.SparseVector(indices=row.indices, values=row.values),
                },
                payload=row.payload,
            )
            for row in rows
        ]
        self._client.upsert(self._collection, points, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove the points."""
        if ids:
            selector = self._models.PointIdsList(points=list(ids))
            self._client.delete(self._collection, selector, wait=True)

    def search(self, plans: Sequence[Plan]) -> list[list[Hit]]:
        """The hits of each plan, a hundred plans per request."""
        hits: list[list[Hit]] = []
        for start in range(0, len(plans), _SEARCHES):
            requests = [self._request(plan) for plan in plans[start : start + _SEARCHES]]
            for response in self._client.query_batch_points(self._collection, requests):
                hits.append([Hit(str(p.id), p.payload["reference_id"], p.score) for p in response.points])
        return hits

    def count(self, project: str) -> int:
        """Points of a project."""
        found = self._client.count(self._collection, count_filter=self._project(project), exact=True)
        return int(found.count)

    def ids(self, project: str) -> set[str]:
        """Ids of a project's points."""
        ids: set[str] = set()
        offset = None
        while True:
            records, offset = self._client.scroll(
                self._collection,
                scroll_filter=self._project(project),
                limit=_PAGE,
                offset=offset,
                with_payload=False,
                with_vectors=False,
            )
            ids.update(str(record.id) for record in records)
            if offset is None:
                return ids

    def _project(self, project: str) -> Any:
        models = self._models
        return models.Filter(
            must=[models.FieldCondition(key="project", match=models.MatchValue(value=project))]
        )

    def _filter(self, plan: Plan) -> Any:
        models = self._models
        must = [models.FieldCondition(key="project", match=models.MatchValue(value=plan.project))]
        must += [
            models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
            for key, values in plan.any_of
        ]
        if plan.since or plan.until:
            span = models.DatetimeRange(gte=plan.since, lte=plan.until)
            must.append(models.FieldCondition(key="published_at", range=span))
        return models.Filter(must=must)

    def _request(self, plan: Plan) -> Any:
        models = self._models
        where = self._filter(plan)
        searches: list[dict[str, Any]] = []
        if plan.sparse:
            indices, values = plan.sparse
            # each project is a corpus of its own: what is rare in one may be common in another
            corpus = models.IdfCorpusParams(corpus=self._project(plan.project))
            searches.append(
                {
                    "query": models.SparseVector(indices=indices, values=values),
                    "using": SPARSE,
                    "params": models.SearchParams(idf=corpus),
                }
            )
        if plan.dense:
            searches.append({"query": plan.dense, "using": DENSE})
        if len(searches) == 1:
            return models.QueryRequest(
                **searches[0], filter=where, limit=plan.limit, with_payload=["reference_id"]
            )
        limit = max(CANDIDATES, plan.limit)
        formula = models.SumExpression(
            sum=[models.MultExpression(mult=[plan.bm25_weight, "$score[0]"]), "$score[1]"]
        )
        return models.QueryRequest(
            prefetch=[models.Prefetch(**search, filter=where, limit=limit) for search in searches],
            query=models.FormulaQuery(formula=formula, defaults={"$score[0]": 0.0, "$score[1]": 0.0}),
            limit=plan.limit,
            with_payload=["reference_id"],
        )
