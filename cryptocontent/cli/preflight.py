"""`cryptocontent brief check`: what is known before money is spent."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, count_of, current, print_json

if TYPE_CHECKING:
    from cryptocontent.agents.preflight import Band, Estimate, Preflight

app = typer.Typer(rich_markup_mode=None)
_SHOWN = 20


@app.command("check")
@command
def check(
    brief: Annotated[list[str] | None, typer.Option(help="A brief's id, or a part of it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every brief of the project.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what articles from briefs would cost, which briefs compete with others, and what the references
    say nothing about. Nothing is written, no model is called."""
    from cryptocontent.agents.preflight import preflight
    from cryptocontent.cli.generate import named_briefs

    name = current.project(project)
    found = preflight(current.engine, current.settings, name, named_briefs(name, brief, everything))
    if as_json:
        print_json(preflight_values(found))
    else:
        print_preflight(found)


def preflight_values(found: "Preflight") -> dict[str, Any]:
    """A preflight as plain values."""
    from dataclasses import asdict

    return {
        "estimate": found.estimate.totals() | {"why": list(found.estimate.why)},
        "stale": found.stale,
        "if_research_changes": found.if_research_changes.totals() if found.if_research_changes else None,
        "overlaps": [asdict(one) for one in found.overlaps],
        "gaps": [asdict(one) for one in found.gaps],
    }


def print_preflight(found: "Preflight", *, brief: bool = False) -> None:
    """The estimate, then what competes and what is missing; `brief`: only how many, on standard error (on
    standard output is what the command makes)."""
    typer.echo(f"estimate: {_told(found.estimate)}", err=brief)
    if found.if_research_changes is not None:
        typer.echo(
            f"  if the changed references bring other passages: {_told(found.if_research_changes)}", err=brief
        )
    duplicates = [one for one in found.overlaps if one.strength == "duplicate"]
    refused = [one for one in found.gaps if one.refused]
    if brief:
        competing = len(found.overlaps) - len(duplicates)
        told = [
            f"{number} {what}"
            for number, what in (
                (len(duplicates), "duplicates"),
                (competing, "pairs that compete for readers"),
                (len(refused), "briefs without references"),
            )
            if number
        ]
        if told:
            typer.secho(f"{', '.join(told)}: `cryptocontent brief check` names them", fg="yellow", err=True)
        return
    for one in found.overlaps[:_SHOWN]:
        other = f"article {one.slug}" if one.slug else f"brief {one.other_id}"
        colour = "red" if one.strength == "duplicate" else "yellow"
        typer.secho(f"{one.strength:12} ", fg=colour, nl=False)
        typer.echo(f"{one.brief_id}  with {other} “{one.other_title}”: {'; '.join(one.reasons)}")
    for gap in found.gaps[:_SHOWN]:
        words = ", ".join(gap.words) or "its whole subject"
        typer.secho("missing      ", fg="red" if gap.refused else "yellow", nl=False)
        typer.echo(f"{gap.brief_id}  the references never mention: {words}")
    left = max(0, len(found.overlaps) - _SHOWN) + max(0, len(found.gaps) - _SHOWN)
    if left:
        typer.echo(f"… and {left} more: --json has all")
    if not found.overlaps and not found.gaps:
        typer.echo("no brief competes with another, and the references speak of every subject")


def _told(estimate: "Estimate") -> str:
    if not estimate.briefs:
        return "nothing to do"
    parts = [
        f"{count_of(estimate.briefs, 'brief')}, {count_of(estimate.stages, 'stage')}",
        f"model calls {told_band(estimate.calls)}",
        f"tokens {told_band(estimate.input_tokens)} in, {told_band(estimate.output_tokens)} out",
        f"cost {told_band(estimate.usd, '$')}",
        f"agents' time {told_band(estimate.seconds, '', ' s')}",
    ]
    if estimate.unpriced:
        parts.append(f"{count_of(estimate.unpriced, 'brief')} of unknown cost: {'; '.join(estimate.why)}")
    return "; ".join(parts)


def told_band(band: "Band | None", before: str = "", after: str = "") -> str:
    """A band for people: one number where both are the same."""
    if band is None:
        return "unknown"
    digits = 2 if before else 0
    if round(band.p50, digits) == round(band.p90, digits):
        return f"{before}{band.p50:,.{digits}f}{after}"
    return f"{before}{band.p50:,.{digits}f}–{band.p90:,.{digits}f}{after} (P50–P90)"
