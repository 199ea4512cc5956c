"""Markdown with optional YAML front matter."""

import re
from typing import Any

from cryptocontent.knowledge.loaders.document import Parsed, SourceFile, decode

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?\n)??---[ \t]*(?:\n|\Z)", re.DOTALL)
_MAX_FRONT_MATTER = 100_000


def parse(source: SourceFile) -> Parsed:
    """Read a Markdown file; broken front matter is reported as a warning and does not lose the text."""
    import frontmatter
    import yaml
    from frontmatter.default_handlers import YAMLHandler

    text = decode(source).replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    block = _FRONT_MATTER.match(text)
    metadata: dict[str, Any] = {}
    warnings: list[str] = []
    body = text
    if block and block.end() <= _MAX_FRONT_MATTER:
        try:
            metadata, _ = frontmatter.parse(block[0], handler=YAMLHandler())
            # two thematic breaks around prose are no front matter; an empty one is
            if metadata or not (block[1] or "").strip():
                body = text[block.end() :]
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            body = text[block.end() :]
            warnings.append(f"front matter ignored: {' '.join(str(error).split())[:200]}")
    return Parsed(body, "text/markdown", metadata=metadata, local_images=True, warnings=warnings)
