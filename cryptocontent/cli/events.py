"""`cryptocontent events`: what agents and models do, as it happens."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json

if TYPE_CHECKING:
    from cryptocontent.storage.models import Event

_POLL_SECONDS = 0.5
_PAGE = 500
_SHOWN = 200


@command
def events(
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens; Ctrl-C ends it.")
    ] = False,
    subject: Annotated[
        str, typer.Option(metavar="article:ID", help="Only what is about this; see the first column.")
    ] = "",
    last: Annotated[
        int, typer.Option(help="Begin with so many; 0: none with --follow, else all.", min=0)
    ] = 100,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a project's events, oldest first. `--json` has every event whole; with `--follow` one a line."""
    import time

    from cryptocontent.events import followed

    name = current.project(project)
    after = _start(name, subject, last, follow)
    printer = Printer()
    gathered: list[dict[str, Any]] = []
    try:
        while True:
            found = followed(current.engine, name, after, subject=subject, limit=_PAGE)
            if found:
                after = found[-1].id
            if as_json and not follow:
                gathered += [_values(one) for one in found]
            elif as_json:
                for one in found:
                    typer.echo(json.dumps(_values(one), ensure_ascii=False, default=str))
            else:
                typer.echo(printer.text(found), nl=False)
            if len(found) == _PAGE:
                continue
            if not follow:
                break
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        pass
    if as_json and not follow:
        print_json(gathered)
    else:
        typer.echo(printer.end(), nl=False)


def _start(project_id: str, subject: str, last: int, follow: bool) -> int:
    """The id of the event after which to begin."""
    from sqlalchemy import select

    from cryptocontent.storage import reading
    from cryptocontent.storage.models import Event

    if not last and not follow:
        return 0
    query = select(Event.id).where(Event.project_id == project_id)
    if subject:
        query = query.where(Event.subject == subject)
    with reading(current.engine) as session:
        found = session.scalar(query.order_by(Event.id.desc()).offset(last).limit(1))
    return found or 0


def _values(event: "Event") -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.created_at.isoformat(timespec="milliseconds"),
        "subject": event.subject,
        "kind": event.kind,
        "data": event.data,
    }


class Printer:
    """Events as lines. Tokens of one source that follow each other go on in their line."""

    def __init__(self) -> None:
        self._source: tuple[str, ...] | None = None

    def text(self, events: Sequence["Event"]) -> str:
        """What to print for these events; a line of tokens is left open."""
        return "".join(map(self._one, events))

    def end(self) -> str:
        """What closes an open line."""
        open_line, self._source = self._source is not None, None
        return "\n" if open_line else ""

    def _one(self, event: "Event") -> str:
        stage = str(event.data.get("stage", ""))
        # A stage may ask several questions at once: `request` tells them apart.
        source = (event.subject, stage, str(event.data.get("request", "")))
        head = f"{event.created_at:%H:%M:%S}  {event.subject}  {stage or '-'}  {event.kind}  "
        if event.kind != "token":
            told = {key: value for key, value in event.data.items() if key != "stage"}
            return self.end() + _clean(head + _shortened(told)).rstrip() + "\n"
        words = _clean(str(event.data.get("text", "")))
        if source == self._source:
            return words
        begin = self.end() + _clean(head)
        self._source = source
        return begin + words


def _shortened(data: dict[str, Any]) -> str:
    told = "  ".join(f"{key}={_told(value)}" for key, value in data.items())
    return told if len(told) <= _SHOWN else told[: _SHOWN - 1] + "…"


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _clean(text: str) -> str:
    """The text in one line. What models write may hold signs that a terminal obeys."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
