"""Putting an image of the library into an article: a new version by a person, everything else as it was."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.content.documents import SOURCES_HEADING, Figure, notice_lines
from cryptocontent.content.versions import save_version
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.knowledge.images.describing import check_alt
from cryptocontent.storage.models import (
    Article,
    Image,
    Reference,
    ReferenceRevision,
    RevisionImage,
    Version,
)


def place_image(
    session: Session,
    article: Article,
    base_version_id: str,
    image: Image,
    by: Person,
    *,
    after: str = "",
    alt: str = "",
) -> Version:
    """Save the article with the image right below the heading `after`, or below its first paragraph.

    `alt` says what the picture shows here, where the library's own words don't fit. Raises `Refused` if the
    image stands in the article already or nobody has described it, `NotFound` for a heading that is not
    there, and what `save_version` raises.
    """
    base = session.get(Version, base_version_id)
    if base is None or base.article_id != article.id:
        raise NotFound(f"article {article.slug!r} has no version {base_version_id!r}")
    if image.project_id != article.project_id:
        raise NotFound(f"project {article.project_id!r} has no image {image.sha256[:12]}")
    source = f"image:{image.sha256}"
    if f"]({source}" in base.markdown:
        raise Refused(f"image {image.sha256[:12]}: article {article.slug!r} shows it already")
    words = " ".join((alt or image.alt or _said_by_reference(session, image)).split())
    if not words:
        raise Refused(
            f"image {image.sha256[:12]}: nobody has said what it shows; give --alt, or describe it with "
            "`cryptocontent image add`"
        )
    check_alt(words, image.name)
    figure = Figure(words.translate({ord("["): "(", ord("]"): ")"}), source)
    text = with_figure(base.markdown, figure, after)
    return save_version(session, article, base.id, text, by, origin={"image": image.sha256})


def _said_by_reference(session: Session, image: Image) -> str:
    said = (
        select(RevisionImage.alt)
        .join(ReferenceRevision, ReferenceRevision.id == RevisionImage.revision_id)
        .join(Reference, Reference.id == ReferenceRevision.reference_id)
        .where(
            Reference.project_id == image.project_id,
            RevisionImage.sha256 == image.sha256,
            RevisionImage.alt != "",
        )
        .order_by(ReferenceRevision.fetched_at.desc(), ReferenceRevision.id)
        .limit(1)
    )
    return session.scalar(said) or ""


def with_figure(markdown: str, figure: Figure, after: str = "") -> str:
    """A whole version's Markdown with the figure as a block of its own below the heading `after` (its text,
    in any case), or below the first paragraph. Not a character else changes."""
    lines = markdown.split("\n")
    place = _below_heading(lines, after) if after.strip() else _below_lead(lines)
    before, behind = lines[:place], lines[place:]
    block = [figure.render()]
    if before and before[-1].strip():
        block.insert(0, "")
    if behind and behind[0].strip():
        block.append("")
    return "\n".join([*before, *block, *behind])


def _below_heading(lines: list[str], wanted: str) -> int:
    headings = [(text, last) for kind, text, last in _blocks(lines) if kind == "heading_open"]
    same = [last for text, last in headings if _plain(text) == _plain(wanted)]
    if len(same) == 1:
        return same[0]
    if same:
        raise Refused(f"heading {wanted!r}: the article has {len(same)} of that name; give them other names")
    known = ", ".join(repr(text) for text, _ in headings if text != SOURCES_HEADING) or "none"
    raise NotFound(f"heading {wanted!r}: the article has no such heading; it has {known}")


def _below_lead(lines: list[str]) -> int:
    for kind, text, last in _blocks(lines):
        if kind == "paragraph_open":
            return last
        if text == SOURCES_HEADING:
            break
    return next((last for kind, _, last in _blocks(lines) if kind == "heading_open"), len(lines))


def _blocks(lines: list[str]) -> list[tuple[str, str, int]]:
    """Headings and paragraphs outside of lists, quotations, code and notices: kind, text, and the number of
    the line behind them."""
    from markdown_it import MarkdownIt

    locked = {
        number
        for start, end, _ in notice_lines(lines)
        for number in range(start, (end if end is not None else start) + 1)
    }
    tokens = MarkdownIt("commonmark").enable("table").parse("\n".join(lines))
    return [
        (token.type, tokens[number + 1].content, token.map[1])
        for number, token in enumerate(tokens)
        if token.type in ("heading_open", "paragraph_open")
        and token.level == 0
        and token.map
        and token.map[0] not in locked
    ]


def _plain(heading: str) -> str:
    return " ".join(heading.replace("*", "").replace("`", "").split()).casefold()
