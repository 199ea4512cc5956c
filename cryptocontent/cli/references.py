"""`cryptocontent reference`: the knowledge base's sources, and their recall."""

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
)

app = typer.Typer(
    help="References: the sources that articles cite.", no_args_is_help=True, rich_markup_mode=None
)
ReferenceArgument = Annotated[
    str, typer.Argument(metavar="REF", help="External id, file name (if only one bears it) or id.")
]
ReferencesArgument = Annotated[
    list[str],
    typer.Argument(metavar="REF…", help="External ids, file names (if only one bears them) or ids."),
]
STATUSES = ("active", "withdrawn", "recalled")


@app.command("list")
@command
def list_all(
    project: ProjectOption = None,
    status: Annotated[str | None, typer.Option(help="Only active, withdrawn or recalled ones.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the project's references: status, passages, and how many articles cite them."""
    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.listing import list_references
    from cryptocontent.storage import reading

    if status is not None and status not in STATUSES:
        raise Refused(f"status {status!r}: allowed are {', '.join(STATUSES)}")
    with reading(current.engine) as session:
        rows = list_references(session, current.project(project), status)
    columns = {
        "external_id": "Reference",
        "title": "Title",
        "status": "Status",
        "passages": "Passages",
        "articles": "Articles",
    }
    print_rows(rows, columns, as_json=as_json, empty="no references: `cryptocontent ingest PATH`")


@app.command("show")
@command
def show(reference: ReferenceArgument, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show what is known of a reference: where it comes from, its revisions, people's notes, the articles
    that cite it."""
    from cryptocontent.knowledge.listing import describe_reference, find_references
    from cryptocontent.knowledge.search import reference_names
    from cryptocontent.storage import reading

    name = current.project(project)
    known = reference_names(current.engine, name)
    with reading(current.engine) as session:
        found = [
            describe_reference(session, one) for one in find_references(session, name, [reference], known)
        ]
    if as_json:
        print_json(found)
        return
    for one in found:
        _print(one)


def _print(one: dict[str, Any]) -> None:
    typer.secho(f"{one['title']}", bold=True)
    for label, value in (
        ("reference", f"{one['external_id']} ({one['source']})"),
        ("status", one["status"] + (f": {one['recall_reason']}" if one["recall_reason"] else "")),
        ("url", one["url"]),
        ("licence", one["licence"]),
        ("author", one["author"]),
        ("tags", ", ".join(one["tags"])),
        ("published", one["published_at"]),
        ("id", one["id"]),
    ):
        if value:
            typer.echo(f"  {label:<10} {value}")
    for revision in one["revisions"]:
        mark = ", current" if revision["current"] else ""
        typer.echo(
            f"  revision {revision['number']}: {revision['content_hash']}, {revision['fetched_at']}{mark}"
        )
    for number, note in enumerate(one["notes"], 1):
        state = "" if note.get("resolved") is None else ", resolved" if note["resolved"] else ", open"
        answers = note.get("answers")
        to = f", answers note {answers + 1}" if isinstance(answers, int) else ""
        typer.echo(f"  note {number} by {note.get('author') or '?'}, {note.get('at') or '?'}{state}{to}")
        if note.get("quote"):
            typer.secho(f"    on “{note['quote']}”", dim=True)
        typer.echo(f"    {note.get('text', '')}")
    for article in one["articles"]:
        numbers = ", ".join(map(str, article["versions"]))
        typer.echo(f"  cited by {article['slug']} ({article['status']}) in version {numbers}")


@app.command("recall")
@command
def recall(
    references: ReferencesArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why they can't be trusted; kept.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Withdraw bad references: every version that cites them is flagged, its article reopened (editors)."""
    from dataclasses import asdict

    from cryptocontent.knowledge.recall import recall as recall_references

    name = current.project(project)
    report = recall_references(
        current.engine, current.settings, name, references, reason, current.person(name)
    )
    if as_json:
        print_json(asdict(report))
        return
    for external_id in report.recalled:
        typer.echo(f"recalled: {external_id}")
    for external_id in report.already:
        typer.echo(f"recalled before: {external_id}")
    for article in report.articles:
        versions = f"{count_of(len(article.versions), 'version')} flagged"
        state = ", reopened" if article.reopened else ""
        typer.echo(f"article {article.slug}: {versions}{state}")
        if article.live:
            typer.secho(
                f"article {article.slug}: readers still see it; publish another version or "
                f"`article archive {article.slug}`",
                err=True,
                fg="red",
            )
    if not report.articles:
        typer.echo("no article cites it")
    for twin in report.twins:
        typer.secho(f"{twin} has the very same content and is still in use", err=True, fg="yellow")
    typer.echo(f"{count_of(report.removed_passages, 'passage')} taken out of search")


@app.command("readmit")
@command
def readmit(references: ReferencesArgument, project: ProjectOption = None) -> None:
    """Undo a recall: the references may be cited again (admins). Articles stay in the state they are in."""
    from cryptocontent.knowledge.recall import readmit as readmit_references

    name = current.project(project)
    done = readmit_references(current.engine, current.settings, name, references, current.person(name))
    for external_id in done:
        typer.echo(f"readmitted: {external_id}")
    if not done:
        typer.echo("none of them was recalled")
