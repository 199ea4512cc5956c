"""What every client says when its service can't answer now."""

from cryptocontent.errors import Explained


class Unavailable(Explained, ConnectionError):
    """The service does not answer, asks for patience, or has to be told something by a person first:
    `seconds` until another try makes sense, if that is known."""

    def __init__(self, message: str, seconds: float | None = None) -> None:
        super().__init__(message)
        self.seconds = seconds
