"""What happened, for people who watch: live, and kept for a while. Today in the events table."""

from cryptocontent.events.live import Live as Live
from cryptocontent.events.live import NewEvent, followed, prune, publish

__all__ = ["Live", "NewEvent", "followed", "prune", "publish"]
