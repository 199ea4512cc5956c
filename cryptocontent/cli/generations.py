"""`cryptocontent generation`: what was asked for, how far it is, and what to do about it."""

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
    help="Generations: requests to take briefs through the agents.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
GenerationArgument = Annotated[
    str, typer.Argument(metavar="GENERATION", help="Its id, or the beginning of it.")
]
WaitOption = Annotated[bool, typer.Option(help="Wait for the articles (a daemon must run otherwise).")]
_MARKS = {"failed": "✗", "held": "–", "cancelled": "×"}


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the project's generations, newest first."""
    from cryptocontent.content.generations import list_generations
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_generations(session, current.project(project))
    if not as_json:
        rows = [
            row
            | {
                "id": row["id"][:8],
                "states": ", ".join(f"{count} {state}" for state, count in sorted(row["states"].items())),
            }
            for row in rows
        ]
    columns = {
        "id": "Id",
        "status": "Status",
        "priority": "Priority",
        "states": "Briefs",
        "requested_by": "By",
        "created_at": "Asked",
    }
    print_rows(rows, columns, as_json=as_json, empty="no generations yet: `cryptocontent generate --all`")


@app.command("show")
@command
def show(generation: GenerationArgument, as_json: JsonOption = False) -> None:
    """Show the state of every brief × stage, and what it was thought to cost and did."""
    from cryptocontent.agents.preflight import Band
    from cryptocontent.cli.preflight import told_band

    values = _values(generation)
    if as_json:
        print_json(values)
        return
    typer.echo(
        f"generation {values['id']}: {values['status']}, priority {values['priority']}, "
        f"{count_of(len(values['briefs']), 'brief')} ({_counts(values)})"
    )
    stages = values["stages"]
    rows = [
        {
            "brief": row["brief"],
            "state": row["status"],
            "words": row["words"] or "",
            "cost": f"{row['cost_usd']:.2f}",
        }
        | {stage: _mark(row, index) for index, stage in enumerate(stages)}
        for row in values["briefs"]
    ]
    columns = {"brief": "Brief"} | {stage: stage.capitalize()[:6] for stage in stages}
    print_rows(rows, columns | {"state": "State", "words": "Words", "cost": "$"}, as_json=False, empty="")
    for row in values["briefs"]:
        if row["error"]:
            typer.secho(f"{row['brief']}: {row['error']}", fg="red")
    estimate, actual = values["estimate"], values["cost_usd"]
    told = f"; estimated {told_band(Band(**estimate['usd']), '$')}" if estimate and estimate["usd"] else ""
    typer.echo(f"cost ${actual:.2f}{told}")
    if values["status"] == "awaiting_approval":
        typer.echo(
            f"the canary is through: `cryptocontent generation approve {values['id'][:8]}` releases the rest"
        )


def _counts(values: dict[str, Any]) -> str:
    counts: dict[str, int] = {}
    for row in values["briefs"]:
        counts[row["status"]] = counts.get(row["status"], 0) + 1
    return ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))


def _mark(row: dict[str, Any], index: int) -> str:
    if row["stages"][index]:
        return "✓"
    first_missing = row["stages"].index(False)
    if row["status"] == "failed":
        return _MARKS["failed"] if index == first_missing else "·"
    return _MARKS.get(row["status"], "·")


def _values(name: str) -> dict[str, Any]:
    from sqlalchemy import func, select

    from cryptocontent.agents.pipeline import PIPELINE, stage_states
    from cryptocontent.content.articles import list_articles
    from cryptocontent.content.generations import find_generation, requested_estimate
    from cryptocontent.llm.costs import totals
    from cryptocontent.storage import reading
    from cryptocontent.storage.database import pairs
    from cryptocontent.storage.models import Brief, GenerationBrief, StageResult

    with reading(current.engine) as session:
        generation = find_generation(session, name)
        chosen = GenerationBrief.generation_id == generation.id
        briefs = session.execute(
            select(GenerationBrief, Brief.title, Brief.priority)
            .join(Brief, Brief.id == GenerationBrief.brief_id)
            .where(chosen)
            .order_by(Brief.created_at, Brief.ordinal, Brief.id)
        ).all()
        costs = pairs(
            session.execute(
                select(StageResult.brief_id, func.sum(StageResult.cost_usd))
                .join(GenerationBrief, GenerationBrief.brief_id == StageResult.brief_id)
                .where(chosen, StageResult.created_at >= generation.created_at)
                .group_by(StageResult.brief_id)
            )
        )
        estimate = requested_estimate(session, generation)
        paid = totals(session, "generation", [generation.id])[generation.id]
        ids = [row.brief_id for row, _, _ in briefs]
        words = {one["brief"]: one["words"] for one in list_articles(session, brief_ids=ids)}
    states = stage_states(current.engine, ids)
    return {
        "id": generation.id,
        "project": generation.project_id,
        "status": generation.status,
        "priority": generation.priority,
        "canary": generation.canary,
        "requested_by": generation.requested_by,
        "created_at": generation.created_at.isoformat(timespec="seconds"),
        "stages": [agent.stage for agent in PIPELINE],
        "estimate": estimate,
        # The ledger knows the attempts that failed, too.
        "cost_usd": paid["cost_usd"] if paid["calls"] else float(sum(costs.values())),
        "lane": generation.lane,
        "briefs": [
            {
                "brief": row.brief_id,
                "title": title,
                "priority": priority,
                "status": row.status,
                "batch": row.batch,
                "stages": states[row.brief_id],
                "words": words.get(row.brief_id, 0),
                "cost_usd": float(costs.get(row.brief_id, 0.0)),
                "error": row.error,
                "run": row.run_id,
            }
            for row, title, priority in briefs
        ],
    }


@app.command("approve")
@command
def approve(generation: GenerationArgument, wait: WaitOption = True) -> None:
    """The canary is good: release the other briefs."""
    from cryptocontent.content.generations import approve_generation

    _change(generation, approve_generation, "approved")
    _go_on(generation, wait)


@app.command("pause")
@command
def pause(generation: GenerationArgument) -> None:
    """Start nothing new; what runs stops before its next stage."""
    from cryptocontent.content.generations import pause_generation

    _change(generation, pause_generation, "paused")


@app.command("resume")
@command
def resume(generation: GenerationArgument, wait: WaitOption = True) -> None:
    """Go on with a paused generation; finished stages are not repeated."""
    from cryptocontent.content.generations import resume_generation

    _change(generation, resume_generation, "resumed")
    _go_on(generation, wait)


@app.command("cancel")
@command
def cancel(
    generation: GenerationArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")] = "",
) -> None:
    """Give up what is not done yet; what is finished stays."""
    from cryptocontent.content.generations import cancel_generation
    from cryptocontent.llm.batch_rows import withdraw

    def change(session: Any, generation_id: str, by: Any) -> None:
        cancel_generation(session, generation_id, by, reason)

    project = _change(generation, change, "cancelled")
    withdraw(current.engine, project)


def _change(name: str, change: Any, verb: str) -> str:
    """Change the generation; returns its project."""
    from cryptocontent.content.generations import find_generation
    from cryptocontent.storage import reading, writing

    with reading(current.engine) as session:
        found = find_generation(session, name)
    person = current.person(found.project_id)
    with writing(current.engine) as session:
        change(session, found.id, person)
    typer.echo(f"generation {found.id[:8]} {verb}")
    return found.project_id


def _go_on(name: str, wait: bool) -> None:
    """Carry on what was released: by the daemon that runs, else here. What waits for vendors' batches is
    the daemon's alone, and nobody waits for it."""
    from sqlalchemy import select, update

    from cryptocontent.cli.generate import left_to_daemon, see_through
    from cryptocontent.content.generations import find_generation
    from cryptocontent.storage import reading, writing
    from cryptocontent.storage.models import Generation, GenerationBrief

    with reading(current.engine) as session:
        found = find_generation(session, name)
        ids = list(session.scalars(select(GenerationBrief.brief_id).filter_by(generation_id=found.id)))
    if left_to_daemon(found.id):
        return
    if not wait:
        with writing(current.engine) as session:
            session.execute(update(Generation).filter_by(id=found.id).values(runner="dagster"))
        return
    see_through(found.project_id, found.id, ids)
    values = _values(found.id)
    typer.echo(f"{values['status'].replace('_', ' ')}: {_counts(values)}")
    if any(row["status"] == "failed" for row in values["briefs"]):
        raise typer.Exit(1)
