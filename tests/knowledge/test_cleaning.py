"""What survives cleaning, what doesn't, and that a second cleaning changes nothing."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cryptocontent.knowledge.cleaning import clean_markdown

_PIECES = """<b> </b> <script> </script> <!-- --> <a href="https://x.y"> </a> <address> <x onclick=1>
    <img src=a.png>
    ``` ~~~ ` `` [a] [a](b.md) [a](https://x.y) ![a](b.png) [a]: https://x.y
    [^1] &amp; &lt; &nbsp; &#96; \\ \\< < > ( )
    “ ’ | - # $ 1. e \u0301 \u200b \u00a0 \r \t \x0c \ue000 \ue001 \ud7ff \n \n\n    x word"""
_FRAGMENTS = st.sampled_from(_PIECES.split(" "))


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80),
        st.lists(_FRAGMENTS, max_size=25).map(" ".join),
        st.lists(_FRAGMENTS).map("".join),
    )
)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean_markdown(text)
    assert clean_markdown(once) == once


@settings(max_examples=300, deadline=None)
@given(st.lists(_FRAGMENTS, max_size=25).map("".join))
def test_a_renderer_finds_no_html_in_clean_text(text: str) -> None:
    def types(tokens):  # type: ignore[no-untyped-def]
        for token in tokens:
            yield token.type
            yield from types(token.children or [])

    cleaned = clean_markdown(text)
    assert not {"html_block", "html_inline"} & set(types(MarkdownIt("commonmark").parse(cleaned))), cleaned


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("zero\u200bwidth\ufeff and\u00a0space", "zerowidth and space"),
        ("e\u0301", "é"),
        ("‘a’ “b”", "'a' \"b\""),
        ("a  \n\n\n\n\nb\n", "a\n\nb"),
        ("x <!-- hidden --> y", "x  y"),
        ("a <b>bold</b> word", "a bold word"),
        ("a<script>alert('<b>')</script>b<style>p{}</style>", "ab"),
        ("[x](./eip-1.md) [y](#z) [j](javascript:alert(1))", "x y j"),
        ("[y](https://a.b/c_(d)?e=1 'title')", "[y](https://a.b/c_(d)?e=1)"),
        (
            "[text][ref] [ref][] [ref]\n\n[ref]: https://a.b/c 'T'",
            "[text](https://a.b/c) [ref](https://a.b/c) [ref](https://a.b/c)",
        ),
        ("[text][gone]\n\n[gone]: ./local.md", "text"),
        ("[![alt](p.png)](https://a.b)", "[alt](https://a.b)"),
        ("![kept](image:00ff)", "![kept](image:00ff)"),
        ("send to <address> or `<b>`", "send to \\<address> or `<b>`"),
        ("<a href='https://a.b'>link</a>", "[link](https://a.b)"),
        ("| a |\n|---|\n| x<br>y |", "| a |\n|---|\n| x y |"),
        ("a claim[^1]\n\n[^1]: its note", "a claim[^1]\n\n[^1]: its note"),
        ("$a<b$ and 1 < 2", "$a<b$ and 1 < 2"),
        ("price &euro;5 &amp; more &lt;b&gt;", "price €5 & more &lt;b&gt;"),
    ],
)
def test_cleaning(dirty: str, clean: str) -> None:
    assert clean_markdown(dirty) == clean


@pytest.mark.parametrize(
    "text", ["`<b>\n- `", "| a | b |\n|---|---|\n| `<b> | ` |", "# `<b>\n`", "`<b>\n\n`"]
)
def test_backticks_of_different_blocks_shelter_no_html(text: str) -> None:
    assert "<b>" not in clean_markdown(text)


@pytest.mark.parametrize(
    "text", ["<script>" * 20_000, '<a href="x">' * 20_000, "x" + " " * 200_000 + "y", "` " * 40_000]
)
def test_hostile_text_takes_no_quadratic_time(text: str) -> None:
    begun = time.process_time()
    clean_markdown(text)
    assert time.process_time() - begun < 5  # 0.1 s; quadratic ways took from 17 s to minutes


def test_code_is_left_as_it_is() -> None:
    code = "```html\n<script>x</script>\n\n\n[a](b.md) “q” <!-- c -->\n```\n\n    <b>indented</b>"
    assert clean_markdown(f"p\n\n{code}") == f"p\n\n{code}"
