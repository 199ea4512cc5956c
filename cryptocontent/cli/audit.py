"""`cryptocontent audit`: the hash-chained trail, proved, listed and exported."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from cryptocontent.cli.session import (
    JsonOption,
    ProjectOption,
    command,
    current,
    print_json,
    print_rows,
)

if TYPE_CHECKING:
    from cryptocontent.audit import Head, Verification

app = typer.Typer(help="The hash-chained audit trail.", no_args_is_help=True, rich_markup_mode=None)


@app.command("verify")
@command
def verify(
    project: ProjectOption = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Prove what `audit export` wrote instead of the database.")
    ] = None,
    head: Annotated[
        str | None,
        typer.Option("--head", metavar="SEQ:HASH", help="Also prove that this entry, kept elsewhere, holds."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove each project's chain, or name its first broken entry (exit code 1)."""
    from dataclasses import asdict

    from cryptocontent.audit import Head

    kept = Head.parse(head) if head else None
    verdicts = [_verify_file(file, kept)] if file else _verify_projects(project, kept)
    if as_json:
        print_json([asdict(verdict) for verdict in verdicts])
    for verdict in verdicts if not as_json else ():
        if verdict.broken_at is None:
            typer.echo(f"project {verdict.project_id}: {verdict.entries} entries, the chain holds")
        else:
            typer.secho(f"project {verdict.project_id}: {verdict.problem}", err=True, fg="red")
    if any(verdict.broken_at is not None for verdict in verdicts):
        raise typer.Exit(1)


def _verify_file(file: Path, kept: "Head | None") -> "Verification":
    from cryptocontent.audit import verify_export
    from cryptocontent.errors import Refused

    # Lines end at a line feed and nowhere else, as they were written.
    with file.open(encoding="utf-8", newline="\n") as lines:
        try:
            return verify_export(lines, kept)
        except UnicodeDecodeError as error:
            raise Refused(f"{file}: not UTF-8 text ({error.reason})") from None
        except Refused as error:
            raise Refused(f"{file}: {error}") from None


def _verify_projects(project: str | None, kept: "Head | None") -> "list[Verification]":
    from cryptocontent.audit import verify as verify_chain
    from cryptocontent.content.projects import get_project, list_projects
    from cryptocontent.storage import reading

    if kept is not None:
        project = current.project(project)  # a head is of one chain
    with reading(current.engine) as session:
        names = (
            [get_project(session, project).id] if project else [row["id"] for row in list_projects(session)]
        )
        return [verify_chain(session, name, kept) for name in names]


@app.command("head")
@command
def head(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Print the chain's newest entry as SEQ:HASH: keep it elsewhere, and give it to `verify --head`."""
    from cryptocontent.audit import head_of
    from cryptocontent.storage import reading

    name = current.project(project)
    with reading(current.engine) as session:
        newest = head_of(session, name)
    if as_json:
        print_json({"project": name, "seq": newest.seq, "hash": newest.hash})
    else:
        typer.echo(str(newest))


@app.command("export")
@command
def export(
    project: ProjectOption = None,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Default: standard output.")] = None,
) -> None:
    """Write the chain as JSON Lines, one entry a line; `audit verify --file` proves it anywhere."""
    import json

    from cryptocontent import audit
    from cryptocontent.errors import Refused
    from cryptocontent.storage import reading

    name = current.project(project)
    current.person(name).require("administer")
    with reading(current.engine) as session:
        if to is None:
            for line in audit.export(session, name):
                sys.stdout.write(line)
            return
        last = ""
        with _whole(to) as file:
            for line in audit.export(session, name):
                file.write(line)
                last = line
            if not last:
                raise Refused(f"project {name!r} has no entries (`audit verify` says what is wrong)")
    newest = json.loads(last)
    typer.echo(
        f"project {name}: entries up to {newest['seq']} in {to}; head {newest['seq']}:{newest['hash']}"
    )


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A text file that is written as it goes and stands there once it is whole."""
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=".writing-", delete=False
    ) as file:
        try:
            yield file  # type: ignore[misc]
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


@app.command("list")
@command
def list_entries(
    project: ProjectOption = None,
    subject: Annotated[
        str, typer.Option(help="Only subjects that begin so: `article:` or `reference:notes/x.md`.")
    ] = "",
    actor: Annotated[str, typer.Option(help="Only actors that begin so: `person:anna` or `stage:`.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries: when, who, what, to what, from where."""
    from cryptocontent.audit import entries
    from cryptocontent.storage import reading

    name = current.project(project)
    current.person(name).require("administer")
    with reading(current.engine) as session:
        rows = entries(session, name, subject=subject, actor=actor, limit=limit)
    if not as_json:
        rows = [row | {"at": f"{row['at'][:19].replace('T', ' ')}"} for row in rows]
    columns = {
        "seq": "Entry",
        "at": "When (UTC)",
        "actor": "Who",
        "action": "What",
        "subject": "To what",
        "origin": "From where",
    }
    print_rows(rows, columns, as_json=as_json, empty="no such entries")
