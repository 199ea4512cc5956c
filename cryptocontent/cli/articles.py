"""`cryptocontent article`: what was written."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json, print_rows

if TYPE_CHECKING:
    from cryptocontent.content.checking import Standing

app = typer.Typer(help="Articles and their versions.", no_args_is_help=True, rich_markup_mode=None)
_COLOURS = {"block": "red", "warn": "yellow", "info": "blue"}
ArticleArgument = Annotated[
    str, typer.Argument(metavar="ARTICLE", help="Slug, project/slug, id or brief id.")
]


def print_articles(rows: list[dict[str, Any]], *, as_json: bool, empty: str, below: str = "slug") -> None:
    """Articles as a table that fits 80 columns: under the title stands the slug (or another key)."""
    if not as_json:
        from rich.text import Text

        cells = [Text.assemble(row["title"], "\n", (str(row[below]), "dim")) for row in rows]
        rows = [row | {"article": cell} for row, cell in zip(rows, cells, strict=True)]
    columns = {
        "article": "Article",
        "words": "Words",
        "citations": "Cites",
        "readability": "Ease",
        "findings": "Findings",
        "cost_usd": "Cost $",
        "status": "Status",
    }
    print_rows(rows, columns, as_json=as_json, empty=empty)


def finding_values(one: "Standing") -> dict[str, Any]:
    """A finding as plain values."""
    finding = one.finding
    return {
        "id": finding.id,
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "excerpt": finding.excerpt,
        "start": finding.start,
        "end": finding.end,
        "evidence": finding.evidence,
        "blocks": one.blocks,
        "waived_by": one.waiver.author if one.waiver else None,
        "waived_because": one.waiver.reason if one.waiver else None,
    }


def print_finding(one: "Standing") -> None:
    """A finding for people: number, gravity, rule, message, the text and who let it stand."""
    finding = one.finding
    typer.secho(f"{finding.id:>6} {finding.severity:5} ", fg=_COLOURS[finding.severity], nl=False)
    typer.secho(finding.rule, bold=True, nl=False)
    typer.echo(f"  {finding.message}")
    if finding.excerpt:
        place = f" (at {finding.start})" if finding.start is not None else ""
        typer.secho(f"       “{finding.excerpt[:160]}”{place}", dim=True)
    if one.waiver:
        typer.secho(f"       waived by {one.waiver.author}: {one.waiver.reason}", dim=True)


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the project's articles."""
    from cryptocontent.content.articles import list_articles
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_articles(session, current.project(project))
    print_articles(rows, as_json=as_json, empty="no articles yet: `cryptocontent generate --all`")


@app.command("show")
@command
def show(
    article: ArticleArgument,
    version: Annotated[
        str | None, typer.Option(help="Number, id or stage (default: the current one).")
    ] = None,
    conversation: Annotated[
        bool, typer.Option("--conversation", help="What the agents said and changed.")
    ] = False,
    sources: Annotated[bool, typer.Option("--sources", help="The cited passages, whole.")] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The text alone, to be edited and saved by `article edit`.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show an article: its text, versions and findings."""
    from cryptocontent.content import articles
    from cryptocontent.content.checking import standing_findings
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = articles.find_article(session, article)
        shown = articles.find_version(session, found, version)
        versions = articles.versions_of(session, found.id)
        citations = articles.citations_of(session, shown.id)
        findings = standing_findings(session, found.id, shown.id)
        messages = articles.conversation(session, found.id)
    if as_json:
        print_json(
            {
                "article": _values(found),
                "version": _values(shown),
                "versions": [
                    {"number": item.number, "author": item.author, "id": item.id} for item in versions
                ],
                "citations": citations,
                "findings": [finding_values(item) for item in findings],
                "conversation": [_values(item) for item in messages],
            }
        )
        return
    if markdown:
        typer.echo(shown.markdown, nl=False)
        return
    console = current.console
    console.print(
        f"[dim]{found.project_id}/{found.slug} · {found.status} · version {shown.number} by {shown.author}[/]"
    )
    if conversation:
        for message in messages:
            console.print(f"[bold]{message.author}[/] [dim]{message.kind}[/]")
            console.print(message.body, markup=False, emoji=False)
            console.print()
        return
    # Whole lines, not wrapped ones, so that what is piped into a file is the Markdown as it is.
    console.print(shown.markdown, markup=False, emoji=False, soft_wrap=True)
    if sources:
        from rich.markup import escape

        for item in citations:
            title, place = escape(item["title"]), escape(item["external_id"])
            console.print(f"[bold]^{item['number']}[/] {title} [dim]{place}[/]", emoji=False)
            console.print(item["text"], markup=False, emoji=False, style="dim")
            console.print()
    console.print("[bold]Versions[/] " + ", ".join(f"{item.number} {item.author}" for item in versions))
    for finding in findings:
        print_finding(finding)


def _values(row: object) -> dict[str, object]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}  # type: ignore[attr-defined]


@app.command("diff")
@command
def diff(
    article: ArticleArgument,
    before: Annotated[str | None, typer.Argument(metavar="FROM", help="Number, id or stage.")] = None,
    after: Annotated[str | None, typer.Argument(metavar="TO", help="Number, id or stage.")] = None,
) -> None:
    """Show what changed between two versions (default: from the writer's to the current one)."""
    from cryptocontent.content import articles
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = articles.find_article(session, article)
        new = articles.find_version(session, found, after)
        if before:
            old = articles.find_version(session, found, before)
        else:
            old = articles.first_of_its_generation(session, new)
    text = articles.diff(old, new)
    if not text:
        typer.echo(f"versions {old.number} ({old.author}) and {new.number} ({new.author}) are the same")
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in text.splitlines():
        typer.secho(line, fg=colours.get(line[:1]))


@app.command("export")
@command
def export(
    articles: Annotated[
        list[str] | None, typer.Argument(metavar="ARTICLE…", help="Which (default: all).")
    ] = None,
    project: ProjectOption = None,
    to: Annotated[Path | None, typer.Option(help="Folder (default: .cryptocontent/exports/PROJECT).")] = None,
    format: Annotated[list[str] | None, typer.Option(help="md, html, json (default: all).")] = None,
) -> None:
    """Write articles as Markdown with front matter, clean HTML and JSON, with their images."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.errors import Refused
    from cryptocontent.publishing import export_project
    from cryptocontent.publishing.render import FORMATS
    from cryptocontent.storage import reading

    if unknown := [name for name in format or () if name not in FORMATS]:
        raise Refused(f"format {unknown[0]!r}: allowed are {', '.join(FORMATS)}")
    ids = None
    if articles:
        with reading(current.engine) as session:
            found = [find_article(session, name) for name in articles]
        ids, projects = [item.id for item in found], {item.project_id for item in found}
        if len(projects) > 1:
            raise Refused(f"the articles are of several projects: {', '.join(sorted(projects))}")
        name = projects.pop()
    else:
        name = current.project(project)
    folder = to or current.settings.exports_dir / name
    report = export_project(
        current.engine, current.objects, name, folder, article_ids=ids, formats=format or tuple(FORMATS)
    )
    typer.echo(
        f"{report.articles} articles in {folder}: "
        f"{report.written} files written, {report.unchanged} unchanged"
    )
