"""Passages: where they begin and end, what they say, and that nothing is lost between them."""

import re
import uuid

from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocontent.knowledge.chunking import chunk, passage_id, passage_ids
from cryptocontent.knowledge.cleaning import clean_markdown

DOCUMENT = """# The title

Opening words with *emphasis*, a [link](https://a.b), `__init__` and a note[^1].
Wrapped line with ![alt](image:00) math $a_b * c_d$ and ~~struck~~.

Second paragraph.

## Rules

1. first item
   - nested item
2. second **item**

### Numbers

| Name | Value |
| ---- | ----- |
| `A`  | 1     |

```python
def f():
    return "[x](y)"
```

After the code.

[^1]: The note's own text.
"""


def test_chunks_follow_headings_and_kinds() -> None:
    chunks = chunk(DOCUMENT, "The title")
    assert [(c.heading_path, c.kind, c.text) for c in chunks] == [
        (
            (),
            "prose",
            "Opening words with emphasis, a link, `__init__` and a note. "
            "Wrapped line with math $a_b * c_d$ and struck."
            "\n\nSecond paragraph.",
        ),
        (("Rules",), "list", "- first item\n- nested item\n- second item"),
        (("Rules", "Numbers"), "table", "Name | Value\n`A` | 1"),
        (("Rules", "Numbers"), "code", 'def f():\n    return "[x](y)"'),
        (("Rules", "Numbers"), "prose", "After the code."),
        (("Footnotes",), "prose", "The note's own text."),
    ]
    assert DOCUMENT[chunks[1].start : chunks[1].end] == "1. first item\n   - nested item\n2. second **item**"
    assert DOCUMENT[chunks[3].start : chunks[3].end].startswith("```python\n")
    assert chunk(DOCUMENT, "Another title")[0].heading_path == ("The title",)


def test_long_paragraphs_are_cut_between_sentences() -> None:
    sentences = [
        f"Sentence number {n} tells, e.g. in passing, of the *market* and of its `price_{n}`."
        for n in range(60)
    ]
    markdown = "\n".join(sentences)
    chunks = chunk(markdown, "")
    assert len(chunks) > 3
    for one in chunks:
        assert one.text.endswith(".") and one.text.startswith("Sentence number")
        assert len(one.text.split()) <= 200 and (len(one.text.split()) >= 80 or one is chunks[-1])
        assert markdown[one.start : one.end].replace("\n", " ").replace("*", "") == one.text


def test_emphasis_over_sentences_does_not_leave_marks_or_cut_sentences() -> None:
    markdown = (
        "**" + " ".join(f"Bold sentence number {n} speaks of ether and of gas." for n in range(40)) + "**"
    )
    chunks = chunk(markdown, "")
    assert len(chunks) > 1
    assert all(c.text.endswith("gas.") and "*" not in c.text for c in chunks)
    assert " ".join(c.text for c in chunks) == markdown.strip("*")


def test_only_a_huge_sentence_is_cut_inside() -> None:
    long = " ".join(f"word{n}" for n in range(300)) + "."
    assert [c.text for c in chunk(long, "")] == [long]
    huge = " ".join(f"word{n}" for n in range(1000)) + "."
    pieces = chunk(huge, "")
    assert len(pieces) > 4 and " ".join(p.text for p in pieces) == huge


def test_a_long_table_repeats_its_head_and_a_long_list_is_cut_between_items() -> None:
    table = "| Asset | Note |\n|---|---|\n" + "\n".join(f"| a{n} | {'word ' * 20}|" for n in range(30))
    tables = chunk(table, "")
    assert len(tables) > 2 and all(t.text.startswith("Asset | Note\n") and t.kind == "table" for t in tables)
    items = "\n".join(f"- item {n} {'word ' * 20}".rstrip() for n in range(30))
    lists = chunk(items, "")
    assert len(lists) > 2 and "\n".join(c.text for c in lists) == items


_WORDS = "alpha beta gamma `code_x` **strong** delta. Epsilon! zeta, 3.14 0xff naïve 价格"
_WORD = st.sampled_from(_WORDS.split())
_SENTENCES = st.lists(_WORD, min_size=1, max_size=400).map(" ".join)
_BLOCK = st.one_of(
    _SENTENCES,
    _SENTENCES.map(lambda t: "# " + t[:40]),
    st.lists(_SENTENCES, min_size=1, max_size=4).map(lambda items: "\n".join("- " + i for i in items)),
    _SENTENCES.map(lambda t: "> " + t),
    _SENTENCES.map(lambda t: "```\n" + t.replace(" ", "\n") + "\n```"),
    _SENTENCES.map(lambda t: "| h |\n|---|\n| " + t + " |"),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_BLOCK, max_size=8).map("\n\n".join))
def test_offsets_increase_nothing_is_lost_and_the_result_is_always_the_same(markdown: str) -> None:
    markdown = clean_markdown(markdown)
    chunks = chunk(markdown, "")
    assert chunks == chunk(markdown, "")
    end = 0
    for one in chunks:
        assert end <= one.start < one.end <= len(markdown)
        end = one.end
    prose = re.sub(r"(?m)^# .*$", "", markdown)
    said = " ".join(c.text for c in chunks)
    assert not set(re.findall(r"\w+", prose)) - set(re.findall(r"\w+", said))


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab.# \n\r\t-*`|>[]()$!1<&\\~"), max_size=120))
def test_any_text_can_be_chunked(markdown: str) -> None:
    end = 0
    for one in chunk(markdown, ""):
        assert end <= one.start <= one.end <= len(markdown) and one.text.strip()
        end = one.end


def test_passage_ids_are_stable_and_unique() -> None:
    same = chunk("# A\n\nSame text.\n\n# B\n\nSame text.\n\n# A\n\nSame text.", "")
    ids = passage_ids("ref", same)
    assert len(set(ids)) == 3 and ids == passage_ids("ref", same)
    assert ids[0] == passage_id("ref", ("A",), "Same text.") and ids[2] == passage_id(
        "ref", ("A",), "Same text.", 1
    )
    assert str(uuid.UUID(ids[0])) == ids[0]
    assert (
        passage_id("ref", ("a", "b"), "t")
        != passage_id("ref", ("ab",), "t")
        != passage_id("other", ("ab",), "t")
    )
