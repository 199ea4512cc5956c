"""`python -m benchmarks generation|knowledge|audit|bulk|router|sources`: prints tables; `--json FILE`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import audit as audit_bench
from benchmarks import bulk as bulk_bench
from benchmarks import generation as generation_bench
from benchmarks import knowledge as knowledge_bench
from benchmarks import router as router_bench
from benchmarks import sources as sources_bench

app = typer.Typer(rich_markup_mode=None, no_args_is_help=False, invoke_without_command=True)
console = Console(width=140)
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the rows to this file.")]


def show(title: str, rows: list[dict[str, Any]], file: Path | None) -> None:
    """Print rows as a table; keep them in a file if asked."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(
            *(f"{value:,.2f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    console.print(table)
    if file:
        known = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps(known | {title: rows}, indent=2) + "\n")


@app.command()
def generation(
    briefs: Annotated[int, typer.Option(help="Briefs of the backfill.")] = 500,
    singles: Annotated[int, typer.Option(help="Briefs that get a run each.")] = 20,
    latency: Annotated[list[float] | None, typer.Option(help="Seconds added to each stage.")] = None,
    file: JsonFile = None,
) -> None:
    """Articles per minute: a backfill from the UI, a bare asyncio loop, one run per article."""
    for seconds in latency or [0.0, 0.2, 2.0]:
        rows = generation_bench.compare(briefs, singles, seconds)
        show(f"{briefs} briefs, {seconds:g} s added to each stage", rows, file)


@app.command()
def knowledge(
    sizes: Annotated[list[int] | None, typer.Option(help="Passages in the index.")] = None,
    file: JsonFile = None,
) -> None:
    """Import and search, against the bare embedding loop."""
    show("import of the corpus", knowledge_bench.importing(), file)
    show("hybrid search", knowledge_bench.searching(sizes or [1_000, 10_000, 50_000]), file)


@app.command()
def router(
    pipelines: Annotated[int, typer.Option(help="Five-stage pipelines per scene.")] = 500,
    calls: Annotated[int, typer.Option(help="Calls of a turn, for the router's own cost.")] = 500,
    flight: Annotated[int, typer.Option(help="Calls in flight at once.")] = 1000,
    file: JsonFile = None,
) -> None:
    """Pipelines that complete although vendors fail; CPU and memory of the router."""
    show("CPU of a call", router_bench.overhead(calls), file)
    show("calls in flight", router_bench.in_flight(flight), file)
    show(f"{pipelines} pipelines of five stages, four vendors", router_bench.compare(pipelines), file)


@app.command()
def audit(
    entries: Annotated[int, typer.Option(help="Entries of the chain.")] = 100_000,
    file: JsonFile = None,
) -> None:
    """Verify a chain of audit entries, against bare SHA-256."""
    show(f"an audit chain of {entries:,} entries", audit_bench.verifying(entries), file)


@app.command()
def bulk(
    briefs: Annotated[int, typer.Option(help="Rows of the file.")] = 1_000,
    file: JsonFile = None,
) -> None:
    """Dry run, import and preflight of many briefs, against a bare csv parse and embedding loop."""
    show(f"{briefs:,} briefs before they are written", bulk_bench.measuring(briefs), file)


@app.command()
def sources(
    files: Annotated[int, typer.Option(help="Files of the watched Drive folder.")] = 10_000,
    file: JsonFile = None,
) -> None:
    """A look at a Drive folder: at first, and when nothing has changed, against the bare requests."""
    show(f"a Drive folder with {files:,} files", sources_bench.looking(files), file)


@app.callback()
def everything(context: typer.Context) -> None:
    """All benchmarks, unless one is named."""
    if context.invoked_subcommand is None:
        audit(100_000, None)
        bulk(1_000, None)
        knowledge(None, None)
        generation(500, 20, None, None)


if __name__ == "__main__":
    app()
