"""What Google makes of a document: a DOCX of an uploaded HTML page, and the page itself for people."""

import io
from html import escape

from tests.fakes.google.state import DOCUMENT, DOCX, XLSX, Google, Node


def exported(node: Node, media: str) -> bytes:
    """A document in a format. Of one that came as HTML a DOCX is made: headings, paragraphs, lists."""
    if media in node.exports:
        return node.exports[media]
    if node.mime == DOCUMENT and media == DOCX:
        return _docx(_html(node))
    if node.mime == DOCUMENT and media == "text/html":
        return _html(node).encode()
    if node.mime == DOCUMENT and media == "text/plain":
        from bs4 import BeautifulSoup

        return BeautifulSoup(_html(node), "lxml").get_text("\n").encode()
    return node.exports.get(XLSX, b"")


def _html(node: Node) -> str:
    for media in ("text/html", "text/plain", "text/markdown"):
        if media in node.exports:
            text = node.exports[media].decode()
            return text if media == "text/html" else f"<pre>{escape(text)}</pre>"
    if DOCX in node.exports:
        import mammoth

        return str(mammoth.convert_to_html(io.BytesIO(node.exports[DOCX])).value)
    return "<html><body></body></html>"


def _docx(html: str) -> bytes:
    import docx
    from bs4 import BeautifulSoup

    document = docx.Document()
    for element in BeautifulSoup(html, "lxml").find_all(["h1", "h2", "h3", "p", "li", "pre"]):
        text = element.get_text(" ", strip=True)
        if element.name.startswith("h"):
            document.add_heading(text, int(element.name[1]))
        elif element.name == "li":
            document.add_paragraph(text, style="List Bullet")
        else:
            document.add_paragraph(text)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def page(google: Google, path: str) -> tuple[int, str]:
    """A page for people: all files, or one document at its `webViewLink`."""
    parts = [part for part in path.split("/") if part]
    if not parts or parts[0] == "drive":
        folder = parts[-1] if len(parts) > 1 else ""
        rows = "".join(
            f"<li>{escape(node.name)} <small>{escape(node.mime)}</small> {_link(google, node)}</li>"
            for node in list(google.files.values())
            if node.parent == folder and not google.in_trash(node.id)
        )
        title = google.files[folder].name if folder in google.files else "Drive"
        return 200, f"<!doctype html><title>{escape(title)}</title><h1>{escape(title)}</h1><ul>{rows}</ul>"
    node = google.files.get(parts[2]) if len(parts) > 2 else None
    if node is None:
        return 404, "Not Found"
    inner = _html(node) if node.mime == DOCUMENT else f"<p>{escape(node.name)}</p>"
    return 200, f"<!doctype html><title>{escape(node.name)}</title>{inner}"


def _link(google: Google, node: Node) -> str:
    from tests.fakes.google.endpoints import resource
    from tests.fakes.google.state import PERSON

    return f'<a href="{resource(google, node, PERSON)["webViewLink"]}">open</a>'
