"""`cryptocontent models cost`, `budget` and `release`: what was paid, and what may be."""

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

app = typer.Typer(rich_markup_mode=None)
_BY = ("stage", "model", "article", "generation", "day", "outcome")
_SCOPES = ("month", "generation")


@app.command("cost")
@command
def cost(
    by: Annotated[str, typer.Option(help=f"What to sum by: {', '.join(_BY)}.")] = "stage",
    since: Annotated[float | None, typer.Option(metavar="DAYS", help="Only the last so many days.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what calls have cost, by the ledger; for generations, what was estimated beside it."""
    from datetime import timedelta

    from cryptocontent.errors import Refused
    from cryptocontent.llm.costs import costs
    from cryptocontent.llm.status import price_notes, under_way
    from cryptocontent.storage import reading
    from cryptocontent.storage.types import utc_now

    if by not in _BY:
        raise Refused(f"--by {by!r}: allowed are {', '.join(_BY)}")
    if since is not None and not 0 < since <= 36500:
        raise Refused(f"--since {since:g}: days, more than 0 and at most 36500")
    name = current.project(project)
    begin = utc_now() - timedelta(days=since) if since else None
    with reading(current.engine) as session:
        rows = costs(session, name, by=by, since=begin)  # type: ignore[arg-type]
        notes = price_notes(session, name, begin)
        open_calls = under_way(session, name)
    if by == "generation":
        rows = _with_estimates(rows)
    found = {
        "by": by, "rows": rows, "total": _total(rows), "unknown_price": notes["unknown"],
        "subscription": notes["subscription"], "under_way": open_calls,
    }  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _print_costs(found)


def _with_estimates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the estimate (US dollars, P50 and P90) that was told when each generation was asked
    for, if one was."""
    from cryptocontent.content.generations import requested_estimate
    from cryptocontent.storage import reading
    from cryptocontent.storage.models import Generation

    with reading(current.engine) as session:
        estimates = {}
        for row in rows:
            asked = session.get(Generation, row["generation"])
            told = requested_estimate(session, asked) if asked else None
            estimates[row["generation"]] = told["usd"] if told else None
    return [row | {"estimate_usd": estimates[row["generation"]]} for row in rows]


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    sums = {
        key: sum(row[key] for row in rows)
        for key in ("calls", "failed", "under_way", "input_tokens", "output_tokens", "cache_read_tokens")
    }
    return sums | {"cost_usd": round(sum(row["cost_usd"] for row in rows), 9)}


def _print_costs(found: dict[str, Any]) -> None:
    from cryptocontent.cli.preflight import told_band
    from cryptocontent.llm.bookings import dollars

    by, rows = found["by"], [*found["rows"]]
    if rows:
        rows.append({by: "total", **found["total"]})
    shown = []
    for row in rows:
        cells = {**row, by: row[by] or "(none)", "cost": dollars(row["cost_usd"])}
        if row.get("unknown_price"):
            cells["cost"] += f" + {row['unknown_price']:.0%} of calls unpriced"
        if by == "model" and row[by] in found["subscription"] and not row["cost_usd"]:
            cells["cost"] = "subscription"
        if "estimate_usd" in row:
            cells["estimate"] = told_band(_band(row["estimate_usd"]), "$")
        shown.append(cells)
    columns = {by: by.capitalize(), "calls": "Calls", "failed": "Failed", "under_way": "Not settled"}
    columns |= {
        "input_tokens": "Tokens in",
        "cache_read_tokens": "of these cached",
        "output_tokens": "Tokens out",
    }
    columns["cost"] = "Cost"
    if by == "generation":
        columns["estimate"] = "Estimated"
    print_rows(shown, columns, as_json=False, empty="no calls of models in the ledger")
    for model, calls in found["unknown_price"].items():
        typer.secho(
            f"{model}: the price of {count_of(calls, 'call')} is unknown and counts as $0; "
            "say it in the policy (price: {input, output})",
            fg="yellow",
        )
    for model, calls in found["subscription"].items():
        typer.echo(f"{model}: {count_of(calls, 'call')} by subscription, nothing per call")
    print_under_way(found["under_way"])


def _band(values: dict[str, float] | None) -> Any:
    from cryptocontent.agents.preflight import Band

    return Band(**values) if values else None


def print_budgets(lines: list[dict[str, Any]]) -> None:
    """Budgets as a table."""
    from cryptocontent.llm.bookings import dollars

    rows = [
        {
            "scope": f"month {line['period']}" if line["scope"] == "month" else "each generation",
            **{
                key: ("none" if key == "cap" else "") if line[key] is None else dollars(line[key])
                for key in ("cap", "spent", "reserved", "left")
            },
        }
        for line in lines
    ]
    columns = {"scope": "Budget", "cap": "Cap", "spent": "Spent", "reserved": "Reserved", "left": "Left"}
    print_rows(rows, columns, as_json=False, empty="")


def print_under_way(found: dict[str, Any]) -> None:
    """The calls that are not settled, if there are any."""
    from cryptocontent.llm.bookings import dollars

    if not found["calls"]:
        return
    typer.echo(
        f"{count_of(found['calls'], 'call')} not settled, {dollars(found['reserved_usd'])} reserved, "
        f"the oldest since {found['oldest']:%Y-%m-%d %H:%M} UTC; {found['in_batches']} of them in vendors' "
        "batches. Calls of processes that died stay so until `cryptocontent models release`."
    )


@app.command("budget")
@command
def budget(
    month: Annotated[float | None, typer.Option(metavar="USD", help="The most in a calendar month.")] = None,
    generation: Annotated[
        float | None, typer.Option(metavar="USD", help="The most in any one generation.")
    ] = None,
    none: Annotated[
        list[str] | None, typer.Option("--none", metavar="month|generation", help="Take that budget away.")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the project's budgets, or set them (admins only), in US dollars."""
    from cryptocontent.errors import Refused
    from cryptocontent.llm.budgets import set_budget
    from cryptocontent.llm.status import budget_lines
    from cryptocontent.storage import reading, writing

    name = current.project(project)
    caps: dict[str, float | None] = {
        scope: cap for scope, cap in (("month", month), ("generation", generation)) if cap is not None
    }
    for scope in none or ():
        if scope not in _SCOPES:
            raise Refused(f"--none {scope!r}: allowed are {', '.join(_SCOPES)}")
        if scope in caps:
            raise Refused(f"--{scope} and --none {scope}: one of them")
        caps[scope] = None
    if caps:
        person = current.person(name)
        with writing(current.engine) as session:
            for scope, cap in caps.items():
                set_budget(session, name, scope, cap, person)  # type: ignore[arg-type]
    with reading(current.engine) as session:
        lines = budget_lines(session, name)
    if as_json:
        print_json(lines)
    else:
        print_budgets(lines)


@app.command("release")
@command
def release(
    hours: Annotated[
        float, typer.Option(help="Only calls that left so long ago: more than any call takes.")
    ] = 24,
    unpaid: Annotated[
        bool, typer.Option("--unpaid", help="The vendor's bill does not have them: they cost nothing.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Settle calls whose process died, at all that was reserved for them (admins only). Calls in vendors'
    batches are left alone."""
    from datetime import timedelta

    from cryptocontent.errors import Refused
    from cryptocontent.llm.bookings import release_lost

    if not 1 <= hours <= 87600:
        raise Refused(f"--hours {hours:g}: from 1 to 87600; a younger call may be under way")
    name = current.project(project)
    person = current.person(name)
    count = release_lost(current.engine, name, timedelta(hours=hours), person, as_spent=not unpaid)
    if as_json:
        print_json({"released": count})
    else:
        typer.echo(f"{count_of(count, 'call')} released" + (", as unpaid" if count and unpaid else ""))
