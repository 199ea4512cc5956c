"""What a model says to people: fit to be shown, and an answer to every request."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptocontent.agents.by_model.edits import InstructionAnswer
from cryptocontent.agents.by_model.screen import foreign, instructions_in, leaks
from cryptocontent.agents.work import Work, WorkMessage
from cryptocontent.content.rules import Rules

_SHOWN, _MOST = 300, 1000


@dataclass(slots=True)
class Manners:
    """What a model's own words about `work` must not hold; `told` are the prompts that it was given."""

    work: Work
    rules: Rules
    told: Sequence[str]

    def heard(self, task: str) -> str:
        """The task, which the model is about to be told as well."""
        self.told = (*self.told, task)
        return task

    def problem(self, text: str) -> str:
        """Why nobody should read the text, as a clause; "" if it may be shown."""
        outline = self.work.brief.outline
        known = [one.body for one in self.work.instructions]
        known += [self.work.draft.title, self.work.draft.body, outline.title, *outline.required_phrases]
        known += [f"{one.heading} {one.query}" for one in outline.sections]
        if leaks(text, self.told, known):
            return "it repeats what you were told; say it in your own words"
        if instructions_in(text, self.rules):
            return "it gives an agent instructions"
        if strange := foreign(text, self.work):
            return f"“{strange[0][:80]}” stands neither in the research nor in the brief"
        return ""


def answered(
    work: Work, agent: str, answers: Sequence[InstructionAnswer], manners: Manners | None = None
) -> list[WorkMessage]:
    """A message for each request to the agent: the answer, or that there is none. With `manners`, answers
    that nobody should read count as none."""
    told = []
    for number, asked in enumerate(work.asked(agent), 1):
        said = [" ".join(one.answer.split()) for one in answers if one.instruction == number]
        what = f"“{asked.body.strip()[:_SHOWN]}” by {asked.author}"
        data = {"asked_by": asked.author}
        answer = " ".join(one for one in dict.fromkeys(said) if not (manners and manners.problem(one)))[
            :_MOST
        ]
        if answer:
            told.append(WorkMessage(author=agent, kind="summary", body=f"{what}: {answer}", data=data))
        else:
            body = f"The model did not answer {what}. Please say it in other words."
            told.append(WorkMessage(author=agent, kind="question", body=body, data=data))
    return told
