"""Publishing targets. Today: files (Markdown with front matter, clean HTML, JSON)."""

from cryptocontent.publishing.files import export_project

__all__ = ["export_project"]
