"""`cryptocontent refresh`: articles that are behind their sources, and what to do about them."""

from typing import Annotated, Any

import typer

from cryptocontent.cli.session import (
    JsonOption,
    ProjectOption,
    command,
    count_of,
    current,
    print_json,
)

app = typer.Typer(
    help="Proposals to write articles anew whose sources or market facts are newer than what they cite.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
_NumberArgument = Annotated[int, typer.Argument(metavar="NUMBER", help="As `refresh list` shows it.")]


@app.command("list")
@command
def list_all(
    project: ProjectOption = None,
    status: Annotated[str, typer.Option(help="open, accepted, dismissed, outdated or all.")] = "open",
    as_json: JsonOption = False,
) -> None:
    """Show the proposals with their reasons: what is cited, what is known now."""
    from cryptocontent.content.refresh import list_proposals
    from cryptocontent.storage import reading

    name = current.project(project)
    current.person(name).require("read")
    with reading(current.engine) as session:
        rows = list_proposals(session, name, None if status == "all" else status)
    if as_json:
        print_json(rows)
        return
    if not rows:
        what = "" if status == "all" else f"{status} "
        typer.echo(f"no {what}proposals (`cryptocontent refresh look` looks now)")
    for row in rows:
        _print(row)


def _print(row: dict[str, Any]) -> None:
    live = ", published" if row["published"] else ""
    typer.secho(f"{row['id']}  {row['article']}", bold=True, nl=False)
    by = f" by {row['decided_by']}" if row["decided_by"] else ""
    typer.echo(f"  ({row['status']}{by}{live})")
    for reason in row["reasons"]:
        cited = " ".join(f"[^{number}]" for number in reason["numbers"])
        typer.echo(f"    {reason['source']} {cited}")
        typer.secho(f"      cited: {reason['then']}", dim=True)
        typer.echo(f"      now:   {reason['now']} (since {reason['since'][:16]})")
    if row["generation"]:
        typer.echo(f"    generation {row['generation'][:8]}")


@app.command("look")
@command
def look_now(
    seconds: Annotated[float, typer.Option(min=1, help="About how long to go on.")] = 600.0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look at all articles of all projects now, as the sensor `stale_content` does every hour."""
    from cryptocontent.content.refresh import look, open_counts
    from cryptocontent.storage import reading

    name = current.project(project)
    current.person(name).require("write")
    looked = look(current.engine, seconds=seconds)
    with reading(current.engine) as session:
        waiting = open_counts(session).get(name, 0)
    mine = looked.proposed.get(name, [])
    if as_json:
        print_json(
            {"articles": looked.articles, "proposed": mine, "open": waiting, "more": bool(looked.cursor)}
        )
        return
    typer.echo(
        f"{count_of(looked.articles, 'article')} looked at; project {name}: {len(mine)} newly proposed, "
        f"{waiting} open in all" + (" (there was no time for all articles)" if looked.cursor else "")
    )


@app.command("accept")
@command
def accept(
    number: _NumberArgument,
    project: ProjectOption = None,
    wait: Annotated[bool, typer.Option(help="Wait for the article (a daemon must run otherwise).")] = True,
) -> None:
    """Write the article anew, from the newest market facts and passages. What is live stays live until the
    new text is approved and published."""
    from cryptocontent.cli.generate import see_through
    from cryptocontent.content.articles import find_article, find_version, versions_of
    from cryptocontent.content.generations import failures
    from cryptocontent.content.refresh import accept as decide
    from cryptocontent.storage import reading, writing

    name = current.project(project)
    person = current.person(name)
    with writing(current.engine) as session:
        generation, brief = decide(session, name, number, person, runner="local" if wait else "dagster")
    if not wait:
        typer.echo(generation)
        return
    see_through(name, generation, [brief])
    with reading(current.engine) as session:
        failed = failures(session, generation)
        article = find_article(session, brief)
        version = find_version(session, article)
        newest = versions_of(session, article.id)[-1]
    for one in failed:
        typer.secho(f"{one['brief']}: {one['error']}", err=True, fg="red")
    if failed:
        raise typer.Exit(1)
    typer.echo(f"{article.slug} is {article.status}: `cryptocontent article show {article.slug}`")
    if version.author_kind == "person" and newest.id != version.id:
        numbers = f"{article.slug} {version.number} {newest.number}"
        typer.echo(
            f"its current text is {version.author}'s (version {version.number}) and stays so. What was "
            f"written anew is version {newest.number}: `cryptocontent article diff {numbers}`, then "
            f"`article edit`, or `article restore {article.slug} {newest.number}`"
        )


@app.command("dismiss")
@command
def dismiss(
    number: _NumberArgument,
    reason: Annotated[str, typer.Option(help="Why the article may stay as it is.")],
    project: ProjectOption = None,
) -> None:
    """Let the article be as it is. It is proposed again when something is newer still."""
    from cryptocontent.content.refresh import dismiss as decide
    from cryptocontent.storage import writing

    name = current.project(project)
    person = current.person(name)
    with writing(current.engine) as session:
        decide(session, name, number, reason, person)
    typer.echo(f"proposal {number} is dismissed")
