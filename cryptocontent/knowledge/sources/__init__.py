"""Sources of references that are watched: they are looked at by sensors, and what is new is imported.

A kind of source is one file here and one line below.
"""

from importlib import import_module

from cryptocontent.errors import Refused
from cryptocontent.knowledge.sources.seam import Kind

_HERE = __name__
KINDS: dict[str, str] = {
    "google_drive": f"{_HERE}.google_drive:GoogleDrive",
    "web": f"{_HERE}.web:WebPages",
    "sitemap": f"{_HERE}.web:Sitemap",
    "feed": f"{_HERE}.feeds:Feed",
}
"""Kind -> its class as `module:name`, imported on use."""


def open_kind(name: str) -> Kind:
    """The kind of that name."""
    if name not in KINDS:
        raise Refused(f"kind {name!r}: allowed are {', '.join(KINDS)}")
    module, _, attribute = KINDS[name].partition(":")
    kind: Kind = getattr(import_module(module), attribute)()
    return kind
