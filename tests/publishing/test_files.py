"""The files target, on articles that the real pipeline wrote: what is written, what is left alone."""

import asyncio
import hashlib
import json
import os
import re
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import frontmatter
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from sqlalchemy import Engine, select, update

from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateSpec, save_template
from cryptocontent.errors import Refused
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import search_index, sync_index
from cryptocontent.publishing import export_project
from cryptocontent.publishing.files import render_articles
from cryptocontent.settings import Settings
from cryptocontent.storage import ObjectStore, migrate, open_engine, open_object_store, reading, writing
from cryptocontent.storage.atomic import write_if_changed
from cryptocontent.storage.models import Article
from tests.agents.world import WHO
from tests.publishing.page import Page, dangers

SPEC = TemplateSpec.model_validate(
    {
        "name": "note",
        "title": "{{ topic }}",
        "words": {"min": 40, "max": 300},
        "variables": {"topic": {"type": "text"}},
        "sections": [{"heading": "What it is", "query": "{{ topic }}", "words": {"min": 30, "max": 200}}],
    }
)
HOSTILE = """---
title: "Base fee </script><script>alert(1)</script>"
url: "https://fees.example/?a=\\"><img src=x onerror=alert(1)>"
license: "<b onmouseover=alert(1)>CC0</b>"
---

# Base fee </script><script>alert(1)</script>

## What the <img src=x onerror=alert(1)> base fee is

The base fee of Ethereum is burned in every block of the chain. <script>alert(1)</script>

The base fee rises after a block that is fuller than its target. [Read more](javascript:alert(1))
about it.

![The base fee over blocks](fees.png)

Validators receive the priority fee of each transaction in their block. Wallets show the base fee to
their users before they sign a transaction. <svg onload=alert(1)></svg>

## Limits of the base fee

The base fee changes by at most one eighth from one block to the next. A transaction waits when its
cap is below the base fee of the block. Users of Ethereum set a cap on the base fee that they pay
for a transaction.

## History of the base fee

Miners of Ethereum collected every fee before the London upgrade. The London upgrade brought the
base fee to Ethereum in August 2021. A fee market without a base fee made users guess what others
would pay. The base fee made the cost of a transaction easier to foresee for wallets.
"""


@dataclass(frozen=True)
class Newsroom:
    """A database and object store with one finished article, and the bytes of its image."""

    engine: Engine
    objects: ObjectStore
    image: bytes


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Newsroom:
    home = tmp_path_factory.mktemp("newsroom")
    settings = Settings(CRYPTOCONTENT_HOME=home)  # type: ignore[call-arg]
    engine, objects = open_engine(settings.database_url), open_object_store(settings.object_store_url)
    migrate(engine)
    folder = home / "references"
    folder.mkdir()
    (folder / "fees.md").write_text(HOSTILE)
    picture = BytesIO()
    Image.effect_noise((120, 80), 60).save(picture, "PNG")
    (folder / "fees.png").write_bytes(picture.getvalue())
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        save_template(session, "p", SPEC, WHO)
        assert not import_briefs(session, "p", b"template,topic\nnote,The base fee\n", WHO).problems
    assert not import_paths(engine, objects, "p", [folder], WHO, max_bytes=1_000_000).problems
    sync_index(engine, settings, "p")
    with reading(engine) as session:
        ids = brief_ids(session, "p")
    freeze(engine, lambda queries: search_index(settings, queries), ids)
    assert asyncio.run(Pipeline(engine, "run").advance(ids, PIPELINE[-1].stage)) == dict.fromkeys(ids)
    return Newsroom(engine, objects, picture.getvalue())


@pytest.fixture
def newsroom(written: Newsroom, tmp_path: Path) -> Iterator[Newsroom]:
    """The same, on a database of the test's own."""
    path = tmp_path / "copy.db"
    source = written.engine.url.database
    assert source
    with closing(sqlite3.connect(source)) as there, closing(sqlite3.connect(path)) as here:
        there.backup(here)
    engine = open_engine(f"sqlite:///{path}")
    yield Newsroom(engine, written.objects, written.image)
    engine.dispose()


def export(newsroom: Newsroom, folder: Path, **options):  # type: ignore[no-untyped-def]
    return export_project(newsroom.engine, newsroom.objects, "p", folder, **options)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below the folder with its time of change and content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_an_article_becomes_three_files_and_its_image(newsroom: Newsroom, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "exports"
    report = export(newsroom, folder)
    assert (report.articles, report.written, report.unchanged) == (1, 3, 0)
    (image,) = (folder / "images").iterdir()
    assert set(files(folder)) == {f"the-base-fee.{kind}" for kind in ("md", "html", "json")} | {
        f"images/{image.name}"
    }
    assert image.suffix == ".png" and image.read_bytes() == newsroom.image


def test_what_is_shown_as_image_exists_in_every_format(newsroom: Newsroom, tmp_path: Path) -> None:
    export(newsroom, tmp_path)
    markdown, html = (tmp_path / "the-base-fee.md").read_text(), (tmp_path / "the-base-fee.html").read_text()
    (shown,) = re.findall(r"!\[[^\]]*\]\(([^) ]+)", markdown)
    assert [attributes["src"] for attributes in Page(html).all("img")] == [shown]
    assert Page(html).json_ld()["image"] == shown
    assert (tmp_path / shown).read_bytes() == newsroom.image
    assert "image:" not in markdown and "image:" not in html.replace("og:image:", "")


def test_the_markdown_reads_back_with_the_numbers_of_the_version(newsroom: Newsroom, tmp_path: Path) -> None:
    export(newsroom, tmp_path)
    (item,) = render_articles(newsroom.engine, "p")
    post = frontmatter.load(str(tmp_path / "the-base-fee.md"))
    for key in ("title", "slug", "project", "brief", "version", "status", "words"):
        assert post[key] == item.article[key], key
    assert post["words"] >= 40 and post["version"] == 5 and post["description"]


def test_json_carries_the_text_of_each_cited_passage(newsroom: Newsroom, tmp_path: Path) -> None:
    export(newsroom, tmp_path)
    data = json.loads((tmp_path / "the-base-fee.json").read_text())
    cited = {int(number) for number in re.findall(r"\[\^(\d+)\](?!:)", data["markdown"])}
    passages = {one["number"]: one for one in data["citations"]}
    assert cited and cited == set(passages)
    assert any(
        "The base fee of Ethereum is burned in every block" in one["text"] for one in passages.values()
    )
    assert {one["external_id"] for one in passages.values()} == {"references/fees.md"}


def test_a_hostile_reference_runs_nowhere(newsroom: Newsroom, tmp_path: Path) -> None:
    export(newsroom, tmp_path)
    html = (tmp_path / "the-base-fee.html").read_text()
    assert dangers(html) == []
    page = Page(html)
    assert "alert(1)" in page.text, "the hostile title is shown, as text"
    assert [text for _, text in page.headings] == ["The base fee", "What it is", "Sources"]
    markdown = (tmp_path / "the-base-fee.md").read_text()
    claims, sources = markdown.split("## Sources")
    caption = "*Base fee. &lt;b onmouseover=alert(1)&gt;CC0&lt;/b&gt;*"
    assert caption in claims, "the picture is owed to its reference, in words"
    without_caption = claims.replace(caption, "")
    assert not re.search(r"<\w|javascript:|alert", without_caption), "the claims are prose, in Markdown too"
    with_raw_html = MarkdownIt("commonmark", {"html": True}).render(sources)
    assert "alert(1)" in with_raw_html
    # The reference's URL is a link, with every character that could end it percent-encoded.
    without_links = re.sub(r'<a href="https://[^"<>\s]*">|</a>', "", with_raw_html)
    assert not re.search(r"<(?!/?(?:p|br)\b)", without_links)


def test_a_file_that_is_right_is_not_touched(newsroom: Newsroom, tmp_path: Path) -> None:
    export(newsroom, tmp_path / "x")
    for path in (tmp_path / "x").rglob("*.*"):
        os.utime(path, ns=(1, 1))
    before = files(tmp_path / "x")
    report = export(newsroom, tmp_path / "x")
    assert (report.written, report.unchanged) == (0, 3)
    assert files(tmp_path / "x") == before


def test_a_file_that_is_wrong_is_written_again(newsroom: Newsroom, tmp_path: Path) -> None:
    export(newsroom, tmp_path / "x")
    right = {name: data for name, (_, data) in files(tmp_path / "x").items()}
    for name in right:
        if not name.endswith(".json"):
            (tmp_path / "x" / name).write_bytes(b"half")
    report = export(newsroom, tmp_path / "x")
    assert (report.written, report.unchanged) == (2, 1)
    assert {name: data for name, (_, data) in files(tmp_path / "x").items()} == right


def test_only_what_is_asked_for_is_written(newsroom: Newsroom, tmp_path: Path) -> None:
    assert export(newsroom, tmp_path / "json", formats=("json",)).written == 1
    assert [name for name in files(tmp_path / "json") if "/" not in name] == ["the-base-fee.json"]
    assert export(newsroom, tmp_path / "none", article_ids=[]).articles == 0
    assert files(tmp_path / "none") == {}
    with reading(newsroom.engine) as session:
        ids = list(session.scalars(select(Article.id)))
    assert export(newsroom, tmp_path / "one", article_ids=ids).written == 3


@pytest.mark.parametrize("slug", ["../escaped", "/tmp/escaped-by-slug", "..", "", "a/b", "a\x00b", "con\n"])
def test_no_slug_leads_out_of_the_folder(newsroom: Newsroom, tmp_path: Path, slug: str) -> None:
    with writing(newsroom.engine) as session:
        session.execute(update(Article).values(slug=slug))
    before = set(files(tmp_path))
    with pytest.raises(Refused, match="is no file name"):
        export(newsroom, tmp_path / "exports" / "p")
    assert {name for name in files(tmp_path) if not name.startswith("copy.db")} <= before


def test_a_long_slug_is_a_file_name(newsroom: Newsroom, tmp_path: Path) -> None:
    slug = "-".join(["fee"] * 36)
    with writing(newsroom.engine) as session:
        session.execute(update(Article).values(slug=slug))
    export(newsroom, tmp_path / "x", formats=("md",))
    assert f"{slug}.md" in files(tmp_path / "x")


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "article.md"
    assert write_if_changed(path, b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The kernel refuses what is longer, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_if_changed(path, b"n" * 1_000_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files(tmp_path) == {"article.md": (path.stat().st_mtime_ns, b"old")}, "and nothing half-written"


def test_a_process_killed_while_it_writes_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "article.md"
    write_if_changed(path, b"old")
    seen = []

    def looked_at(temporary: Path, target: Path) -> None:
        seen.append((path.read_bytes(), temporary.read_bytes(), target))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", looked_at)
    with pytest.raises(KeyboardInterrupt):
        write_if_changed(path, b"new")
    assert seen == [(b"old", b"new", path)], "the new content is whole before it takes the name"
    assert list(files(tmp_path)) == ["article.md"] and path.read_bytes() == b"old"


def test_a_written_file_can_be_read_by_others(tmp_path: Path) -> None:
    path = tmp_path / "article.md"
    assert write_if_changed(path, b"x") and not write_if_changed(path, b"x")
    assert path.stat().st_mode & 0o777 == 0o644
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(b"x").digest()
