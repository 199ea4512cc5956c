"""Every provider through its SDK against the fake vendors: answers, streams, faults, batches, loops, keys."""

import asyncio
import logging
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field
from pydantic_ai import Agent, CachePoint, PromptedOutput
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelOverloadedError,
    ModelRateLimitError,
    ModelServerError,
    ModelUnavailableError,
    UnexpectedModelBehavior,
)
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.batch import BatchRequest
from pydantic_ai.output import OutputObjectDefinition

from cryptocontent.errors import Refused
from cryptocontent.llm import providers
from cryptocontent.llm.policies import PROVIDERS
from cryptocontent.llm.providers import configured, open_model
from cryptocontent.settings import Settings
from tests.fakes.vendors import Asked, Fault, Reply, Vendors, know

MODELS = {
    "openai:gpt-5.1": "openai",
    "openai-chat:gpt-4.1": "openai",
    "anthropic:claude-opus-5": "anthropic",
    "google:gemini-2.5-flash": "google",
    "grok:grok-4": "xai",
    "copilot:gpt-4.1": "copilot",
    "local:qwen3:4b": "local",
}
BATCHING = {
    name: vendor for name, vendor in MODELS.items() if name.split(":")[0] in ("openai", "anthropic", "google")
}
SECRETS = "5ecret"
"""In every key of `vendors.environment()`."""
TEXT = "Here is the text that was asked for."
LIMIT: Any = {"max_tokens": 500}
each_model = pytest.mark.parametrize("name", MODELS)


class Quote(BaseModel):
    text: str = Field(min_length=3, max_length=20)
    passage: int = Field(ge=2)


class Verdict(BaseModel):
    """What is thought of a draft."""

    title: str
    kind: Literal["good", "bad"]
    quotes: list[Quote] = Field(min_length=1)
    remark: str | None = None


know(Verdict)
GOOD = {"title": "Gas fees", "kind": "bad", "quotes": [{"text": "so high", "passage": 3}], "remark": "dear"}


def agent(name: str, settings: Settings, output: Any = Verdict) -> Agent[None, Any]:
    return Agent(
        open_model(name, settings), output_type=output, instructions="Be fair.", model_settings=LIMIT
    )


def plain_request() -> tuple[list[Any], Any, ModelRequestParameters]:
    return [ModelRequest(parts=[UserPromptPart("Write.")])], LIMIT, ModelRequestParameters()


async def request(model: Model, streamed: bool, seconds: float = 5.0) -> Any:
    async with asyncio.timeout(seconds):
        if not streamed:
            return await model.request(*plain_request())
        async with model.request_stream(*plain_request()) as stream:
            async for _ in stream:
                pass
            return stream.get()


def test_every_provider_of_the_policies_can_be_opened() -> None:
    assert tuple(providers._OPENERS) == PROVIDERS
    assert {name.split(":")[0] for name in MODELS} == set(PROVIDERS)


@each_model
@pytest.mark.parametrize("form", ["structured", "text"])
async def test_a_typed_answer(vendors: Vendors, vendor_settings: Settings, name: str, form: str) -> None:
    vendors.script = lambda asked: Reply(json=GOOD)
    output: Any = Verdict if form == "structured" else PromptedOutput(Verdict)
    result = await agent(name, vendor_settings, output).run(["Much material.", CachePoint(), "Judge it."])
    assert result.output == Verdict.model_validate(GOOD)
    assert result.usage.requests == 1 and result.usage.output_tokens > 10
    [call] = vendors.calls[MODELS[name]]
    asked = call.asked
    assert asked.model == name.partition(":")[2] and not asked.stream and asked.max_tokens == 500
    assert "Be fair." in asked.system and asked.text == "Much material.\nJudge it."
    # Some models (claude-opus-5) are asked for a format, others to call an output tool.
    assert asked.schema_from in (("tool", "format") if form == "structured" else ("prompt",))
    assert asked.title == "Verdict"
    assert result.usage.input_tokens == sum(-(-len(part) // 4) for part in asked.parts)


@each_model
async def test_a_streamed_answer(vendors: Vendors, vendor_settings: Settings, name: str) -> None:
    vendors.script = lambda asked: Reply(json=GOOD)
    async with agent(name, vendor_settings).run_stream("Judge it.") as result:
        assert await result.get_output() == Verdict.model_validate(GOOD)
    usage = result.usage
    assert usage.input_tokens >= 5 and usage.output_tokens > 10
    assert [call.asked.stream for call in vendors.calls[MODELS[name]]] == [True]


@each_model
async def test_a_tool_is_called_and_its_answer_sent(
    vendors: Vendors, vendor_settings: Settings, name: str
) -> None:
    async def look_up(what: str) -> str:
        """Look something up."""
        return f"{what} costs 7 gwei"

    vendors.script = lambda asked: (
        Reply(json=GOOD) if asked.results else Reply(tool_calls=[("look_up", {"what": "gas"})])
    )
    model = open_model(name, vendor_settings)
    result = await Agent(model, output_type=Verdict, tools=[look_up]).run("Judge it.", model_settings=LIMIT)
    assert result.output.title == "Gas fees"
    [_, second] = vendors.calls[MODELS[name]]
    assert "gas costs 7 gwei" in second.asked.results[0]
    assert ("look_up", {"what": "gas"}) in [call for one in second.asked.messages for call in one.calls]


FAULTS = {
    "429": (Fault(status=429), ModelRateLimitError),
    "429 and when": (Fault(status=429, retry_after=2.5), ModelRateLimitError),
    "500": (Fault(status=500), ModelServerError),
    "503": (Fault(status=503), ModelUnavailableError),
    "529": (Fault(status=529), ModelOverloadedError),
    "malformed": (Fault("malformed"), ModelAPIError),
    "disconnect": (Fault("disconnect"), ModelConnectionError),
    "disconnect later": (Fault("disconnect", after=3), ModelConnectionError),
}


@each_model
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_one_call_and_one_error(
    vendors: Vendors, vendor_settings: Settings, name: str, fault: str, streamed: bool
) -> None:
    given, expected = FAULTS[fault]
    vendors.next(MODELS[name], given)
    model = open_model(name, vendor_settings)
    kinds: tuple[type[Exception], ...] = (expected,)
    if name.startswith("anthropic") and fault == "malformed":
        kinds = (ModelAPIError, UnexpectedModelBehavior)  # the SDK passes over an event that it cannot read
    if name.startswith("google") and fault == "529":
        kinds = (ModelUnavailableError,)  # which Google does not use
    with pytest.raises(kinds) as raised:
        await request(model, streamed)
    assert getattr(raised.value, "retry_after", None) == given.retry_after
    error: BaseException | None = raised.value
    while error:
        assert SECRETS not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
    assert vendors.total() == 1
    # The connection pool took no harm.
    assert (await request(model, streamed)).text == TEXT
    assert vendors.total() == 2


@each_model
async def test_a_plain_answer_cut_off_is_a_failed_connection(
    vendors: Vendors, vendor_settings: Settings, name: str
) -> None:
    vendors.next(MODELS[name], Fault("truncated"))
    with pytest.raises(ModelConnectionError):
        await request(open_model(name, vendor_settings), streamed=False)
    assert vendors.total() == 1


@each_model
async def test_a_stream_that_ends_too_early_can_be_told(
    vendors: Vendors, vendor_settings: Settings, name: str
) -> None:
    vendors.next(MODELS[name], Fault("truncated"))
    try:
        response = await request(open_model(name, vendor_settings), streamed=True)
    except ModelAPIError as error:
        assert "finish_reason" in str(error)
    else:
        # Anthropic and Google say so by nothing else.
        assert response.finish_reason is None and response.text != TEXT
    assert vendors.total() == 1
    assert (await request(open_model(name, vendor_settings), streamed=True)).finish_reason == "stop"


@each_model
@pytest.mark.parametrize("fault", [Fault("hang"), Fault("hang", after=3)], ids=["at once", "midway"])
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_a_hanging_vendor_is_left_in_time(
    vendors: Vendors, vendor_settings: Settings, name: str, fault: Fault, streamed: bool
) -> None:
    vendors.next(MODELS[name], fault)
    with pytest.raises(TimeoutError):
        await request(open_model(name, vendor_settings), streamed, seconds=0.05)
    await asyncio.to_thread(vendors.wait_until, lambda: vendors.in_flight == 0)
    assert vendors.total() == 1


@each_model
async def test_leaving_a_stream_closes_its_connection(
    vendors: Vendors, vendor_settings: Settings, name: str
) -> None:
    vendors.script = lambda asked: Reply("word " * 100, delay=0.02, pieces=100)
    async with open_model(name, vendor_settings).request_stream(*plain_request()) as stream:
        async for _ in stream:
            break
    # Whole, the answer would take 2 s: only its connection's end stops the vendor.
    await asyncio.to_thread(vendors.wait_until, lambda: vendors.in_flight == 0, 1.0)
    assert vendors.outcomes[MODELS[name], "gone"] == 1


@pytest.mark.parametrize("name", ["anthropic:claude-opus-5", "openai:gpt-5.1", "google:gemini-2.5-flash"])
async def test_what_a_vendor_read_from_its_cache_is_reported(
    vendors: Vendors, vendor_settings: Settings, name: str
) -> None:
    judge = agent(name, vendor_settings, str)
    prompt = ["Much material. " * 400, CachePoint()]
    first = await judge.run([*prompt, "Judge it."])
    second = await judge.run([*prompt, "Judge it again."])
    assert first.usage.cache_read_tokens == 0 and second.usage.cache_read_tokens >= 1500
    assert second.usage.input_tokens > second.usage.cache_read_tokens
    if name.startswith("anthropic"):
        assert first.usage.cache_write_tokens >= 1500 and second.usage.cache_write_tokens == 0


# Keys and URLs.


@each_model
def test_a_missing_key_is_named(vendor_settings: Settings, name: str) -> None:
    provider = name.split(":")[0]
    bare = Settings(_env_file=None)  # type: ignore[call-arg]
    setting = providers._KEYS[provider].upper() if provider != "local" else "LOCAL_MODEL_URL"
    with pytest.raises(Refused, match=setting):
        open_model(name, bare)
    assert configured(bare)[provider] is False
    assert configured(vendor_settings)[provider] is True


async def test_a_local_server_needs_no_key(vendors: Vendors) -> None:
    settings = Settings(_env_file=None, local_model_url=f"{vendors.url}/local/v1")  # type: ignore[call-arg]
    assert (await agent("local:qwen3", settings, str).run("Hello.")).output
    assert [name for name, ready in configured(settings).items() if ready] == ["local"]


@pytest.mark.parametrize("name", ["gpt-5.1", "mistral:large", "openai:", ""])
def test_an_unknown_provider_is_refused(vendor_settings: Settings, name: str) -> None:
    with pytest.raises(Refused, match="providers: openai, openai-chat, anthropic"):
        open_model(name, vendor_settings)


@pytest.mark.parametrize("key", ["sk-5ecret\nmore", "sk 5ecret", "sk-5ecreté"])
def test_a_broken_key_is_refused_unseen(key: str) -> None:
    settings = Settings(_env_file=None, google_api_key=key)  # type: ignore[call-arg, arg-type]
    with pytest.raises(Refused, match="GOOGLE_API_KEY") as raised:
        open_model("google:gemini-2.5-flash", settings)
    assert SECRETS not in str(raised.value)


@pytest.mark.parametrize("url", ["https://me:5ecret@example.org/v1", "ftp://example.org", "localhost/5ecret"])
def test_a_broken_url_is_refused_unseen(url: str) -> None:
    settings = Settings(_env_file=None, local_model_url=url)  # type: ignore[call-arg]
    with pytest.raises(Refused, match="LOCAL_MODEL_URL") as raised:
        open_model("local:qwen3", settings)
    assert SECRETS not in str(raised.value)


@each_model
async def test_no_key_shows_in_reprs_or_logs(
    vendors: Vendors, vendor_settings: Settings, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    model: Any = open_model(name, vendor_settings)
    await request(model, streamed=False)
    shown = f"{model!r} {model._provider!r} {vars(model)!r} {providers._of_running_loop()!r}"
    assert SECRETS not in shown + caplog.text
    sent = vendors.calls[MODELS[name]][-1].asked.headers
    assert SECRETS in (sent.get("authorization") or sent["x-goog-api-key"])


async def test_only_the_settings_decide_where_a_key_goes(
    vendors: Vendors, vendor_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "COPILOT_API_URL"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9/elsewhere")
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN", "GEMINI_API_KEY", "COPILOT_GITHUB_TOKEN"):
        monkeypatch.setenv(variable, "another")
    for name in MODELS:
        await request(open_model(name, vendor_settings), streamed=False)
    assert vendors.total() == len(MODELS)
    sent = [call.asked.headers for calls in vendors.calls.values() for call in calls]
    assert not any("another" in str(headers) for headers in sent)


# Event loops.


def test_each_loop_has_a_client_of_its_own_closed_at_its_end(
    vendors: Vendors, vendor_settings: Settings
) -> None:
    clients = []

    async def ask() -> None:
        await asyncio.gather(*(agent(name, vendor_settings, str).run("Hello.") for name in MODELS))
        clients.extend(client for client, _ in providers._of_running_loop().clients.values())
        assert open_model("grok:grok-4", vendor_settings) is open_model("grok:grok-4", vendor_settings)

    for _ in range(3):
        asyncio.run(ask())
    assert vendors.total() == 3 * len(MODELS)
    assert len({id(client) for client in clients}) == 3 * len(MODELS)
    assert all(client.is_closed for client in clients)
    # Loops that are gone are forgotten as soon as another one comes.
    assert len([loop for loop in providers._loops if loop.is_closed()]) <= 1


async def test_another_key_is_another_model(vendor_settings: Settings) -> None:
    other = vendor_settings.model_copy(update={"xai_api_key": type(vendor_settings.xai_api_key)("xai-other")})
    assert open_model("grok:grok-4", other) is not open_model("grok:grok-4", vendor_settings)


async def test_a_thousand_calls_are_in_flight_at_once(vendors: Vendors, vendor_settings: Settings) -> None:
    full = asyncio.Event()

    async def wait_for_all(asked: Asked) -> Reply:
        if vendors.in_flight == 1000:
            full.set()
        await full.wait()
        return Reply("Done.")

    vendors.script = wait_for_all
    models = [open_model(name, vendor_settings) for name in MODELS]
    answers = await asyncio.gather(*(request(models[n % 7], streamed=False, seconds=30) for n in range(1000)))
    assert len(answers) == 1000 and vendors.most_in_flight == 1000 and vendors.total() == 1000


# Batches.


def batch_request(custom_id: str, task: str) -> BatchRequest:
    form = OutputObjectDefinition(json_schema=Verdict.model_json_schema(), name="Verdict")
    parameters = ModelRequestParameters(output_mode="native", output_object=form)
    messages: list[Any] = [ModelRequest(parts=[UserPromptPart(task)])]
    return BatchRequest(
        custom_id=custom_id, messages=messages, model_settings=LIMIT, model_request_parameters=parameters
    )


@pytest.mark.parametrize("name", BATCHING)
async def test_a_batch_from_requests_to_answers(
    vendors: Vendors, vendor_settings: Settings, name: str
) -> None:
    vendors.script = lambda asked: (
        Fault(status=500) if "fail" in asked.text else Reply(json={**GOOD, "title": asked.text})
    )
    model, vendor = open_model(name, vendor_settings), BATCHING[name]
    requests = {one.custom_id: one for one in [batch_request("a", "one"), batch_request("b", "fail")]}
    batch = await model.batch_create([await model.batch_encode(one) for one in requests.values()])
    assert batch.status == "in_progress" and batch.request_count == 2
    assert (await model.batch_status(batch)).status == "in_progress"
    vendors.batches.end(vendor)
    batch = await model.batch_status(batch)
    assert batch.status == "ended"
    results = {one.custom_id: one for one in await model.batch_results(batch)}
    assert {id_: one.status for id_, one in results.items()} == {"a": "succeeded", "b": "errored"}
    answer = model.batch_decode(results["a"], requests["a"])
    assert Verdict.model_validate_json(answer.text or "").title == "one"
    assert answer.usage.output_tokens > 10
    with pytest.raises(ModelServerError):
        model.batch_decode(results["b"], requests["b"])
    assert vendors.total() == 0 and vendors.batches.operations.count((vendor, "create")) == 1
    [at_vendor] = vendors.batches.all
    assert [(one.custom_id, one.title) for one in at_vendor.requests] == [("a", "Verdict"), ("b", "Verdict")]


@pytest.mark.parametrize("name", BATCHING)
async def test_a_batch_that_expires(vendors: Vendors, vendor_settings: Settings, name: str) -> None:
    model = open_model(name, vendor_settings)
    batch = await model.batch_create([await model.batch_encode(batch_request("a", "one"))])
    vendors.batches.end(ending="expired")
    batch = await model.batch_status(batch)
    assert batch.status == "ended"
    if name.startswith("google"):
        with pytest.raises(ModelAPIError, match="expired"):
            await model.batch_results(batch)
    else:
        assert [one.status for one in await model.batch_results(batch)] == ["expired"]


@pytest.mark.parametrize("name", BATCHING)
@pytest.mark.parametrize("fault", [Fault(status=503), Fault(status=429), Fault("disconnect")], ids=str)
async def test_a_batch_is_never_created_twice(
    vendors: Vendors, vendor_settings: Settings, name: str, fault: Fault
) -> None:
    vendors.next(BATCHING[name], fault, batch=True)
    model = open_model(name, vendor_settings)
    encoded = [await model.batch_encode(batch_request("a", "one"))]
    with pytest.raises(Exception, match=r"(?i)fail|connect|error|503|429"):
        await model.batch_create(encoded)
    assert vendors.batches.operations == []
