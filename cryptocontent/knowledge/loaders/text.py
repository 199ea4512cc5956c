"""Plain text: taken as it is, in whatever encoding."""

from cryptocontent.knowledge.loaders.document import Parsed, SourceFile, decode


def parse(source: SourceFile) -> Parsed:
    """Read a plain text file; its paragraphs are Markdown paragraphs already."""
    return Parsed(decode(source).replace("\x0c", "\n\n"), "text/plain")
