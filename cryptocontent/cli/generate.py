"""`cryptocontent generate` and `cryptocontent demo`: briefs through the agents, by Dagster."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from cryptocontent.cli.articles import print_articles
from cryptocontent.cli.session import (
    SAMPLE_PROJECT,
    JsonOption,
    ProjectOption,
    command,
    count_of,
    current,
    fail,
    print_json,
    progress,
)

# A daemon looks for generations every few seconds; one that has not for this long has died.
_DAEMON_PATIENCE_SECONDS = 45
_UNDER_WAY = ("requested", "running")
_SAMPLE = Path(__file__).parent.parent / "sample"


@command
def generate(
    brief: Annotated[list[str] | None, typer.Option(help="A brief's id, or a part of it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every brief of the project.")] = False,
    batch: Annotated[int | None, typer.Option(min=1, max=100, help="Briefs per Dagster run.")] = None,
    project: ProjectOption = None,
    wait: Annotated[bool, typer.Option(help="Wait for the articles (a daemon must run otherwise).")] = True,
    canary: Annotated[
        int, typer.Option(min=0, help="So many briefs first; the rest after `generation approve`.")
    ] = 0,
    priority: Annotated[
        str, typer.Option(help="low, normal or high: which generation goes first.")
    ] = "normal",
    lane: Annotated[
        str,
        typer.Option(
            help="live, or batch: models answer within a day at half the price (a daemon must run; "
            "implies --no-wait)."
        ),
    ] = "live",
    newest_facts: Annotated[
        bool,
        typer.Option(
            "--newest-facts", help="Research anew where newer market facts are known of a brief's assets."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,
    allow_duplicates: Annotated[
        bool, typer.Option("--allow-duplicates", help="Also where two briefs have the very same title.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make articles from briefs. What is done already is not done again."""
    from cryptocontent.agents.preflight import preflight
    from cryptocontent.cli.preflight import preflight_values, print_preflight
    from cryptocontent.errors import Refused

    name = current.project(project)
    ids = named_briefs(name, brief, everything)
    todo = unfinished(ids, newest_facts=newest_facts)
    if not todo:
        _print_result(name, ids, None, as_json)
        return
    found = preflight(current.engine, current.settings, name, todo, newest_facts=newest_facts)
    if dry_run:
        print_json(preflight_values(found)) if as_json else print_preflight(found)
        return
    exact = [one for one in found.overlaps if one.exact and one.within]
    if exact and not allow_duplicates:
        raise Refused(
            f"briefs {exact[0].brief_id!r} and {exact[0].other_id!r} have the same title "
            f"“{exact[0].other_title}”: change one, or say --allow-duplicates (`cryptocontent brief check`)"
        )
    if not as_json:
        print_preflight(found, brief=True)
    wait = wait and lane == "live"
    generation = generate_briefs(
        name, todo, batch=batch, wait=wait, quiet=as_json, canary=canary, priority=priority, lane=lane,
        newest_facts=newest_facts, estimate=found.estimate.totals(),
    )  # fmt: skip
    if not wait:
        typer.echo(generation)
        return
    if _print_result(name, ids, generation, as_json):
        raise typer.Exit(1)


def named_briefs(project: str, brief: list[str] | None, everything: bool) -> list[str]:
    """The briefs meant by `--brief` and `--all`, in the order in which they were given."""
    from cryptocontent.content.articles import find_brief
    from cryptocontent.content.generations import brief_ids
    from cryptocontent.errors import Refused
    from cryptocontent.storage import reading

    if bool(brief) == everything:
        raise Refused("name briefs with --brief, or take all with --all")
    with reading(current.engine) as session:
        if everything:
            ids = brief_ids(session, project)
        else:
            ids = [find_brief(session, one, project).id for one in brief or ()]
    if not ids:
        raise Refused(f"project {project!r} has no briefs: `cryptocontent brief import FILE.csv`")
    return ids


def unfinished(ids: list[str], *, newest_facts: bool = False) -> list[str]:
    """The briefs that a generation would work on: without fresh research, unfinished, or failed; with
    `newest_facts`, also those of whose assets newer market facts are known."""
    from cryptocontent.agents.pipeline import unfinished as without_result
    from cryptocontent.knowledge.research import stale

    due = stale(current.engine, ids, newest_facts=newest_facts) | without_result(current.engine, ids)
    return [one for one in ids if one in due]


def generate_briefs(
    project: str,
    ids: list[str],
    *,
    batch: int | None = None,
    wait: bool = True,
    quiet: bool = False,
    around: bool = False,
    canary: int = 0,
    priority: str = "normal",
    lane: str = "live",
    newest_facts: bool = False,
    estimate: dict[str, Any] | None = None,
) -> str:
    """Request a generation and, with `wait`, see it through (one of the batch lane is never waited for);
    returns its id. `around` puts the import
    of the project's references before it and the export of its articles after it."""
    from cryptocontent.content.generations import request_generation
    from cryptocontent.storage import writing

    wait = wait and lane != "batch"
    with writing(current.engine) as session:
        generation = request_generation(
            session, project, ids, current.actor, batch_size=batch or current.settings.batch_size,
            runner="local" if wait else "dagster", priority=priority, canary=canary, lane=lane,
            newest_facts=newest_facts, estimate=estimate,
        )  # fmt: skip
    if wait:
        see_through(project, generation, ids, quiet=quiet, around=around)
    return generation


def see_through(
    project: str, generation: str, ids: list[str], *, quiet: bool = False, around: bool = False
) -> None:
    """Carry a generation out, here or by the daemon that runs, until nothing of it goes on by itself. One of
    the batch lane goes on for a day, so it is left to the daemon at once."""
    if left_to_daemon(generation):
        return
    log = _log_file("generate.log")
    steps = [f"generation:{generation}"]
    if around:
        steps = [f"job:import_references:{project}", *steps, f"job:export_articles:{project}"]
    with log.open("ab") as file, progress("writing articles", quiet) as update:
        worker = _start(file, *steps)
        asked = time.monotonic()
        while (status := _status(generation, ids, update)) in _UNDER_WAY or worker.poll() is None:
            if worker.poll() is None:
                time.sleep(0.25)
            elif worker.returncode:
                fail(f"Dagster ended with exit code {worker.returncode}; its log is {log}")
            elif status in _UNDER_WAY and _taken_back(generation, asked):
                worker = _start(file, f"generation-here:{generation}", *steps[2:])
            elif _left_lying(generation):
                fail(f"its runs hang: `cryptocontent generation pause {generation[:8]}`, then `resume`")
            else:
                time.sleep(0.5)
    if worker.returncode:
        fail(f"Dagster ended with exit code {worker.returncode}; its log is {log}")


def left_to_daemon(generation: str) -> bool:
    """Leave a generation of the batch lane to the daemon, and say so; false for any other one."""
    from cryptocontent.storage import writing
    from cryptocontent.storage.models import Generation

    with writing(current.engine) as session:
        found = session.get_one(Generation, generation)
        if found.lane != "batch":
            return False
        found.runner = "dagster"
    typer.echo(
        f"generation {generation[:8]} is of the batch lane: the daemon carries it out within a day or so "
        f"(`cryptocontent generation show {generation[:8]}`)",
        err=True,
    )
    return True


def _start(log: Any, *steps: str) -> subprocess.Popen[bytes]:
    """Dagster in a process of its own: it takes over standard output and the signals."""
    command_line = [sys.executable, "-m", "cryptocontent.cli.local_run", *steps]
    # A file of the folder that one happens to stand in must not take the place of a module.
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    return subprocess.Popen(command_line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def _log_file(name: str) -> Path:
    folder = current.settings.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _status(generation: str, ids: list[str], update: Any) -> str:
    """The generation's status; moves the bar by the stages that are stored."""
    from cryptocontent.agents.pipeline import PIPELINE, stages_done
    from cryptocontent.storage import reading
    from cryptocontent.storage.models import Generation

    done = stages_done(current.engine, ids)
    update(done // len(PIPELINE), len(ids))
    with reading(current.engine) as session:
        return session.get_one(Generation, generation).status


def _taken_back(generation: str, asked: float) -> bool:
    """Whether the daemon, to which the generation was left, is gone: then it is carried out here."""
    from sqlalchemy import update

    from cryptocontent.storage import writing
    from cryptocontent.storage.models import Generation

    if time.monotonic() - asked < _DAEMON_PATIENCE_SECONDS:
        return False
    with writing(current.engine) as session:
        waiting = {"id": generation, "status": "requested", "runner": "dagster"}
        result = session.execute(update(Generation).filter_by(**waiting).values(runner="local"))
        return bool(result.rowcount)  # type: ignore[attr-defined]


def _left_lying(generation: str) -> bool:
    """Whether the process that carried the generation out has ended, and left some of it to nobody."""
    from cryptocontent.storage import reading
    from cryptocontent.storage.models import Generation

    with reading(current.engine) as session:
        found = session.get_one(Generation, generation)
        return found.runner == "local" and found.status in _UNDER_WAY


def _print_result(project: str, ids: list[str], generation: str | None, as_json: bool) -> bool:
    """Print the articles and the failures; whether any brief failed."""
    from cryptocontent.content.articles import list_articles
    from cryptocontent.content.generations import failures, state_counts
    from cryptocontent.storage import reading
    from cryptocontent.storage.models import Generation

    with reading(current.engine) as session:
        failed = failures(session, generation) if generation else []
        left_out = {item["brief"] for item in failed}
        articles = list_articles(session, project, ids)
        rows = [row for row in articles if row["status"] != "draft" and row["brief"] not in left_out]
        status = session.get_one(Generation, generation).status if generation else ""
        held = state_counts(session, generation).get("held", 0) if generation else 0
    if as_json:
        print_json({"generation": generation, "status": status, "articles": rows, "failed": failed})
        return bool(failed)
    if generation is None:
        typer.echo(
            f"nothing to do: all {len(ids)} briefs have their articles, from the references as they are now"
        )
        return False
    print_articles(rows, as_json=False, empty="no article is ready")
    for item in failed:
        typer.secho(f"{item['brief']}: {item['error']}", err=True, fg="red")
    typer.echo(
        f"ready for review: {count_of(len(rows), 'article')}; failed: {count_of(len(failed), 'brief')}"
    )
    if status == "awaiting_approval":
        typer.echo(
            f"the canary is through; {count_of(held, 'brief')} wait for "
            f"`cryptocontent generation approve {generation[:8]}` (or `cancel`)"
        )
    elif status in ("paused", "cancelled"):
        typer.echo(f"the generation is {status}: `cryptocontent generation show {generation[:8]}`")
    return bool(failed)


@command
def demo() -> None:
    """Run the main job on the sample project: import, embed, write through Dagster, export."""
    from cryptocontent.content.briefs import import_briefs
    from cryptocontent.content.generations import brief_ids, failures
    from cryptocontent.content.templates import save_templates
    from cryptocontent.storage import reading, writing

    began = time.monotonic()
    with writing(current.engine) as session:
        _ensure_sample(session)
        files = sorted((_SAMPLE / "templates").glob("*.yaml"))
        save_templates(session, SAMPLE_PROJECT, files, current.actor)
        report = import_briefs(session, SAMPLE_PROJECT, (_SAMPLE / "briefs.csv").read_bytes(), current.actor)
        if report.problems:
            fail("; ".join(map(str, report.problems)))
    with reading(current.engine) as session:
        ids = brief_ids(session, SAMPLE_PROJECT)
    changed = _references_changed()
    todo = ids if changed else unfinished(ids)
    failed = []
    if todo:
        if changed:
            typer.echo("references: import and embedding, by the Dagster job import_references")
        typer.echo(f"articles: {len(todo)} briefs through writer, editor, proofreader, analyst and seo")
        generation = generate_briefs(SAMPLE_PROJECT, todo, around=True)
        with reading(current.engine) as session:
            failed = failures(session, generation)
    _print_demo(ids, bool(todo), time.monotonic() - began)
    for item in failed:
        typer.secho(f"{item['brief']}: {item['error']}", err=True, fg="red")
    if failed:
        raise typer.Exit(1)


def _ensure_sample(session: Any) -> None:
    from cryptocontent.content.projects import create_project
    from cryptocontent.knowledge.references import register_folder
    from cryptocontent.storage.models import Project

    if session.get(Project, SAMPLE_PROJECT) is None:
        create_project(session, SAMPLE_PROJECT, "Sample newsroom", current.actor)
    # The package may have been installed elsewhere since.
    register_folder(session, SAMPLE_PROJECT, _SAMPLE / "references", moved=True)


def _references_changed() -> bool:
    from cryptocontent.knowledge.references import has_changes

    return has_changes(current.engine, SAMPLE_PROJECT, max_bytes=current.settings.max_document_bytes)


def _print_demo(ids: list[str], worked: bool, seconds: float) -> None:
    from cryptocontent.content.articles import list_articles
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_articles(session, SAMPLE_PROJECT, ids)
    folder = current.settings.exports_dir / SAMPLE_PROJECT
    for row in rows:
        row["file"] = f"{row['slug']}.md"
    print_articles(rows, as_json=False, empty="no articles", below="file")
    typer.echo(f"files: {folder}")
    if worked:
        typer.echo(f"{len(rows)} articles in {seconds:.0f} s. To look further:")
    else:
        typer.echo(
            f"nothing to do: all {len(ids)} briefs have their articles ({seconds:.1f} s). To look further:"
        )
    slug = rows[0]["slug"] if rows else "SLUG"
    for line, why in (
        ("make dev", "the same in the Dagster UI: lineage, runs, backfills"),
        (f"cryptocontent article show {slug}", "an article with its sources"),
        (f"cryptocontent article show {slug} --conversation", "what each agent changed, and why"),
        (f"cryptocontent article diff {slug} writer seo", "the same as a diff"),
        ('cryptocontent search "how is the base fee set"', "the passages that articles cite"),
        (
            "cryptocontent ingest FOLDER",
            "your own references (then: template add, brief import, generate --all)",
        ),
    ):
        typer.echo(f"  .venv/bin/{line}" if line.startswith("crypto") else f"  {line}", nl=False)
        typer.secho(f"   {why}", dim=True)
