"""Documents with everything in them: each element arrives, and nothing arrives as something else."""

import io
import json
import re
import zipfile

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cryptocontent.agents import writer
from cryptocontent.agents.work import ResearchPassage
from cryptocontent.content.documents import cited_numbers, paragraphs, parse, render_article
from cryptocontent.knowledge.chunking import chunk
from cryptocontent.knowledge.cleaning import clean_markdown
from cryptocontent.knowledge.listing import describe_reference
from cryptocontent.knowledge.loaders import LoadedDocument, load_data
from cryptocontent.knowledge.saving import ImportReport, Incoming, save_documents
from cryptocontent.storage import open_object_store, reading, writing
from cryptocontent.storage.models import Reference
from tests.agents.research import outline, work
from tests.agents.world import WHO
from tests.data.rich_docx import CHART_ALT, COMMENTS, TITLE, Hand, chart_png, rich_docx

HANDS: tuple[Hand, ...] = ("word", "google")


def loaded(hand: Hand = "word") -> LoadedDocument:
    return load_data("guide.docx", rich_docx(hand), 10_000_000, {})


ELEMENTS = [
    *(f"{'#' * level} Level {level} of the guide" for level in range(1, 7)),
    f"# {TITLE}\n\nA field guide for editors",
    "**cheap**, *fast*, ***both***, ~~free~~ and call `submit_batch(x)` for 10⁶ gas and H₂O, underlined.",
    "[**the L2 report**](https://l2.example/report?a=1&b=2) or [the field guide](https://field.example/x) or "
    "the top.",
    "posts batches of transactions to Ethereum[^1] and pays for calldata.[^2]",
    "wait for one **week**[^3] (at the time of writing) before",
    "[^1]: Ethereum is *layer one*; see [the paper](https://notes.example/paper).",
    "[^2]: Since EIP-4844 it pays for blobs instead.\n\n    A second paragraph of the note.",
    "[^3]: Seven days on most of them.",
    "[^4]: In dollars of March 2026.",
    "- Optimistic rollups\n  1. wait for fraud proofs\n     - for seven days\n  2. trust one honest watcher\n"
    "- Validity rollups",
    "1. Collect\n   - from the mempool\n   - from the bridge\n     1. deposits first\n2. Prove",
    "| Rollup | Year | Proof \\| kind | Fee |\n| --- | --- | --- | --- |\n",
    "| [Alpha](https://l2.example/report?a=1&b=2) | 2024 | **fraud** / one week | $0.02[^4] |\n",
    "| Beta | 2024 | validity / minutes | $0.03 |\n| Both are on Ethereum | | | n/a |",
    f"![{CHART_ALT}](image:",
    "Inline, too: ![](image:",
    "> A rollup is a blockchain that borrows its safety.",
    "```\ndef prove(batch):\n    return snark(batch) | 0\n```",
    "## After a break of the page",
    "The fee is f=g·p per batch.\n\n---\n\nThe end of the guide.",
    "\\# no heading\n\n\\- no list item\n\n12\\. no list item either",
]


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("element", ELEMENTS)
def test_each_element_is_kept(hand: Hand, element: str) -> None:
    assert element in loaded(hand).markdown


@pytest.mark.parametrize("hand", HANDS)
def test_signs_are_read_as_they_were_written(hand: Hand) -> None:
    (signs,) = [one for one in chunk(loaded(hand).markdown, TITLE) if "Signs:" in one.text]
    # Quotation marks are straight in all references; what looks like a footnote's mark is left out.
    written = (
        "Signs: * _ # [brackets](not a link) ~~ ` | < > & \\ $5 – — … ≤ × € £ ß é 中文 🚀 \"curly\" 'single' "
        "<b>no tag</b> &amp; 1. no list"
    )
    assert written in signs.text
    assert "# no heading\n\n- no list item\n\n12. no list item either" in signs.text


@pytest.mark.parametrize("hand", HANDS)
def test_the_document_cleans_to_itself_and_brings_its_picture_without_metadata(hand: Hand) -> None:
    document = loaded(hand)
    assert clean_markdown(document.markdown) == document.markdown and document.warnings == []
    (image,) = document.images
    assert image.alt == CHART_ALT and document.markdown.count(f"image:{image.sha256}") == 2
    assert b"52.5200" in chart_png() and b"52.5200" not in image.data
    assert document.title == TITLE and document.metadata["author"] == "Ada Muster"


@pytest.mark.parametrize("hand", HANDS)
def test_comments_are_notes_and_no_part_of_the_text(hand: Hand) -> None:
    document = loaded(hand)
    notes = json.loads(json.dumps(document.metadata))["notes"]
    assert [{name: one[name] for name in ("author", "at", "quote", "text")} for one in notes] == list(
        COMMENTS
    )
    if hand == "word":
        assert [one["resolved"] for one in notes] == [False, False, True]
        assert [one.get("answers") for one in notes] == [None, 0, None]
    else:
        assert not any({"resolved", "answers"} & set(one) for one in notes)
    assert "SECRET-REMARK" not in document.markdown and "Ada" not in document.markdown


def test_notes_are_stored_with_the_revision_and_shown(engine: Engine, tmp_path: object) -> None:
    from cryptocontent.content.projects import create_project

    with writing(engine) as session:
        create_project(session, "p", "", WHO)
    objects = open_object_store(f"file://{tmp_path}/objects")
    incoming = Incoming("google_drive", "file-1", "digest", loaded())
    save_documents(engine, objects, "p", [incoming], WHO, ImportReport())
    with reading(engine) as session:
        reference = session.query(Reference).one()
        shown = describe_reference(session, reference)
    assert [one["text"] for one in shown["notes"]] == [one["text"] for one in COMMENTS]


def rewritten(data: bytes, part: str, old: str, new: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(made, "w") as copy:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename == part:
                assert old in content.decode()
                content = content.decode().replace(old, new).encode()
            copy.writestr(entry.filename, content)
    return made.getvalue()


def test_a_mark_whose_note_is_missing_goes_alone() -> None:
    data = rewritten(
        rich_docx("google"), "word/footnotes.xml", '<w:footnote w:id="1">', '<w:footnote w:id="77">'
    )
    document = load_data("a.docx", data, 10_000_000, {})
    assert "to Ethereum[^1] and pays for calldata.\n" in document.markdown


def test_a_document_does_not_say_itself_what_becomes_of_its_styles() -> None:
    made = io.BytesIO(rich_docx())
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("mammoth/style-map", "comment-reference => sup\np => h1:fresh")
    document = load_data("a.docx", made.getvalue(), 10_000_000, {})
    assert document.markdown == loaded().markdown


# ── footnotes of a reference are no citations of an article ──────────────────────────────────────────────

NOTED = """---
title: Blobs[^1] explained
---
# Blobs[^1] explained

Blobs carry the data of rollups to Ethereum for about eighteen days.[^1] Each blob holds 4096 field
elements of 32 bytes [^2]. The fee market of blobs is separate from the market for gas[^long](see below).

[^1]: https://blobs.example/paper
[^2]: Word
[^long]: The long note says that <b>validators</b> keep blobs.

    Its second paragraph says that `[^3]` is a mark.

Nodes drop blobs after that time because rollups need them only for a while.\\[^2] Archives keep them
`[^9]` for longer than the network asks of each node.

| Blob | Size |
|------|------|
| one[^2] | 128 kB |
"""


def noted() -> LoadedDocument:
    return load_data("blobs.md", NOTED.encode(), 10_000, {})


def test_footnotes_of_a_markdown_file_are_kept() -> None:
    text = noted().markdown
    assert "eighteen days.[^1] Each" in text and "for gas[^long] (see below)." in text
    assert "[^1]: https://blobs.example/paper\n[^2]: Word\n[^long]: The long note" in text
    assert "<b>" not in text and "\n\n    Its second paragraph" in text
    assert noted().title == "Blobs explained" and clean_markdown(text) == text


def test_passages_hold_no_marks_and_know_their_place() -> None:
    text = noted().markdown
    chunks = chunk(text, noted().title)
    by_path = {one.heading_path: one for one in chunks if one.kind == "prose"}
    prose, notes = by_path[()], by_path["Footnotes",]
    assert "for about eighteen days. Each blob holds 4096 field elements of 32 bytes. The fee" in prose.text
    assert "the market for gas (see below)." in prose.text
    assert notes.text.startswith("https://blobs.example/paper\n\nWord\n\nThe long note says that validators")
    assert text[notes.start : notes.end].startswith("[^1]: https://blobs")
    assert [one.start for one in chunks] == sorted(one.start for one in chunks)
    without_code = [re.sub(r"`[^`]*`", "", one.text) for one in chunks]
    assert not [one for one in without_code if "[^" in one]
    assert [one.text for one in chunks if one.kind == "table"] == ["Blob | Size\none | 128 kB"]


def passages_of(document: LoadedDocument) -> tuple[ResearchPassage, ...]:
    return tuple(
        ResearchPassage(
            number=number,
            passage_id=f"n-{number}",
            reference_id="notes",
            revision_id="notes",
            title=document.title,
            heading_path=one.heading_path,
            kind=one.kind,
            text=one.text,
            scores=(1.0, 1.0),
            url=None,
            licence=None,
            ordinal=number,
        )
        for number, one in enumerate(chunk(document.markdown, document.title), 5)
    )


async def test_a_reference_s_own_footnotes_never_become_citations_of_an_article() -> None:
    """The whole way: from the file to the article that the rules writer makes of it and of nothing else."""
    research = passages_of(noted())
    plan = outline("Blobs", 20, 400, [("What it is", "blobs rollups data")], (10, 300))
    item = work()
    brief = item.brief.model_copy(update={"outline": plan, "keywords": ()})
    made = await writer.rules(item.model_copy(update={"brief": brief, "research": research}))
    sentences = [one for paragraph in paragraphs(parse(made.draft.body)) for one in paragraph.sentences]
    quoted = {one.text for one in sentences}
    assert "Blobs carry the data of rollups to Ethereum for about eighteen days." in quoted
    assert "Each blob holds 4096 field elements of 32 bytes." in quoted
    numbers = {one.number for one in research if one.heading_path != ("Footnotes",)}
    article = render_article(made.draft.title, made.draft.body, [])
    assert cited_numbers(article) <= numbers and all(len(one.citations) == 1 for one in sentences)
    assert not [one for one in sentences if "[^" in one.text or "long note" in one.text]


_PIECES = st.sampled_from(
    ["[^1]", "[^1]: ", "[^n]", "\\[^2]", "[*^*3]", "`[^4]`", "word ", "A sentence here. ", "\n", "\n\n",
     "    ", "- ", "> ", "(x)", "[a](https://b.c)", "$x[^5]$", "&#91;^6]", "<b>", "|", "# ", "![^7](https://x.y/z.png)"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=20).map("".join))
@example("-     [^1]")
@example("- a\n\n      code[^1] here\n")
def test_no_text_whatever_has_passages_with_marks(text: str) -> None:
    cleaned = clean_markdown(text)
    assert clean_markdown(cleaned) == cleaned
    for one in chunk(cleaned, ""):
        if one.kind in ("prose", "list"):
            assert not re.search(r"\[\^[^\]\s]+\]", re.sub(r"(`+).*?\1", "", one.text)), (cleaned, one.text)
