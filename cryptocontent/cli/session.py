"""What every command needs: settings, the database, who is asking, how to print."""

import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy import Engine

    from cryptocontent.audit import Actor
    from cryptocontent.identity import Person
    from cryptocontent.settings import Settings
    from cryptocontent.storage import ObjectStore

ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", envvar="CRYPTOCONTENT_PROJECT", help="Project id (default: the only one)."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
SAMPLE_PROJECT = "sample"
DEFAULT_PROJECT = "default"
USER_VARIABLE = "CRYPTOCONTENT_USER"


class Session:
    """Opened lazily: a command that needs no database opens none."""

    @cached_property
    def settings(self) -> "Settings":
        """The process's settings."""
        from cryptocontent.settings import Settings

        return Settings()

    @cached_property
    def engine(self) -> "Engine":
        """The database, migrated."""
        from cryptocontent.storage import ready_engine

        return ready_engine(self.settings.database_url)

    @cached_property
    def objects(self) -> "ObjectStore":
        """The object store."""
        from cryptocontent.storage import open_object_store

        settings = self.settings
        return open_object_store(
            settings.object_store_url,
            settings.object_store_access_key.get_secret_value(),
            settings.object_store_secret_key.get_secret_value(),
        )

    @cached_property
    def actor(self) -> "Actor":
        """The operating system's user, for the audit trail."""
        from cryptocontent.audit import Actor

        return Actor("cli", getpass.getuser())

    def person(self, project: str) -> "Person":
        """Who acts in the project, and in which role. `CRYPTOCONTENT_USER`, if set, names a member, who
        may do what their role allows; `NotAllowed` for a stranger. Else the operating system's user, as an
        admin: who can open the database can change it anyway, so a role would hide that, not prevent it."""
        from cryptocontent.identity import Person, find_person
        from cryptocontent.storage import reading

        if name := os.environ.get(USER_VARIABLE, ""):
            with reading(self.engine) as session:
                return find_person(session, project, name)
        return Person(getpass.getuser(), "admin")

    @cached_property
    def console(self) -> "Console":
        """Where people read."""
        from rich.console import Console

        return Console(highlight=False, emoji=False)

    def ready(self) -> None:
        """Migrate the database now, before other processes need it."""
        self.engine.dispose()

    def project(self, named: str | None, *, create: bool = False) -> str:
        """The project meant: the one named, else the only one besides the sample, else the sample.
        With `create`, a project `default` is made when there is none of one's own."""
        from cryptocontent.content.projects import create_project, get_project, list_projects
        from cryptocontent.errors import NotFound
        from cryptocontent.storage import reading, writing

        if named:
            with reading(self.engine) as session:
                return get_project(session, named).id
        with reading(self.engine) as session:
            known = [row["id"] for row in list_projects(session)]
        own = [project for project in known if project != SAMPLE_PROJECT]
        if len(own) == 1:
            return str(own[0])
        if len(own) > 1:
            raise NotFound(f"which project? Name one with --project: {', '.join(own)}")
        if create:
            with writing(self.engine) as session:
                create_project(session, DEFAULT_PROJECT, "Default", self.actor)
            return DEFAULT_PROJECT
        if known:
            return SAMPLE_PROJECT
        raise NotFound("there is no project yet: `cryptocontent project create ID`, or `cryptocontent demo`")


current = Session()


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong on standard error and end with an exit code."""
    typer.secho(f"error: {message}", err=True, fg="red")
    raise typer.Exit(code)


def command(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turns errors that a person can mend into a line and exit code 1; others keep their traceback. What
    the command records in the audit trail bears `cli:HOST` and one request id."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        # Not imported for `--help`: it brings SQLAlchemy, which a command needs for the database anyway.
        from cryptocontent.audit import current_request, requested

        # A command that calls another one stays one request.
        asked = nullcontext() if current_request() else requested(f"cli:{socket.gethostname()}")
        try:
            with asked:
                return function(*args, **kwargs)
        except Exception as error:
            if not _explains_itself(error):
                raise
            fail(_message(error))

    return wrapped


def _explains_itself(error: Exception) -> bool:
    from pydantic import ValidationError

    from cryptocontent.errors import Explained

    return isinstance(error, Explained | ValidationError | OSError)


def _message(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
    return str(error)


def print_json(data: Any) -> None:
    """JSON for programs, on standard output."""
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n")


def print_rows(
    rows: Sequence[dict[str, Any]],
    columns: dict[str, str],
    *,
    as_json: bool,
    empty: str,
) -> None:
    """Rows as a table (key → heading; numbers to the right) or as JSON. A cell is text as it stands, or a
    `rich.text.Text` of its own style."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        current.console.print(empty)
        return
    from rich import box
    from rich.table import Table

    table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for key, heading in columns.items():
        numeric = all(isinstance(row.get(key), int | float) for row in rows)
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in columns))
    current.console.print(table)


def _cell(value: Any) -> Any:
    from rich.text import Text

    return value if isinstance(value, Text) else Text("" if value is None else str(value))


def count_of(number: int, noun: str) -> str:
    """`1 article`, `2 articles`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(label: str, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere; yields `update(done, total)`."""
    if quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
