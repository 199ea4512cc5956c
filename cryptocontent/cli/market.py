"""`cryptocontent market`: facts of the market that articles may cite."""

from datetime import date, datetime
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


@app.command("set")
@command
def set_market(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="docs/market-data.md shows one.")],
    project: ProjectOption = None,
) -> None:
    """Say which services are asked for which assets. Nothing is fetched until then."""
    from cryptocontent.knowledge.market_data import set_config
    from cryptocontent.storage import writing

    name = current.project(project)
    person = current.person(name)
    with writing(current.engine) as session:
        config = set_config(session, name, file.read_text(encoding="utf-8"), person)
    asked = ", ".join(config.providers)
    typer.echo(f"project {name}: {count_of(len(config.assets), 'asset')} from {asked}")


@app.command("show")
@command
def show(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show which services are asked for which assets, and what was wrong lately."""
    import yaml

    from cryptocontent.knowledge.market_data import OFF, shown_config
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        shown = shown_config(session, current.project(project))
    if as_json:
        print_json(shown)
    elif shown:
        typer.echo(yaml.safe_dump(shown, sort_keys=False).rstrip())
    else:
        typer.echo(f"off: {OFF}")


def _days(day: datetime | None, begin: datetime | None, end: datetime | None) -> list[date]:
    from datetime import timedelta

    from cryptocontent.errors import Refused

    if day is not None and (begin or end):
        raise Refused("--day stands alone, or --from with --to")
    if day is not None:
        return [day.date()]
    if begin is None and end is None:
        return []
    if begin is None or end is None or end < begin:
        raise Refused("--from and --to go together, the earlier day first")
    return [begin.date() + timedelta(days=number) for number in range((end - begin).days + 1)]


@app.command("fetch")
@command
def fetch(
    day: Annotated[
        datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="A past day (UTC).")
    ] = None,
    begin: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch the newest facts, or those of past days. What is known already is not made twice."""
    from dataclasses import asdict

    from cryptocontent.knowledge.market_data import fetch_facts

    name = current.project(project)
    person = current.person(name)
    person.require("write")
    days = _days(day, begin, end)
    fetched = fetch_facts(current.engine, current.settings, name, person.actor, days)
    if as_json:
        print_json(asdict(fetched))
    else:
        for service, reason in fetched.problems:
            typer.secho(f"{service}: {reason}", err=True, fg="red")
        for service, asset, metric in fetched.gaps:
            typer.secho(f"{service} does not state the {metric} of {asset}", err=True, fg="yellow")
        typer.echo(f"project {name}: {fetched.created} new, {fetched.known} known already")
    if fetched.problems:
        raise typer.Exit(1)


@app.command("compare")
@command
def compare(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show where two services differ by more than is allowed. Exit code 1 if any do."""
    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.divergence import divergences
    from cryptocontent.knowledge.market_data import load_config, off
    from cryptocontent.storage import reading
    from cryptocontent.storage.types import utc_now

    name = current.project(project)
    with reading(current.engine) as session:
        config = load_config(session, name)
        if config is None:
            raise Refused(off(session, name))
        rows = [one.row() for one in divergences(session, name, config, utc_now())]
    columns = {
        "asset_id": "Asset",
        "metric": "Metric",
        "unit": "Unit",
        "percent": "%",
        "low_source": "Low",
        "low": "says",
        "high_source": "High",
        "high": "says ",
    }
    allowed = f"{config.divergence_percent:g} %"
    print_rows(rows, columns, as_json=as_json, empty=f"no two services differ by more than {allowed}")
    if rows:
        raise typer.Exit(1)


@app.command("chart")
@command
def chart(
    asset: Annotated[str, typer.Argument(metavar="ASSET", help="An asset id, such as bitcoin.")],
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="price, market_cap, volume_24h, tvl.")],
    begin: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"])] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"])] = None,
    unit: Annotated[str, typer.Option(help="The facts' unit.")] = "USD",
    source: Annotated[
        list[str] | None, typer.Option("--source", help="Only facts of this source; may be repeated.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw facts over time into the image library, with an alternative text, for use in articles."""
    from dataclasses import asdict
    from datetime import UTC, timedelta

    from cryptocontent.knowledge.charts import draw_chart

    name = current.project(project)
    person = current.person(name)
    person.require("write")
    drawn = draw_chart(
        current.engine,
        current.objects,
        name,
        asset,
        metric,
        person.actor,
        unit=unit,
        begin=begin.replace(tzinfo=UTC) if begin else None,
        end=end.replace(tzinfo=UTC) + timedelta(days=1) if end else None,
        sources=source or (),
    )
    if as_json:
        print_json(asdict(drawn))
        return
    typer.echo(f"image {drawn.sha256}")
    typer.echo(drawn.alt)
    typer.echo(f"into an article: cryptocontent image use ARTICLE {drawn.sha256[:12]}")
