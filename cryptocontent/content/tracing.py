"""Where each sentence of an article comes from: who wrote it, in which version, and what it rests on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.documents import Figure, Heading, Paragraph, cited_numbers
from cryptocontent.storage.models import Version


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a version that stands for itself: `title`, `heading`, `sentence`, `figure`, `notice` or
    `block` (a table, a quotation, code); its text without markers, what it cites, its offsets."""

    kind: str
    text: str
    numbers: tuple[int, ...]
    start: int
    end: int
    section: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """The same for the same words in another version; white space doesn't count."""
        return self.kind, " ".join(self.text.split())


@dataclass(frozen=True, slots=True)
class Traced:
    """A piece of a version, the first version in which its words stand, and the first in which they stand
    with exactly these sources."""

    piece: Piece
    written: Version
    cited: Version


def pieces(subject: Subject) -> Iterator[Piece]:
    """Everything of a version that a reader reads, in order; the list of sources aside."""
    if subject.title:
        start = subject.markdown.find(subject.title)
        yield Piece("title", subject.title, (), start, start + len(subject.title))
    by_paragraph: dict[int, list[Piece]] = {}
    for one in subject.sentences:
        sentence = Piece("sentence", one.text, one.citations, one.start, one.end, one.section)
        by_paragraph.setdefault(one.paragraph, []).append(sentence)
    notices = {placed.start for placed in subject.notices}
    for number, placed in enumerate(subject.blocks):
        block = placed.block
        if isinstance(block, Paragraph):
            yield from by_paragraph.get(number, ())
            continue
        if isinstance(block, Heading):
            kind, text = "heading", block.text
        elif isinstance(block, Figure):
            kind, text = "figure", block.render()
        else:
            kind, text = ("notice" if placed.start in notices else "block"), block.text
        numbers = tuple(sorted(cited_numbers(text)))
        yield Piece(kind, text, numbers, placed.start, placed.end, placed.section)


def lineage(versions: Sequence[Version], version: Version) -> list[Version]:
    """A version and all that it was made from, oldest first: its parents, and what those restored."""
    by_id = {one.id: one for one in versions}
    by_number = {one.number: one for one in versions}
    found: dict[str, Version] = {}
    waiting: list[Version | None] = [version]
    while waiting:
        one = waiting.pop()
        if one is None or one.id in found:
            continue
        found[one.id] = one
        restored = one.provenance.get("restored_from")
        waiting += [by_id.get(one.parent_id or ""), by_number.get(restored) if restored else None]
    return sorted(found.values(), key=lambda one: one.number)


def trace(
    subject: Subject,
    versions: Sequence[Version],
    version: Version,
    targets: Mapping[str, Mapping[int, str]],
) -> list[Traced]:
    """The pieces of `version` with where they come from. `subject` holds any text of the article (its own
    is replaced); `targets` says for each version what its footnotes point at."""
    written: dict[tuple[str, str], Version] = {}
    cited: dict[tuple[tuple[str, str], frozenset[str]], Version] = {}
    found: list[Traced] = []
    for one in lineage(versions, version):
        for piece in pieces(replace(subject, markdown=one.markdown)):
            known = targets.get(one.id, {})
            sources = frozenset(known.get(number, "") for number in piece.numbers)
            first = written.setdefault(piece.key, one)
            first_cited = cited.setdefault((piece.key, sources), one)
            if one.id == version.id:
                found.append(Traced(piece, first, first_cited))
    return found
