"""`cryptocontent alert`: what people are told of by webhook and e-mail."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from cryptocontent.cli.session import (
    USER_VARIABLE,
    JsonOption,
    ProjectOption,
    command,
    count_of,
    current,
    print_json,
    print_rows,
)

if TYPE_CHECKING:
    from cryptocontent.alerts import Sent
    from cryptocontent.identity import Person

app = typer.Typer(
    help="Alerts: failed runs and the like, sent by webhook and e-mail.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _admin(project: str | None) -> tuple[str | None, "Person | None"]:
    """The project whose admin asks, and who that is; none for who can open the database anyway: alerts are of
    the house, and there may be no project yet."""
    if not os.environ.get(USER_VARIABLE):
        return None, None
    name = current.project(project)
    person = current.person(name)
    person.require("administer")
    return name, person


@app.command("list")
@command
def list_all(
    status: Annotated[str | None, typer.Option(help="pending, sent, failed or kept.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show alerts, newest first, also those that were kept while nothing was configured."""
    from cryptocontent.alerts import list_alerts, off
    from cryptocontent.storage import reading

    name, _ = _admin(project)
    with reading(current.engine) as session:
        rows = list_alerts(session, status, name, limit)
    if as_json:
        print_json(rows)
        return
    shown = [
        row | {"by": ", ".join(row["sent"]), "at": row["created_at"][:16].replace("T", " ")} for row in rows
    ]
    columns = {
        "at": "UTC",
        "status": "Status",
        "by": "Sent by",
        "title": "Title",
        "key": "Key",
        "error": "Problem",
    }
    print_rows(shown, columns, as_json=False, empty="no alerts")
    if why := off(current.settings):
        typer.secho(why, err=True, fg="yellow")


@app.command("test")
@command
def test(project: ProjectOption = None) -> None:
    """Send a test by every way that is configured, and say how it went."""
    from cryptocontent.alerts import off, raise_alert, send_now
    from cryptocontent.errors import Refused
    from cryptocontent.storage import writing
    from cryptocontent.storage.types import new_id

    _admin(project)
    if why := off(current.settings):
        raise Refused(why)
    key = f"test:{new_id()}"
    with writing(current.engine) as session:
        raise_alert(session, key, "Test of alerts", "If you can read this, alerts reach you.")
    _print(send_now(current.engine, current.settings, [key]))


@app.command("retry")
@command
def retry(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="One (also one that was kept); else all that failed."),
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Send alerts again by the ways by which they have not gone out."""
    from cryptocontent import audit
    from cryptocontent.alerts import off, send_now
    from cryptocontent.alerts import retry as again
    from cryptocontent.errors import Refused
    from cryptocontent.storage import writing
    from cryptocontent.storage.models import Alert, Project

    name, person = _admin(project)
    if why := off(current.settings):
        raise Refused(why)
    with writing(current.engine) as session:
        keys = again(session, key, name)
        for one in keys:
            about = session.get_one(Alert, one).data.get("project")
            if about and session.get(Project, about):
                actor = person.actor if person else current.actor
                audit.record(session, about, actor, "alert.retried", f"alert:{one}", {})
    if not keys:
        typer.echo("there is nothing to send again" + (f": {key} was sent" if key else ""))
        return
    _print(send_now(current.engine, current.settings, keys))


def _print(done: "Sent") -> None:
    if done.sent:
        typer.echo(f"{count_of(len(done.sent), 'alert')} sent")
    elif not (done.waiting or done.failed):
        typer.echo("the daemon is sending it: `cryptocontent alert list`")
    for key, reason in (done.waiting | done.failed).items():
        typer.secho(f"{key}: {reason}", err=True, fg="red")
    if done.waiting or done.failed:
        raise typer.Exit(1)
