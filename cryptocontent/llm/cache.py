"""The response cache: what was answered, and paid for, is not asked again.

It is durable: a guard keeps an answer in the transaction that settles its call. So a process that is
killed after an answer came finds it here when the stage is done again.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import TypeAdapter
from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import CompletedStreamedResponse, Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from cryptocontent.llm.judging import Unusable, judge
from cryptocontent.llm.ledger import Ledger
from cryptocontent.llm.question import Question, request_key

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


class KeptAnswers(WrapperModel):
    """Looks for a kept answer before it asks the wrapped model."""

    def __init__(self, wrapped: Model, question: Question, ledger: Ledger) -> None:
        super().__init__(wrapped)
        self.question, self.ledger = question, ledger

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The kept answer to this very request, else the wrapped model's."""
        self.question.begin(*request_key(self.question, messages, model_request_parameters))
        if (kept := await self.ledger.kept(self.question.request_key)) is not None:
            response = self._read(kept, model_request_parameters)
            if response is not None:
                await self._charge(response)
                return response
            await self.ledger.discard([self.question.request_key])
        return await self.wrapped.request(messages, model_settings, model_request_parameters)

    async def _charge(self, response: ModelResponse) -> None:
        """The stage that uses the answer is the one that it was paid for."""
        spent = self.question.spent
        spent.kept += 1
        if paid := await self.ledger.paid(self.question.request_key):
            spent.models.append(paid.model)
            spent.input_tokens += paid.input_tokens
            spent.output_tokens += paid.output_tokens
            spent.cost_usd += paid.cost_usd
        else:
            spent.models.append(f"{response.provider_name}:{response.model_name}")

    def _read(self, kept: str, parameters: ModelRequestParameters) -> ModelResponse | None:
        """The answer, if it can be read (another release may have kept it) and has the form asked for (what a
        vendor's batch brought was not looked at yet)."""
        try:
            response = _RESPONSE.validate_json(kept)
            judge(response, parameters, self.question)
        except (ValueError, Unusable):
            return None
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The answer in one piece. Tokens go to the question's `watch` as they come: so a stream that breaks
        midway can start again with another model."""
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )
