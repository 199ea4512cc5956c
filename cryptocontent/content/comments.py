"""Comments on a place in an article, and suggestions to change one. Both survive edits.

Their place is kept in the version that they were made on; where it stands in a later version is found
again when it is asked for (`content.anchors`). A comment whose text is gone stays, with its quotation.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.audit import lock, record
from cryptocontent.content.anchors import Place, find_again
from cryptocontent.content.versions import save_version
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.storage.database import pairs
from cryptocontent.storage.models import Article, Comment, Suggestion, Version
from cryptocontent.storage.types import utc_now

_LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class PlacedComment:
    """A comment and where its text stands in the version that was asked for: `place` is none for a
    comment on the whole article, and for one whose text is gone (`lost`)."""

    comment: Comment
    place: Place | None
    lost: bool


@dataclass(frozen=True, slots=True)
class PlacedSuggestion:
    """A suggestion and where its text stands now; `applicable` if it still reads as it did."""

    suggestion: Suggestion
    place: Place | None

    @property
    def applicable(self) -> bool:
        """Whether it can be accepted."""
        return self.suggestion.status == "open" and self.place is not None and self.place.intact


def find_quote(version: Version, quote: str) -> tuple[int, int]:
    """The offsets of a quotation in a version; refused if it is not there or stands there twice."""
    start = version.markdown.find(quote) if quote else -1
    if start < 0:
        raise NotFound(f"quote {quote[:80]!r} does not stand in version {version.number}, letter for letter")
    if version.markdown.find(quote, start + 1) >= 0:
        raise Refused(f"quote {quote[:80]!r} stands in version {version.number} more than once: quote more")
    return start, start + len(quote)


def add_comment(
    session: Session,
    article: Article,
    version: Version,
    body: str,
    by: Person,
    *,
    span: tuple[int, int] | None = None,
    parent_id: int | None = None,
) -> Comment:
    """Remark on a stretch of a version (`span`, character offsets), on the whole of it, or on another
    comment."""
    by.require("write")
    body = _text("comment", body)
    if parent_id is not None:
        _comment(session, article, parent_id)
    start, end = _checked(version, span) if span else (None, None)
    lock(session, article.project_id)
    comment = Comment(
        article_id=article.id,
        version_id=version.id,
        parent_id=parent_id,
        author=by.name,
        body=body,
        quote=version.markdown[start:end] if span else "",
        start=start,
        end=end,
        created_at=utc_now(),
    )
    session.add(comment)
    session.flush()
    change = {"comment": comment.id, "version": version.number, "after": body, "quote": comment.quote[:500]}
    record(session, article.project_id, by.actor, "comment.added", f"article:{article.id}", change)
    return comment


def resolve_comment(
    session: Session, article: Article, comment_id: int, by: Person, *, resolved: bool = True
) -> Comment:
    """Close a comment's thread, or open it again (`resolved=False`). It is never deleted."""
    by.require("write")
    lock(session, article.project_id)
    comment = _comment(session, article, comment_id)
    session.refresh(comment)
    if (comment.resolved_at is not None) == resolved:
        return comment
    comment.resolved_by = by.name if resolved else None
    comment.resolved_at = utc_now() if resolved else None
    session.flush()
    action = "comment.resolved" if resolved else "comment.reopened"
    record(session, article.project_id, by.actor, action, f"article:{article.id}", {"comment": comment.id})
    return comment


def comments_on(session: Session, article: Article, version: Version) -> list[PlacedComment]:
    """All of the article's comments, oldest first, each with its place in `version`."""
    comments = list(session.scalars(select(Comment).filter_by(article_id=article.id).order_by(Comment.id)))
    texts = _texts(session, article)
    placed = []
    for comment in comments:
        if comment.start is None or comment.end is None:
            placed.append(PlacedComment(comment, None, False))
            continue
        place = find_again(texts[comment.version_id], version.markdown, comment.start, comment.end)
        placed.append(PlacedComment(comment, place, place is None))
    return placed


def suggest(
    session: Session,
    article: Article,
    version: Version,
    span: tuple[int, int],
    after: str,
    by: Person,
    *,
    author_kind: Literal["person", "stage"] = "person",
    reason: str = "",
) -> Suggestion:
    """Propose `after` in the place of a stretch of a version."""
    by.require("write")
    start, end = _checked(version, span)
    before = version.markdown[start:end]
    if after == before:
        raise Refused("the suggestion changes nothing")
    if len(after) > _LONGEST:
        raise Refused(f"the suggestion has {len(after)} characters; allowed are {_LONGEST}")
    lock(session, article.project_id)
    suggestion = Suggestion(
        article_id=article.id,
        version_id=version.id,
        author_kind=author_kind,
        author=by.name,
        start=start,
        end=end,
        before=before,
        after=after,
        reason=reason.strip(),
        created_at=utc_now(),
    )
    session.add(suggestion)
    session.flush()
    change = {"suggestion": suggestion.id, "version": version.number, "before": before, "after": after}
    record(session, article.project_id, by.actor, "suggestion.made", f"article:{article.id}", change)
    return suggestion


def accept_suggestion(
    session: Session, article: Article, suggestion_id: int, base_version_id: str, by: Person
) -> Version:
    """Put a suggestion's words in, as a new version by whoever accepts; the suggester is among its
    contributors. Refused if the text that it was about is no longer there as it was."""
    by.require("write")
    lock(session, article.project_id)
    suggestion = _open_suggestion(session, article, suggestion_id)
    base = session.get(Version, base_version_id)
    if base is None or base.article_id != article.id:
        raise NotFound(f"article {article.slug!r} has no version {base_version_id!r}")
    made_on = session.get_one(Version, suggestion.version_id)
    place = find_again(made_on.markdown, base.markdown, suggestion.start, suggestion.end)
    if place is None or not place.intact:
        raise Refused(
            f"suggestion {suggestion_id} is about “{suggestion.before[:80]}”, which no longer stands there: "
            "reject it, or make it anew"
        )
    text = base.markdown[: place.start] + suggestion.after + base.markdown[place.end :]
    version = save_version(
        session,
        article,
        base_version_id,
        text,
        by,
        origin={"suggestion": suggestion.id},
        contributors=[suggestion.author] if suggestion.author_kind == "person" else [],
    )
    if version.id == base.id:
        raise Refused(f"suggestion {suggestion_id} changes nothing of the text: reject it")
    _decide(session, article, suggestion, "accepted", by, version.id)
    return version


def reject_suggestion(session: Session, article: Article, suggestion_id: int, by: Person) -> None:
    """Leave the text as it is; the suggestion stays on record."""
    by.require("write")
    lock(session, article.project_id)
    suggestion = _open_suggestion(session, article, suggestion_id)
    _decide(session, article, suggestion, "rejected", by, None)


def suggestions_on(session: Session, article: Article, version: Version) -> list[PlacedSuggestion]:
    """All of the article's suggestions, oldest first, each with its place in `version`."""
    query = select(Suggestion).filter_by(article_id=article.id).order_by(Suggestion.id)
    texts = _texts(session, article)
    return [
        PlacedSuggestion(one, find_again(texts[one.version_id], version.markdown, one.start, one.end))
        for one in session.scalars(query)
    ]


def _decide(
    session: Session,
    article: Article,
    suggestion: Suggestion,
    status: str,
    by: Person,
    version_id: str | None,
) -> None:
    suggestion.status, suggestion.decided_by, suggestion.decided_at = status, by.name, utc_now()
    suggestion.decided_version_id = version_id
    session.flush()
    change = {"suggestion": suggestion.id, "before": suggestion.before, "after": suggestion.after}
    record(session, article.project_id, by.actor, f"suggestion.{status}", f"article:{article.id}", change)


def _open_suggestion(session: Session, article: Article, suggestion_id: int) -> Suggestion:
    suggestion = session.get(Suggestion, suggestion_id, populate_existing=True)
    if suggestion is None or suggestion.article_id != article.id:
        raise NotFound(f"article {article.slug!r} has no suggestion {suggestion_id}")
    if suggestion.status != "open":
        raise Refused(f"suggestion {suggestion_id} is {suggestion.status} already by {suggestion.decided_by}")
    return suggestion


def _comment(session: Session, article: Article, comment_id: int) -> Comment:
    comment = session.get(Comment, comment_id)
    if comment is None or comment.article_id != article.id:
        raise NotFound(f"article {article.slug!r} has no comment {comment_id}")
    return comment


def _texts(session: Session, article: Article) -> dict[str, str]:
    """The Markdown of the versions that comments and suggestions were made on."""
    wanted = select(Comment.version_id).filter_by(article_id=article.id)
    wanted_too = select(Suggestion.version_id).filter_by(article_id=article.id)
    rows = session.execute(
        select(Version.id, Version.markdown).where(Version.id.in_(wanted) | Version.id.in_(wanted_too))
    )
    return pairs(rows)


def _checked(version: Version, span: tuple[int, int]) -> tuple[int, int]:
    start, end = span
    if not 0 <= start < end <= len(version.markdown):
        raise Refused(
            f"span {start}–{end}: allowed are stretches within 0 and {len(version.markdown)} of version "
            f"{version.number}"
        )
    return start, end


def _text(what: str, text: str) -> str:
    text = text.strip()
    if not text or len(text) > _LONGEST:
        raise Refused(f"{what}: 1 to {_LONGEST} characters, not {len(text)}")
    return text
