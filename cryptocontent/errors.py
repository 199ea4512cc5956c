"""Errors whose message is meant for the person who asked: it names the field, the value and what is
allowed, and holds no secret. Faces (command line, API) show them as they are."""


class Explained(Exception):
    """Base of them all."""


class NotFound(Explained, LookupError):
    """Nothing bears that name or id; the message says what was looked for and what there is."""


class Refused(Explained, ValueError):
    """The request breaks a rule; the message names the field, the value and what is allowed."""


class NotAllowed(Explained, PermissionError):
    """The person may not do it; the message names person, role and what would be needed."""


class Conflict(Explained):
    """Somebody else was faster: what the request was based on is no longer current. Nothing was written."""
