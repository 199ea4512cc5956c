"""`cryptocontent brief`: what is to be written."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from cryptocontent.content.briefs import ImportReport

app = typer.Typer(help="Briefs: one article to write, each.", no_args_is_help=True, rich_markup_mode=None)


DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything, write nothing.")]
Partial = Annotated[
    bool, typer.Option("--partial", help="Take the good rows even if others are bad (exit code 1 then).")
]


@app.command("import")
@command
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV (UTF-8) or XLSX; see `brief header`.")],
    project: ProjectOption = None,
    dry_run: DryRun = False,
    partial: Partial = False,
    as_json: JsonOption = False,
) -> None:
    """Import briefs: all rows or, if one is bad, none. The same file again makes nothing twice."""
    from cryptocontent.content.brief_files import MAX_BYTES
    from cryptocontent.content.briefs import import_briefs
    from cryptocontent.storage import reading, writing

    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    name = current.project(project)
    # Who only looks keeps nobody from writing.
    with (reading if dry_run else writing)(current.engine) as session:
        report = import_briefs(session, name, data, current.actor, dry_run=dry_run, partial=partial)
    _print_report(report, f"{file}: ", dry_run, as_json)


@app.command("matrix")
@command
def matrix(
    template: Annotated[str, typer.Argument(help="The template's name.")],
    var: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE,…|@FILE", help="A variable's values, or a file with one per line."),
    ],
    title: Annotated[
        str,
        typer.Option(help="Every brief's title: '{{ topic }} in {{ year }}' (default: the template's)."),
    ] = "",
    keywords: Annotated[
        str, typer.Option(help="Keywords of every brief, separated by ; and with variables as in --title.")
    ] = "",
    due_date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="When every brief is due.")] = "",
    priority: Annotated[str, typer.Option(help="low, normal or high.")] = "normal",
    project: ProjectOption = None,
    dry_run: DryRun = False,
    partial: Partial = False,
    as_json: JsonOption = False,
) -> None:
    """Make a brief for every combination of values. The same matrix again makes nothing twice."""
    from cryptocontent.content.matrix import import_matrix, named_values
    from cryptocontent.storage import reading, writing

    values = named_values(var)
    name = current.project(project)
    common = {"title": title, "keywords": keywords, "due_date": due_date, "priority": priority}
    with (reading if dry_run else writing)(current.engine) as session:
        report = import_matrix(
            session, name, template, values, current.actor, common=common, dry_run=dry_run, partial=partial
        )
    _print_report(report, "", dry_run, as_json)


def _print_report(report: "ImportReport", place: str, dry_run: bool, as_json: bool) -> None:
    """What was done and what was wrong; exit code 1 if anything was."""
    from dataclasses import asdict

    if as_json:
        print_json(asdict(report))
    else:
        for problem in report.problems:
            typer.secho(f"{place}{problem}", err=True, fg="red")
        counts = (
            f"{len(report.created)} new, {len(report.updated)} changed, {len(report.unchanged)} unchanged"
        )
        wrong = count_of(len(report.problems), "problem")
        if not report.problems:
            typer.echo(f"{'would be ' if dry_run else ''}{counts}")
        elif report.created or report.updated or report.unchanged:
            typer.echo(f"{'would be ' if dry_run else ''}{counts}; the rest was left out: {wrong}")
        else:
            typer.echo(f"nothing {'would be' if dry_run else 'was'} imported: {wrong}")
    if report.problems:
        raise typer.Exit(1)


@app.command("header")
@command
def header(
    file_format: Annotated[str, typer.Option("--format", help="csv or xlsx.")] = "csv",
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to a file; its ending names the format.")
    ] = None,
    template: Annotated[
        str | None, typer.Option(help="Only this template's variables (default: those of all templates).")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Print the header of the project's import file, or write a workbook to fill in."""
    from cryptocontent.content.brief_sheets import csv_header, xlsx_header
    from cryptocontent.errors import Refused
    from cryptocontent.storage import reading
    from cryptocontent.storage.atomic import write_whole

    if to is not None and to.suffix.lower() == ".xlsx":
        file_format = "xlsx"
    if file_format not in ("csv", "xlsx"):
        raise Refused(f"--format {file_format!r}: allowed: csv, xlsx")
    if file_format == "xlsx" and to is None and sys.stdout.isatty():
        raise Refused("an XLSX file can't be shown here: name one with --to FILE.xlsx")
    name = current.project(project)
    with reading(current.engine) as session:
        if file_format == "xlsx":
            data = xlsx_header(session, name, template)
        else:
            data = f"{csv_header(session, name, template)}\n".encode()
    if to is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    if to.exists():
        raise Refused(f"{to} is there already: it may hold briefs; name another file")
    write_whole(to, data, mode=0o644)
    typer.echo(f"{to}: {count_of(len(data), 'byte')}")


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
