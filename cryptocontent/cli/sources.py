"""`cryptocontent source`: places that are watched for references."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from cryptocontent.cli.session import (
    JsonOption,
    ProjectOption,
    command,
    count_of,
    current,
    print_json,
    print_rows,
    progress,
)

app = typer.Typer(
    help="Sources: Drive folders, pages, sitemaps and feeds that references follow by themselves.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The source's name.")]


def given_settings(settings: list[str] | None, config_file: Path | None) -> dict[str, Any]:
    """Settings as they are given at the command line: `KEY=VALUE` each, over those of a YAML file."""
    import yaml

    from cryptocontent.errors import Refused

    config: dict[str, Any] = {}
    if config_file is not None:
        try:
            config = yaml.safe_load(config_file.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Refused(f"{config_file}: {' '.join(str(error).split())}") from None
        if not isinstance(config, dict):
            raise Refused(f"{config_file}: give a mapping of settings")
    return config | dict(map(_setting, settings or []))


def _setting(text: str) -> tuple[str, Any]:
    """`key=value`; a value that is JSON (a number, a list, true) is taken as such."""
    from cryptocontent.errors import Refused

    key, separator, value = text.partition("=")
    if not separator or not key:
        raise Refused(f"setting {text!r}: give KEY=VALUE, such as folder=https://drive.google.com/…")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


@app.command("add")
@command
def add(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="google_drive, web, sitemap or feed.")],
    name: NameArgument,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE…", help="Its settings; values may be JSON. docs/sources.md"),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A YAML file with its settings instead.")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Watch a place. Nothing is fetched yet: `source sync`, or the sensor, does that."""
    from cryptocontent.knowledge.sources import open_kind
    from cryptocontent.knowledge.sources.store import add_source
    from cryptocontent.storage import writing

    config = given_settings(settings, config_file)
    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        source = add_source(session, current.settings, chosen, kind, name, config, person)
    typer.echo(f"project {chosen} watches {source.name} ({source.kind})")
    if off := open_kind(kind).off(current.settings):
        typer.secho(f"it is off until this is mended: {off}", err=True, fg="yellow")
    else:
        typer.echo(f"next: cryptocontent source sync {source.name} -p {chosen}")


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the sources: what came from each, and what is wrong."""
    from cryptocontent.knowledge.sources.store import list_sources
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_sources(session, current.project(project))
    columns = {
        "name": "Source",
        "kind": "Kind",
        "status": "Status",
        "imported": "Imported",
        "pending": "Pending",
        "failed": "Failed",
        "ignored": "Ignored",
        "error": "Problem",
    }
    print_rows(rows, columns, as_json=as_json, empty="no sources: `cryptocontent source add KIND NAME …`")


@app.command("show")
@command
def show(name: NameArgument, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show a source's settings, and the items that could not be imported, with the reason."""
    from cryptocontent.knowledge.sources.store import find_source, list_sources, troubled_items
    from cryptocontent.storage import reading

    chosen = current.project(project)
    with reading(current.engine) as session:
        source = find_source(session, chosen, name)
        row = next(row for row in list_sources(session, chosen) if row["id"] == source.id)
        troubled = troubled_items(session, source.id)
    if as_json:
        print_json(row | {"troubled": troubled})
        return
    typer.secho(f"{row['name']} ({row['kind']}, {row['status']})", bold=True)
    for key, value in row["config"].items():
        typer.echo(f"  {key}: {value if isinstance(value, str) else json.dumps(value)}")
    typer.echo(f"  looked at: {row['checked_at'] or 'never'}")
    if row["error"]:
        typer.secho(f"  problem: {row['error']}", fg="red")
    counts = ", ".join(f"{row[state]} {state}" for state in ("imported", "pending", "failed", "ignored"))
    typer.echo(f"  items: {counts}")
    columns = {"item": "Item", "status": "Status", "reason": "Reason", "again_at": "Again at"}
    print_rows(troubled, columns, as_json=False, empty="  every item was imported")


def _set_status(name: str, project: str | None, status: str) -> list[str]:
    from cryptocontent.knowledge.sources.store import find_source, set_status
    from cryptocontent.storage import writing

    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        return set_status(session, find_source(session, chosen, name), status, person)


@app.command("pause")
@command
def pause(name: NameArgument, project: ProjectOption = None) -> None:
    """Look at a source no more, until it is resumed; its references stay."""
    _set_status(name, project, "paused")
    typer.echo(f"{name} is paused")


@app.command("resume")
@command
def resume(name: NameArgument, project: ProjectOption = None) -> None:
    """Watch a paused source again, from where it was left."""
    _set_status(name, project, "active")
    typer.echo(f"{name} is watched again")


@app.command("remove")
@command
def remove(name: NameArgument, project: ProjectOption = None) -> None:
    """Watch a source no more. What only it brought is withdrawn from search and stays citable."""
    from cryptocontent.knowledge.search import sync_index

    chosen = current.project(project)
    withdrawn = _set_status(name, chosen, "removed")
    sync_index(current.engine, current.settings, chosen)
    typer.echo(f"{name} is removed; {count_of(len(withdrawn), 'reference')} withdrawn")


@app.command("sync")
@command
def sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Sources; all that are active, if none.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="List everything anew, whatever was seen before.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, help="About how long to go on.")] = 3600.0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at sources now, import what is new, and bring the search index in step."""
    from dataclasses import asdict

    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.search import sync_index
    from cryptocontent.knowledge.sources.importing import refresh_sources
    from cryptocontent.knowledge.sources.store import find_source
    from cryptocontent.storage import reading

    chosen = current.project(project)
    person = current.person(chosen)
    person.require("write")
    with reading(current.engine) as session:
        for name in names or ():
            if (source := find_source(session, chosen, name)).status != "active":
                raise Refused(f"source {name!r} is {source.status}: cryptocontent source resume {name}")
    with progress("Importing", quiet=as_json) as update:
        looked, report = refresh_sources(
            current.engine,
            current.objects,
            current.settings,
            chosen,
            person.actor,
            seconds=seconds,
            full=full,
            names=names or (),
            on_progress=lambda done, name: update(done, 0),
        )
    for name, one in looked.items():
        if one.error:
            typer.secho(f"{name}: {one.error}", err=True, fg="red")
        elif not as_json:
            typer.echo(f"{name}: {one.found} new or changed, {one.gone} gone")
    indexed = sync_index(current.engine, current.settings, chosen)
    if as_json:
        print_json(asdict(report) | {"embedded": indexed.embedded, "removed": indexed.removed})
    else:
        if not looked:
            typer.echo("no source is watched: `cryptocontent source add KIND NAME …`")
        for name, reason in report.problems:
            typer.secho(f"{name}: {reason}", err=True, fg="yellow")
        typer.echo(
            f"{len(report.added)} added, {len(report.revised)} revised, {len(report.restored)} restored, "
            f"{len(report.withdrawn)} withdrawn, {report.unchanged} unchanged; "
            f"{indexed.embedded} passages embedded"
        )
    if any(one.error for one in looked.values()):
        raise typer.Exit(1)
