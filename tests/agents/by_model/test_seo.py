"""The SEO editor with a model: what it proposes is held against the article, field by field."""

import pytest

from cryptocontent.agents import seo as by_rules
from cryptocontent.agents.by_model.internal_links import InternalLink, with_links
from cryptocontent.agents.by_model.seo import optimise
from cryptocontent.agents.work import Instruction
from cryptocontent.content.documents import cited_numbers
from cryptocontent.content.templates import InternalLinks
from tests.agents.by_model.desks import Use, desk
from tests.agents.research import draft

FEE = "The base fee of Ethereum is burned in every block, and the tip goes to the validator who proposed it."
COST = "A blob costs 131,072 gas under EIP-4844."
BODY = (
    f"{FEE}[^1]\n\n## The base fee\n\nValidators keep the tip. “A validator is paid by the tip of a block”, "
    f"they say.[^1] Rollups post blobs, and `rollups` pay for it.[^2] {COST}[^2] It rose by 12 % in 2031.\n\n"
    "::: notice house\nRollups are risky, and so are validators.\n:::"
)
GOOD = {
    "title": "The base fee of Ethereum, explained",
    "description": "The base fee of Ethereum is burned in every block, and the tip goes to the validator. "
    "A blob costs 131,072 gas.",
    "slug": "base-fee-ethereum-eip-4844",
    "keywords": ["base fee", "validators", "blob"],
}


def work(body=BODY, links=None, **brief):
    made = draft(
        body,
        f"{FEE} Validators keep the tip. A validator is paid by the tip of a block.",
        f"{COST} Rollups post blobs and rollups pay for it.",
        **brief,
    )
    outline = made.brief.outline.model_copy(update={"internal_links": InternalLinks(**(links or {}))})
    return made.model_copy(update={"brief": made.brief.model_copy(update={"outline": outline})})


async def optimised(given, *proposals, **more):
    """The work after a model proposed these, the last one again and again."""
    left = list(proposals)

    def reply(_):
        return left.pop(0) if len(left) > 1 else left[0]

    at, asked = desk(reply, stage="seo", **more)
    return await optimise(given, at), asked


def shelf(*slugs):
    """The tool of a project with these articles; its `asked` has the queries."""
    queries = []

    async def existing_articles(query: str) -> str:
        """Find articles."""
        queries.append(query)
        return "\n".join(f"- article:{slug} | About {slug}" for slug in slugs)

    return {"existing_articles": existing_articles}, queries


def left_out(made):
    return [one.body for one in made.messages if one.data.get("rule") == "seo.left_out"]


async def test_a_sound_proposal_becomes_the_package():
    made, asked = await optimised(work(keywords=("fee",)), GOOD)
    package = made.seo
    assert package is not None and len(asked) == 1
    assert (package.title, package.description) == (GOOD["title"], GOOD["description"])
    assert package.slug == GOOD["slug"]
    assert package.keywords == ("fee", *GOOD["keywords"])
    assert made.draft.body == BODY and left_out(made) == []
    document = package.json_ld
    assert document["headline"] == "Fees, explained" and document["description"] == GOOD["description"]
    assert document["keywords"] == list(package.keywords) and document["@type"] == "Article"
    ruled = await by_rules.rules(work(keywords=("fee",)))
    assert made.metrics == ruled.metrics
    assert ruled.seo is not None and document["citation"] == ruled.seo.json_ld["citation"]
    assert document["wordCount"] == made.metrics["words"]
    assert made.messages[-1].body.endswith("The text is unchanged.")


LEAK = "You propose what search engines are told of a finished article, and links from it to other articles."
LONG = "The base fee of Ethereum is burned in every block and the tip goes to validators"


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("title", LONG, "it has 80 characters; allowed are 60"),
        ("title", "", "it is empty"),
        ("title", "The base fee of EIP-1559, explained", "“EIP-1559” is not in the article"),
        (
            "title",
            "The base fee rose by 12 % in 2031",
            "“12 %” is in the article, but no source bears it out",
        ),
        ("title", "The [base fee](article:x), explained", "is markup"),
        ("title", "Penguins waddle across frozen beaches", "most of its words are not in the article"),
        ("description", LEAK, "it repeats what you were told"),
        ("description", f"{FEE} See existing_articles.", "stands neither in the research nor in the brief"),
        ("title", "The base fee at scam-wallet.com", "it holds a link or a domain"),
        ("title", "The base fee: guaranteed returns of Ethereum", "guaranteed returns"),
        ("title", "The base fee is so safe in Ethereum", "“so safe” must not stand in it"),
        ("description", "The base fee is burned.", "it has 23 characters; allowed are 70 to 155"),
        (
            "description",
            GOOD["description"].replace("131,072", "131,073"),
            "“131,073” is not in the article",
        ),
        ("slug", "The Base Fee!", "“The Base Fee!” is no slug; allowed are"),
        ("slug", "", "is no slug"),
        ("slug", "x" * 81, "is no slug"),
        ("slug", "base-fee-2040", "“2040” is not in the article"),
        ("keywords", ["base fee", "penguins"], "“penguins” is not in the article"),
        ("keywords", ["base fee\n# Title"], "is no keyword"),
        ("keywords", [f"base fee {n}" for n in range(11)], "11 are given; allowed are 10"),
    ],
)
async def test_what_is_wrong_goes_back_once_and_then_falls_to_the_rules(field, value, told):
    given = work(keywords=("fee",))
    outline = given.brief.outline.model_copy(update={"forbidden_phrases": ("so safe",)})
    given = given.model_copy(update={"brief": given.brief.model_copy(update={"outline": outline})})
    made, asked = await optimised(given, {**GOOD, field: value})
    assert len(asked) == 2 and f"{field}: " in asked[1].problems and told in asked[1].problems
    ruled = (await by_rules.rules(given)).seo
    assert made.seo is not None and ruled is not None
    for name in ("title", "description", "slug"):
        assert getattr(made.seo, name) == (getattr(ruled, name) if name == field else GOOD[name])
    if field == "keywords":
        assert "penguins" not in made.seo.keywords and len(made.seo.keywords) <= 10
    else:
        (message,) = left_out(made)
        assert told in message and "was taken instead" in message
        assert "1 proposal of the model left out" in made.messages[-1].body


async def test_a_mended_proposal_is_taken():
    made, asked = await optimised(work(), {**GOOD, "slug": "No slug"}, GOOD)
    assert len(asked) == 2 and left_out(made) == []
    assert made.seo is not None and made.seo.slug == GOOD["slug"]


async def test_keywords_of_the_rules_are_taken_if_none_is_left():
    made, _ = await optimised(work(), {**GOOD, "keywords": ["penguins"]})
    ruled = (await by_rules.rules(work())).seo
    assert made.seo is not None and ruled is not None and made.seo.keywords == ruled.keywords != ()


async def test_the_briefs_keywords_stand_though_the_text_has_them_not():
    made, asked = await optimised(work(keywords=("zebra",)), {**GOOD, "keywords": ["zebra", "base fee"]})
    assert len(asked) == 1 and made.seo is not None
    assert made.seo.keywords == ("zebra", "base fee")
    assert [one.rule for one in made.findings] == ["keyword.missing_in_title", "keyword.missing_in_lead"]


def linking(*pairs):
    return {**GOOD, "links": [{"text": text, "slug": slug} for text, slug in pairs]}


async def test_links_are_put_in_by_us_where_they_may_stand():
    tools, queries = shelf("fee-market", "rollups")
    proposal = linking(("Base fee", "fee-market"), ("rollups", "rollups"))
    made, asked = await optimised(work(keywords=("fee",)), proposal, tools=tools)
    assert queries == ["Fees, explained fee"]
    assert "- article:rollups | About rollups" in asked[0].material
    assert made.draft.body == BODY.replace(
        "The base fee of", "The [base fee](article:fee-market) of", 1
    ).replace("Rollups post", "[Rollups](article:rollups) post")
    edits = [one for one in made.messages if one.kind == "edit"]
    assert [one.data["rule"] for one in edits] == ["links.internal"] * 2
    assert edits[0].data["before"] == f"{FEE}[^1]"
    assert "2 links to other articles put in." in made.messages[-1].body
    assert cited_numbers(made.draft.body) == cited_numbers(BODY)
    assert made.seo is not None and made.seo.description == GOOD["description"]


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (
            ("base fee", "elsewhere"),
            "'elsewhere': no such article was offered; offered are fee-market and rollups",
        ),
        (("is paid by the tip", "rollups"), "its words stand nowhere"),  # a quotation
        (("The base fee\n", "rollups"), None),
        (("so are validators", "rollups"), "its words stand nowhere"),  # a notice
        (("ase fee", "rollups"), "its words stand nowhere"),  # a part of a word
        (("12 % in 2031", "rollups"), "its words stand nowhere"),  # a claim without a source
        (("[base fee]", "rollups"), "1 to 8 plain words"),
        ((FEE, "rollups"), "1 to 8 plain words"),
        (("", "rollups"), "1 to 8 plain words"),
    ],
)
async def test_a_link_that_may_not_stand_is_left_out_and_told(pair, told):
    tools, _ = shelf("fee-market", "rollups")
    made, asked = await optimised(work(), linking(pair), tools=tools)
    if told is None:
        assert made.draft.body.startswith("[The base fee](article:rollups) of")
        return
    assert told in asked[1].problems and made.draft.body == BODY
    assert told in left_out(made)[0]


async def test_an_article_is_linked_once_and_the_outlines_most_is_kept():
    tools, _ = shelf("fee-market", "rollups", "tips")
    body = f"[Fees](article:tips) are paid.[^1]\n\n{BODY}"
    proposal = linking(
        ("the tip", "tips"), ("base fee", "fee-market"), ("every block", "fee-market"), ("Rollups", "rollups")
    )
    made, asked = await optimised(work(body, {"max": 2}), proposal, tools=tools)
    assert made.draft.body.count("](article:") == 2 and "](article:fee-market)" in made.draft.body
    told = left_out(made)
    assert ["there already" in one for one in told] == [True, True, False]
    assert "may have 2 links to other articles at most" in told[2]
    assert "- Links: 0 to 1" in asked[0].task


async def test_too_few_links_go_back_while_articles_are_left():
    tools, _ = shelf("fee-market", "rollups")
    few, enough = (
        linking(("base fee", "fee-market")),
        linking(("base fee", "fee-market"), ("Rollups", "rollups")),
    )
    made, asked = await optimised(work(links={"min": 2}), few, enough, tools=tools)
    assert "links: the article would have 1; the template wants 2 to 50" in asked[1].problems
    assert made.draft.body.count("](article:") == 2
    one, _ = shelf("fee-market")
    _, asked = await optimised(work(links={"min": 2}), few, tools=one)
    assert len(asked) == 1  # nothing is left to link to


async def test_a_template_without_links_gets_none():
    tools, queries = shelf("fee-market")
    made, asked = await optimised(work(links={"max": 0}), linking(("base fee", "fee-market")), tools=tools)
    assert queries == [] and asked[0].tools == () and "- Links: none" in asked[0].task
    assert made.draft.body == BODY


async def test_what_the_model_finds_with_the_tool_may_be_linked():
    calls = []

    async def existing_articles(query: str) -> str:
        """Find articles."""
        calls.append(query)
        return "- article:rollups | Rollups" if query == "rollups" else "No article."

    def reply(asked):
        return (
            linking(("Rollups", "rollups"))
            if asked.results
            else Use("existing_articles", {"query": "rollups"})
        )

    at, asked = desk(reply, stage="seo", tools={"existing_articles": existing_articles})
    made = await optimise(work(), at)
    assert calls == ["Fees, explained", "rollups"] and asked[0].tools == ("existing_articles",)
    assert "[Rollups](article:rollups) post" in made.draft.body
    assert "No article." not in asked[0].material


async def test_people_get_an_answer():
    asks = (Instruction(stage="seo", body="name the fee", author="anna"),)
    given = work().model_copy(update={"instructions": asks})
    answers = [{"instruction": 1, "answer": "The title names it."}]
    made, asked = await optimised(given, {**GOOD, "answers": answers})
    assert "1. anna: name the fee" in asked[0].task
    assert made.messages[-1].body == "“name the fee” by anna: The title names it."


def test_a_link_never_changes_how_the_text_reads():
    body = "See the guide. The guide is long. A *long* guide, see https://x.org/guide and ![guide](image:a)."
    links = [InternalLink(text="guide", slug="a"), InternalLink(text="Guide is", slug="b")]
    links += [InternalLink(text="x.org", slug="c"), InternalLink(text="image", slug="d")]
    linked = with_links(body, links, {"a", "b", "c", "d"}, 10, lambda *_: True)
    rendered = " ".join(block.render() for block in linked.blocks)
    assert rendered.startswith("See the [guide](article:a). The [guide is](article:b) long.")
    assert len(linked.refused) == 2 and rendered.endswith("and ![guide](image:a).")
    assert with_links(body, links[:1], {"a"}, 10, lambda *_: False).refused
