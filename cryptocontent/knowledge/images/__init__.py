"""Pictures: checked and cleaned before they are kept, described in a library, cut to the sizes that pages and
social networks ask for. Where they stand in an article: `placing`."""

from cryptocontent.knowledge.images.renditions import ensure_renditions
from cryptocontent.knowledge.images.store import find_image, list_images, save_image

__all__ = ["ensure_renditions", "find_image", "list_images", "save_image"]
