"""`cryptocontent market`: facts of the market that articles may cite."""

from pathlib import Path
from typing import Annotated

import typer

from cryptocontent.cli.session import (
    JsonOption,
    ProjectOption,
    command,
    count_of,
    current,
    print_json,
    print_rows,
)

app = typer.Typer(
    help="Market facts: numbers about assets with unit, source and time.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("import")
@command
def import_file(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="Columns asset_id,metric,value,unit,source,as_of.")
    ],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import market facts: all rows or, if one is bad, none. The same file again makes nothing twice."""
    from dataclasses import asdict

    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.market_facts import import_facts
    from cryptocontent.storage import writing

    data = file.read_bytes()
    name = current.project(project)
    person = current.person(name)
    person.require("write")
    try:
        with writing(current.engine) as session:
            report = import_facts(session, name, data, person.actor)
    except Refused as error:
        raise Refused(f"{file}: {error}") from None
    if as_json:
        print_json(asdict(report))
    elif report.problems:
        for problem in report.problems:
            typer.secho(f"{file}: {problem}", err=True, fg="red")
        typer.echo(f"nothing was imported: {count_of(len(report.problems), 'problem')}")
    else:
        typer.echo(f"project {name}: {len(report.created)} new, {report.unchanged} known already")
    if report.problems:
        raise typer.Exit(1)


@app.command("list")
@command
def list_all(
    project: ProjectOption = None,
    asset: Annotated[str | None, typer.Option(help="Only this asset id.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest fact of each asset, metric and unit."""
    from cryptocontent.knowledge.market_facts import list_facts
    from cryptocontent.storage import reading

    name = current.project(project)
    with reading(current.engine) as session:
        rows = list_facts(session, name, asset)
    if as_json or not rows:
        print_rows(rows, {}, as_json=as_json, empty="no market facts: `cryptocontent market import FILE.csv`")
        return
    for row in rows:
        typer.echo(row["statement"])
        typer.secho(f"  [^fact:{row['id']}]", dim=True)
