"""`cryptocontent target` and `cryptocontent publication`: where articles go, and what went there."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli.session import (
    JsonOption,
    ProjectOption,
    command,
    count_of,
    current,
    fail,
    print_json,
    print_rows,
)
from cryptocontent.cli.sources import given_settings

if TYPE_CHECKING:
    from cryptocontent.publishing.outcomes import Outcome

targets = typer.Typer(
    help="Publishing targets: a repository, a Drive folder, a WordPress site, feeds, folders.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
publications = typer.Typer(
    help="Publications: what went to which target, what waits, what failed.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The target's name.")]
SettingsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE…", help="Its settings; values may be JSON. docs/publishing.md"),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="A YAML file with its settings instead.")]
ArticleOption = Annotated[str | None, typer.Option("--article", help="Of one article only.")]


@targets.command("add")
@command
def add(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="files, github, google_docs, wordpress or feeds.")
    ],
    name: NameArgument,
    settings: SettingsArgument = None,
    config_file: ConfigOption = None,
    project: ProjectOption = None,
) -> None:
    """Publish to a further place from now on. Nothing is sent yet."""
    from cryptocontent.publishing.listing import live_articles
    from cryptocontent.publishing.registry import add_target
    from cryptocontent.publishing.targets import open_target
    from cryptocontent.storage import writing

    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        target = add_target(session, chosen, kind, name, given_settings(settings, config_file), person)
        live = len(live_articles(session, chosen))
    typer.echo(f"project {chosen} publishes to {target.name} ({target.kind})")
    if off := open_target(kind).off(current.settings):
        typer.secho(f"what is published waits until this is mended: {off}", err=True, fg="yellow")
    else:
        typer.echo(f"next: cryptocontent target check {target.name} -p {chosen}")
    if live:
        typer.echo(
            f"{count_of(live, 'article')} live already: cryptocontent publication send {target.name} --all "
            f"-p {chosen}"
        )


@targets.command("set")
@command
def change(
    name: NameArgument,
    settings: SettingsArgument = None,
    config_file: ConfigOption = None,
    project: ProjectOption = None,
) -> None:
    """Change settings of a target; it holds for what is delivered from now on."""
    from cryptocontent.publishing.registry import change_target, find_target
    from cryptocontent.storage import writing

    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        target = find_target(session, chosen, name)
        change_target(session, target, given_settings(settings, config_file), person)
    typer.echo(f"{name} is changed; what is there already: cryptocontent publication send {name} --all")


@targets.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the targets, how many publications each has in which state, and why one is off."""
    from cryptocontent.publishing.registry import list_targets
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_targets(session, current.settings, current.project(project))
    columns = {
        "name": "Target",
        "kind": "Kind",
        "delivered": "Delivered",
        "pending": "Pending",
        "withdrawing": "Withdrawing",
        "failed": "Failed",
        "off": "Off",
    }
    print_rows(rows, columns, as_json=as_json, empty="")


@targets.command("check")
@command
def check(name: NameArgument, project: ProjectOption = None) -> None:
    """Ask whether a target could deliver now, changing nothing."""
    from cryptocontent.publishing.registry import check_target, find_target
    from cryptocontent.storage import reading

    chosen = current.project(project)
    current.person(chosen).require("administer")
    with reading(current.engine) as session:
        target = find_target(session, chosen, name)
    for line in check_target(current.settings, target.kind, target.config):
        typer.echo(f"{name}: {line}")


def _switch(name: str, project: str | None, enabled: bool) -> None:
    from cryptocontent.publishing.registry import find_target, set_enabled
    from cryptocontent.storage import writing

    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        set_enabled(session, find_target(session, chosen, name), enabled, person)


@targets.command("enable")
@command
def enable(name: NameArgument, project: ProjectOption = None) -> None:
    """Publish to a disabled target again; what waited for it is delivered."""
    _switch(name, project, True)
    typer.echo(f"{name} is enabled")


@targets.command("disable")
@command
def disable(name: NameArgument, project: ProjectOption = None) -> None:
    """Publish there no more for a while; what is there stays, what waits goes on waiting."""
    _switch(name, project, False)
    typer.echo(f"{name} is disabled")


@targets.command("remove")
@command
def remove(name: NameArgument, project: ProjectOption = None) -> None:
    """Publish there no more. What is there stays there; what waits for it is given up."""
    from cryptocontent.publishing.registry import find_target, remove_target
    from cryptocontent.storage import writing

    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        given_up = remove_target(session, find_target(session, chosen, name), person)
    typer.echo(f"{name} is removed; {count_of(given_up, 'publication')} given up")


@publications.command("list")
@command
def list_publications(
    article: ArticleOption = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", help="pending, delivered, failed, withdrawn …")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Earlier versions, too.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where each article is, and what keeps it from being there."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.publishing.listing import list_publications as listed
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_article(session, article) if article else None
        chosen = found.project_id if found else current.project(project)
        rows = listed(
            session, chosen, article_id=found.id if found else None, statuses=status or (), every=every
        )
    columns = {
        "article": "Article",
        "version": "Version",
        "target": "Target",
        "status": "Status",
        "state": "There",
        "url": "Address",
        "error": "Problem",
        "again_at": "Again at",
    }
    print_rows(
        rows, columns, as_json=as_json, empty="nothing is published yet: `cryptocontent article publish`"
    )


@publications.command("deliver")
@command
def deliver(
    article: ArticleOption = None,
    seconds: Annotated[float, typer.Option(min=1, help="About how long to go on.")] = 600.0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver and withdraw what is due now; the sensor `publications` has it done otherwise."""
    from dataclasses import asdict

    from cryptocontent.content.articles import find_article
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_article(session, article) if article else None
        chosen = found.project_id if found else current.project(project)
    current.person(chosen).require("review")
    outcomes = hand_over(chosen, [found.id] if found else None, seconds, quiet=as_json)
    if as_json:
        print_json([asdict(one) for one in outcomes])
    elif not outcomes:
        typer.echo("nothing is due: cryptocontent publication list")
    if any(one.status == "failed" for one in outcomes):
        raise typer.Exit(1)


@publications.command("retry")
@command
def retry(
    article: ArticleOption = None,
    target: Annotated[str | None, typer.Option("--target", help="Of one target only.")] = None,
    project: ProjectOption = None,
) -> None:
    """Try at once what failed or waits for its next try."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.publishing.listing import retry as try_again
    from cryptocontent.storage import reading, writing

    with reading(current.engine) as session:
        found = find_article(session, article) if article else None
        chosen = found.project_id if found else current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        count = try_again(session, chosen, person, article_id=found.id if found else None, target=target)
    typer.echo(f"{count_of(count, 'publication')} to try")
    if count:
        hand_over(chosen, [found.id] if found else None)


@publications.command("send")
@command
def send(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The target's name.")],
    articles: Annotated[list[str] | None, typer.Argument(metavar="ARTICLE…", help="Which.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are live.")] = False,
    project: ProjectOption = None,
) -> None:
    """Hand articles that are live already to a target: one added later, or one whose settings changed."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.publishing.listing import live_articles
    from cryptocontent.publishing.listing import send as hand_out
    from cryptocontent.storage import writing

    if bool(articles) == everything:
        fail("name articles, or --all")
    chosen = current.project(project)
    person = current.person(chosen)
    with writing(current.engine) as session:
        found: list[Any] = (
            live_articles(session, chosen)
            if everything
            else [find_article(session, f"{chosen}/{name}") for name in articles or ()]
        )
        ids = [one.id for one in found]
        hand_out(session, chosen, target, found, person)
    typer.echo(f"{count_of(len(ids), 'article')} to deliver to {target}")
    hand_over(chosen, ids)


def hand_over(
    project: str, article_ids: list[str] | None, seconds: float = 60.0, *, quiet: bool = False
) -> "list[Outcome]":
    """Deliver what is due, and say line by line where it went."""
    from cryptocontent.publishing.deliveries import deliver as deliver_due

    outcomes = deliver_due(
        current.engine,
        current.objects,
        current.settings,
        actor=current.person(project).actor,
        project_id=project,
        article_ids=article_ids,
        seconds=seconds,
        limit=500,
    )
    for one in outcomes if not quiet else ():
        colour = {"failed": "red", "waiting": "yellow"}.get(one.status)
        where = one.url or one.error
        again = f" (again at {one.again_at:%Y-%m-%d %H:%M} UTC)" if one.again_at else ""
        typer.secho(f"  {one.slug} → {one.target}: {one.status} {where}{again}".rstrip(), fg=colour)
    return outcomes


def tell_what_waits(article_id: str, project: str, told: Collection[str]) -> None:
    """Say of an article what was not even tried: its target is off, or another process is at it."""
    from cryptocontent.publishing.listing import list_publications as listed
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = listed(session, project, article_id=article_id, statuses=("pending", "withdrawing"))
    for row in [row for row in rows if row["target"] not in told]:
        why = row["error"] or "it is delivered by itself"
        typer.secho(f"  {row['article']} → {row['target']}: waits: {why}", fg="yellow")
