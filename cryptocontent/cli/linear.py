"""`cryptocontent linear`: teams at Linear whose issues become briefs. `campaign`: the roadmap."""

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
)

app = typer.Typer(
    help="Linear: issues become briefs, and how far they are is told there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
campaigns = typer.Typer(
    help="Campaigns: the roadmap's projects, milestones and cycles.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="The watched team's name (default: the only one).")
]
_PATIENCE = 30.0


@app.command("add")
@command
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that the watched team has here.")],
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE…",
            help="team, label, project, template, generate, roadmap, states.STATE=NAME, priorities.0=low.",
        ),
    ] = None,
    config_file: Annotated[
        Path | None, typer.Option("--config", help="A YAML file with its settings instead.")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Watch a team: issues with a label or in a project become briefs. Linear is asked whether it is so."""
    from cryptocontent.errors import Refused
    from cryptocontent.integrations.linear import off, open_linear
    from cryptocontent.planning.linear_sources import add_linear

    if why := off(current.settings):
        raise Refused(why)
    config = _config(config_file, settings or [])
    chosen = current.project(project)
    person = current.person(chosen)
    with open_linear(current.settings, _PATIENCE) as linear:
        source = add_linear(current.engine, linear, chosen, name, config, person)
    found = source.config
    what = " and ".join(f"{key} {found[key]!r}" for key in ("label", "project") if found[key])
    typer.echo(f"project {chosen} watches Linear's team {found['team']}: issues with {what} become briefs")
    typer.echo(f"next: cryptocontent linear sync {source.name} -p {chosen}")


def _config(file: Path | None, settings: list[str]) -> dict[str, Any]:
    import yaml

    from cryptocontent.errors import Refused

    config: dict[str, Any] = {}
    if file is not None:
        try:
            config = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise Refused(f"{file}: {' '.join(str(error).split())}") from None
        if not isinstance(config, dict):
            raise Refused(f"{file}: give a mapping of settings")
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise Refused(f"setting {setting!r}: give KEY=VALUE, such as team=ENG")
        value: Any = {"true": True, "false": False}.get(text.lower(), text)
        outer, dot, inner = key.partition(".")
        if dot:
            there = config.setdefault(outer, {})
            if not isinstance(there, dict):
                raise Refused(f"setting {setting!r}: {outer} is a single value elsewhere")
            there[inner] = text
        else:
            config[key] = value
    return config


@app.command("show")
@command
def show(name: NameArgument = None, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show a watched team: its settings, how states are told, and what became of its issues."""
    from cryptocontent.integrations.linear import off
    from cryptocontent.planning.linear_sources import find_linear, issue_counts
    from cryptocontent.planning.linear_states import state_names
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        source = find_linear(session, current.project(project), name)
        counts = issue_counts(session, source.id)
    states = state_names(source.config, source.cursor.get("workflow", []))
    row = {
        "name": source.name,
        "status": source.status,
        "config": source.config,
        "states": states,
        "issues": counts,
        "looked_at": source.checked_at.isoformat() if source.checked_at else None,
        "error": source.error,
        "off": off(current.settings),
    }
    if as_json:
        print_json(row)
        return
    typer.secho(f"{source.name} (team {source.config['team']}, {source.status})", bold=True)
    for key in ("label", "project", "template"):
        if source.config[key]:
            typer.echo(f"  {key}: {source.config[key]}")
    for key in ("generate", "roadmap"):
        typer.echo(f"  {key}: {'yes' if source.config[key] else 'no'}")
    typer.echo(
        "  states: " + ", ".join(f"{ours} → {theirs or '(left alone)'}" for ours, theirs in states.items())
    )
    typer.echo(
        "  issues: " + (", ".join(f"{count} {status}" for status, count in counts.items()) or "none yet")
    )
    typer.echo(f"  looked at: {row['looked_at'] or 'never'}")
    if problem := row["off"] or row["error"]:
        typer.secho(f"  problem: {problem}", fg="red")


@app.command("sync")
@command
def sync(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME…", help="Watched teams; all that are active, if none.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Look at every issue that concerns us, whatever was seen before.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=1, help="About how long to go on.")] = 600.0,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Apply what webhooks brought, read what changed at Linear, and tell it how far the briefs are."""
    from cryptocontent.planning.linear_sources import active_sources, find_linear
    from cryptocontent.planning.linear_sync import sync_source
    from cryptocontent.planning.webhooks import apply_deliveries
    from cryptocontent.storage import reading

    chosen = current.project(project)
    current.person(chosen).require("write")
    with reading(current.engine) as session:
        sources = (
            [find_linear(session, chosen, name) for name in names]
            if names
            else active_sources(session, chosen)
        )
    apply_deliveries(current.engine, current.settings)
    found = {}
    for source in sources:
        synced = sync_source(
            current.engine, current.settings, source.id, seconds=seconds, full=full, patience=_PATIENCE
        )
        found[source.name] = synced
        if not as_json:
            typer.secho(
                f"{source.name}: {synced}", err=bool(synced.error), fg="red" if synced.error else None
            )
            if synced.campaigns:
                typer.echo(f"  {count_of(synced.campaigns, 'campaign')} new or changed")
            if synced.counts["refused"]:
                typer.echo("  refused issues were told why: `cryptocontent linear issues`")
            if synced.more and not synced.error:
                typer.echo("  there is more: run it again")
    if as_json:
        print_json({name: one.values() for name, one in found.items()})
    elif not sources:
        typer.echo("no Linear team is watched: `cryptocontent linear add NAME team=… label=…`")
    if any(one.error for one in found.values()):
        raise typer.Exit(1)


@app.command("issues")
@command
def issues(name: NameArgument = None, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the issues with their briefs; those that a person has to mend come first, with the reason."""
    from cryptocontent.planning.linear_sources import find_linear, list_issues
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_issues(session, find_linear(session, current.project(project), name).id)
    columns = {
        "issue": "Issue",
        "title": "Title",
        "status": "Status",
        "linear_state": "At Linear",
        "told": "Brief is",
        "brief": "Brief",
        "problem": "Problem",
    }
    print_rows(
        rows, columns, as_json=as_json, empty="no issue became a brief yet: `cryptocontent linear sync`"
    )


@app.command("check")
@command
def check(as_json: JsonOption = False) -> None:
    """Say who we are for Linear, what is left of its limits, and whether webhooks can be checked."""
    from cryptocontent.errors import Refused
    from cryptocontent.integrations.linear import off, open_linear

    if why := off(current.settings):
        raise Refused(why)
    with open_linear(current.settings, _PATIENCE) as linear:
        told: dict[str, Any] = linear.viewer()
        told["teams"] = {team.key: team.name for team in linear.teams()}
        told["requests_left"] = linear.limits.requests_left
        told["complexity_left"] = linear.limits.complexity_left
    told["webhooks"] = bool(current.settings.linear_webhook_secret.get_secret_value())
    if as_json:
        print_json(told)
        return
    typer.echo(f"logged in at Linear as {told['name']} in workspace {told['workspace']!r}")
    typer.echo("teams: " + (", ".join(f"{key} ({name})" for key, name in told["teams"].items()) or "none"))
    if told["requests_left"] is not None:
        typer.echo(
            f"left this hour: {told['requests_left']:,.0f} requests, "
            f"{told['complexity_left'] or 0:,.0f} points"
        )
    if told["webhooks"]:
        typer.echo("webhooks: the gateway can check them (`cryptocontent api`, /webhooks/linear)")
    else:
        typer.echo("webhooks: off, LINEAR_WEBHOOK_SECRET is not set; polling does without")


@campaigns.command("list")
@command
def list_campaigns(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the campaigns with the number of their briefs."""
    from cryptocontent.planning.roadmap import list_campaigns as listed
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = listed(session, current.project(project))
    columns = {
        "name": "Campaign",
        "kind": "Kind",
        "of": "Of",
        "starts_on": "Starts",
        "ends_on": "Ends",
        "briefs": "Briefs",
    }
    print_rows(
        rows, columns, as_json=as_json, empty="no campaigns: `cryptocontent linear add` brings a roadmap"
    )
