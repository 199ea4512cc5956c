"""`cryptocontent ingest` and `cryptocontent search`."""

import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json, progress


@command
def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files and folders.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import references: Markdown, HTML, DOCX, PDF, plain text. Unchanged documents cost nothing."""
    from dataclasses import asdict

    from cryptocontent.knowledge.references import import_paths
    from cryptocontent.knowledge.search import sync_index

    name = current.project(project, create=True)
    with progress("importing", as_json) as update:
        report = import_paths(
            current.engine,
            current.objects,
            name,
            paths,
            current.actor,
            max_bytes=current.settings.max_document_bytes,
            on_progress=lambda done, total, _: update(done, total),
        )
    with progress("embedding", as_json) as update:
        synced = sync_index(current.engine, current.settings, name, update)
    if as_json:
        print_json(asdict(report) | {"project": name, "index": asdict(synced)})
    else:
        for path, reason in report.warnings:
            typer.secho(f"{path}: {reason}", err=True, fg="yellow")
        for external_id in report.recalled:
            typer.secho(f"{external_id}: recalled, so not imported (`reference list`)", err=True, fg="yellow")
        for path, reason in report.problems:
            typer.secho(f"{path}: {reason}", err=True, fg="red")
        typer.echo(
            f"project {name}: {len(report.added)} added, {len(report.revised)} revised, "
            f"{report.unchanged} unchanged, {len(report.withdrawn)} withdrawn, "
            f"{len(report.restored)} restored, {len(report.problems)} refused"
        )
        typer.echo(
            f"passages: {synced.embedded} embedded, {synced.removed} removed, {synced.total} searchable"
        )
    if report.problems and not (report.changed or report.unchanged):
        raise typer.Exit(1)


@command
def search(
    text: Annotated[str, typer.Argument(help="What to look for.")],
    project: ProjectOption = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many passages.")] = 5,
    mode: Annotated[str, typer.Option(help="hybrid, dense or bm25.")] = "hybrid",
    tag: Annotated[list[str] | None, typer.Option(help="Only references with this tag.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only references from this source (folder, file).")
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Published on or after.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Published on or before.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Find passages of the project's references."""
    from dataclasses import asdict

    from cryptocontent.errors import Refused
    from cryptocontent.knowledge import search as knowledge
    from cryptocontent.knowledge.index import Query

    if mode not in ("hybrid", "dense", "bm25"):
        raise Refused(f"mode {mode!r}: allowed are hybrid, dense, bm25")
    query = Query(
        text=text,
        project=current.project(project),
        limit=limit,
        tags=tuple(tag or ()),
        sources=tuple(source or ()),
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(hour=23, minute=59, second=59, tzinfo=UTC) if until else None,
    )
    found = knowledge.search(current.engine, current.settings, query, mode)  # type: ignore[arg-type]
    if as_json:
        print_json([asdict(item) for item in found])
        return
    if not found:
        current.console.print("nothing was found")
        return
    from rich.markup import escape

    for rank, item in enumerate(found, 1):
        where = escape(f"{' › '.join(item.heading_path)}  {item.external_id}  {item.score:.2f}")
        current.console.print(f"[bold]{rank}. {escape(item.title)}[/] [dim]{where}[/]", emoji=False)
        text = textwrap.shorten(item.text, 400, placeholder=" …")
        current.console.print(text, style="none", markup=False, emoji=False)
        current.console.print()
