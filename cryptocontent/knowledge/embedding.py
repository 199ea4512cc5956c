"""Embedding models by name. `local:wordllama` needs no network and no key: its weights are in its wheel."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

_MOST_CHARACTERS: Final = 16_000  # of one text: ten times a passage; more would only slow the tokenizer
_BATCH: Final = 512


class Embedder(Protocol):
    """Texts to vectors. `name` goes into the name of the collection: another model gets another one."""

    name: str
    dimensions: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text, of length 1 (so cosine is the dot product); zeros for a text without tokens."""
        ...


class WordLlama:
    """WordLlama's 256-dimensional token vectors, averaged over each text.

    The averaging is done here, over each text's own tokens: the library pads every text of a batch to the
    longest, which costs it four fifths of its time on passages of unequal length.
    """

    name = "local:wordllama"
    dimensions = 256

    def __init__(self) -> None:
        import logging

        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        import wordllama

        # its import calls logging.basicConfig(), which would put a handler under every program that embeds
        root.handlers[:], root.level = handlers, level
        folder = Path(wordllama.__file__).parent
        model: Any = wordllama.WordLlama.load(cache_dir=folder, disable_download=True, dim=self.dimensions)
        self._table: Vectors = model.embedding
        self._tokenizer: Any = model.tokenizer
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row per text, of length 1; zeros for a text without tokens."""
        vectors = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [text[:_MOST_CHARACTERS] for text in texts[start : start + _BATCH]]
            encoded = self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for row, tokens in enumerate(encoded, start=start):
                ids = np.minimum(np.asarray(tokens.ids, dtype=np.int64), len(self._table) - 1)
                if len(ids):
                    # a sum points where the mean does, and only the direction is kept
                    vectors[row] = self._table[ids].sum(axis=0)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


_MODELS: Final = {WordLlama.name: WordLlama}


@cache
def open_embedder(model: str) -> Embedder:
    """The embedder called `model`, loaded once per process. Raises ValueError for an unknown name."""
    try:
        return _MODELS[model]()
    except KeyError:
        raise ValueError(f"unknown embedding model {model!r}; allowed: {', '.join(_MODELS)}") from None
