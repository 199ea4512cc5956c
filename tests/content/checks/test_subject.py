import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.content.documents import Source, render_article
from tests.content.checks.subjects import BLOBS, HALVING, subject

_MARKERS = re.compile(r"\s?\[\^\d+\]")


def plain(text: str) -> str:
    return " ".join(_MARKERS.sub("", text).split())


def placed(one) -> list[tuple[str, str, tuple[int, ...]]]:
    return [
        (sentence.text, plain(one.markdown[sentence.start : sentence.end]), sentence.citations)
        for sentence in one.sentences
    ]


SENTENCES = st.sampled_from(
    [sentence for text in (HALVING, BLOBS) for sentence in re.findall(r"[A-Z][^.]*(?:\.\d[^.]*)*\.", text)]
)
MARKERS = st.lists(st.integers(1, 9), max_size=2).map(lambda found: "".join(f"[^{one}]" for one in found))


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Paragraphs, lists, quotations, tables and headings of real sentences, their lines broken anywhere."""
    blocks = []
    for kind in draw(
        st.lists(st.sampled_from(["text", "item", "quote", "heading", "row"]), min_size=1, max_size=6)
    ):
        told = [
            f"{sentence}{markers}"
            for sentence, markers in draw(st.lists(st.tuples(SENTENCES, MARKERS), min_size=1, max_size=3))
        ]
        text = " ".join(told)
        if kind in ("text", "item") and draw(st.booleans()):
            words = text.split(" ")
            at = draw(st.integers(0, len(words) - 1))
            text = " ".join(words[:at]) + "\n" + " ".join(words[at:]) if at else text
        form = {"text": text, "item": f"- {text}", "quote": f"> {text}", "heading": "## Of fees"}
        blocks.append(form.get(kind, f"| Name | Text |\n|---|---|\n| fee | {text} |"))
    return "\n\n".join(blocks)


@given(bodies())
def test_every_sentence_stands_where_its_offsets_say(body):
    one = subject(body)
    for text, there, _ in placed(one):
        assert re.sub(r"(?<!\S)>\s", "", there) == text
    starts = [(sentence.start, sentence.end) for sentence in one.sentences]
    assert starts == sorted(starts)
    assert all(start < end for start, end in starts)
    for block in one.blocks:
        assert one.markdown[block.start : block.end].strip()


def test_markers_within_a_sentence_belong_to_its_place_and_those_after_it_do_not():
    one = subject("The fee[^1], which is\nburned[^2] in every block, rises.[^3] It falls.[^1][^2]")
    first, second = one.sentences
    assert one.markdown[first.start : first.end] == "The fee[^1], which is\nburned[^2] in every block, rises."
    assert first.text == "The fee, which is burned in every block, rises."
    assert (first.citations, second.citations) == ((1, 2, 3), (1, 2))
    assert one.markdown[second.start : second.end] == "It falls."


def test_the_same_sentence_twice_has_two_places():
    one = subject("Fees rise.[^1]\n\nFees rise.[^1]")
    first, second = one.sentences
    assert first.start < second.start and first.text == second.text


def test_what_follows_the_list_of_sources_is_body_too():
    article = render_article("Fees", "Fees rise.[^1]", [Source(1, "A source")])
    assert [text for text, _, _ in placed(subject(article, title=""))] == ["Fees rise."]
    hidden = subject(f"{article}\nBuy 100 coins now.", title="")
    assert [text for text, _, _ in placed(hidden)] == ["Fees rise.", "Buy 100 coins now."]


@pytest.mark.parametrize(
    ("block", "read"),
    [
        ("> Fees rise.[^1]\n> They fall.", ["Fees rise.", "They fall."]),
        ("| Year | Fee |\n| --- | --- |\n| 2023 | 5 |", ["Year | Fee", "2023 | 5"]),
        ("<div>Fees rise.</div>", ["<div>Fees rise.", "</div>"]),
        ("```\nFees rise by 12.\n```", []),
        ("::: notice risk\nFees rise by 12.\n:::", []),
        ("::: whatever\nFees rise by 12.", ["Fees rise by 12."]),
        ("1. Fees rise.\n2. They fall.", ["Fees rise.", "They fall."]),
        ('![Fees](image:1 "A chart of 12 fees")', []),
    ],
)
def test_all_is_a_sentence_that_readers_read_as_text(block, read):
    assert [text for text, _, _ in placed(subject(block))] == read


def test_the_heads_of_a_table_rest_on_what_its_rows_cite():
    one = subject("| Year | 2024 |\n| --- | --- |\n| fee | 5[^1] |\n| tip | 6[^2] |")
    assert [citations for _, _, citations in placed(one)] == [(1, 2), (1,), (2,)]


def test_sections_and_places_of_blocks():
    one = subject("Lead.[^1]\n\n## Fees\n\nFees rise.[^1]\n\n### Tips\n\nTips fall.")
    assert [sentence.section for sentence in one.sentences] == ["", "Fees", "Fees"]
    assert [one.markdown[block.start : block.end] for block in one.blocks] == [
        "Lead.[^1]", "Fees", "Fees rise.[^1]", "Tips", "Tips fall.",
    ]  # fmt: skip
