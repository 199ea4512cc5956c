"""What leaves the house: it can be read back, every footnote resolves, and nothing of a source runs."""

import json
import re
from typing import Any

import frontmatter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from cryptocontent.content.documents import Source, render_article
from cryptocontent.publishing.render import Rendered, image_hashes, to_html, to_json, to_markdown
from tests.publishing.page import Page, dangers

SHA = "ab" * 32
BODY = f"""The base fee is burned.[^3] It rises when blocks are full.[^3][^12]

## How it works

Blobs are cheap.[^12]

![A diagram of the fee](image:{SHA} "Fees")

Validators are paid.[^7]"""
SOURCES = [
    Source(3, "EIP-1559", ("EIP-1559", "Fees"), "https://eips.example/1559", "CC0-1.0"),
    Source(7, "Withdrawals"),
    Source(12, "EIP-4844 & friends", ("Blobs", "Cost")),
    Source(99, "Cited by nobody"),
]
CITATIONS = [
    {"number": 3, "title": "EIP-1559", "text": "Passage three.\n\nIts second paragraph."},
    {"number": 12, "title": "EIP-4844", "text": "Passage “twelve”."},
]
ATTACKS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt&colon;alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:x)",
    "![x](javascript:alert(1))",
    "<javascript:alert(1)>",
    '[a](https://x.example "t\\" onmouseover=alert(1) x=\\"")',
    '<a href="https://x.example" onclick="alert(1)">a</a>',
    "<iframe src=https://x.example></iframe>",
    "<style>*{display:none}</style>",
    "<!--",
    "]]>",
    "</title></head><body onload=alert(1)>",
    "</article><form action=https://x.example><input name=seed></form>",
    "[ref]: javascript:alert(1)\n\n[ref]",
    "<math><mtext></mtext><script>alert(1)</script></math>",
]


def article(**changed: Any) -> dict[str, Any]:
    values = {
        "id": "a1", "project": "p", "slug": "the-base-fee", "title": "The base fee", "status": "in_review",
        "version": 5, "words": 12, "quality": {"uniqueness": 0.9}, "brief": "p--b",
        "updated_at": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    return values | changed


def seo(**changed: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "title": "The base fee, in short",
        "description": "What is burned.",
        "keywords": ["fee", "gas: price"],
        "json_ld": {"@type": "Article", "headline": "Fees", "inLanguage": "de", "image": f"image:{SHA}"},
    }
    return values | changed


def rendered(**changed: Any) -> Rendered:
    values: dict[str, Any] = {
        "article": article(),
        "markdown": render_article("The base fee", BODY, SOURCES),
        "seo": seo(),
        "citations": CITATIONS,
        "images": {SHA: "abab.png"},
    }
    return Rendered(**values | changed)


def test_front_matter_reads_back() -> None:
    title = 'Fees: a "burn" – #1, {really} [yes]'
    item = rendered(article=article(title=title), seo=seo(description="It's: 50 % – ok"))
    post = frontmatter.loads(to_markdown(item))
    assert post["title"] == title
    assert post["description"] == "It's: 50 % – ok"
    assert post["keywords"] == ["fee", "gas: price"]
    assert (post["slug"], post["project"], post["brief"]) == ("the-base-fee", "p", "p--b")
    assert (post["version"], post["words"], post["status"]) == (5, 12, "in_review")
    assert post["updated"] == "2026-01-02T03:04:05+00:00"
    assert post.content.startswith("# The base fee\n\nThe base fee is burned.[^3]")


@pytest.mark.parametrize("text", ["a\x85b", "\u2028", "x\u2029 y", "plain", "a: b\nc"])
def test_front_matter_keeps_line_ends_of_every_kind(text: str) -> None:
    assert frontmatter.loads(to_markdown(rendered(seo=seo(description=text))))["description"] == text


def test_markdown_is_the_version_with_files_for_images() -> None:
    content = frontmatter.loads(to_markdown(rendered())).content
    assert '![A diagram of the fee](images/abab.png "Fees")' in content
    assert content.replace("images/abab.png", f"image:{SHA}") + "\n" == rendered().markdown


def test_a_version_without_seo_has_its_own_title() -> None:
    item = rendered(seo=None, article=article(title="A & B"))
    assert frontmatter.loads(to_markdown(item))["keywords"] == []
    html = to_html(item)
    assert "<title>A &amp; B</title>" in html and Page(html).json_ld() == {}


def test_footnotes_resolve_in_html_and_lead_back() -> None:
    page = Page(to_html(rendered()))
    anchors = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(anchors) == len(set(anchors))
    targets = [attributes["href"][1:] for attributes in page.all("a") if attributes["href"].startswith("#")]
    assert set(targets) <= set(anchors)
    notes = [attributes["id"] for attributes in page.all("li")]
    assert len(notes) == 3, "a note for each source that is cited, and no other"
    markers = [target for target in targets if target in notes]
    assert len(markers) == 5, "a link for each marker"
    assert set(markers) == set(notes)
    assert {target for target in targets if target not in notes} == {one for one in anchors if "ref" in one}


def test_the_html_names_the_sources_of_the_footnotes() -> None:
    page = Page(to_html(rendered()))
    assert "EIP-1559, “Fees” (CC0-1.0)." in page.text and "EIP-4844 & friends" in page.text
    assert "Cited by nobody" not in page.text
    assert "https://eips.example/1559" in [attributes["href"] for attributes in page.all("a")]


def test_one_heading_stands_over_the_sources() -> None:
    for html in (to_html(rendered()), to_html(rendered(markdown="# T\n\nNo claim.\n"))):
        page = Page(html)
        over = [number for number, (tag, attributes) in enumerate(page.elements) if tag == "h2"]
        lists = [number for number, (tag, _) in enumerate(page.elements) if tag == "ol"]
        if not lists:
            assert "Sources" not in page.text
            continue
        assert [text for _, text in page.headings] == ["The base fee", "How it works", "Sources"]
        assert len(lists) == 1 and over[-1] < lists[0]
        between = {tag for tag, _ in page.elements[over[-1] + 1 : lists[0]]}
        assert between == {"section"}, "the heading stands right before the list"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_source_is_text_in_markdown_too(attack: str) -> None:
    source = Source(1, attack, (attack, "b"), f"https://x.example/{attack}", attack)
    item = rendered(markdown=render_article("T", "A claim.[^1]", [source]))
    html = MarkdownIt("commonmark", {"html": True}).render(frontmatter.loads(to_markdown(item)).content)
    tags = [
        (tag, attributes) for tag, attributes in Page(html).elements if tag not in ("p", "h1", "h2", "em")
    ]
    assert all(tag == "a" and attributes["href"].startswith("https://x.example/") for tag, attributes in tags)
    fine = rendered()
    assert "<https://eips.example/1559>" in to_markdown(fine), "a source's own link stays one"


def test_an_image_is_shown_from_its_file_with_its_words() -> None:
    page = Page(to_html(rendered()))
    shown = {"src": "images/abab.png", "alt": "A diagram of the fee", "loading": "lazy"}
    assert page.all("img") == [shown] and "Fees" in page.text and len(page.all("figcaption")) == 1
    assert page.json_ld()["image"] == "images/abab.png"


def test_an_image_that_is_not_there_is_not_pointed_at() -> None:
    html = to_html(rendered(images={}))
    assert [attributes.get("src", "") for attributes in Page(html).all("img")] == [""]
    assert "image" not in Page(html).json_ld() and SHA not in html


def test_image_hashes_are_those_that_are_shown() -> None:
    other = "cd" * 32
    text = f"![a](image:{other}) ![b](image:{SHA}) ![c](image:{other}) image:{'ef' * 32} ![d](image:short)"
    assert image_hashes(text) == [other, SHA]


def test_json_holds_the_passages_that_are_cited() -> None:
    data = json.loads(to_json(rendered()))
    assert [(one["number"], one["text"]) for one in data["citations"]] == [
        (3, "Passage three.\n\nIts second paragraph."),
        (12, "Passage “twelve”."),
    ]
    assert data["article"] == article() and data["seo"] == seo()
    assert data["markdown"] == rendered().markdown


def test_the_page_says_its_language_and_description() -> None:
    html = to_html(rendered(seo=seo(description='"quoted" <b>')))
    page = Page(html)
    assert page.all("html") == [{"lang": "de"}]
    assert {"name": "description", "content": '"quoted" <b>'} in page.all("meta")
    assert not dangers(html)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_of_a_source_runs(attack: str) -> None:
    table = f"| {attack} | b |\n|---|---|\n| 1 | {attack} |"
    body = f"A claim {attack} that is cited.[^1]\n\n{attack}\n\n- {attack}[^1]\n\n{table}"
    source = Source(1, attack, (attack, "b"), f"https://x.example/{attack}", attack)
    item = rendered(
        article=article(title=attack),
        markdown=render_article(attack, body, [source]),
        seo=seo(
            title=attack,
            description=attack,
            json_ld={"headline": attack, "inLanguage": attack, "citation": [{"name": attack, "url": attack}]},
        ),
    )
    html = to_html(item)
    assert dangers(html) == []
    data = Page(html).json_ld()
    assert data["headline"] == attack and data["citation"][0]["url"] == attack
    assert re.findall(r"<script\b", html) == ["<script"], "as written, for readers that do not parse"
    assert frontmatter.loads(to_markdown(item))["title"] == attack


def test_the_check_itself_finds_what_is_dangerous() -> None:
    good = to_html(rendered())
    assert dangers(good) == []
    for bad in (
        "<img src=x onerror=alert(1)>",
        '<a href="java\tscript:alert(1)">x</a>',
        "<script>1</script>",
        "<iframe></iframe>",
        "<svg></svg>",
        '<a href="data:text/html,x">x</a>',
        '<p style="background:url(x)">x</p>',
    ):
        assert dangers(good.replace("</article>", f"{bad}</article>")), bad


hostile = st.lists(
    st.sampled_from(
        [*ATTACKS, "---", "\n", "\n\n", "\n---\n", " ", "`", "*", "[^1]", "[^1]: ", "](", "<", "&lt;"]
    )
    | st.text(max_size=12),
    max_size=8,
).map("".join)


@settings(max_examples=60, deadline=None)
@given(hostile, hostile, hostile, hostile)
def test_no_text_whatever_runs_or_breaks_the_files(title: str, body: str, url: str, words: str) -> None:
    source = Source(1, title, (words,), url, words)
    item = rendered(
        article=article(title=title),
        markdown=render_article(title, f"{body}[^1]", [source]),
        seo=seo(
            title=title,
            description=words,
            keywords=[words],
            json_ld={"headline": title, "inLanguage": words, "x": body},
        ),
    )
    html = to_html(item)
    assert dangers(html) == []
    assert Page(html).json_ld() == {"headline": title, "inLanguage": words, "x": body}
    post = frontmatter.loads(to_markdown(item))
    assert (post["title"], post["description"], post["keywords"]) == (title, words, [words])
    assert json.loads(to_json(item))["markdown"] == item.markdown


NOTICE = "::: notice uk-risk-warning\nDon't *invest* <b>all</b>.\n\nSecond paragraph.\n:::"


def with_body(body: str) -> Rendered:
    return rendered(markdown=render_article("The base fee", body, SOURCES))


def test_a_locked_notice_is_set_apart_in_html() -> None:
    html = to_html(with_body(f"{NOTICE}\n\n{BODY}"))
    assert dangers(html) == []
    assert Page(html).all("aside") == [{"class": "notice", "role": "note"}]
    aside = html.partition('<aside class="notice" role="note">')[2].partition("</aside>")[0]
    assert "Don't <em>invest</em> &lt;b&gt;all&lt;/b&gt;." in aside and "Second paragraph." in aside
    assert "base fee is burned" not in aside and ":::" not in html


def test_a_locked_notice_is_a_quotation_in_markdown() -> None:
    content = frontmatter.loads(to_markdown(with_body(f"Before.\n\n{NOTICE}\nAfter.[^3]"))).content
    quoted = "> Don't *invest* <b>all</b>.\n>\n> Second paragraph."
    assert f"Before.\n\n{quoted}\n\nAfter.[^3]" in content
    assert json.loads(to_json(with_body(NOTICE)))["markdown"] == f"# The base fee\n\n{NOTICE}\n"


def test_a_notice_that_nothing_closes_takes_nothing_along() -> None:
    item = with_body("::: notice a\n\nStill the article.\n\n## How\n\nText.[^3]")
    page = Page(to_html(item))
    assert page.all("aside") == [] and "::: notice a" in page.text
    assert ("h2", "How") in page.headings
    assert "\n::: notice a\n" in to_markdown(item)


def test_a_notice_in_code_stays_code() -> None:
    code = f"```text\n{NOTICE}\n```"
    item = with_body(code)
    assert Page(to_html(item)).all("aside") == [] and code in to_markdown(item)


@pytest.mark.parametrize(
    "line", ["::: danger", ':::notice x" onclick="alert(1)', "::: notice", "::: Notice X"]
)
def test_no_other_container_is_made(line: str) -> None:
    html = to_html(with_body(f"{line}\nText.\n:::\n\nMore."))
    assert dangers(html) == [] and Page(html).all("aside") == []
