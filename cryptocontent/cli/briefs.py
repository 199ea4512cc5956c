"""`cryptocontent brief`: what is to be written."""

from pathlib import Path
from typing import Annotated

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json, print_rows

app = typer.Typer(help="Briefs: one article to write, each.", no_args_is_help=True, rich_markup_mode=None)


@app.command("import")
@command
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="UTF-8 CSV; see `brief header`.")],
    project: ProjectOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check every row, write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Import briefs: all rows or, if one is bad, none. The same file again makes nothing twice."""
    from dataclasses import asdict

    from cryptocontent.content.briefs import import_briefs
    from cryptocontent.storage import writing

    data = file.read_bytes()
    name = current.project(project)
    with writing(current.engine) as session:
        report = import_briefs(session, name, data, current.actor, dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    else:
        for problem in report.problems:
            typer.secho(f"{file}: {problem}", err=True, fg="red")
        counts = (
            f"{len(report.created)} new, {len(report.updated)} changed, {len(report.unchanged)} unchanged"
        )
        if report.problems:
            typer.echo(f"nothing was imported: {len(report.problems)} problems")
        else:
            typer.echo(f"{'would be ' if dry_run else ''}{counts}")
    if report.problems:
        raise typer.Exit(1)


@app.command("header")
@command
def header(project: ProjectOption = None) -> None:
    """Print the header line of the project's import file."""
    from cryptocontent.content.briefs import csv_header
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        typer.echo(csv_header(session, current.project(project)))


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the project's briefs, and why the latest attempt at one failed."""
    from sqlalchemy import select

    from cryptocontent.storage import reading
    from cryptocontent.storage.models import Article, Brief

    name = current.project(project)
    with reading(current.engine) as session:
        query = (
            select(Brief, Article.slug, Article.status)
            .outerjoin(Article, Article.brief_id == Brief.id)
            .where(Brief.project_id == name)
            .order_by(Brief.created_at, Brief.ordinal)
        )
        rows = [
            {
                "id": brief.id,
                "title": brief.title,
                "priority": brief.priority,
                "due": brief.due_date.isoformat() if brief.due_date else "",
                "article": f"{slug} ({status})" if slug else "",
                "error": brief.last_error or "",
            }
            for brief, slug, status in session.execute(query)
        ]
    if as_json or not rows:
        print_rows(rows, {}, as_json=as_json, empty="no briefs yet: `cryptocontent brief import FILE.csv`")
        return
    for row in rows:
        typer.secho(row["id"], bold=True)
        facts = [
            row["title"],
            f"priority {row['priority']}",
            row["due"] and f"due {row['due']}",
            row["article"],
        ]
        typer.echo("  " + " · ".join(fact for fact in facts if fact))
        if row["error"]:
            typer.secho(f"  {row['error']}", fg="red")
