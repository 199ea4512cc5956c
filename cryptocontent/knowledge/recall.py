"""Recall: withdraw a bad reference, and find, flag and reopen every article that cites it.

All of it is one transaction, under the project's lock; afterwards the passages are taken out of search. A
recalled reference stays recalled whatever is imported, until an admin readmits it. Doing it again does
nothing again, but flags what has come to cite the reference since.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.content.checking import (
    BriefContext,
    Shelf,
    brief_context,
    check_version,
    finding_row,
    standing_of,
)
from cryptocontent.content.checks.citations import RECALLED
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.projects import get_project
from cryptocontent.content.review import reopen
from cryptocontent.errors import Refused
from cryptocontent.identity import Person
from cryptocontent.knowledge.listing import find_references
from cryptocontent.knowledge.search import reference_names, sync_index
from cryptocontent.settings import Settings
from cryptocontent.storage.database import batched, writing
from cryptocontent.storage.models import (
    Article,
    AuditEntry,
    Citation,
    Finding,
    Reference,
    ReferenceRevision,
    Version,
)
from cryptocontent.storage.types import utc_now

_VERSIONS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class RecalledArticle:
    """An article of which a version cites a recalled reference: the numbers of the versions flagged now,
    whether it was reopened now, and whether what readers see now (`live`) cites the reference."""

    id: str
    slug: str
    versions: tuple[int, ...]
    reopened: bool
    live: bool


@dataclass(frozen=True, slots=True)
class RecallReport:
    """What a recall did, references by external id: those recalled now, those that were before, those of
    the same content that are still in use; the articles that cite them, and the passages taken out of
    search."""

    project_id: str
    recalled: tuple[str, ...]
    already: tuple[str, ...]
    twins: tuple[str, ...]
    articles: tuple[RecalledArticle, ...]
    removed_passages: int

    @property
    def flagged(self) -> int:
        """How many versions were flagged now."""
        return sum(len(article.versions) for article in self.articles)

    def __str__(self) -> str:
        reopened = [article.slug for article in self.articles if article.reopened]
        live = [article.slug for article in self.articles if article.live]
        return (
            f"project {self.project_id}: {len(self.recalled)} references recalled "
            f"({len(self.already)} were already), {self.flagged} versions of {len(self.articles)} articles "
            f"flagged, {len(reopened)} reopened ({', '.join(reopened) or 'none'}), "
            f"{len(live)} still live with it ({', '.join(live) or 'none'}), "
            f"{self.removed_passages} passages taken out of search"
        )


def recall(
    engine: Engine, settings: Settings, project_id: str, names: Sequence[str], reason: str, by: Person
) -> RecallReport:
    """Recall references by name, with the reason. Every version that cites one gets a blocking finding
    `source.recalled` at each sentence that rests on it; current versions are checked anew; articles whose
    current or published version cites one are sent back for changes. What is live stays live: the report
    says which. `NotAllowed`, `NotFound`, `Refused`."""
    by.require("review")
    reason = reason.strip()
    if not reason:
        raise Refused("reason '': say why the reference can't be trusted")
    known = reference_names(engine, project_id)
    with writing(engine) as session:
        get_project(session, project_id)
        lock(session, project_id)
        found = find_references(session, project_id, names, known)
        new = [one for one in found if one.status != "recalled"]
        before = {one.id: one.status for one in new}
        now = utc_now()
        for one in new:
            one.status, one.recall_reason, one.updated_at = "recalled", reason, now
        session.flush()
        affected = _flag(session, project_id, found)
        record_all(session, project_id, _changes(new, before, affected, reason, by.actor))
        articles = _reopen(session, affected, found, before.keys(), by.actor)
        twins = _twins(session, project_id, found)
    synced = sync_index(engine, settings, project_id)
    return RecallReport(
        project_id,
        tuple(one.external_id for one in new),
        tuple(one.external_id for one in found if one.id not in before),
        twins,
        articles,
        synced.removed,
    )


@dataclass(slots=True)
class _Affected:
    """An article, the versions of it that cite recalled references (each with its numbers by reference),
    and which of them are flagged now."""

    article: Article
    citing: dict[str, dict[str, list[int]]]
    flagged: dict[str, int]


def _citing(session: Session, references: Sequence[Reference]) -> list[_Affected]:
    """Every version that cites any of the references, by article: one query over the citations."""
    articles: dict[str, dict[str, dict[str, list[int]]]] = {}
    query = (
        select(Version.article_id, Citation.version_id, Citation.reference_id, Citation.number)
        .join(Version, Version.id == Citation.version_id)
        .where(Citation.reference_id.in_([one.id for one in references]))
        .order_by(Version.article_id, Version.number, Citation.number)
    )
    for article_id, version_id, reference_id, number in session.execute(query):
        versions = articles.setdefault(article_id, {})
        versions.setdefault(version_id, {}).setdefault(reference_id, []).append(number)
    rows: dict[str, Article] = {}
    for ids in batched(articles, 500):
        rows |= {row.id: row for row in session.scalars(select(Article).where(Article.id.in_(ids)))}
    return [_Affected(rows[article], versions, {}) for article, versions in articles.items()]


def _flag(session: Session, project_id: str, references: Sequence[Reference]) -> list[_Affected]:
    affected = _citing(session, references)
    current = [(one.article.id, one.article.version_id or "") for one in affected]
    standing = {
        article: {one.finding.evidence.get("reference") for one in found if one.finding.rule == RECALLED.id}
        for article, found in standing_of(session, current).items()
    }
    by_id = {one.id: one for one in references}
    older: list[tuple[_Affected, str]] = []
    shelf = Shelf.of(session, project_id)
    for one in affected:
        for version_id, cited in one.citing.items():
            if version_id != one.article.version_id:
                older.append((one, version_id))
            elif not cited.keys() <= standing.get(one.article.id, set()):
                version = session.get_one(Version, version_id)
                check_version(session, one.article, version, "recall", shelf)
                one.flagged[version_id] = version.number
    contexts: dict[str, BriefContext] = {}
    for some in batched(older, _VERSIONS_AT_ONCE):
        _flag_older(session, some, by_id, contexts)
    return affected


def _flag_older(
    session: Session,
    some: Sequence[tuple[_Affected, str]],
    references: Mapping[str, Reference],
    contexts: dict[str, BriefContext],
) -> None:
    """Findings for versions that are not current: they are not checked anew, as nothing else about them
    matters any more."""
    ids = [version_id for _, version_id in some]
    known: dict[str, set[str]] = defaultdict(set)
    query = select(Finding.version_id, Finding.evidence).where(Finding.version_id.in_(ids))
    for version_id, evidence in session.execute(query.filter_by(rule=RECALLED.id)):
        known[version_id].add(evidence.get("reference", ""))
    texts = {
        row.id: row
        for row in session.execute(
            select(Version.id, Version.number, Version.markdown).where(Version.id.in_(ids))
        )
    }
    rows = []
    for one, version_id in some:
        cited = {
            reference: numbers
            for reference, numbers in one.citing[version_id].items()
            if reference not in known[version_id]
        }
        if cited:
            one.flagged[version_id] = texts[version_id].number
            if one.article.id not in contexts:
                contexts[one.article.id] = brief_context(session, one.article)
            subject = _subject(contexts[one.article.id], texts[version_id].markdown)
            rows += [finding_row(version_id, None, found) for found in _findings(subject, cited, references)]
    if rows:
        session.execute(insert(Finding), rows)


def _subject(context: BriefContext, markdown: str) -> Subject:
    """The text as checks see it: only its sentences are looked at here."""
    return Subject(markdown=markdown, outline=context.outline, rules=context.rules, now=utc_now())


def _findings(
    subject: Subject, cited: Mapping[str, Sequence[int]], references: Mapping[str, Reference]
) -> list[NewFinding]:
    """A finding for each sentence and recalled reference that it rests on, as the citations check words it;
    one for the whole version if it cites the reference outside of any sentence."""
    found = []
    for reference_id, numbers in cited.items():
        message = f"“{references[reference_id].title}” was recalled; this sentence rests on it."
        evidence = {"reference": reference_id, "key": reference_id}
        places = [one for one in subject.sentences if not set(numbers).isdisjoint(one.citations)]
        found += [RECALLED.span(subject, one.start, one.end, message, **evidence) for one in places]
        if not places:
            message = f"“{references[reference_id].title}” was recalled; this version cites it."
            found.append(RECALLED.whole(message, **evidence))
    return found


def _changes(
    recalled: Sequence[Reference],
    before: Mapping[str, str],
    affected: Sequence[_Affected],
    reason: str,
    actor: Actor,
) -> list[Change]:
    changes = []
    for one in recalled:
        articles = [
            item.article.id for item in affected if any(one.id in cited for cited in item.citing.values())
        ]
        data = {"before": before[one.id], "after": "recalled", "reason": reason, "articles": articles}
        changes.append(Change(actor, "reference.recalled", f"reference:{one.external_id}", data))
    for item in affected:
        if item.flagged:
            references = sorted({name for version in item.flagged for name in item.citing[version]})
            flags = {"versions": sorted(item.flagged.values()), "references": references}
            changes.append(Change(actor, "article.source_recalled", f"article:{item.article.id}", flags))
    return changes


def _reopen(
    session: Session,
    affected: Sequence[_Affected],
    references: Sequence[Reference],
    new: Collection[str],
    actor: Actor,
) -> tuple[RecalledArticle, ...]:
    titles = {one.id: one.title for one in references}
    done = []
    for item in affected:
        article = item.article
        shown = {one for one in (article.version_id, article.published_version_id) if one in item.citing}
        # Not again: an article that was sent on knowingly since its recall (by a waiver) is left alone.
        due = any(one in item.flagged or not item.citing[one].keys().isdisjoint(new) for one in shown)
        names = sorted({titles[name] for version in shown for name in item.citing[version]})
        why = f"recalled: {', '.join(f'“{name}”' for name in names)}"
        done.append(
            RecalledArticle(
                article.id,
                article.slug,
                tuple(sorted(item.flagged.values())),
                due and reopen(session, article, actor, why),
                article.published_version_id in item.citing,
            )
        )
    return tuple(sorted(done, key=lambda one: one.slug))


def _twins(session: Session, project_id: str, references: Sequence[Reference]) -> tuple[str, ...]:
    """Other references in use whose current content is the same, byte by byte."""
    hashes = select(ReferenceRevision.content_hash).where(
        ReferenceRevision.id.in_([one.revision_id for one in references])
    )
    query = (
        select(Reference.external_id)
        .join(ReferenceRevision, ReferenceRevision.id == Reference.revision_id)
        .where(Reference.project_id == project_id, Reference.status != "recalled")
        .where(ReferenceRevision.content_hash.in_(hashes))
        .order_by(Reference.external_id)
    )
    return tuple(session.scalars(query))


def readmit(
    engine: Engine, settings: Settings, project_id: str, names: Sequence[str], by: Person
) -> tuple[str, ...]:
    """Undo a recall (admins only): the references are what they were before, and searchable again if they
    were; current versions that cite them are checked anew. Articles stay in the state that they are in.
    Returns the external ids of those that were recalled."""
    by.require("administer")
    known = reference_names(engine, project_id)
    with writing(engine) as session:
        get_project(session, project_id)
        lock(session, project_id)
        named = find_references(session, project_id, names, known)
        found = [one for one in named if one.status == "recalled"]
        changes = []
        for one in found:
            data = {"before": "recalled", "after": _status_before(session, one), "reason": one.recall_reason}
            one.status, one.recall_reason, one.updated_at = str(data["after"]), None, utc_now()
            changes.append(Change(by.actor, "reference.readmitted", f"reference:{one.external_id}", data))
        session.flush()
        shelf = Shelf.of(session, project_id)
        for item in _citing(session, found):
            if item.article.version_id in item.citing:
                version = session.get_one(Version, item.article.version_id)
                check_version(session, item.article, version, "recall", shelf)
        record_all(session, project_id, changes)
    if found:
        sync_index(engine, settings, project_id)
    return tuple(one.external_id for one in found)


def _status_before(session: Session, reference: Reference) -> str:
    """What a recalled reference was before: the newest entry of its recall says so."""
    query = (
        select(AuditEntry.data)
        .filter_by(
            project_id=reference.project_id,
            action="reference.recalled",
            subject=f"reference:{reference.external_id}",
        )
        .order_by(AuditEntry.seq.desc())
        .limit(1)
    )
    data = session.scalar(query) or {}
    return "withdrawn" if data.get("before") == "withdrawn" else "active"
