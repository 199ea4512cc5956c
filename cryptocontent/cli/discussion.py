"""`cryptocontent article comment …` and `… suggest …`: remarks and proposals on a place in the text."""

from typing import Annotated

import typer

from cryptocontent.cli.articles import ArticleArgument
from cryptocontent.cli.review import acting, looked_at
from cryptocontent.cli.session import JsonOption, command, current, print_json

app = typer.Typer(rich_markup_mode=None)
QuoteOption = Annotated[str, typer.Option("--quote", help="The text it is about, letter for letter.")]


@app.command("comment")
@command
def comment(
    article: ArticleArgument,
    body: Annotated[str, typer.Argument(help="What you have to say.")],
    quote: QuoteOption = "",
    reply_to: Annotated[int | None, typer.Option("--reply-to", help="The comment that it answers.")] = None,
) -> None:
    """Remark on a stretch of the current version, on the article, or on another comment."""
    from cryptocontent.content.comments import add_comment, find_quote

    with acting(article) as (session, found, person):
        version = looked_at(session, found, None)
        span = find_quote(version, quote) if quote else None
        number = add_comment(session, found, version, body, person, span=span, parent_id=reply_to).id
    typer.echo(f"comment {number}")


@app.command("comments")
@command
def comments(article: ArticleArgument, as_json: JsonOption = False) -> None:
    """Show all comments, with where their text stands now."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.content.comments import comments_on
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_article(session, article)
        version = looked_at(session, found, None)
        rows = [
            {
                "id": one.comment.id,
                "author": one.comment.author,
                "body": one.comment.body,
                "quote": one.comment.quote,
                "reply_to": one.comment.parent_id,
                "start": one.place.start if one.place else None,
                "end": one.place.end if one.place else None,
                "now": version.markdown[one.place.start : one.place.end] if one.place else None,
                "lost": one.lost,
                "resolved_by": one.comment.resolved_by,
            }
            for one in comments_on(session, found, version)
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = f" · resolved by {row['resolved_by']}" if row["resolved_by"] else ""
        answer = f" · answers {row['reply_to']}" if row["reply_to"] else ""
        typer.secho(f"{row['id']:>6} {row['author']}{answer}{state}", bold=True)
        typer.echo(f"       {row['body']}")
        if row["quote"]:
            gone = " (no longer in the text)" if row["lost"] else ""
            typer.secho(f"       “{row['now'] or row['quote']}”{gone}", dim=True)
    if not rows:
        typer.echo("no comments yet")


@app.command("resolve")
@command
def resolve(
    article: ArticleArgument,
    number: Annotated[int, typer.Argument(metavar="COMMENT")],
    again: Annotated[bool, typer.Option("--reopen", help="Open it again instead.")] = False,
) -> None:
    """Close a comment, or open it again. None is ever deleted."""
    from cryptocontent.content.comments import resolve_comment

    with acting(article) as (session, found, person):
        resolve_comment(session, found, number, person, resolved=not again)
    typer.echo(f"comment {number} is {'open' if again else 'resolved'}")


@app.command("suggest")
@command
def suggest(
    article: ArticleArgument,
    quote: QuoteOption,
    replace: Annotated[str, typer.Option("--replace", help="What should stand there instead.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")] = "",
) -> None:
    """Propose a change to the current version."""
    from cryptocontent.content.comments import find_quote
    from cryptocontent.content.comments import suggest as propose

    with acting(article) as (session, found, person):
        version = looked_at(session, found, None)
        span = find_quote(version, quote)
        number = propose(session, found, version, span, replace, person, reason=reason).id
    typer.echo(f"suggestion {number}")


@app.command("suggestions")
@command
def suggestions(article: ArticleArgument, as_json: JsonOption = False) -> None:
    """Show all suggestions, and whether they still fit the text."""
    from cryptocontent.content.articles import find_article
    from cryptocontent.content.comments import suggestions_on
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_article(session, article)
        rows = [
            {
                "id": one.suggestion.id,
                "author": one.suggestion.author,
                "before": one.suggestion.before,
                "after": one.suggestion.after,
                "reason": one.suggestion.reason,
                "status": one.suggestion.status,
                "applicable": one.applicable,
                "decided_by": one.suggestion.decided_by,
            }
            for one in suggestions_on(session, found, looked_at(session, found, None))
        ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        state = (
            row["status"] if row["status"] != "open" or row["applicable"] else "open, the text has changed"
        )
        typer.secho(f"{row['id']:>6} {row['author']} · {state}", bold=True)
        typer.secho(f"       - {row['before']}", fg="red")
        typer.secho(f"       + {row['after']}", fg="green")
        if row["reason"]:
            typer.secho(f"       {row['reason']}", dim=True)
    if not rows:
        typer.echo("no suggestions yet")


@app.command("accept")
@command
def accept(article: ArticleArgument, number: Annotated[int, typer.Argument(metavar="SUGGESTION")]) -> None:
    """Put a suggestion into the text, as a new version."""
    from cryptocontent.content.comments import accept_suggestion

    with acting(article) as (session, found, person):
        version = accept_suggestion(session, found, number, found.version_id or "", person)
        said = f"suggestion {number} accepted: version {version.number}; {found.status}"
    typer.echo(said)


@app.command("reject")
@command
def reject(article: ArticleArgument, number: Annotated[int, typer.Argument(metavar="SUGGESTION")]) -> None:
    """Leave the text as it is; the suggestion stays on record."""
    from cryptocontent.content.comments import reject_suggestion

    with acting(article) as (session, found, person):
        reject_suggestion(session, found, number, person)
    typer.echo(f"suggestion {number} rejected")
