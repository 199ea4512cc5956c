"""The end of the road: what is done to every text after the last stage, whichever agents made it."""

from collections.abc import Mapping

from sqlalchemy import Engine

from cryptocontent.agents.inputs import Inputs
from cryptocontent.agents.store import article_id_of, article_markdown
from cryptocontent.agents.work import Draft, Work
from cryptocontent.content import checking
from cryptocontent.content.checking import Checked
from cryptocontent.content.checks.compliance import with_notices
from cryptocontent.content.checks.subject import CitedSource, Subject
from cryptocontent.content.rules import Rules
from cryptocontent.storage.database import reading
from cryptocontent.storage.types import utc_now


def subject_of(work: Work, rules: Rules) -> Subject:
    """The work's draft as checks look at it."""
    return Subject(
        markdown=article_markdown(work),
        outline=work.brief.outline,
        rules=rules,
        now=utc_now(),
        sources={
            passage.number: CitedSource(
                number=passage.number,
                id=passage.passage_id or (passage.fact.id if passage.fact else ""),
                title=passage.title,
                text=passage.text,
                reference_id=passage.reference_id or None,
                url=passage.url,
                licence=passage.licence,
                status=passage.status,
                fact=passage.fact,
            )
            for passage in work.research
            if passage.text
        },
        keywords=work.brief.keywords,
        asset_ids=frozenset(work.brief.asset_ids),
    )


class Checker:
    """Puts the locked notices in and runs all checks; knows the texts of the projects' other articles,
    those that end in the same batch included."""

    def __init__(self, engine: Engine, inputs: Mapping[str, Inputs]) -> None:
        self.inputs = inputs
        projects = {item.work.brief.project_id for item in inputs.values()}
        with reading(engine) as session:
            self._shelves = {one: checking.Shelf.of(session, one) for one in projects}

    def finish(self, brief: str, work: Work) -> tuple[Work, Checked]:
        """The finished work, and what the checks say of it."""
        item, article = self.inputs[brief], article_id_of(brief)
        body = with_notices(work.draft.body, work.brief.outline, item.rules, title=work.draft.title)
        work = work.model_copy(update={"draft": Draft(title=work.draft.title, body=body)})
        shelf = self._shelves[work.brief.project_id]
        checked = checking.run(subject_of(work, item.rules), article, shelf)
        shelf.minhashes[article] = checked.minhash
        return work, checked
