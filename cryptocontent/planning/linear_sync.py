"""A look at a watched team: what changed there, the roadmap, and what Linear has to be told.

Every page of issues is saved together with the cursor behind it, so that a process may be killed anywhere.
Issues come newest first: one that changes while pages are read moves in front, and is found by the next look,
which begins a little before the newest one that this look saw.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import lock
from cryptocontent.errors import Explained
from cryptocontent.integrations.linear import PAGE, Issue, Linear, Missing, Rejected, off, open_linear
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.planning.linear_issues import (
    ACTOR,
    Applied,
    apply_again,
    apply_issues,
    reopened,
    set_removed,
)
from cryptocontent.planning.linear_sources import as_row, concerns_us
from cryptocontent.planning.linear_states import due_pushes, tell, write_down
from cryptocontent.planning.roadmap import save_roadmap
from cryptocontent.settings import Settings
from cryptocontent.storage.database import reading, writing
from cryptocontent.storage.models import LinearIssue, Source
from cryptocontent.storage.types import utc_now

OVERLAP = timedelta(minutes=2)
"""How far before the newest issue that was seen the next look begins: Linear's servers may tell of a change a
little after the time that it bears."""
ROADMAP_EVERY = timedelta(minutes=15)


@dataclass(slots=True)
class Synced:
    """What a look did: how many issues had which outcome, how many pages were read, campaigns changed and
    issues were told of; `more` if it ran out of time; `error` if it could not go on, and why."""

    counts: Counter[str] = field(default_factory=Counter)
    pages: int = 0
    campaigns: int = 0
    told: int = 0
    more: bool = False
    error: str = ""

    def values(self) -> dict[str, Any]:
        """What was done, as plain values."""
        return {
            "issues": dict(self.counts),
            "pages": self.pages,
            "campaigns": self.campaigns,
            "told": self.told,
            "more": self.more,
            "error": self.error,
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()) if count)
        return self.error or f"{counts or 'no issue changed'}; {self.told} told"


class _Outpaced(Exception):
    """Another process looks at the source, or a person took it away."""


def sync_source(
    engine: Engine,
    settings: Settings,
    source_id: str,
    *,
    seconds: float,
    full: bool = False,
    patience: float = 5.0,
) -> Synced:
    """Look at a watched team for about so many seconds. `full`: look at every issue that concerns us,
    whatever was seen before. `patience`: seconds to wait for rate limits. What stops it stands in `error`, of
    the result and of the source."""
    synced = Synced()
    look = _Look(engine, settings, source_id, time.monotonic() + seconds, synced)
    try:
        if why := off(settings):
            raise Unavailable(why)
        look.check_patience()
        with open_linear(settings, patience) as linear:
            look.read_roadmap(linear)
            look.read_issues(linear, full)
            look.read_roadmap(linear)  # an issue may have named a campaign that is new
            look.apply_reopened()
            look.tell(linear)
    except _Outpaced:
        synced.more = True
        return synced
    except Unavailable as error:
        synced.error = str(error)
        look.wait(error.seconds)
    except Explained as error:
        synced.error = str(error)
    with writing(engine) as session:
        values = {"checked_at": utc_now(), "error": synced.error}
        session.execute(update(Source).filter_by(id=source_id).values(**values))
    return synced


@dataclass(slots=True)
class _Look:
    engine: Engine
    settings: Settings
    source_id: str
    deadline: float
    synced: Synced

    def _source(self) -> Source:
        with reading(self.engine) as session:
            return session.get_one(Source, self.source_id)

    def _late(self) -> bool:
        if time.monotonic() > self.deadline:
            self.synced.more = True
        return self.synced.more

    def _locked(self, session: Session, project_id: str, walk: Any = ...) -> Source:
        """The source, which nobody else changes until the transaction ends: the project first, as everybody
        does. `_Outpaced` if it is not active, or reads elsewhere than at `walk` by now."""
        lock(session, project_id)
        source = session.scalars(select(Source).filter_by(id=self.source_id).with_for_update()).one()
        session.refresh(source)
        if source.status != "active" or (walk is not ... and source.cursor.get("walk") != walk):
            raise _Outpaced
        return source

    def check_patience(self) -> None:
        """Linear asked to be left alone for a while: `Unavailable` until then."""
        until = self._source().cursor.get("wait_until")
        if until and (left := (datetime.fromisoformat(until) - utc_now()).total_seconds()) > 0:
            raise Unavailable(f"Linear asked for patience, for {left:.0f} s more", left)

    def wait(self, seconds: float | None) -> None:
        """Remember until when Linear wants to be left alone."""
        if not seconds:
            return
        with writing(self.engine) as session:
            source = session.scalars(select(Source).filter_by(id=self.source_id).with_for_update()).one()
            until = utc_now() + timedelta(seconds=seconds)
            source.cursor = source.cursor | {"wait_until": until.isoformat()}

    def read_roadmap(self, linear: Linear) -> None:
        """Read the workflow and, if it is wanted, the roadmap: every quarter of an hour, and when a webhook
        or an issue says that it changed."""
        source = self._source()
        read_at = source.cursor.get("roadmap_at")
        if read_at and utc_now() - datetime.fromisoformat(read_at) < ROADMAP_EVERY:
            return
        now = utc_now().isoformat()
        team, on = source.config["team_id"], source.config["roadmap"]
        workflow = [as_row(state) for state in linear.states(team)]
        projects = linear.projects(team) if on else []
        cycles = linear.cycles(team) if on else []
        with writing(self.engine) as session:
            source = self._locked(session, source.project_id)
            source.cursor = source.cursor | {"roadmap_at": now, "workflow": workflow}
            zone = source.config["timezone"]
            changed = save_roadmap(session, source.project_id, projects, cycles, zone, ACTOR) if on else 0
            if changed:
                rows = session.scalars(
                    select(LinearIssue).where(
                        LinearIssue.source_id == source.id, LinearIssue.status == "brief"
                    )
                ).all()
                apply_again(session, source, rows, self.settings.batch_size)
        self.synced.campaigns += changed

    def read_issues(self, linear: Linear, full: bool) -> None:
        """Read what changed, page by page."""
        source = self._source()
        walk = source.cursor.get("walk")
        if full or walk is None:
            begun = _begin(linear, source, full)
            with writing(self.engine) as session:
                source = self._locked(session, source.project_id, ... if full else walk)
                source.cursor = source.cursor | {"walk": begun}
            walk = begun
        while walk is not None:
            known = walk["phase"] == "known"
            walk = self._known(linear, source, walk) if known else self._page(linear, source, walk)
            if walk is not None and self._late():
                return

    def _page(self, linear: Linear, source: Source, walk: Mapping[str, Any]) -> dict[str, Any] | None:
        """Apply a page of issues; returns the walk from there, None at its end."""
        config, whole = source.config, walk["phase"] == "all"
        since = datetime.fromisoformat(walk["since"]) if walk["since"] else None
        wanted = {"label_id": config["label_id"], "project_id": config["project_id"]} if whole else {}
        try:
            page = linear.issues(config["team_id"], since=since, after=walk["after"], **wanted)
        except (Missing, Rejected):
            if not walk["after"]:
                raise
            # The issue to which the page's cursor points is gone: begin again.
            page = linear.issues(config["team_id"], since=since, **wanted)
        newest = walk["next"] or (page.issues[0].updated_at.isoformat() if page.issues else walk["since"])
        following: dict[str, Any] | None = {**walk, "after": page.after, "next": newest}
        if not page.after:
            following = {**walk, "phase": "known", "after": "", "next": newest} if whole else None
        self._save(source, walk, following, page.issues, newest, again=whole)
        return following

    def _known(self, linear: Linear, source: Source, walk: Mapping[str, Any]) -> dict[str, Any] | None:
        """Of the issues that concern us, look at the next few: those that left the label, or are gone."""
        query = (
            select(LinearIssue.issue_id)
            .where(LinearIssue.source_id == source.id, LinearIssue.status != "removed", concerns_us())
            .where(LinearIssue.issue_id > walk["after"])
            .order_by(LinearIssue.issue_id)
            .limit(PAGE)
        )
        with reading(self.engine) as session:
            ids = list(session.scalars(query))
        issues = linear.issues(source.config["team_id"], ids=ids).issues if ids else ()
        following = {**walk, "after": ids[-1]} if len(ids) == PAGE else None
        gone = set(ids) - {issue.id for issue in issues}
        # What still is ours was looked at just now: only a newer state is news.
        self._save(source, walk, following, issues, walk["next"], again=False, gone=gone)
        return following

    def _save(
        self,
        source: Source,
        walk: Mapping[str, Any],
        following: Mapping[str, Any] | None,
        issues: Sequence[Issue],
        newest: str,
        *,
        again: bool,
        gone: set[str] | None = None,
    ) -> None:
        """Issues and the cursor behind them, in one transaction."""
        with writing(self.engine) as session:
            source = self._locked(session, source.project_id, walk)
            # The oldest first, as they happened.
            ordered = sorted(issues, key=lambda issue: issue.updated_at)
            applied = apply_issues(session, source, ordered, batch_size=self.settings.batch_size, again=again)
            removed = set_removed(session, source, gone) if gone else 0
            cursor = source.cursor | {"walk": following}
            if following is None:
                cursor["since"] = newest
            if applied.unknown_campaign:
                cursor["roadmap_at"] = ""
            source.cursor = cursor
        self._count(applied)
        self.synced.pages += 1
        if removed:
            self.synced.counts["removed"] += removed

    def _count(self, applied: Applied) -> None:
        self.synced.counts += applied.counts
        for name in ("outdated", "elsewhere"):
            self.synced.counts.pop(name, None)

    def apply_reopened(self) -> None:
        """Apply what waited for articles to be reopened."""
        with reading(self.engine) as session:
            source = session.get_one(Source, self.source_id)
            waiting = bool(reopened(session, source.id))
        if not waiting:
            return
        with writing(self.engine) as session:
            source = self._locked(session, source.project_id)
            rows = reopened(session, source.id)
            self._count(apply_again(session, source, rows, self.settings.batch_size))

    def tell(self, linear: Linear) -> None:
        """Tell Linear how far the briefs are."""
        with reading(self.engine) as session:
            pushes = due_pushes(session, self.settings, session.get_one(Source, self.source_id))
        for number, push in enumerate(pushes, 1):
            error = tell(linear, push)
            if write_down(self.engine, self.source_id, push, error):
                self.synced.told += 1
            if number < len(pushes) and self._late():
                return


def _begin(linear: Linear, source: Source, full: bool) -> dict[str, Any]:
    """Where a look begins: at what changed since the one before or, the first time, with every issue that
    concerns us. What is newest then is asked for before, and is where the next look begins."""
    since = source.cursor.get("since")
    if full or since is None:
        newest = linear.newest(source.config["team_id"])
        return {"phase": "all", "since": "", "after": "", "next": newest.isoformat() if newest else ""}
    if not since:  # the team had no issue yet
        return {"phase": "changed", "since": "", "after": "", "next": ""}
    begin = datetime.fromisoformat(since) - OVERLAP
    return {"phase": "changed", "since": begin.isoformat(), "after": "", "next": ""}
