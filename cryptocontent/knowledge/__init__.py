"""The knowledge base: documents in, passages found. Importing it is light; what is heavy loads on use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptocontent.knowledge.chunking import Chunk, chunk, passage_ids
    from cryptocontent.knowledge.embedding import open_embedder
    from cryptocontent.knowledge.index import Hit, IndexBusy, IndexPoint, Query, open_index
    from cryptocontent.knowledge.loaders import LoadedDocument, UnreadableDocument, load

__all__ = [
    "Chunk",
    "Hit",
    "IndexBusy",
    "IndexPoint",
    "LoadedDocument",
    "Query",
    "UnreadableDocument",
    "chunk",
    "load",
    "open_embedder",
    "open_index",
    "passage_ids",
]

_ROOMS = {
    **dict.fromkeys(("Chunk", "chunk", "passage_ids"), "chunking"),
    **dict.fromkeys(("open_embedder",), "embedding"),
    **dict.fromkeys(("Hit", "IndexBusy", "IndexPoint", "Query", "open_index"), "index"),
    **dict.fromkeys(("LoadedDocument", "UnreadableDocument", "load"), "loaders"),
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
