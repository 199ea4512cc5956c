"""From versions to readers: articles in the formats that leave the house, and the targets that they go to.

`files` writes a project's articles down, `targets/` hands single ones on, and `deliveries` sees to it that
each target gets each version once.
"""

from cryptocontent.publishing.files import export_project

__all__ = ["export_project"]
