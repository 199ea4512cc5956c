"""Random actions of all roles on one article: no illegal state, no approval by an author, no lost comment."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cryptocontent.audit import verify
from cryptocontent.content import comments, review
from cryptocontent.content.checking import standing_findings, waive
from cryptocontent.content.versions import restore, save_version
from cryptocontent.errors import Conflict, NotAllowed, NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.storage import migrate, open_engine, reading, writing
from cryptocontent.storage.models import (
    Approval,
    Article,
    AuditEntry,
    Comment,
    Publication,
    Suggestion,
    Version,
)
from tests.content.articles import PEOPLE, make_article
from tests.content.test_review import MAY_REVIEW, MAY_WRITE, MOVES, STATES, perform


class Newsroom(RuleBasedStateMachine):
    """Everybody tries everything, in any order, on one article. The machine keeps books of its own."""

    pristine: Path
    folder: Path
    number = 0

    @initialize()
    def open(self) -> None:
        Newsroom.number += 1
        path = self.folder / f"{Newsroom.number}.db"
        shutil.copy(self.pristine, path)
        self.engine = open_engine(f"sqlite:///{path}")
        self.remarks = 0
        self.proposals = 0
        self.last_seen = "v1"
        self.published: list[str] = []
        # version → people whose words are in it and were not approved by somebody else since
        self.unapproved: dict[str, set[str]] = {"v1": set()}
        self.texts: dict[str, str] = {}

    def _attempt(self, act: Callable[[Session, Article], Any]) -> Any:
        """The act's result, or None if it was refused: then nothing may have changed."""
        before = self._books()
        try:
            with writing(self.engine) as session:
                return act(session, session.get_one(Article, "a"))
        except (Refused, NotAllowed, NotFound, Conflict):
            assert self._books() == before, "a refused action leaves everything as it was"
            return None

    def _books(self) -> tuple[Any, ...]:
        with reading(self.engine) as session:
            article = session.get_one(Article, "a")
            tables = (Version, Comment, Suggestion, Approval, AuditEntry, Publication)
            counts = tuple(session.scalar(select(func.count()).select_from(table)) for table in tables)
            return (article.status, article.version_id, article.published_version_id, *counts)

    def _state(self) -> tuple[str, str]:
        with reading(self.engine) as session:
            article = session.get_one(Article, "a")
            return article.status, article.version_id or ""

    @rule(action=st.sampled_from(sorted(MOVES)), person=st.sampled_from(PEOPLE), stale=st.booleans())
    def review(self, action: str, person: Person, stale: bool) -> None:
        state, current = self._state()
        seen = self.last_seen if stale else current
        sources, target, roles = MOVES[action]
        by_table = person.role in roles and state in sources
        decision = self._attempt(lambda session, article: perform(session, article, action, person, seen))
        after, _ = self._state()
        if not by_table or (seen != current and action not in ("unschedule", "archive", "reopen")):
            assert after == state
            return
        if action == "approve":
            own = person.name in self.unapproved[current]
            assert decision is None if own else decision is not None
            if decision is not None and decision.done:
                assert after == "approved"
                self.unapproved[current] = set()
            else:
                assert after == "in_review"
        elif action == "publish":
            assert decision is not None
            assert after == ("published" if decision.done else "changes_requested")
            if decision.done:
                self.published.append(current)
        else:
            assert after == target

    @rule(
        person=st.sampled_from(PEOPLE),
        word=st.sampled_from(["Fees", "Costs", "Prices", "Gas"]),
        wrong=st.booleans(),
        stale=st.booleans(),
    )
    def edit(self, person: Person, word: str, wrong: bool, stale: bool) -> None:
        state, current = self._state()
        base = self.last_seen if stale else current

        def act(session: Session, article: Article) -> Version:
            text = session.get_one(Version, base).markdown
            lines = [f"# {word}", *text.splitlines()[1:]]
            text = "\n".join(lines).replace("4096", "5000") if wrong else "\n".join(lines)
            return save_version(session, article, base, text, person)

        version = self._attempt(act)
        allowed = person.role in MAY_WRITE and state != "archived" and base == current
        assert (version is not None) == allowed
        if version is not None and version.id != current:
            self._saved(version.id, current, {person.name})
            after, newest = self._state()
            assert newest == version.id
            assert after == ("in_review" if state in ("approved", "scheduled", "published") else state)

    def _saved(self, version: str, parent: str, people: set[str]) -> None:
        self.unapproved[version] = self.unapproved[parent] | people

    @rule(person=st.sampled_from(PEOPLE), number=st.integers(1, 3))
    def go_back(self, person: Person, number: int) -> None:
        _, current = self._state()
        with reading(self.engine) as session:
            old = session.scalar(select(Version.id).filter_by(article_id="a", number=number))
        if old is None:
            return
        version = self._attempt(
            lambda session, article: restore(session, article, current, session.get_one(Version, old), person)
        )
        if version is not None and version.id != current:
            self._saved(version.id, current, {person.name} | self.unapproved[old])

    @rule(person=st.sampled_from(PEOPLE), quote=st.sampled_from(["field elements", "burned", "12 seconds"]))
    def comment(self, person: Person, quote: str) -> None:
        def act(session: Session, article: Article) -> Comment:
            version = session.get_one(Version, article.version_id)
            span = comments.find_quote(version, quote)
            return comments.add_comment(session, article, version, "why?", person, span=span)

        if self._attempt(act) is not None:
            assert person.role in MAY_WRITE
            self.remarks += 1

    @rule(person=st.sampled_from(PEOPLE), which=st.integers(1, 4))
    def resolve(self, person: Person, which: int) -> None:
        self._attempt(lambda session, article: comments.resolve_comment(session, article, which, person))

    @rule(person=st.sampled_from(PEOPLE), words=st.sampled_from(["was burned", "is destroyed"]))
    def suggest(self, person: Person, words: str) -> None:
        def act(session: Session, article: Article) -> Suggestion:
            version = session.get_one(Version, article.version_id)
            span = comments.find_quote(version, "is burned")
            return comments.suggest(session, article, version, span, words, person)

        if self._attempt(act) is not None:
            self.proposals += 1

    @precondition(lambda self: self.proposals)
    @rule(person=st.sampled_from(PEOPLE), which=st.integers(1, 4), accept=st.booleans())
    def decide(self, person: Person, which: int, accept: bool) -> None:
        _, current = self._state()
        if not accept:
            self._attempt(
                lambda session, article: comments.reject_suggestion(session, article, which, person)
            )
            return
        version = self._attempt(
            lambda session, article: comments.accept_suggestion(session, article, which, current, person)
        )
        if version is not None:
            with reading(self.engine) as session:
                author = session.get_one(Suggestion, which).author
            self._saved(version.id, current, {person.name, author})

    @rule(person=st.sampled_from(PEOPLE))
    def waive(self, person: Person) -> None:
        def act(session: Session, article: Article) -> Any:
            standing = standing_findings(session, "a", article.version_id or "")
            blocking = next((one for one in standing if one.blocks), None)
            if blocking is None:
                raise NotFound("nothing blocks")
            return waive(session, article, blocking.finding.id, "we know better here", person)

        assert self._attempt(act) is None or person.role in MAY_REVIEW

    @rule()
    def look(self) -> None:
        self.last_seen = self._state()[1]

    @invariant()
    def nothing_that_must_never_be(self) -> None:
        if not hasattr(self, "engine"):
            return
        with reading(self.engine) as session:
            article = session.get_one(Article, "a")
            assert article.status in STATES
            version = session.get_one(Version, article.version_id)
            placed = comments.comments_on(session, article, version)
            assert len(placed) == self.remarks, "no comment is lost"
            for one in placed:
                there = one.place and version.markdown[one.place.start : one.place.end]
                assert one.lost or there, "a comment has its place, or is known to have lost it"
            if article.status in ("approved", "scheduled"):
                assert not review.pending_sections(session, article)
            if article.published_version_id:
                assert article.published_version_id in self.published
            assert (article.status == "scheduled") == (article.scheduled_at is not None)

    def teardown(self) -> None:
        if hasattr(self, "engine"):
            with reading(self.engine) as session:
                assert verify(session, "p").broken_at is None
                for approval in session.scalars(select(Approval)):
                    approved = session.get_one(Version, approval.version_id)
                    assert approval.author != approved.author
            self.engine.dispose()


def test_random_actions_of_all_roles(tmp_path: Path) -> None:
    pristine = tmp_path / "pristine.db"
    engine = open_engine(f"sqlite:///{pristine}")
    migrate(engine)
    make_article(engine)
    engine.dispose()  # the last connection that closes writes everything into the one file
    Newsroom.pristine, Newsroom.folder = pristine, tmp_path
    run_state_machine_as_test(
        Newsroom,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
