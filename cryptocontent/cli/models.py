"""`cryptocontent models`: which models write, how they do, what they cost and may cost."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli import model_costs
from cryptocontent.cli.model_costs import print_budgets, print_under_way
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
    from datetime import datetime

    from cryptocontent.llm.policies import Candidate, Policies, StagePolicy

app = typer.Typer(
    help="Models: the policy of who writes what, how they do, what they cost.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("show")
@command
def show(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Print the policy in force as YAML (what `models set` takes), and who does which stage."""
    import yaml

    from cryptocontent.llm.policies import load_policies
    from cryptocontent.storage import reading

    name = current.project(project)
    with reading(current.engine) as session:
        policies = load_policies(session, name)
    staff = _staff(policies)
    content = _written(policies)
    if as_json:
        print_json({"project": name, "number": policies.number, "stages": staff, "policy": content})
        return
    number = policies.number
    typer.echo(f"# project {name}: " + (f"version {number}" if number else "no policy, all by rules"))
    for stage, who in staff.items():
        models = ", ".join(who["candidates"])
        typer.echo(f"# {stage}: {who['engine']}{f' ({models})' if models else ''}")
    typer.echo(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110).rstrip())


def _staff(policies: "Policies") -> dict[str, dict[str, Any]]:
    """Each stage of the pipeline, and how it is done."""
    from cryptocontent.agents.agent import engaged
    from cryptocontent.agents.pipeline import PIPELINE

    return {
        one.stage: {
            "engine": one.engine,
            "candidates": [item.model for item in policies.of(one.stage).candidates] if one.by_model else [],
        }
        for one in engaged(PIPELINE, policies)
    }


def _written(policies: "Policies") -> dict[str, Any]:
    """The policy without what is as it would be anyway, but with every stage's engine."""
    content = policies.model_dump(mode="json", exclude_defaults=True)
    stages = content.get("stages", {})
    written: dict[str, Any] = {"default": _with_engine(policies.default, content.get("default", {}))}
    if stages:
        written["stages"] = {
            stage: _with_engine(policy, stages[stage]) for stage, policy in policies.stages.items()
        }
    return written | ({"style": policies.style} if policies.style else {})


def _with_engine(policy: "StagePolicy", content: dict[str, Any]) -> dict[str, Any]:
    return {"engine": policy.engine} | content


@app.command("set")
@command
def set_file(
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The whole policy.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a policy in force (admins only). All versions are kept. Begin with `models example`."""
    from cryptocontent.agents.pipeline import PIPELINE
    from cryptocontent.errors import Refused
    from cryptocontent.llm.policies import load_policies, read_policies, set_policies
    from cryptocontent.storage import reading, writing

    name = current.project(project)
    person = current.person(name)
    try:
        policies = read_policies(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise Refused(f"{file}: the file is not UTF-8 text (byte {error.start})") from None
    except Refused as error:
        raise Refused(f"{file}: {error}") from None
    with reading(current.engine) as session:
        before = load_policies(session, name).number
    with writing(current.engine) as session:
        number = set_policies(session, name, policies, person)
    known = {agent.stage: agent for agent in PIPELINE}
    for stage, policy in policies.stages.items():
        if stage not in known:
            _warn(f"stages.{stage}: there is no such stage here; there are: {', '.join(known)}")
        elif policy.engine == "model" and known[stage].model is None:
            _warn(f"stages.{stage}: engine: model has no effect, the stage has no model engine")
    _warn_of_missing(policies)
    if as_json:
        print_json({"project": name, "number": number, "changed": number != before})
    elif number == before:
        typer.echo(f"models: unchanged, version {number} is in force in project {name}")
    else:
        typer.echo(f"models: version {number} is in force in project {name}")


def _warn_of_missing(policies: "Policies") -> None:
    from cryptocontent.llm.providers import configured
    from cryptocontent.llm.status import candidates_of

    ready = configured(current.settings)
    missing = [one.model for one, _ in candidates_of(policies).values() if not ready[one.provider]]
    if missing:
        _warn(
            f"no usable key or URL here for {', '.join(missing)}: "
            "`cryptocontent models test` says what is missing"
        )


def _warn(text: str) -> None:
    typer.secho(f"warning: {text}", err=True, fg="yellow")


@app.command("example")
@command
def example() -> None:
    """Print a policy with comments, to begin with: `models set` takes it as it is."""
    from cryptocontent.llm.status import EXAMPLE

    typer.echo(EXAMPLE.read_text(encoding="utf-8").rstrip())


@app.command("status")
@command
def status(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show how the policy's models do, and what is left of the budgets. No vendor is asked."""
    from cryptocontent.llm.bookings import dollars
    from cryptocontent.llm.status import status as look

    name = current.project(project)
    found = look(current.engine, current.settings, name)
    if as_json:
        print_json(found)
        return
    rows = [
        {
            "model": row["model"],
            "stages": ", ".join(row["stages"]),
            "key": "yes" if row["configured"] else "missing",
            "circuit": _circuit(row),
            "window": f"{row['window_failures'] + row['window_limited']} of {row['window_calls']}",
            "calls": row["calls"],
            "failed": row["failed"],
            "cost": dollars(row["cost_usd"]),
            "seconds": "" if row["seconds"] is None else f"{row['seconds']:.1f} s",
        }
        for row in found["candidates"]
    ]
    columns = {
        "model": "Model", "stages": "Stages", "key": "Set up", "circuit": "Circuit", "window": "Failing now",
        "calls": "Calls 24 h", "failed": "Failed", "cost": "Cost", "seconds": "Answer in",
    }  # fmt: skip
    empty = "no stage asks a model: `cryptocontent models example` shows how to begin"
    print_rows(rows, columns, as_json=False, empty=empty)
    print_budgets(found["budgets"])
    print_under_way(found["under_way"])


def _circuit(row: dict[str, Any]) -> str:
    state = str(row["circuit"]).replace("_", "-")
    if row["circuit"] == "closed":
        return state
    since = f" since {_clock(row['since'])}" if row["since"] else ""
    again = f", again {_clock(row['retry_at'])}" if row["retry_at"] else ""
    return f"{state}{since}{again}"


def _clock(moment: "datetime") -> str:
    return f"{moment:%H:%M:%S} UTC"


@app.command("test")
@command
def test(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[PROVIDER:MODEL]...", help="Default: the policy's.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask each model one tiny question, really: costs a fraction of a cent. Exit code 1 if one fails."""
    import asyncio

    from cryptocontent.errors import Refused
    from cryptocontent.llm.bookings import dollars
    from cryptocontent.llm.policies import load_policies
    from cryptocontent.llm.status import ask_each
    from cryptocontent.storage import reading

    name = current.project(project)
    current.person(name).require("write")
    with reading(current.engine) as session:
        policies = load_policies(session, name)
    chosen = _chosen(policies, models or [])
    if not chosen:
        raise Refused("no stage asks a model; name one: cryptocontent models test PROVIDER:MODEL")
    rows = asyncio.run(ask_each(current.engine, current.settings, name, chosen))
    if as_json:
        print_json(rows)
    else:
        for row in rows:
            if row["error"] is None:
                cost = "subscription" if row["pricing"] == "subscription" else dollars(row["cost_usd"])
                cost = "price unknown" if row["pricing"] == "unknown" else cost
                tokens = f"{row['input_tokens']} tokens in, {row['output_tokens']} out"
                typer.echo(f"{row['model']}: ok in {row['seconds']:.1f} s, {tokens}, {cost}")
            else:
                typer.secho(f"{row['model']}: failed: {row['error']}", fg="red")
    if any(row["error"] is not None for row in rows):
        raise typer.Exit(1)


def _chosen(policies: "Policies", names: list[str]) -> list[tuple["Candidate", "StagePolicy"]]:
    """The candidates to be tested, each with the policy of the first stage that names it. One that no stage
    names is asked as a stage would by default."""
    from cryptocontent.llm.policies import Candidate, StagePolicy
    from cryptocontent.llm.status import candidates_of

    known = {
        model: (candidate, policies.of(stages[0]))
        for model, (candidate, stages) in candidates_of(policies).items()
    }
    if not names:
        return list(known.values())
    chosen = []
    for model in dict.fromkeys(names):
        candidate = Candidate(model=model)
        chosen.append(known.get(model) or (candidate, StagePolicy(candidates=(candidate,))))
    return chosen


app.add_typer(model_costs.app)


@app.command("prune")
@command
def prune(
    answers: Annotated[float, typer.Option(metavar="DAYS", help="Forget kept answers that are older.")] = 30,
    events: Annotated[float, typer.Option(metavar="DAYS", help="Forget events that are older.")] = 7,
    as_json: JsonOption = False,
) -> None:
    """Forget old kept answers and events, of all projects (admins of all only). The ledger stays."""
    from datetime import timedelta

    from cryptocontent import events as live
    from cryptocontent.content.projects import list_projects
    from cryptocontent.errors import Refused
    from cryptocontent.llm.bookings import prune_kept
    from cryptocontent.storage import reading

    for option, days in (("--answers", answers), ("--events", events)):
        if not 0 <= days <= 36500:
            raise Refused(f"{option} {days:g}: days, from 0 to 36500")
    with reading(current.engine) as session:
        projects = [row["id"] for row in list_projects(session)]
    for name in projects:
        current.person(name).require("administer")
    gone = {
        "answers": prune_kept(current.engine, timedelta(days=answers)),
        "events": live.prune(current.engine, timedelta(days=events)),
    }
    if as_json:
        print_json(gone)
    else:
        typer.echo(
            f"forgotten: {count_of(gone['answers'], 'kept answer')}, {count_of(gone['events'], 'event')}"
        )


@app.command("metrics")
@command
def metrics(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=0, max=65535)] = 9464,
    once: Annotated[bool, typer.Option("--once", help="Print the metrics and end.")] = False,
) -> None:
    """Serve calls, tokens, costs, circuits and budgets of all projects to Prometheus. Ctrl-C ends it."""
    from prometheus_client import generate_latest, start_http_server

    from cryptocontent.errors import Refused
    from cryptocontent.llm.metrics import registry

    made = registry(current.engine, current.settings)
    if once:
        typer.echo(generate_latest(made).decode(), nl=False)
        return
    try:
        server, thread = start_http_server(port, "127.0.0.1", made)
    except OSError as error:
        raise Refused(f"--port {port}: {error.strerror}") from None
    typer.echo(f"http://127.0.0.1:{server.server_port}/metrics  (Ctrl-C ends it)")
    try:
        thread.join()
    except KeyboardInterrupt:
        server.shutdown()
