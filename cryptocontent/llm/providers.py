"""The vendors: from a model's name, `PROVIDER:MODEL`, to the model that pydantic-ai talks to it by.

A further vendor is one function and one line of `_OPENERS`. No SDK tries again by itself: how often a vendor
is asked is the guard's business alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptocontent.errors import Refused
from cryptocontent.settings import Settings

if TYPE_CHECKING:
    import ssl

    import httpx2
    from openai import AsyncOpenAI
    from pydantic_ai import RunContext
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
    from pydantic_ai.profiles import ModelProfile
    from pydantic_ai.providers import Provider
    from pydantic_ai.settings import ModelSettings

MOST_CONNECTIONS = 1000
"""Calls in flight at a provider, per event loop; more wait for a connection."""
MOST_IDLE = 100
"""Idle connections kept. Every request looks at all of the pool: measured, 1,000 idle ones cost it 5 ms."""
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 1200.0
"""Longest wait for a vendor's next byte: the 20 minutes that Google recommends. Policies set less."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """How a provider is reached: the model's name at the vendor, key, base URL and HTTP client."""

    model: str
    key: str = field(repr=False)
    url: str
    http: "httpx2.AsyncClient" = field(repr=False)


def open_model(name: str, settings: Settings) -> "Model":
    """The model that `name` (`anthropic:claude-sonnet-4-5`) stands for, kept for the running event loop (one
    has to run). Raises `Refused` for an unknown provider, and for a key or URL that is missing or unusable:
    it names the environment variable, never the value."""
    provider, _, model = name.partition(":")
    if provider not in _OPENERS or not model:
        raise Refused(f"model: {name!r} is not PROVIDER:MODEL; providers: {', '.join(_OPENERS)}")
    key, url = _key(provider, settings), _url(provider, settings)
    loop = _of_running_loop()
    known = (provider, model, key, url)
    if known not in loop.models:
        loop.models[known] = _OPENERS[provider](Vendor(model, key, url, loop.client(provider)))
    return loop.models[known]


def configured(settings: Settings) -> dict[str, bool]:
    """Each provider, and whether the settings hold what it needs. Nothing is asked of any vendor."""
    return {provider: _ready(provider, settings) for provider in _OPENERS}


def _openai(vendor: Vendor) -> "Model":
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=vendor.url, api_key=vendor.key, http_client=vendor.http)
    return OpenAIResponsesModel(vendor.model, provider=_once(provider))


def _openai_chat(vendor: Vendor) -> "Model":
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(base_url=vendor.url, api_key=vendor.key, http_client=vendor.http)
    return OpenAIChatModel(vendor.model, provider=_once(provider), profile=_whole_streams())


def _anthropic(vendor: Vendor) -> "Model":
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    # A timeout said here also keeps the SDK from refusing long answers that are not streamed.
    client = AsyncAnthropic(
        api_key=vendor.key,
        base_url=vendor.url,
        http_client=vendor.http,
        max_retries=0,
        timeout=vendor.http.timeout,
    )
    return AnthropicModel(vendor.model, provider=AnthropicProvider(anthropic_client=client))


def _google(vendor: Vendor) -> "Model":
    from google.genai import Client
    from google.genai.types import HttpOptions, HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    # Made here, not by the provider, for the TLS context: the SDK would load two more for clients never used.
    options = HttpOptions(
        base_url=vendor.url,
        httpx_async_client=vendor.http,
        client_args={"verify": _tls()},
        async_client_args={"ssl": _tls()},
        timeout=int(_SILENCE_SECONDS * 1000),
        retry_options=HttpRetryOptions(attempts=1),
    )
    client = Client(vertexai=False, api_key=vendor.key, http_options=options)

    class ClosingGoogleModel(GoogleModel):
        """Closes the connection of a stream that is left: google-genai keeps it, and the model goes on."""

        @asynccontextmanager
        async def request_stream(
            self,
            messages: "list[ModelMessage]",
            model_settings: "ModelSettings | None",
            model_request_parameters: "ModelRequestParameters",
            run_context: "RunContext[Any] | None" = None,
        ) -> "AsyncGenerator[StreamedResponse, None]":
            begun: list[httpx2.Response] = []
            before = _responses.set(begun)
            try:
                stream = super().request_stream(
                    messages, model_settings, model_request_parameters, run_context
                )
                async with stream as response:
                    yield response
            finally:
                for one in begun:
                    await one.aclose()
                with suppress(ValueError):  # closed by another task than it was opened by
                    _responses.reset(before)

    return ClosingGoogleModel(vendor.model, provider=GoogleProvider(client=client))


def _grok(vendor: Vendor) -> "Model":
    # By REST: the vendor's own SDK speaks gRPC and tries again by itself.
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles import ModelProfile, merge_profile
    from pydantic_ai.profiles.grok import grok_model_profile
    from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer, OpenAIModelProfile
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    def profile(model: str) -> ModelProfile:
        schemas = OpenAIModelProfile(json_schema_transformer=OpenAIJsonSchemaTransformer)
        return merge_profile(schemas, grok_model_profile(model))

    provider = OpenAICompatibleProvider(
        "xai", base_url=vendor.url, api_key=vendor.key, http_client=vendor.http, profile=profile
    )
    return OpenAIChatModel(vendor.model, provider=_once(provider), profile=_whole_streams())


def _copilot(vendor: Vendor) -> "Model":
    # Chat completions, read with leave for what Copilot omits of their form.
    from pydantic_ai.models.github_copilot import GitHubCopilotModel
    from pydantic_ai.providers.github_copilot import GitHubCopilotProvider

    provider = GitHubCopilotProvider(base_url=vendor.url, api_key=vendor.key, http_client=vendor.http)
    return GitHubCopilotModel(vendor.model, provider=_once(provider), profile=_whole_streams())


def _local(vendor: Vendor) -> "Model":
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    # What Ollama, llama.cpp and vLLM have in common: the older name of the limit, and no strict tools.
    profile = OpenAIModelProfile(
        openai_chat_supports_max_completion_tokens=False, openai_supports_strict_tool_definition=False
    )
    provider = OpenAICompatibleProvider(
        "local", base_url=vendor.url, api_key=vendor.key or None, http_client=vendor.http, profile=profile
    )
    return OpenAIChatModel(vendor.model, provider=_once(provider), profile=_whole_streams())


_OPENERS: dict[str, Callable[[Vendor], "Model"]] = {
    "openai": _openai,
    "openai-chat": _openai_chat,
    "anthropic": _anthropic,
    "google": _google,
    "grok": _grok,
    "copilot": _copilot,
    "local": _local,
}
_KEYS = {
    "openai": "openai_api_key",
    "openai-chat": "openai_api_key",
    "anthropic": "anthropic_api_key",
    "google": "google_api_key",
    "grok": "xai_api_key",
    "copilot": "github_copilot_api_key",
    "local": "local_model_api_key",
}
_URLS = {
    "openai": ("openai_base_url", "https://api.openai.com/v1"),
    "openai-chat": ("openai_base_url", "https://api.openai.com/v1"),
    "anthropic": ("anthropic_base_url", "https://api.anthropic.com"),
    "google": ("google_base_url", "https://generativelanguage.googleapis.com"),
    "grok": ("xai_base_url", "https://api.x.ai/v1"),
    "copilot": ("github_copilot_base_url", "https://api.githubcopilot.com"),
    "local": ("local_model_url", ""),
}
"""The setting that names the base URL, and the vendor's own: said here, so that no SDK looks elsewhere."""


def _whole_streams() -> "ModelProfile":
    # A stream that ends without a reason was cut off: an error, not an answer that stopped there.
    from pydantic_ai.profiles.openai import OpenAIModelProfile

    return OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)


def _once(provider: "Provider[AsyncOpenAI]") -> "Provider[AsyncOpenAI]":
    provider.client.max_retries = 0
    return provider


def _key(provider: str, settings: Settings) -> str:
    setting = _KEYS[provider]
    key: str = getattr(settings, setting).get_secret_value().strip()
    if not key and provider != "local":
        raise Refused(f"{provider}: no key; set {setting.upper()}")
    # An HTTP client that refuses a header repeats it in its error.
    if not all("!" <= sign <= "~" for sign in key):
        raise Refused(f"{setting.upper()}: holds blanks or letters that no key has; enter it again")
    return key


def _url(provider: str, settings: Settings) -> str:
    setting, usual = _URLS[provider]
    url: str = getattr(settings, setting).strip() or usual
    if not url:
        raise Refused(f"{provider}: no server; set {setting.upper()}, such as http://127.0.0.1:11434/v1")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Refused(f"{setting.upper()}: not a URL of a server; it begins with http:// or https://")
    if parts.username or parts.password:
        raise Refused(f"{setting.upper()}: holds a password; set {_KEYS[provider].upper()} instead")
    return url


def _ready(provider: str, settings: Settings) -> bool:
    try:
        _key(provider, settings)
        _url(provider, settings)
    except Refused:
        return False
    return True


@dataclass(slots=True)
class _Loop:
    """What belongs to one event loop: connections cannot be used on another, nor after it has closed."""

    models: "dict[tuple[str, str, str, str], Model]" = field(default_factory=dict, repr=False)
    clients: "dict[str, tuple[httpx2.AsyncClient, AsyncGenerator[httpx2.AsyncClient, None]]]" = field(
        default_factory=dict
    )

    def client(self, provider: str) -> "httpx2.AsyncClient":
        """The provider's own HTTP client: one vendor that hangs takes no connection from the others."""
        if provider not in self.clients:
            begun = _client()
            try:
                # `asyncio.run` ends all asynchronous generators begun on its loop: that closes the client.
                begun.__anext__().send(None)
            except StopIteration as stopped:
                self.clients[provider] = (stopped.value, begun)
        return self.clients[provider][0]


_loops: dict[asyncio.AbstractEventLoop, _Loop] = {}
_responses: "ContextVar[list[httpx2.Response] | None]" = ContextVar("responses", default=None)
"""HTTP responses begun in the context, where somebody is to close them."""


def _of_running_loop() -> _Loop:
    running = asyncio.get_running_loop()
    if running not in _loops:
        # Agents run under many short loops in one process: those that are gone make room.
        for loop in [loop for loop in list(_loops) if loop.is_closed()]:
            _loops.pop(loop, None)
        _loops[running] = _Loop()
    return _loops[running]


async def _client() -> "AsyncGenerator[httpx2.AsyncClient, None]":
    import httpx2

    client = httpx2.AsyncClient(
        verify=_tls(),
        timeout=httpx2.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
        limits=httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=MOST_IDLE),
        event_hooks={"request": [_limit_connecting], "response": [_note_response]},
    )
    try:
        yield client
    finally:
        await client.aclose()


@cache
def _tls() -> "ssl.SSLContext":
    # To load the certificates takes 25 ms, for every client anew.
    import httpx2

    return httpx2.create_ssl_context()


async def _limit_connecting(request: "httpx2.Request") -> None:
    # google-genai gives one number for every phase.
    request.extensions["timeout"] = {**request.extensions["timeout"], "connect": _CONNECT_SECONDS}


async def _note_response(response: "httpx2.Response") -> None:
    if (begun := _responses.get()) is not None:
        begun.append(response)
