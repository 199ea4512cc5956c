"""Versions by people: saving an edit, going back to an older version. Nothing is ever merged silently.

An edit names the version that it was made from. If that is no longer the current one, nothing is
written and `StaleEdit` holds both.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, object_session

from cryptocontent.audit import lock, record, text_change
from cryptocontent.content.checking import Shelf, brief_context, keep, run, subject_for
from cryptocontent.content.checks.compliance import with_notices
from cryptocontent.content.documents import SOURCES_HEADING, cited_numbers, render_article
from cryptocontent.content.sources import Known, Target, known_sources, targets_of
from cryptocontent.content.text import content_hash
from cryptocontent.errors import Conflict, NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.storage.models import (
    Approval,
    Article,
    Citation,
    MarketFact,
    Reference,
    RevisionPassage,
    Version,
)
from cryptocontent.storage.types import new_id, utc_now

MOST_CHARACTERS = 300_000
_TITLE = re.compile(r"\A\s*#[ \t]+(?P<title>[^\n]*?)[ \t]*(?:\n|\Z)")
_DEFINITION = re.compile(r"^\[\^[^\]\s]+\]:[^\n]*(?:\n[ \t]+[^\n]*)*\n?", re.M)
_SOURCES = re.compile(rf"\n## {SOURCES_HEADING}[ \t]*\n\s*\Z")
_NEW_CITATION = re.compile(r"\[\^(passage|fact):([0-9a-zA-Z-]+)\]")
# After an edit the text needs approval again; what is live stays so until the next publication.
_STATUS_AFTER_EDIT = {"approved": "in_review", "scheduled": "in_review", "published": "in_review"}


class StaleEdit(Conflict):
    """The edit was made from `base`, but `current` is the newest version now."""

    def __init__(self, article: Article, base: Version | None, current: Version) -> None:
        super().__init__(
            f"article {article.slug!r}: your text was made from version "
            f"{base.number if base else '?'}, but {current.author} has saved version {current.number} since; "
            f"nothing was written. Compare with `article diff {article.slug} "
            f"{base.number if base else '?'} {current.number}`, bring your change into version "
            f"{current.number} and save that"
        )
        for version in (base, current):
            if version is not None and (session := object_session(version)) is not None:
                session.expunge(version)  # so that both can still be read when the transaction is undone
        self.base, self.current = base, current


def save_version(
    session: Session,
    article: Article,
    base_version_id: str,
    markdown: str,
    by: Person,
    *,
    origin: Mapping[str, Any] | None = None,
    contributors: Iterable[str] = (),
) -> Version:
    """Store a person's text as the article's newest version, checked; returns it, or the base if nothing
    changed.

    `markdown` is a whole version: `# Title`, the body, with or without the list of sources, which is made
    anew. Footnotes keep their numbers; `[^passage:ID]` and `[^fact:ID]` cite what the research did not
    have, and are numbered. Locked notices are put right. `origin` adds to the provenance (a suggestion, a
    restored version); `contributors` are people whose words it takes over. Raises `StaleEdit`, `Refused`,
    `NotAllowed`.
    """
    by.require("write")
    base = _current_base(session, article, base_version_id)
    if article.status == "archived":
        raise Refused(f"article {article.slug!r} is archived: reopen it before editing it")
    title, body = _split(markdown)
    targets = targets_of(session, base)
    body, targets = _numbered(session, article, body, targets)
    context = brief_context(session, article)
    body = with_notices(body, context.outline, context.rules, title=title)
    known = known_sources(session, targets, context.rules)
    text = render_article(title, body, [one.footnote for one in known.values()])
    if text == base.markdown:
        return base
    subject = subject_for(session, article, context, text, known, utc_now())
    checked = run(subject, article.id, Shelf.of(session, article.project_id))
    version = _insert(session, article, base, title, text, by, origin or {}, contributors, checked.metrics)
    _insert_citations(session, version.id, cited_numbers(body), known)
    keep(session, article, version.id, checked, "save")
    before = article.status
    article.version_id, article.title, article.updated_at = version.id, title, version.created_at
    article.status = _STATUS_AFTER_EDIT.get(before, before)
    if article.status != before:
        article.scheduled_at = None
    session.flush()
    change = {
        "version": version.number,
        "base": base.number,
        "status": [before, article.status],
        "blocking": sum(finding.severity == "block" for finding in checked.findings),
        **(origin or {}),
        **text_change(base.markdown, text),
    }
    record(session, article.project_id, by.actor, "version.created", f"article:{article.id}", change)
    return version


def restore(
    session: Session, article: Article, base_version_id: str, version: Version, by: Person
) -> Version:
    """Make an older version's text the newest version again: a new version, the history stays."""
    if version.article_id != article.id:
        raise NotFound(f"version {version.id!r} is not one of article {article.slug!r}")
    base = _current_base(session, article, base_version_id)
    if version.id == base.id:
        raise Refused(f"version {version.number} is the current one")
    return save_version(
        session,
        article,
        base_version_id,
        _citing(session, version, base),
        by,
        origin={"restored_from": version.number},
        contributors=contributors_since_approval(session, version),
    )


def _citing(session: Session, version: Version, base: Version) -> str:
    """The version's text with footnotes by what they point at, where the base's numbers mean others."""
    mine, theirs = targets_of(session, version), targets_of(session, base)

    def replace(match: re.Match[str]) -> str:
        number = int(match[1])
        target = mine.get(number)
        if target is None or theirs.get(number) == target:
            return match[0]
        return f"[^fact:{target.id}]" if target.market_fact_id else f"[^passage:{target.id}]"

    return re.sub(r"\[\^(\d+)\](?!:)", replace, version.markdown)


def contributors_since_approval(session: Session, version: Version) -> list[str]:
    """The people whose words may stand in `version` without anybody else's approval: the authors of, and
    contributors to, the versions from this one back to the last one that was approved."""
    approved = set(session.scalars(select(Approval.version_id).filter_by(article_id=version.article_id)))
    query = select(Version.id, Version.parent_id, Version.author_kind, Version.author, Version.provenance)
    chain = {row.id: row for row in session.execute(query.filter_by(article_id=version.article_id))}
    found: dict[str, None] = {}
    current: str | None = version.id
    while current in chain and current not in approved:
        row = chain[current]
        if row.author_kind == "person":
            found[row.author] = None
        found |= dict.fromkeys(row.provenance.get("contributors", ()))
        current = row.parent_id
    return list(found)


def _current_base(session: Session, article: Article, base_version_id: str) -> Version:
    """The current version, locked against other writers, if it is the one the edit was made from."""
    lock(session, article.project_id)
    session.refresh(article)
    if article.version_id is None:
        raise Refused(f"article {article.slug!r} has no version yet")
    current = session.get_one(Version, article.version_id)
    if base_version_id != current.id:
        base = session.get(Version, base_version_id)
        raise StaleEdit(article, base if base and base.article_id == article.id else None, current)
    return current


def _split(markdown: str) -> tuple[str, str]:
    """Title and body of what a person wrote; the list of sources is left out, it is made anew."""
    text = markdown.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MOST_CHARACTERS:
        raise Refused(f"the text has {len(text)} characters; allowed are {MOST_CHARACTERS}")
    if "\x00" in text:
        raise Refused("the text holds a NUL character; allowed is plain Markdown")
    found = _TITLE.match(text)
    title = " ".join(found["title"].split()) if found else ""
    if not found or not title:
        raise Refused("the text does not begin with its title, `# Title`")
    if len(title) > 300:
        raise Refused(f"the title has {len(title)} characters; allowed are 300")
    body = _DEFINITION.sub("", text[found.end() :])
    body = _SOURCES.sub("\n", f"\n{body}")
    return title, body.strip()


def _numbered(
    session: Session, article: Article, body: str, targets: dict[int, Target]
) -> tuple[str, dict[int, Target]]:
    """The body with new citations numbered, and the targets with theirs."""
    wanted = list(dict.fromkeys(_NEW_CITATION.findall(body)))
    if not wanted:
        return body, targets
    numbers = {target.id: number for number, target in targets.items()}
    added = dict(targets)
    for kind, target_id in wanted:
        if target_id in numbers:
            continue
        target = (
            _passage(session, article, target_id) if kind == "passage" else _fact(session, article, target_id)
        )
        numbers[target_id] = max(added, default=0) + 1
        added[numbers[target_id]] = target
    return _NEW_CITATION.sub(lambda match: f"[^{numbers[match[2]]}]", body), added


def _passage(session: Session, article: Article, passage_id: str) -> Target:
    row = session.execute(
        select(Reference.id, RevisionPassage.revision_id)
        .join(RevisionPassage, RevisionPassage.revision_id == Reference.revision_id)
        .where(
            RevisionPassage.passage_id == passage_id,
            Reference.project_id == article.project_id,
            Reference.status == "active",
        )
    ).first()
    if row is None:
        raise NotFound(f"[^passage:{passage_id}]: project {article.project_id!r} has no such passage in use")
    return Target(passage_id, row[0], row[1])


def _fact(session: Session, article: Article, fact_id: str) -> Target:
    fact = session.get(MarketFact, fact_id)
    if fact is None or fact.project_id != article.project_id:
        raise NotFound(f"[^fact:{fact_id}]: project {article.project_id!r} has no such market fact")
    return Target(market_fact_id=fact_id)


def _insert(
    session: Session,
    article: Article,
    base: Version,
    title: str,
    text: str,
    by: Person,
    origin: Mapping[str, Any],
    contributors: Iterable[str],
    metrics: Mapping[str, float],
) -> Version:
    newest = session.scalar(select(func.max(Version.number)).filter_by(article_id=article.id)) or 0
    kept = ("brief", "brief_hash", "template", "template_version", "research", "passages")
    provenance = {name: base.provenance[name] for name in kept if name in base.provenance}
    others = [name for name in dict.fromkeys(contributors) if name != by.name]
    seo = dict(base.details.get("seo") or {})
    if seo.get("json_ld"):
        words = int(metrics.get("words", 0))
        seo["json_ld"] = {**seo["json_ld"], "headline": title, "wordCount": words}
    version = Version(
        id=new_id(),
        article_id=article.id,
        number=newest + 1,
        parent_id=base.id,
        author_kind="person",
        author=by.name,
        title=title,
        markdown=text,
        content_hash=content_hash(text),
        details={"metrics": dict(metrics), "seo": seo or None},
        provenance=provenance | {"contributors": others} | dict(origin),
        created_at=utc_now(),
    )
    session.add(version)
    session.flush()
    return version


def _insert_citations(
    session: Session, version_id: str, cited: Iterable[int], known: Mapping[int, Known]
) -> None:
    rows = [
        {
            "version_id": version_id,
            "number": number,
            "passage_id": known[number].target.passage_id,
            "reference_id": known[number].target.reference_id,
            "revision_id": known[number].target.revision_id,
            "market_fact_id": known[number].target.market_fact_id,
        }
        for number in sorted(cited)
        if number in known
    ]
    if rows:
        session.execute(insert(Citation), rows)
