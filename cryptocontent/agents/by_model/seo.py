"""The SEO editor with a model: it proposes title, description, slug, keywords and links; rules decide.

What is still wrong after one return is replaced by what the rules engine would have taken, field by field,
and told. The structured data is made by us, from what was chosen and from the text.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import wraps

from cryptocontent.agents.by_model.answering import Manners, answered
from cryptocontent.agents.by_model.evidence import sentence_problems
from cryptocontent.agents.by_model.internal_links import Linked, link_targets, with_links
from cryptocontent.agents.by_model.material import draft_block, system_prompt
from cryptocontent.agents.by_model.proposals import ArticleText, SeoProposal
from cryptocontent.agents.by_model.screen import unquoted
from cryptocontent.agents.desk import Desk, Tool
from cryptocontent.agents.drafts import counted, with_body
from cryptocontent.agents.prompts import render
from cryptocontent.agents.seo import (
    DESCRIPTION_LEAST,
    DESCRIPTION_MOST,
    KEYWORDS_MOST,
    TITLE_MOST,
    Chosen,
    by_rules,
    packaged,
)
from cryptocontent.agents.tools import MOST_CHARACTERS, slugs_in
from cryptocontent.agents.work import Work, WorkMessage
from cryptocontent.content.documents import Sentence
from cryptocontent.content.findings import NewFinding

VERSION = "1"

MOST_LINKS = 8
"""Links that a model is asked for, where the template does not ask for more."""
_TOOL = "existing_articles"


async def optimise(work: Work, desk: Desk) -> Work:
    """Make the SEO package, and put links to other articles in. Raises what `Desk.ask` does."""
    outline = work.brief.outline
    system = system_prompt("seo", work, desk)
    manners = Manners(work, desk.rules, (system,))
    article = ArticleText(work, desk.rules, manners)
    shelf = _Shelf(desk.tools.get(_TOOL))
    there = len(link_targets(work.draft.body))
    room = max(outline.internal_links.max - there, 0)
    wanted = max(outline.internal_links.min - there, 0)
    known = await shelf.first(work) if room else ""
    tools = {**desk.tools, _TOOL: shelf.watched} if shelf.tool and room else desk.tools

    def harmless(before: Sentence, after: Sentence) -> bool:
        # Checks read a link's words as a title: they must neither hide what is wrong nor see new faults.
        kinds = [
            sorted(one.kind for one in sentence_problems(each, work, desk.rules)) for each in (before, after)
        ]
        return kinds[0] == kinds[1]

    def links(proposal: SeoProposal) -> Linked:
        most = outline.internal_links.max
        return with_links(work.draft.body, proposal.links, shelf.slugs, most, harmless)

    def wrong(proposal: SeoProposal) -> list[str]:
        linked = links(proposal)
        found = [*_field_problems(article, proposal), *linked.refused]
        number = there + len(linked.edits.made)
        if number < outline.internal_links.min and len(shelf.slugs) > len(linked.edits.made):
            found.append(
                f"links: the article would have {number}; the template wants {outline.internal_links.min} "
                f"to {outline.internal_links.max}, and not all articles offered are linked"
            )
        return [f"{one}." for one in found]

    answer = await replace(desk, tools=tools).ask(
        SeoProposal,
        system=system,
        material="\n\n".join(part for part in (draft_block(work), known) if part),
        task=manners.heard(
            render(
                "seo",
                "propose",
                outline=outline,
                keywords=work.brief.keywords,
                most={
                    "title": TITLE_MOST,
                    "description": DESCRIPTION_MOST,
                    "keywords": KEYWORDS_MOST,
                    "links": min(room, max(wanted, MOST_LINKS)) if shelf.tool else 0,
                },
                least={"description": DESCRIPTION_LEAST, "links": wanted},
                instructions=work.asked("seo"),
            )
        ),
        check=wrong,
        tools=[_TOOL] if tools is not desk.tools else (),
    )
    proposal = answer.output
    linked = links(proposal)
    chosen, left_out = _chosen(work, article, proposal)
    left_out += linked.refused
    made = len(linked.edits.made)
    remark = f"{counted(made, 'link')} to other articles put in." if made else "The text is unchanged."
    if left_out:
        remark += f" {counted(len(left_out), 'proposal')} of the model left out."
    changed = with_body(work, linked.blocks, ()) if made else work
    told = (*linked.edits.messages("")[:-1], *(_told(one) for one in left_out))
    changed = changed.model_copy(update={"messages": (*changed.messages, *told)})
    done = packaged(changed, chosen, desk.rules, remark)
    answers = answered(work, "seo", proposal.answers, manners)
    return done.model_copy(update={"messages": (*done.messages, *answers)})


class _Shelf:
    """The project's other articles, as the tool gives them: those that it gave may be linked to."""

    def __init__(self, tool: Tool | None) -> None:
        self.tool = tool
        self.slugs: set[str] = set()

    async def first(self, work: Work) -> str:
        """What the tool gives for the article's subject; "" if it gives nothing."""
        if self.tool is None:
            return ""
        query = " ".join((work.draft.title, *work.brief.keywords))[:MOST_CHARACTERS]
        answer = await self.tool(query)
        self.slugs |= slugs_in(answer)
        return answer if self.slugs else ""

    @property
    def watched(self) -> Tool:
        """The tool, with what it gives noted."""
        tool = self.tool
        assert tool is not None  # noqa: S101

        @wraps(tool)
        async def asked(query: str) -> str:
            answer = await tool(query)
            self.slugs |= slugs_in(answer)
            return answer

        return asked


def _field_problems(article: ArticleText, proposal: SeoProposal) -> list[str]:
    fields = {
        "title": article.title_problems(_plain(proposal.title)),
        "description": article.description_problems(_plain(proposal.description)),
        "slug": article.slug_problems(proposal.slug),
        "keywords": [wrong for one in proposal.keywords if (wrong := _keyword_problem(article, one))],
    }
    if len(proposal.keywords) > KEYWORDS_MOST:
        fields["keywords"].append(f"{len(proposal.keywords)} are given; allowed are {KEYWORDS_MOST}")
    return [f"{name}: {one}" for name, problems in fields.items() for one in problems]


def _keyword_problem(article: ArticleText, keyword: str) -> str:
    """The brief's keywords stand, whether the text has them or not: the rules tell of it."""
    return "" if keyword in article.work.brief.keywords else article.keyword_problem(keyword)


def _chosen(work: Work, article: ArticleText, proposal: SeoProposal) -> tuple[Chosen, tuple[str, ...]]:
    """The model's fields as far as they are sound, else those of the rules engine; and why."""
    rules = by_rules(work)
    title, description = _plain(proposal.title), _plain(proposal.description)
    left_out: list[str] = []

    def sound(name: str, proposed: str, other: str, problems: Sequence[str]) -> str:
        if not problems:
            return proposed
        left_out.append(f"{name} “{proposed[:160]}”: {'; '.join(problems)}; “{other}” was taken instead")
        return other

    keywords = list(dict.fromkeys(one.strip() for one in work.brief.keywords if one.strip()))
    own = [one for one in map(_plain, proposal.keywords) if not _keyword_problem(article, one)]
    left_out += [
        f"keyword: {wrong}" for one in proposal.keywords if (wrong := _keyword_problem(article, one))
    ]
    taken = {one.casefold() for one in keywords}
    keywords += [one for one in dict.fromkeys(own) if one.casefold() not in taken]
    chosen = Chosen(
        title=sound("title", title, rules.title, article.title_problems(title)),
        description=sound(
            "description", description, rules.description, article.description_problems(description)
        ),
        slug=sound("slug", proposal.slug, rules.slug, article.slug_problems(proposal.slug)),
        keywords=tuple(keywords[:KEYWORDS_MOST]) if own else rules.keywords,
    )
    return chosen, tuple(left_out)


def _told(problem: str) -> WorkMessage:
    finding = NewFinding(
        rule="seo.left_out", severity="info", message=f"A model's proposal was left out: {unquoted(problem)}."
    )
    return WorkMessage(
        author="seo", kind="finding", body=finding.message, data=finding.model_dump(mode="json")
    )


def _plain(text: str) -> str:
    return " ".join(text.split())
