"""The local model, and that the room imports without what is heavy."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cryptocontent import knowledge
from cryptocontent.knowledge.embedding import open_embedder

TEXTS = ["Bitcoin price", "the cost of BTC " * 40, "A recipe for soup", "", "   ", "\x00", "x" * 100_000]


def test_wordllama_gives_the_vectors_of_the_library() -> None:
    import wordllama

    embedder = open_embedder("local:wordllama")
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimensions) and vectors.dtype == np.float32
    library = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    np.testing.assert_allclose(vectors[:3], library.embed(TEXTS[:3], norm=True), atol=1e-5)
    assert np.isfinite(vectors).all() and not vectors[3].any()
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert embedder.embed([]).shape == (0, embedder.dimensions)
    assert open_embedder("local:wordllama") is embedder


def test_an_unknown_model_is_refused_with_those_allowed() -> None:
    with pytest.raises(ValueError, match=r"'openai:x'.*local:wordllama"):
        open_embedder("openai:x")


def test_loading_the_model_leaves_the_root_logger_alone() -> None:
    code = (
        "import logging; from cryptocontent.knowledge import open_embedder; open_embedder('local:wordllama');"
        "assert not logging.getLogger().handlers and logging.getLogger().level == logging.WARNING"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    assert logging.getLogger().level != logging.DEBUG


def test_importing_the_room_is_light() -> None:
    code = (
        "import sys; from cryptocontent.knowledge import load, chunk;"
        "heavy = {'trafilatura', 'wordllama', 'bs4', 'markdown_it', "
        "'qdrant_edge', 'qdrant_client', 'mammoth', 'pypdf', 'PIL', 'numpy',"
        "'dagster', 'fastapi', 'sqlalchemy'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_the_public_face() -> None:
    assert len(knowledge.__all__) <= 12
    assert all(getattr(knowledge, name) is not None for name in knowledge.__all__)
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = knowledge.nothing_here
