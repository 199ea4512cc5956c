"""The article's Markdown: what is parsed is what is rendered."""

from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.content.documents import (
    Figure,
    Heading,
    Paragraph,
    Sentence,
    Source,
    Verbatim,
    body_words,
    cited_numbers,
    notice_lines,
    parse,
    render,
    render_article,
    split_article,
    without_empty,
)

BODY = """Blobs are cheap, e.g. for rollups.[^1] They expire.[^2][^3]

## How it works

- The first step.[^4]
- The second step.

![A diagram](image:abc "EIP-4844")

```python
x = 1

y = 2
```

| a | b |
|---|---|
| 1 | 2 |

The end.[^12]"""


def test_blocks_of_every_kind_are_told_apart() -> None:
    blocks = parse(BODY)
    assert blocks[0] == Paragraph(
        (Sentence("Blobs are cheap, e.g. for rollups.", (1,)), Sentence("They expire.", (2, 3)))
    )
    assert blocks[1] == Heading(2, "How it works")
    assert blocks[2] == Paragraph((Sentence("The first step.", (4,)),), bullet="-")
    assert blocks[4] == Figure("A diagram", "image:abc", "EIP-4844")
    assert [type(block) for block in blocks[5:7]] == [Verbatim, Verbatim]
    assert render(blocks) == BODY


def test_a_version_lists_the_sources_that_it_cites_and_no_others() -> None:
    sources = [
        Source(3, "Title", ("Title", "Part"), "https://x.example", "CC0"),
        Source(1, "One"),
        Source(9, "Nine"),
    ]
    text = render_article("T", "A.[^3] B.[^1]", sources)
    assert text.startswith(
        "# T\n\nA.[^3] B.[^1]\n\n## Sources\n\n[^1]: One.\n[^3]: Title, “Part” (CC0). <https://x."
    )
    assert "Nine" not in text
    assert split_article(text) == ("T", "A.[^3] B.[^1]")
    assert cited_numbers(text) == {1, 3}


def test_headings_over_nothing_and_empty_paragraphs_go() -> None:
    blocks = [Heading(2, "A"), Heading(2, "B"), Paragraph(()), Paragraph((Sentence("x."),)), Heading(2, "C")]
    assert without_empty(blocks) == [Heading(2, "B"), Paragraph((Sentence("x."),))]


def test_a_marker_after_a_full_stop_ends_a_sentence_and_one_within_does_not() -> None:
    paragraph = parse("Fees fell vs.[^1] The rest[^2] stayed.[^3] Nobody cited this.")[0]
    assert paragraph == Paragraph(
        (
            Sentence("Fees fell vs.", (1,)),
            Sentence("The rest stayed.", (2, 3)),
            Sentence("Nobody cited this."),
        )
    )


def test_citation_markers_are_not_words() -> None:
    assert body_words(parse("One two three.[^1][^22]")) == 3


# Longer than abbreviations, after which a full stop ends nothing.
WORD = st.from_regex(r"[a-z]{7,12}", fullmatch=True)
SENTENCE = st.builds(
    lambda words, cited: Sentence(" ".join(words).capitalize() + ".", tuple(dict.fromkeys(cited))),
    st.lists(WORD, min_size=2, max_size=9),
    st.lists(st.integers(1, 60), max_size=3),
)
BLOCK = st.one_of(
    st.builds(lambda sentences: Paragraph(tuple(sentences)), st.lists(SENTENCE, min_size=1, max_size=5)),
    st.builds(lambda words: Heading(2, " ".join(words)), st.lists(WORD, min_size=1, max_size=4)),
    st.builds(lambda word: Figure(word, f"image:{word}"), WORD),
)


@given(st.lists(BLOCK, max_size=8))
def test_rendering_and_parsing_are_inverse(blocks: list[Paragraph | Heading | Figure]) -> None:
    assert parse(render(blocks)) == blocks


def test_a_source_cannot_bring_markup_along() -> None:
    source = Source(1, "<script>x</script> [a](b)", ("<b>Part",), 'https://x.example/a b>"<script>', "<i>CC0")
    text = source.render()
    assert (
        "<script" not in text.replace("<https://x.example/a%20b%3E%22%3Cscript%3E>", "") and "<i>" not in text
    )
    assert "\\[a](b)" in text
    assert "javascript" not in Source(2, "T", url="javascript:alert(1)").render()


NOTICE_TEXT = "::: notice uk-risk-warning\nDon't invest.\n\n## No heading\n\n- no item\n:::"


def test_a_locked_notice_is_one_block_whatever_stands_in_it() -> None:
    for body in (f"{NOTICE_TEXT}\n\nText.", f"Before.\n{NOTICE_TEXT}\nText."):
        blocks = parse(body)
        assert Verbatim(NOTICE_TEXT) in blocks and blocks[-1] == Paragraph((Sentence("Text."),))
        assert body_words(blocks) == body_words(parse(body.replace(NOTICE_TEXT, "")))
    assert render(parse(f"{NOTICE_TEXT}\n\nText.")) == f"{NOTICE_TEXT}\n\nText."


def test_a_notice_without_an_end_swallows_nothing() -> None:
    body = "::: notice a\nIts words.\n\n## A heading\n\nText.\n\n::: notice b\nOther words.\n:::"
    assert [type(block) for block in parse(body)] == [Verbatim, Heading, Paragraph, Verbatim]
    assert notice_lines(body.splitlines()) == [(0, None, "a"), (7, 9, "b")]


def test_notices_in_code_are_examples() -> None:
    code = "```text\n::: notice a\nWords.\n:::\n```"
    assert parse(code) == [Verbatim(code)] and notice_lines(code.splitlines()) == []


def test_an_indented_fence_is_code_too() -> None:
    assert isinstance(parse("Text.\n\n  ```\nx = 1\n  ```")[1], Verbatim)
