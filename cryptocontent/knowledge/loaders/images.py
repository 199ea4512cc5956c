"""Images of a document: where their bytes come from. Whether they are images at all, and what is taken off
them before they are kept, is told by `images.cleaning`."""

import base64
import binascii
import re
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from cryptocontent.knowledge.loaders.document import LoadedImage, Parsed, SourceFile

_MAX_IMAGES: Final = 500
_DATA_URL = re.compile(r"data:image/[\w.+-]+;base64,(.*)", re.DOTALL | re.IGNORECASE)


class ImageCollector:
    """Resolves the image references of one document, keeping each image once and the reasons for the rest."""

    def __init__(self, source: SourceFile, parsed: Parsed) -> None:
        self._source = source
        self._parsed = parsed
        self._resolved: dict[str, str | None] = {}
        self._images: dict[str, LoadedImage] = {}
        self.warnings: list[str] = []

    @property
    def images(self) -> list[LoadedImage]:
        """The images found, in the order of their first appearance."""
        return list(self._images.values())

    def resolve(self, reference: str, alt: str) -> str | None:
        """`image:<sha256>` of a usable image, the address of one on the web, else None (see warnings)."""
        if re.match(r"https?://", reference, re.IGNORECASE):
            return reference  # not fetched here: the network is none of a loader's business
        if reference not in self._resolved:
            try:
                self._resolved[reference] = self._store(reference, alt)
            except (ValueError, OSError) as error:
                self._resolved[reference] = None
                self.warnings.append(f"image {_short(reference)} left out: {error}")
        return self._resolved[reference]

    def _store(self, reference: str, alt: str) -> str:
        from cryptocontent.knowledge.images.cleaning import clean_image  # its room knows the database

        if len(self._images) >= _MAX_IMAGES:
            raise ValueError(f"more than {_MAX_IMAGES} images in one document")
        name, data = self._bytes_of(reference)
        cleaned = clean_image(data)
        image = LoadedImage(name, " ".join(alt.split()), cleaned.data, cleaned.media_type)
        self._images.setdefault(image.sha256, image)
        return f"image:{image.sha256}"

    def _bytes_of(self, reference: str) -> tuple[str, bytes]:
        if (data := self._parsed.embedded.get(reference)) is not None:
            return PurePosixPath(reference).name, data
        if inline := _DATA_URL.match(reference):
            try:
                return "inline", base64.b64decode(unquote(inline[1]), validate=False)
            except binascii.Error as error:
                raise ValueError("its data URL is broken") from error
        if not self._parsed.local_images or urlsplit(reference).scheme:
            raise ValueError("its address is not supported")
        path = self._inside_root(unquote(urlsplit(reference).path))
        if path.stat().st_size > self._source.max_bytes:
            raise ValueError(f"it is larger than {self._source.max_bytes:,} bytes")
        return path.name, path.read_bytes()

    def _inside_root(self, relative: str) -> Path:
        """The file that `relative` names. Raises ValueError unless it lies inside the imported folder."""
        root = self._source.root.resolve()
        try:
            # a leading slash means the site's root in web pages: here, the imported folder
            base = root if relative.startswith("/") else self._source.path.parent
            path = (base / relative.lstrip("/")).resolve()  # follows symbolic links, which may lead outside
            if not path.is_relative_to(root):
                raise ValueError("it lies outside the imported folder")
            if not path.is_file():
                raise ValueError("there is no such file")
        except OSError as error:
            raise ValueError(f"it can't be read ({error.strerror})") from error
        return path


def _short(reference: str) -> str:
    return reference if len(reference) <= 120 else reference[:117] + "..."
