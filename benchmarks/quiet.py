"""A console for a supervisor whose output is read by a program."""

import sys

from rich.console import Console


def console() -> Console:
    """Plain text, flushed line by line."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return Console(file=sys.stdout, width=200, no_color=True)
