"""Publishing targets. A kind of target is one file here and one line below."""

from importlib import import_module

from cryptocontent.errors import Refused
from cryptocontent.publishing.targets.seam import Target

TARGETS: dict[str, str] = {
    "files": "files:Files",
    "github": "github:GitHubRepository",
    "google_docs": "google_docs:GoogleDocs",
    "wordpress": "wordpress:WordPressSite",
    "feeds": "feeds:Feeds",
}
"""Kind -> the module of this room and the class in it, imported on use."""


def open_target(kind: str) -> Target:
    """The kind of that name."""
    if kind not in TARGETS:
        raise Refused(f"kind {kind!r}: allowed are {', '.join(TARGETS)}")
    module, _, attribute = TARGETS[kind].partition(":")
    target: Target = getattr(import_module(f"{__name__}.{module}"), attribute)()
    return target
