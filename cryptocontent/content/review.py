"""Review: the states of an article, who may move it from one to the next, and what stands in the way.

The table `TRANSITIONS` is the whole state machine. Guards come on top: nobody approves text of their
own, a blocking finding that is not waived stops approval and publication, and what can go stale is
checked again at that very moment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock, record
from cryptocontent.content import outbox
from cryptocontent.content.checking import Standing, check_version, standing_findings
from cryptocontent.content.sections import Section, sections
from cryptocontent.content.sources import targets_of
from cryptocontent.content.versions import StaleEdit, contributors_since_approval
from cryptocontent.errors import NotAllowed, Refused
from cryptocontent.identity import Permission, Person
from cryptocontent.storage.models import Approval, Article, Version
from cryptocontent.storage.types import utc_now

Status = Literal["draft", "in_review", "changes_requested", "approved", "scheduled", "published", "archived"]
Action = Literal[
    "submit", "request_changes", "approve", "schedule", "unschedule", "publish", "archive", "reopen"
]


@dataclass(frozen=True, slots=True)
class Transition:
    """An action: from which states, to which, and the permission that it takes."""

    sources: tuple[Status, ...]
    target: Status
    permission: Permission


TRANSITIONS: Mapping[Action, Transition] = {
    "submit": Transition(("draft", "changes_requested"), "in_review", "write"),
    "request_changes": Transition(("in_review", "approved", "scheduled"), "changes_requested", "review"),
    "approve": Transition(("in_review",), "approved", "review"),
    "schedule": Transition(("approved", "scheduled"), "scheduled", "review"),
    "unschedule": Transition(("scheduled",), "approved", "review"),
    "publish": Transition(("approved", "scheduled"), "published", "review"),
    "archive": Transition(
        ("draft", "in_review", "changes_requested", "approved", "published"), "archived", "review"
    ),
    "reopen": Transition(
        ("in_review", "approved", "scheduled", "published", "archived"), "changes_requested", "review"
    ),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an approval or publication went through, else the findings that stand in its way."""

    done: bool
    status: str
    blockers: tuple[Standing, ...] = ()
    sections: tuple[str, ...] = ()


def allowed_actions(article: Article, person: Person) -> list[Action]:
    """What this person's role and the article's state allow; guards may still refuse."""
    return [
        action
        for action, transition in TRANSITIONS.items()
        if article.status in transition.sources and _may(person, transition.permission)
    ]


def _may(person: Person, permission: Permission) -> bool:
    try:
        person.require(permission)
    except NotAllowed:
        return False
    return True


def submit(session: Session, article: Article, version_id: str, by: Person) -> None:
    """Hand a draft in for review."""
    _begin(session, article, "submit", by, version_id)
    _move(session, article, "submit", by.actor, {"version": version_id})


def request_changes(session: Session, article: Article, version_id: str, reason: str, by: Person) -> None:
    """Send an article back to its writers, with the reason."""
    _begin(session, article, "request_changes", by, version_id)
    _move(session, article, "request_changes", by.actor, {"reason": _said(reason), "version": version_id})


def approve(session: Session, article: Article, version_id: str, by: Person) -> Decision:
    """Approve the current version: every section that has no approval yet gets one. It is checked as it
    stands now; a blocking finding that is not waived stops it. Nobody approves a version that holds text
    of their own which nobody else has approved."""
    _begin(session, article, "approve", by, version_id)
    version = session.get_one(Version, version_id)
    if by.name in contributors_since_approval(session, version):
        raise NotAllowed(
            f"{by.name} wrote part of version {version.number} of {article.slug!r} since its last approval: "
            "somebody else has to approve it"
        )
    blockers = _recheck(session, article, version, "approval", by.actor)
    if blockers:
        return Decision(False, article.status, blockers)
    pending = pending_sections(session, article)
    for section in pending:
        session.add(
            Approval(
                article_id=article.id,
                section_hash=section.hash,
                section=section.name[:300],
                version_id=version.id,
                author=by.name,
            )
        )
    session.flush()
    names = tuple(section.name for section in pending)
    _move(session, article, "approve", by.actor, {"version": version_id, "sections": list(names)})
    return Decision(True, article.status, sections=names)


def schedule(session: Session, article: Article, version_id: str, at: datetime, by: Person) -> None:
    """Have the approved version published at `at` (aware, in the future)."""
    if at.tzinfo is None:
        raise Refused(f"time {at.isoformat()!r} has no time zone; give one such as 2026-12-01T09:00+00:00")
    if at <= utc_now():
        raise Refused(f"time {at.isoformat()!r} is past; allowed is a time in the future")
    _begin(session, article, "schedule", by, version_id)
    article.scheduled_at = at
    _move(session, article, "schedule", by.actor, {"version": version_id, "at": at.isoformat()})


def unschedule(session: Session, article: Article, by: Person) -> None:
    """Take a planned publication back; the approval stays."""
    _begin(session, article, "unschedule", by)
    article.scheduled_at = None
    _move(session, article, "unschedule", by.actor, {})


def publish(session: Session, article: Article, version_id: str, by: Person) -> Decision:
    """Hand the approved version to readers: it is live, and waits for delivery to every enabled target of
    the project. What can go stale is checked now: a blocker sends the article back to `changes_requested`,
    and is in the answer."""
    _begin(session, article, "publish", by, version_id)
    return _publish(session, article, by.actor)


def publish_due(session: Session, article: Article, now: datetime) -> Decision | None:
    """Publish a scheduled article whose time has come; `None` if it is not (or no longer) due."""
    lock(session, article.project_id)
    session.refresh(article)
    if article.status != "scheduled" or article.scheduled_at is None or article.scheduled_at > now:
        return None
    return _publish(session, article, Actor("sensor", "publications"))


def due(session: Session, now: datetime) -> list[str]:
    """The scheduled articles whose time has come, the most overdue first."""
    query = select(Article.id).where(Article.status == "scheduled", Article.scheduled_at <= now)
    return list(session.scalars(query.order_by(Article.scheduled_at, Article.id)))


def archive(session: Session, article: Article, reason: str, by: Person) -> None:
    """Put an article away, with the reason; what was live is so no longer, and is taken back from wherever it
    was delivered."""
    _begin(session, article, "archive", by)
    unpublished, article.published_version_id = article.published_version_id, None
    outbox.take_back(session, article)
    _move(session, article, "archive", by.actor, {"reason": _said(reason), "unpublished": unpublished})


def reopen(session: Session, article: Article, actor: Actor, reason: str) -> bool:
    """Send an article back for changes, whatever state it is in; what is live stays live. Returns whether
    that changed anything. The caller has checked the right to do so and holds the project's lock."""
    if article.status not in TRANSITIONS["reopen"].sources:
        return False
    _move(session, article, "reopen", actor, {"reason": reason})
    return True


def reopen_by(session: Session, article: Article, reason: str, by: Person) -> None:
    """`reopen` at a person's wish."""
    _begin(session, article, "reopen", by)
    reopen(session, article, by.actor, _said(reason))


def pending_sections(session: Session, article: Article) -> list[Section]:
    """The sections of the current version whose content nobody has approved: after an edit, only those
    that it changed."""
    if article.version_id is None:
        return []
    version = session.get_one(Version, article.version_id)
    targets = {number: target.id for number, target in targets_of(session, version).items()}
    approved = set(session.scalars(select(Approval.section_hash).filter_by(article_id=article.id)))
    return [section for section in sections(version.markdown, targets) if section.hash not in approved]


def _begin(
    session: Session, article: Article, action: Action, by: Person, version_id: str | None = None
) -> None:
    """The project's lock, then what the table says of role and state, then whether the version that the
    person looked at is still the current one."""
    transition = TRANSITIONS[action]
    by.require(transition.permission)
    lock(session, article.project_id)
    session.refresh(article)
    if article.status not in transition.sources:
        raise Refused(
            f"article {article.slug!r} is {article.status}: {action.replace('_', ' ')} needs "
            f"{' or '.join(transition.sources)}"
        )
    if version_id is None:
        return
    if article.version_id is None:
        raise Refused(f"article {article.slug!r} has no version yet")
    if version_id != article.version_id:
        seen = session.get(Version, version_id)
        raise StaleEdit(
            article,
            seen if seen and seen.article_id == article.id else None,
            session.get_one(Version, article.version_id),
        )


def _move(session: Session, article: Article, action: Action, actor: Actor, data: Mapping[str, Any]) -> None:
    before, article.status = article.status, TRANSITIONS[action].target
    article.updated_at = utc_now()
    if article.status != "scheduled":
        article.scheduled_at = None
    session.flush()
    record(
        session,
        article.project_id,
        actor,
        f"article.{_PAST[action]}",
        f"article:{article.id}",
        {"status": [before, article.status], **data},
    )


_PAST: Mapping[Action, str] = {
    "submit": "submitted",
    "request_changes": "changes_requested",
    "approve": "approved",
    "schedule": "scheduled",
    "unschedule": "unscheduled",
    "publish": "published",
    "archive": "archived",
    "reopen": "reopened",
}


def _recheck(
    session: Session, article: Article, version: Version, cause: str, actor: Actor
) -> tuple[Standing, ...]:
    """The blocking findings of a check made now; they are kept, and the refusal is audited."""
    check_version(session, article, version, cause)
    blockers = tuple(one for one in standing_findings(session, article.id, version.id) if one.blocks)
    if blockers:
        rules = [one.finding.rule for one in blockers]
        record(
            session,
            article.project_id,
            actor,
            f"article.{cause}_refused",
            f"article:{article.id}",
            {"version": version.id, "findings": rules},
        )
    return blockers


def _publish(session: Session, article: Article, actor: Actor) -> Decision:
    version = session.get_one(Version, article.version_id)
    missing = pending_sections(session, article)
    if missing:  # the state machine keeps this from happening; text must never go out unseen all the same
        raise Refused(f"article {article.slug!r}: not approved: {_names(missing)}")
    blockers = _recheck(session, article, version, "publication", actor)
    if blockers:
        reason = "; ".join(f"{one.finding.rule}: {one.finding.message}" for one in blockers[:5])
        reopen(session, article, actor, f"checked at publication: {reason}")
        return Decision(False, article.status, blockers)
    now = utc_now()
    article.published_version_id, article.published_at = version.id, now
    targets = outbox.targets_of_project(session, article.project_id)
    outbox.hand_out(session, article, version.id, actor, now, targets=targets)
    done = {"version": version.id, "content": version.content_hash, "targets": targets}
    _move(session, article, "publish", actor, done)
    return Decision(True, article.status)


def _names(pending: Sequence[Section]) -> str:
    return ", ".join(f"“{section.name}”" for section in pending)


def _said(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Refused("reason '': say why")
    return reason
