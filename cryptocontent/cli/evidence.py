"""`cryptocontent article evidence`: all that stands behind an article, in one file."""

from pathlib import Path
from typing import Annotated

import typer

from cryptocontent.cli.articles import ArticleArgument
from cryptocontent.cli.session import JsonOption, command, count_of, current, print_json

app = typer.Typer(rich_markup_mode=None)


@app.command("evidence")
@command
def evidence(
    article: ArticleArgument,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE.zip", help="Default: SLUG-evidence.zip, here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one bundle: sources with hashes, versions, engines, findings, approvals, audit, and where each
    sentence comes from."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.content.evidence import bundle
    from cryptocontent.content.evidence import evidence as gather
    from cryptocontent.storage import reading
    from cryptocontent.storage.atomic import write_whole

    with reading(current.engine) as session:
        found = find_article(session, article)
        data = gather(session, found)
    if as_json:
        print_json(data)
        return
    file = to or Path(f"{found.slug}-evidence.zip")
    write_whole(file, bundle(data), mode=0o644)
    summary, chain = data["summary"], data["audit"]["chain"]
    typer.echo(
        f"{file}: {count_of(len(data['versions']), 'version')}, {count_of(summary['sentences'], 'sentence')} "
        f"({summary['sentences_by_agents']} by agents), {len(data['audit']['entries'])} audit entries"
    )
    if not chain["holds"]:
        typer.secho(f"the audit chain does not hold: {chain['problem']}", err=True, fg="red")
        raise typer.Exit(1)
