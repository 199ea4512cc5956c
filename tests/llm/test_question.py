"""The key of a request: all that decides on its answer, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from cryptocontent.llm.calls import Spent
from cryptocontent.llm.question import Question, request_key
from tests.llm.scripted import SCOPE, policy

FORM = ToolDefinition(name="final_result", parameters_json_schema={"title": "Answer"})
PARAMETERS = ModelRequestParameters(output_tools=[FORM])


def key(
    chosen: Any = None,
    scope: Any = SCOPE,
    prompt: str = "how many?",
    instructions: str = "be brief",
    parameters: ModelRequestParameters = PARAMETERS,
    at: datetime = datetime(2026, 11, 25, tzinfo=UTC),
) -> str:
    question = Question(chosen or policy("openai:a", "google:b"), scope, None, None, Spent())
    message = ModelRequest(parts=[UserPromptPart(prompt, timestamp=at)], instructions=instructions)
    return request_key(question, [message], parameters)[0]


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "how many now?"},
        {"instructions": "be long"},
        {"scope": replace(SCOPE, project_id="q")},
        {"chosen": policy("google:b", "openai:a")},
        {"chosen": policy("openai:a", "google:b", temperature=0.5)},
        {"chosen": policy("openai:a", "google:b", max_tokens=50)},
        {"chosen": policy("openai:a", "google:b", output="text")},
        {"parameters": ModelRequestParameters()},
        {"parameters": ModelRequestParameters(output_tools=[replace(FORM, parameters_json_schema={})])},
        {"parameters": replace(PARAMETERS, function_tools=[ToolDefinition(name="search")])},
    ],
)
def test_what_decides_on_the_answer_makes_another_key(other: dict[str, Any]) -> None:
    assert key(**other) != key()


@pytest.mark.parametrize(
    "other",
    [
        {"at": datetime(2027, 1, 1, tzinfo=UTC)},
        {"scope": replace(SCOPE, generation_id="other", run_id="other")},
        {"chosen": policy("openai:a", "google:b", timeouts={"attempt": 1}, attempts=3, stream=True)},
    ],
)
def test_what_does_not_makes_the_same(other: dict[str, Any]) -> None:
    assert key(**other) == key()
