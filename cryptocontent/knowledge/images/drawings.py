"""SVG drawings. Those of strangers are refused; one of our own making (a chart) may go beside its picture,
once it is proven to hold shapes and text only."""

import re
from hashlib import sha256

from cryptocontent.errors import Refused
from cryptocontent.knowledge.images.cleaning import CleanImage

_SVG = "{http://www.w3.org/2000/svg}"
_ELEMENTS = frozenset(
    {
        *("svg", "g", "defs", "title", "desc", "metadata", "style", "use", "symbol", "marker", "clipPath"),
        *("path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan", "pattern"),
        *("mask", "linearGradient", "radialGradient", "stop"),
    }
)
_HREF = re.compile(r"(?:\{.*\})?href\Z")
# In a style only what names a place of the drawing itself; no @import, no other address.
_LOADS = re.compile(r"@import|expression\s*\(|javascript:|url\(\s*[\"']?(?!#)", re.IGNORECASE)
_NUMBER = re.compile(r"\s*([0-9.]+)\s*(px|pt|)\s*\Z")
_MOST_BYTES = 5_000_000
MEDIA_TYPE = "image/svg+xml"


def checked_drawing(data: bytes) -> CleanImage:
    """The drawing as it is; `Refused` if it could run a script, load something, or is no SVG."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(data) > _MOST_BYTES:
        raise Refused(f"svg: {len(data):,} bytes; allowed are {_MOST_BYTES:,}")
    try:
        root = fromstring(data)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise Refused(f"svg: it is no well-formed drawing ({error})") from None
    if root.tag != f"{_SVG}svg":
        raise Refused(f"svg: its root is {root.tag!r}, not an SVG element")
    within = {child for parent in root.iter(f"{_SVG}metadata") for child in parent.iter()} - {root}
    for element in root.iter():
        name = str(element.tag).removeprefix(_SVG)
        if element not in within and name not in _ELEMENTS:
            raise Refused(f"svg: element {name!r}: allowed are shapes, text and their styles")
        for attribute, value in element.attrib.items():
            if attribute.lower().startswith("on") or _LOADS.search(value):
                raise Refused(f"svg: attribute {attribute!r} of {name!r} could run or load something")
            if _HREF.match(attribute) and not value.startswith("#") and element not in within:
                raise Refused(f"svg: {name!r} points at {value[:80]!r}: allowed are places in the drawing")
        if name == "style" and _LOADS.search("".join(element.itertext())):
            raise Refused("svg: its style loads something")
    width, height = (_pixels(root.get(side, "")) for side in ("width", "height"))
    if not width or not height:
        box = (root.get("viewBox") or "").replace(",", " ").split()
        width, height = (round(float(one)) for one in box[2:4]) if len(box) == 4 else (0, 0)
    return CleanImage(data, MEDIA_TYPE, width, height, sha256(data).hexdigest())


def _pixels(length: str) -> int:
    """A length of SVG in CSS pixels, 0 if it is none."""
    found = _NUMBER.match(length)
    return round(float(found[1]) * (96 / 72 if found[2] == "pt" else 1)) if found else 0
