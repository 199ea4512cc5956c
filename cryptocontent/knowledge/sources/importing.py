"""Importing what was found at sources: fetch, load, save as references.

An item is marked as imported in the transaction that saves its reference. Whoever dies in between leaves it
due; whoever fetches it a second time finds that its reference says the same already.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from threading import local
from typing import Any

from sqlalchemy import Engine, and_, or_, select, update
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, lock
from cryptocontent.errors import Refused
from cryptocontent.knowledge.loaders import IMPORT_VERSION, LoadedDocument, UnreadableDocument, load_data
from cryptocontent.knowledge.market_facts import import_facts
from cryptocontent.knowledge.saving import ImportReport, Incoming, Key, save_documents
from cryptocontent.knowledge.sources import KINDS, open_kind
from cryptocontent.knowledge.sources.seam import (
    Content,
    Document,
    Facts,
    Gone,
    Ignored,
    Kind,
    Look,
    Unavailable,
)
from cryptocontent.knowledge.sources.store import Looked, is_due, leave, look_at, watched
from cryptocontent.settings import Settings
from cryptocontent.storage.database import DatabaseUnavailable, pairs, reading, writing
from cryptocontent.storage.models import Reference, Source, SourceItem
from cryptocontent.storage.object_store import ObjectStore
from cryptocontent.storage.types import utc_now

_ITEMS_PER_TRANSACTION = 20
_FIRST_WAIT, _LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=6)
_LONGEST_PATIENCE = 86_400.0
log = logging.getLogger(__name__)
Progress = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class _Trouble:
    """An item was not imported. `again`: whether a later try may help, in so many seconds if it is known."""

    reason: str
    again: bool
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _Loaded:
    content: Document
    document: LoadedDocument


def refresh_sources(
    engine: Engine,
    objects: ObjectStore,
    settings: Settings,
    project_id: str,
    actor: Actor,
    *,
    seconds: float,
    full: bool = False,
    names: Collection[str] = (),
    on_progress: Progress = lambda done, name: None,
) -> tuple[dict[str, Looked], ImportReport]:
    """Look at a project's active sources (those of these names, if any is given) and import what is due, for
    about so many seconds in all. `full`: list everything anew. What each look did is told by its name."""
    deadline = time.monotonic() + seconds
    sources = [one for one in watched(engine, list(KINDS), project_id) if not names or one.name in names]
    looked = {
        source.name: look_at(
            engine,
            settings,
            source.id,
            seconds=max(1.0, deadline - time.monotonic()),
            full=full,
            actor=actor,
        )
        for source in sources
    }
    report = import_items(
        engine,
        objects,
        settings,
        project_id,
        [source.id for source in sources],
        actor,
        seconds=max(1.0, deadline - time.monotonic()),
        on_progress=on_progress,
    )
    return looked, report


def import_items(
    engine: Engine,
    objects: ObjectStore,
    settings: Settings,
    project_id: str,
    source_ids: Sequence[str],
    actor: Actor,
    *,
    seconds: float,
    on_progress: Progress = lambda done, name: None,
) -> ImportReport:
    """Import the due items of these sources, for about so many seconds; the rest stays due. A source that
    asks for patience is left alone for the rest of this call."""
    deadline, report = time.monotonic() + seconds, ImportReport()
    done = 0
    for source_id in source_ids:
        with reading(engine) as session:
            source = session.get_one(Source, source_id)
        if source.status != "active" or source.project_id != project_id:
            continue
        kind = open_kind(source.kind)
        if off := kind.off(settings):
            report.problems.append((source.name, off))
            continue
        batch = _Batch(engine, objects, settings, source, kind, actor, report)
        while time.monotonic() < deadline and (items := _due(engine, source_id)):
            on_progress(done, items[0].name)
            done += len(items)
            if not batch.take(items):
                break
    return report


def _due(engine: Engine, source_id: str) -> list[SourceItem]:
    query = select(SourceItem).where(SourceItem.source_id == source_id, is_due(utc_now()))
    order = (SourceItem.status.desc(), SourceItem.updated_at, SourceItem.external_id)  # new ones first
    with reading(engine) as session:
        return list(session.scalars(query.order_by(*order).limit(_ITEMS_PER_TRANSACTION)))


class _Batch:
    """What is the same for all items of one source."""

    def __init__(
        self,
        engine: Engine,
        objects: ObjectStore,
        settings: Settings,
        source: Source,
        kind: Kind,
        actor: Actor,
        report: ImportReport,
    ) -> None:
        self.engine, self.objects, self.settings = engine, objects, settings
        self.source, self.kind, self.actor, self.report = source, kind, actor, report
        self._look = Look(
            settings, source.id, source.project_id, source.config, source.cursor, lambda: self._known()
        )
        self._threads = local()

    def _known(self) -> dict[str, dict[str, Any]]:
        query = select(SourceItem.external_id, SourceItem.details)
        with reading(self.engine) as session:
            rows = session.execute(query.filter_by(source_id=self.source.id))
            return pairs(rows)

    def take(self, items: Sequence[SourceItem]) -> bool:
        """Fetch and save some items. Whether the source may be asked for more now."""
        if self.kind.workers > 1:
            with ThreadPoolExecutor(self.kind.workers) as pool:
                results = list(pool.map(self._fetch, items))
        else:
            results = []
            for item in items:
                results.append(self._fetch(item))
                if _asks_for_patience(results[-1]):
                    break  # the others were not asked for
        loaded: list[tuple[SourceItem, _Loaded]] = []
        for item, result in zip(items, results, strict=False):
            if isinstance(result, _Loaded):
                loaded.append((item, result))
            elif isinstance(result, Facts):
                try:
                    self._save_facts(item, result)
                except DatabaseUnavailable:
                    raise
                except Exception as error:
                    self._cannot_be_saved(item, error)
            else:
                self._settle(item, result)
        if loaded:
            self._save_or_tell(loaded)
        patience = [one.seconds for one in results if isinstance(one, _Trouble) and one.seconds is not None]
        if patience:
            self._wait(max(patience))
        return not any(map(_asks_for_patience, results)) and not all(map(_failed, results))

    def _fetch(self, item: SourceItem) -> "Content | _Loaded | _Trouble":
        if not hasattr(self._threads, "fetch"):
            self._threads.fetch = self.kind.fetcher(self._look)
        try:
            content: Content = self._threads.fetch(item)
            if isinstance(content, Document):
                return _Loaded(content, self._load(content))
        except UnreadableDocument as error:
            return _Trouble(error.reason, again=False)
        except Refused as error:
            return _Trouble(str(error), again=False)
        except Unavailable as error:
            return _Trouble(str(error), again=True, seconds=error.seconds)
        except Exception as error:  # of one item: the others go on, and it is tried again
            log.exception("item %s of source %s", item.external_id, item.source_id)
            return _Trouble(f"unexpected {type(error).__name__}; the log says more", again=True)
        return content

    def _load(self, content: Document) -> LoadedDocument:
        return load_data(content.name, content.data, self.settings.max_document_bytes, content.metadata)

    def _save_or_tell(self, loaded: Sequence[tuple[SourceItem, _Loaded]]) -> None:
        """Save, one by one where they can't be saved together, so that one bad item stops no other."""
        try:
            self._save(loaded)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if len(loaded) > 1:
                for one in loaded:
                    self._save_or_tell([one])
                return
            self._cannot_be_saved(loaded[0][0], error)

    def _cannot_be_saved(self, item: SourceItem, error: Exception) -> None:
        log.error("item %s of source %s", item.external_id, item.source_id, exc_info=error)
        reason = f"it can't be saved (unexpected {type(error).__name__}; the log says more)"
        self._settle(item, _Trouble(reason, again=True))

    def _wait(self, seconds: float) -> None:
        """The source asked for patience: none of its items is asked for before."""
        until = utc_now() + timedelta(seconds=min(seconds, _LONGEST_PATIENCE))
        with writing(self.engine) as session:
            session.execute(
                update(SourceItem)
                .filter_by(source_id=self.source.id)
                .where(is_due(utc_now()))
                .values(not_before=until)
            )

    def _save(self, loaded: Sequence[tuple[SourceItem, _Loaded]]) -> None:
        incoming = [
            Incoming(
                self.kind.references,
                one.content.external_id or item.external_id,
                _digest(one.document),
                one.document,
            )
            for item, one in loaded
        ]
        for item, one in loaded:
            self.report.warnings += [(item.name, warning) for warning in one.document.warnings]

        def wanted(session: Session) -> set[Key]:
            """All but what another importer has read in a newer revision meanwhile."""
            newer = set(
                session.scalars(
                    select(SourceItem.external_id).where(
                        SourceItem.source_id == self.source.id,
                        SourceItem.status == "imported",
                        or_(
                            *(
                                and_(
                                    SourceItem.external_id == item.external_id,
                                    SourceItem.revision != item.revision,
                                )
                                for item, _ in loaded
                            )
                        ),
                    )
                )
            )
            return {
                document.key
                for (item, _), document in zip(loaded, incoming, strict=True)
                if item.external_id not in newer
            }

        def mark(session: Session, ids: Mapping[Key, str]) -> None:
            for (item, one), document in zip(loaded, incoming, strict=True):
                if document.key in ids:
                    self._imported(session, item, one.content.details, ids[document.key])
            # Items that a look marked as gone while they were fetched take their reference along.
            gone = select(SourceItem.reference_id, SourceItem.error).where(
                SourceItem.source_id == self.source.id,
                SourceItem.external_id.in_([item.external_id for item, _ in loaded]),
                SourceItem.status.in_(("gone", "ignored")),
                SourceItem.reference_id.is_not(None),
            )
            late = {str(reference): reason for reference, reason in session.execute(gone).tuples()}
            # One that leads elsewhere by now (a page that moved) leaves the reference that it led to.
            for (item, _), document in zip(loaded, incoming, strict=True):
                if item.reference_id and item.reference_id != ids.get(document.key, item.reference_id):
                    late[item.reference_id] = f"it moved to {document.external_id}"
            leave(session, self.source.project_id, late, self.actor)

        # Several addresses of one page are one document, the one read last.
        documents = list({document.key: document for document in incoming}.values())
        save_documents(
            self.engine,
            self.objects,
            self.source.project_id,
            documents,
            self.actor,
            self.report,
            wanted=wanted,
            also=mark,
        )

    def _save_facts(self, item: SourceItem, facts: Facts) -> None:
        with writing(self.engine) as session:
            try:
                found = import_facts(session, self.source.project_id, facts.csv, self.actor)
            except Refused as error:
                trouble: str | None = str(error)
            else:
                more = f" (and {len(found.problems) - 1} more)" if len(found.problems) > 1 else ""
                trouble = f"{found.problems[0]}{more}" if found.problems else None
            if trouble is None:
                lock(session, self.source.project_id)
                self._imported(session, item, None, None)
                if item.reference_id:  # it was a document once
                    reasons = {item.reference_id: "it is a table of market facts now"}
                    self.report.withdrawn += leave(session, self.source.project_id, reasons, self.actor)
        if trouble is not None:
            self._settle(item, _Trouble(trouble, again=False))

    def _settle(self, item: SourceItem, result: "Content | _Trouble") -> None:
        """What became of an item that brought nothing to save."""
        with writing(self.engine) as session:
            if isinstance(result, _Trouble):
                self.report.problems.append((item.name, result.reason))
                self._failed(session, item, result)
            elif isinstance(result, Gone | Ignored):
                status = "gone" if isinstance(result, Gone) else "ignored"
                lock(session, self.source.project_id)
                details = result.details if isinstance(result, Ignored) else None
                new: dict[str, Any] = {} if details is None else {"details": details}
                self._set(session, item, status=status, error=result.reason, not_before=None, **new)
                if item.reference_id:
                    reasons = {item.reference_id: result.reason}
                    self.report.withdrawn += leave(session, self.source.project_id, reasons, self.actor)
            else:
                reference = session.get(Reference, item.reference_id) if item.reference_id else None
                if reference is not None and reference.status == "withdrawn":
                    # It is there again, and we have nothing to restore it from: fetched whole the next time.
                    self._set(session, item, status="pending", details={})
                    return
                self.report.unchanged += 1
                details = getattr(result, "details", None)
                self._imported(session, item, details, item.reference_id)

    def _failed(self, session: Session, item: SourceItem, trouble: _Trouble) -> None:
        # To wait for as long as one was told is no failed attempt.
        attempts = item.attempts + (trouble.seconds is None)
        wait = min(_FIRST_WAIT * 2 ** min(item.attempts, 10), _LONGEST_WAIT)
        if trouble.seconds is not None:
            wait = timedelta(seconds=min(max(1.0, trouble.seconds), _LONGEST_PATIENCE))
        self._set(
            session,
            item,
            ("pending", "failed"),  # what another importer has brought in stays so
            status="failed",
            attempts=attempts,
            error=trouble.reason,
            not_before=utc_now() + wait if trouble.again else None,
        )

    def _imported(
        self,
        session: Session,
        item: SourceItem,
        details: dict[str, Any] | None,
        reference_id: str | None,
    ) -> None:
        values: dict[str, Any] = {"imported_revision": item.revision, "reference_id": reference_id}
        if details is not None:
            values["details"] = details
        # Of an item that changed again meanwhile this is not the newest: it stays due.
        session.execute(
            update(SourceItem)
            .filter_by(source_id=item.source_id, external_id=item.external_id)
            .values(**values)
        )
        self._set(session, item, status="imported", attempts=0, error="", not_before=None)

    def _set(
        self,
        session: Session,
        item: SourceItem,
        before: Sequence[str] = ("pending", "failed", "imported"),
        **values: Any,
    ) -> None:
        session.execute(
            update(SourceItem)
            .filter_by(source_id=item.source_id, external_id=item.external_id, revision=item.revision)
            .where(SourceItem.status.in_(before))
            .values(updated_at=utc_now(), **values)
        )


def _failed(result: object) -> bool:
    return isinstance(result, _Trouble) and result.again


def _asks_for_patience(result: object) -> bool:
    return isinstance(result, _Trouble) and result.again and result.seconds is not None


def _digest(document: LoadedDocument) -> str:
    """Of what was made of the bytes: an export of the same document differs from time to time."""
    what = [IMPORT_VERSION, document.title, document.metadata, document.media_type, document.markdown]
    return hashlib.sha256(json.dumps(what, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
