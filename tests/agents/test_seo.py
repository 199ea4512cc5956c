import pytest

from cryptocontent.agents import analyst, editor, proofreader, seo, writer
from cryptocontent.content.documents import paragraphs, parse
from cryptocontent.content.text import supports
from tests.agents.research import draft, passage, work

FEE = "The base fee of Ethereum is burned in every block, and the tip goes to the validator who proposed it."


async def test_the_package_of_a_whole_article():
    made = work()
    for stage in (writer, editor, proofreader, analyst, seo):
        made = await stage.rules(made)
    package = made.seo
    assert package is not None
    assert package.title == "Blob transactions, explained"
    assert package.slug == "blob-transactions-explained"
    assert 70 <= len(package.description) <= 155
    assert package.keywords[0] == "blobs" and 3 <= len(package.keywords) <= 10
    document = package.json_ld
    assert document["@type"] == "Article" and document["wordCount"] == made.metrics["words"] >= 500
    assert {entry["name"] for entry in document["citation"]} <= {one.title for one in made.research}
    assert not {"author", "datePublished"} & set(document)
    assert not [finding for finding in made.findings if finding.severity == "block"]
    # all that the five stages did left every sentence supported
    for paragraph in paragraphs(parse(made.draft.body)):
        for sentence in paragraph.sentences:
            assert sentence.citations
            assert all(
                supports(made.research[number - 1].text, sentence.text) for number in sentence.citations
            )
    assert [message.author for message in made.messages if message.kind == "summary"] == [
        "writer",
        "editor",
        "proofreader",
        "analyst",
        "seo",
    ]


@pytest.mark.parametrize(
    ("title", "short"),
    [
        ("Fees, explained", "Fees, explained"),
        (
            "How Ethereum moved to proof of stake: what changed for the people who run its nodes",
            "How Ethereum moved to proof of stake",
        ),
        (
            "What everyone who holds ether should know about the base fee of the network",
            "What everyone who holds ether should know about the base fee",
        ),
    ],
)
def test_titles_are_cut_between_words(title, short):
    assert seo.short_title(title) == short
    assert len(seo.short_title(title)) <= 60


def test_descriptions_end_with_a_sentence_or_an_ellipsis():
    assert seo.describe([FEE, FEE]) == FEE
    long = "word " * 60
    assert seo.describe([long]).endswith("…") and len(seo.describe([long])) <= 155
    assert seo.describe(["`Code` is fine."]) == "Code is fine."
    assert seo.describe([]) == ""


async def test_findings_on_headings_title_and_keyword():
    body = f"{FEE}[^1]\n\n### Too deep\n\n{FEE}[^1]"
    made = await seo.rules(draft(body, FEE, keywords=("zebra",)))
    assert [finding.rule for finding in made.findings] == [
        "keyword.missing_in_title",
        "keyword.missing_in_lead",
    ]
    told = [message.data["rule"] for message in made.messages if message.kind == "finding"]
    assert told == ["heading.order", *(finding.rule for finding in made.findings)]
    fine = await seo.rules(draft(f"{FEE}[^1]\n\n## Fees\n\n{FEE}[^1]", FEE, keywords=("fee",)))
    assert fine.findings == ()
    assert fine.draft.body == f"{FEE}[^1]\n\n## Fees\n\n{FEE}[^1]"


async def test_too_short_is_told():
    made = await seo.rules(draft(f"{FEE}[^1]", FEE, least=30))
    assert "length.below_minimum" in [one.data["rule"] for one in made.messages if one.kind == "finding"]
    assert made.findings == ()


async def test_sources_are_told_once_with_their_address_if_they_have_one():
    with_url = passage(1, FEE).model_copy(update={"url": "https://example.org"})
    made = await seo.rules(
        draft(f"{FEE}[^1] {FEE}[^2] {FEE}[^3]", with_url, passage(2, FEE), passage(3, FEE, "other"))
    )
    assert made.seo is not None
    assert made.seo.json_ld["citation"] == [
        {"@type": "CreativeWork", "name": "Title of r", "url": "https://example.org"},
        {"@type": "CreativeWork", "name": "Title of other"},
    ]


async def test_keywords_are_nouns_of_the_text_and_no_filler():
    filler = (
        "Additionally the base fee has been fixed but validators are able to receive priority tips. "
        "Additionally the base fee had been fixed but validators were able to receive priority tips quickly."
    )
    body = " ".join(f"{one}[^1]" for one in (filler.split(". ")[0] + ".", filler.split(". ")[1]))
    made = await seo.rules(draft(f"{body}\n\n## Fees\n\n{FEE}[^1]", FEE, keywords=("ether",)))
    assert made.seo is not None
    assert made.seo.keywords[0] == "ether"
    assert {"base fee", "priority tips"} <= set(made.seo.keywords)
    assert not {"but", "been", "able", "additionally", "fixed", "quickly"} & {
        word for keyword in made.seo.keywords for word in keyword.split()
    }
