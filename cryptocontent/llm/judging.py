"""Whether what came back is an answer: of the form asked for, and whole."""

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestParameters

from cryptocontent.llm.calls import Outcome
from cryptocontent.llm.question import Question


class Unusable(Exception):
    """An answer that came, but is none."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


def judge(response: ModelResponse, parameters: ModelRequestParameters, question: Question) -> Outcome:
    """`ok`, or `filtered` where the vendor's content filter refused; raises `Unusable`."""
    if response.finish_reason == "content_filter":
        return "filtered"
    answers = _answers(response, parameters)
    if not response.parts or (not answers and not response.tool_calls and not response.text):
        raise Unusable("malformed", "the answer is empty")
    if question.accept is None:
        return "ok"
    for answer in answers:
        try:
            question.accept(answer)
        except ValueError as error:
            if response.finish_reason == "length":
                most = question.policy.max_tokens
                # No fault of the model's: the same would happen again, there or elsewhere.
                raise Unusable("rejected", f"the answer is longer than max_tokens {most}") from None
            raise Unusable("malformed", f"not of the form asked for: {shortened(str(error))}") from None
    return "ok"


def _answers(response: ModelResponse, parameters: ModelRequestParameters) -> list[str]:
    """The JSON of the answers in a response: arguments of the output tool, or the text where JSON is
    asked for as text."""
    outputs = {tool.name for tool in parameters.output_tools}
    called = [call.args_as_json_str() for call in response.tool_calls if call.tool_name in outputs]
    # Where only an answer of the form will do, text that is none is as bad as nothing.
    wants_json = parameters.output_mode != "text"
    if called or response.tool_calls or not wants_json:
        return called
    return [unfenced(response.text)] if response.text else []


def unfenced(text: str) -> str:
    """JSON without the fence that models like to put around it."""
    text = text.strip()
    if text.startswith("```"):
        text = text.split("\n", 1)[-1].rsplit("```", 1)[0]
    return text


def shortened(text: str, limit: int = 300) -> str:
    """The text in one line of at most `limit` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"
