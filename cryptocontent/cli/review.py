"""`cryptocontent article …`: editing, checks, review and publication."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli.articles import ArticleArgument, finding_values, print_finding
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
    from sqlalchemy.orm import Session

    from cryptocontent.identity import Person
    from cryptocontent.storage.models import Article, Version

app = typer.Typer(rich_markup_mode=None)
VersionOption = Annotated[
    str | None,
    typer.Option("--version", help="The version that you looked at; refused if it is no longer current."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")]


@contextmanager
def acting(article: str) -> "Iterator[tuple[Session, Article, Person]]":
    """A writing transaction on an article, and who acts."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.storage import reading, writing

    with reading(current.engine) as session:
        project = find_article(session, article).project_id
    person = current.person(project)
    with writing(current.engine) as session:
        yield session, find_article(session, article), person


def looked_at(session: "Session", article: "Article", named: str | None) -> "Version":
    """The version that the person means: the one named, else the current one."""
    from cryptocontent.content.articles import find_version

    return find_version(session, article, named)


@app.command("edit")
@command
def edit(
    article: ArticleArgument,
    file: Annotated[
        Path, typer.Option("--file", help="The whole text: `# Title`, body; see `article show --markdown`.")
    ],
    base: Annotated[str, typer.Option("--base", help="The version that the text was made from.")],
) -> None:
    """Save a text as the newest version. If somebody saved one since `--base`, nothing is written."""
    from cryptocontent.content.versions import save_version

    text = file.read_bytes().decode("utf-8")
    with acting(article) as (session, found, person):
        made_from = looked_at(session, found, base)
        version = save_version(session, found, made_from.id, text, person)
        unchanged, number, status = version.id == made_from.id, version.number, found.status
    typer.echo(f"unchanged: version {number}" if unchanged else f"version {number} saved; {status}")
    print_findings(article, only_open=True)


@app.command("restore")
@command
def restore(
    article: ArticleArgument,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Number, id or stage.")],
) -> None:
    """Make an older version's text the newest version again; nothing is deleted."""
    from cryptocontent.content.versions import restore as restore_version

    with acting(article) as (session, found, person):
        old = looked_at(session, found, version)
        new = restore_version(session, found, found.version_id or "", old, person)
        said = f"version {new.number} has the text of version {old.number}; {found.status}"
    typer.echo(said)


@app.command("check")
@command
def check(article: ArticleArgument, as_json: JsonOption = False) -> None:
    """Check the current version against what is known now, keep what is found, and print it."""
    from cryptocontent.content.checking import check_version

    with acting(article) as (session, found, person):
        person.require("write")
        check_version(session, found, looked_at(session, found, None), "request")
    print_findings(article, as_json=as_json)


@app.command("findings")
@command
def findings(article: ArticleArgument, as_json: JsonOption = False) -> None:
    """Show what the checks say of the current version, with waivers. Exit code 1 if any blocks."""
    if print_findings(article, as_json=as_json):
        raise typer.Exit(1)


def print_findings(article: str, *, as_json: bool = False, only_open: bool = False) -> bool:
    """Print the findings in force; whether any of them blocks."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.content.checking import standing_findings
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_article(session, article)
        standing = standing_findings(session, found.id, found.version_id or "")
        number = looked_at(session, found, None).number
    blocked = any(one.blocks for one in standing)
    if as_json:
        print_json([finding_values(one) for one in standing])
        return blocked
    shown = [one for one in standing if not only_open or one.blocks]
    for one in shown:
        print_finding(one)
    if not standing:
        typer.echo(f"version {number}: nothing found")
    elif not only_open:
        open_ones = count_of(sum(one.blocks for one in standing), "blocking finding")
        typer.echo(f"version {number}: {count_of(len(standing), 'finding')}, {open_ones}")
    return blocked


@app.command("waive")
@command
def waive(
    article: ArticleArgument,
    finding: Annotated[int, typer.Argument(metavar="FINDING", help="Its number in `article findings`.")],
    reason: ReasonOption,
) -> None:
    """Let a finding stand, with a reason, for as long as its text stays as it is."""
    from cryptocontent.content.checking import waive as waive_finding

    with acting(article) as (session, found, person):
        waiver = waive_finding(session, found, finding, reason, person)
        said = f"{waiver.rule} waived by {waiver.author}: {waiver.reason}"
    typer.echo(said)


@app.command("unwaive")
@command
def unwaive(
    article: ArticleArgument,
    finding: Annotated[int, typer.Argument(metavar="FINDING", help="Its number in `article findings`.")],
) -> None:
    """Take a waiver back."""
    from cryptocontent.content.checking import revoke_waiver, standing_findings
    from cryptocontent.errors import NotFound

    with acting(article) as (session, found, person):
        standing = standing_findings(session, found.id, found.version_id or "")
        one = next((one for one in standing if one.finding.id == finding and one.waiver), None)
        if one is None:
            raise NotFound(f"finding {finding} has no waiver")
        revoke_waiver(session, found, one.finding.fingerprint, person)
    typer.echo("the finding counts again")


@app.command("submit")
@command
def submit(article: ArticleArgument, version: VersionOption = None) -> None:
    """Hand a draft in for review."""
    from cryptocontent.content.review import submit as hand_in

    _decide(article, version, lambda session, found, at, person: hand_in(session, found, at, person))


@app.command("request-changes")
@command
def request_changes(article: ArticleArgument, reason: ReasonOption, version: VersionOption = None) -> None:
    """Send an article back to its writers."""
    from cryptocontent.content.review import request_changes as send_back

    _decide(
        article, version, lambda session, found, at, person: send_back(session, found, at, reason, person)
    )


@app.command("approve")
@command
def approve(article: ArticleArgument, version: VersionOption = None) -> None:
    """Approve the current version: the sections that nobody has approved yet. Never one's own text."""
    from cryptocontent.content.review import approve as accept

    _decide(article, version, accept)


@app.command("publish")
@command
def publish(article: ArticleArgument, version: VersionOption = None) -> None:
    """Publish the approved version, and deliver it to the project's targets. What can go stale is checked
    again at this moment. What a target does not take now is delivered later, by itself."""
    from cryptocontent.content.review import publish as release

    _decide(article, version, release)
    _hand_over(article)


@app.command("schedule")
@command
def schedule(
    article: ArticleArgument,
    at: Annotated[datetime, typer.Option("--at", formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M%z"])],
    version: VersionOption = None,
) -> None:
    """Have the approved version published at a time (UTC unless it names a zone, `…T09:00+0100`)."""
    from cryptocontent.content.review import schedule as plan

    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    _decide(article, version, lambda session, found, seen, person: plan(session, found, seen, moment, person))


@app.command("unschedule")
@command
def unschedule(article: ArticleArgument) -> None:
    """Take a planned publication back; the approval stays."""
    from cryptocontent.content.review import unschedule as cancel

    _decide(article, None, lambda session, found, _, person: cancel(session, found, person))


@app.command("archive")
@command
def archive(article: ArticleArgument, reason: ReasonOption) -> None:
    """Put an article away, and take it back from where it was delivered."""
    from cryptocontent.content.review import archive as put_away

    _decide(article, None, lambda session, found, _, person: put_away(session, found, reason, person))
    _hand_over(article)


def _hand_over(article: str) -> None:
    """Deliver what a decision put into the outbox, and say where it went."""
    from cryptocontent.cli.publishing import hand_over, tell_what_waits
    from cryptocontent.content.articles import find_article
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_article(session, article)
    outcomes = hand_over(found.project_id, [found.id])
    tried = {one.target for one in outcomes}
    tell_what_waits(found.id, found.project_id, tried)


@app.command("reopen")
@command
def reopen(article: ArticleArgument, reason: ReasonOption) -> None:
    """Take an article back into work; what is live stays live until the next publication."""
    from cryptocontent.content.review import reopen_by

    _decide(article, None, lambda session, found, _, person: reopen_by(session, found, reason, person))


def _decide(article: str, version: str | None, decide: Callable[..., Any]) -> None:
    """Carry a review action out and print the state; a refusal by findings is exit code 1."""
    from cryptocontent.content.review import pending_sections

    with acting(article) as (session, found, person):
        seen = looked_at(session, found, version)
        decision = decide(session, found, seen.id, person)
        blockers = [*decision.blockers] if decision is not None else []
        pending = [section.name for section in pending_sections(session, found)]
        status, slug, number = found.status, found.slug, seen.number
    for one in blockers:
        print_finding(one)
    if blockers:
        typer.secho(
            f"{slug}: refused by {count_of(len(blockers), 'blocking finding')}; it is {status}", err=True
        )
        raise typer.Exit(1)
    waiting = f"; not approved yet: {', '.join(pending)}" if pending and status == "in_review" else ""
    typer.echo(f"{slug}: {status} (version {number}){waiting}")


@app.command("regenerate")
@command
def regenerate(
    article: ArticleArgument,
    stage: Annotated[list[str], typer.Option("--stage", help="Stage to redo; those after it follow.")],
    instruction: Annotated[str, typer.Option("--instruction", help="What to do, for the stage.")] = "",
) -> None:
    """Have stages do their work again, with an instruction. The old versions stay."""
    from cryptocontent.agents.regeneration import ask_again
    from cryptocontent.cli.generate import generate_briefs

    with acting(article) as (session, found, person):
        before = looked_at(session, found, None).number
        brief = ask_again(session, found, stage, instruction, person)
        project, slug = found.project_id, found.slug
    generate_briefs(project, [brief])
    typer.echo(f"what changed: cryptocontent article diff {slug} {before}")


@app.command("quality")
@command
def quality(
    articles: Annotated[
        list[str] | None, typer.Argument(metavar="ARTICLE…", help="Which (default: all).")
    ] = None,
    project: ProjectOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="Also write the table to this CSV file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the quality numbers of articles, and their means over the batch."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.content.quality import MEASURES, quality_rows, summary
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        ids: Sequence[str] | None = None
        if articles:
            named = [find_article(session, one) for one in articles]
            ids, name = [one.id for one in named], named[0].project_id
        else:
            name = current.project(project)
        rows = quality_rows(session, name, ids)
    if to:
        import csv

        with to.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["slug", "status", "version", *MEASURES])
            writer.writeheader()
            writer.writerows(
                {key: row[key] for key in ("slug", "status", "version", *MEASURES)} for row in rows
            )
    total = summary(rows)
    if as_json:
        print_json({"articles": rows, "batch": total})
        return
    shown = [*rows, total | {"slug": f"mean of {len(rows)}"}] if rows else []
    shown = [row | {name: _short(name, row[name]) for name in MEASURES} for row in shown]
    headings = {"slug": "Article"} | MEASURES
    print_rows(shown, headings, as_json=False, empty="no articles yet: `cryptocontent generate --all`")


def _short(name: str, value: float | None) -> str:
    """A measure in few characters: shares as percentages."""
    if value is None:
        return ""
    if name in ("words", "flesch_reading_ease"):
        return f"{value:.0f}"
    return f"{value:.1f}" if name == "flesch_kincaid_grade" else f"{value:.0%}"
