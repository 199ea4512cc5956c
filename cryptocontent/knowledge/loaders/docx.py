"""Word documents (Office Open XML)."""

import io
import zipfile
from typing import Any

from cryptocontent.knowledge.loaders.document import Parsed, SourceFile

_EXPANSION = 20  # an honest DOCX is XML, which packs about tenfold; more is a bomb
_CORE = {"title": "title", "creator": "author", "created": "created", "keywords": "tags"}


def parse(source: SourceFile) -> Parsed:
    """Read a DOCX file with its headings, lists, tables and embedded images."""
    import mammoth
    from markdownify import markdownify

    core = _core_properties(source)
    embedded: dict[str, bytes] = {}
    warnings: list[str] = []

    def take(image: Any) -> dict[str, str]:
        name = f"docx-image-{len(embedded) + 1}"
        try:
            with image.open() as file:
                embedded[name] = file.read()
        except Exception as error:  # linked, not embedded: mammoth refuses to open files and addresses
            warnings.append(f"image left out: {error}")
            return {"src": ""}
        return {"src": name}

    result = mammoth.convert_to_html(io.BytesIO(source.data), convert_image=mammoth.images.img_element(take))
    text: str = markdownify(result.value, heading_style="ATX", bullets="-", table_infer_header=True)
    title = str(core.pop("title", "") or "")
    media_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    return Parsed(text, media_type, title, core, embedded, warnings=warnings)


def _core_properties(source: SourceFile) -> dict[str, Any]:
    """Title, author, creation date and keywords. Raises UnreadableDocument for what is no sane DOCX."""
    from xml.etree import ElementTree

    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            expanded = sum(entry.file_size for entry in archive.infolist())
            if expanded > source.max_bytes * _EXPANSION:
                raise source.unreadable(f"it expands to {expanded:,} bytes")
            names = set(archive.namelist())
            if not any(name.startswith("word/") for name in names):
                raise source.unreadable("it is not a Word document")
            xml = archive.read("docProps/core.xml") if "docProps/core.xml" in names else b""
    except zipfile.BadZipFile as error:
        raise source.unreadable("it is broken: not a DOCX archive") from error
    core: dict[str, Any] = {}
    # expat (2.4.1 and later) stops entity bombs, and Python's reader fetches no external entities
    for element in ElementTree.fromstring(xml) if xml else ():  # noqa: S314
        key = _CORE.get(str(element.tag).rpartition("}")[2])
        if key and element.text and element.text.strip():
            core[key] = element.text.strip()
    return core
