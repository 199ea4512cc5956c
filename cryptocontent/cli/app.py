"""All commands, by noun. Each module imports its domain inside its functions."""

from typing import Annotated

import typer

from cryptocontent.cli import (
    alerts,
    api,
    articles,
    audit,
    briefs,
    discussion,
    events,
    evidence,
    generate,
    generations,
    google,
    images,
    knowledge,
    linear,
    market,
    members,
    models,
    operations,
    preflight,
    projects,
    publishing,
    references,
    refresh,
    review,
    rules,
    sources,
    templates,
)
from cryptocontent.cli.session import command, current

app = typer.Typer(
    name="cryptocontent",
    help="A crypto newsroom's platform: references in, cited articles out.",
    no_args_is_help=True,
    rich_markup_mode=None,  # help in plain text: Rich and its parsers cost half of the time of `--help`
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(projects.app, name="project")
app.add_typer(members.app, name="member")
app.add_typer(rules.app, name="rules")
app.command("ingest")(knowledge.ingest)
app.command("search")(knowledge.search)
app.add_typer(references.app, name="reference")
app.add_typer(sources.app, name="source")
app.add_typer(google.app, name="google")
app.add_typer(linear.app, name="linear")
app.add_typer(linear.campaigns, name="campaign")
app.add_typer(market.app, name="market")
app.add_typer(images.app, name="image")
app.add_typer(templates.app, name="template")
briefs.app.add_typer(preflight.app)
app.add_typer(briefs.app, name="brief")
app.command("generate")(generate.generate)
app.add_typer(generations.app, name="generation")
articles.app.add_typer(review.app)
articles.app.add_typer(discussion.app)
articles.app.add_typer(evidence.app)
app.add_typer(articles.app, name="article")
app.add_typer(publishing.targets, name="target")
app.add_typer(publishing.publications, name="publication")
app.add_typer(refresh.app, name="refresh")
app.add_typer(models.app, name="models")
app.command("events")(events.events)
app.add_typer(operations.evaluation, name="eval")
app.add_typer(audit.app, name="audit")
app.add_typer(alerts.app, name="alert")
app.command("doctor")(operations.doctor)
app.command("api")(api.api)
app.command("demo")(generate.demo)


@app.command("dev")
@command
def dev(
    port: Annotated[
        int, typer.Option(help="Port of the Dagster UI; the next free one if it is taken.")
    ] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    quiet: Annotated[bool, typer.Option(help="Write the children's logs to files only.")] = False,
) -> None:
    """Start everything: Dagster webserver, daemon and code server. Ctrl-C stops all."""
    from cryptocontent.cli.dev import run_dev

    current.ready()
    raise typer.Exit(run_dev(current.settings, host=host, port=port, quiet=quiet))
