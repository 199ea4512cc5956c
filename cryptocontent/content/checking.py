"""Running the checks over stored versions, keeping what they found, and waiving it.

Every run is a `VersionCheck` with the quality numbers that it measured; the newest one of a version is
in force. Findings are evidence: a later run adds rows, it never changes any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.orm import Session

from cryptocontent.audit import record
from cryptocontent.content.checks import CHECKS, Rule, run_checks
from cryptocontent.content.checks.originality import signature, similar
from cryptocontent.content.checks.quality import quality
from cryptocontent.content.checks.subject import Neighbour, Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules, load_rules
from cryptocontent.content.sources import Known, known_sources, targets_of
from cryptocontent.content.templates import Outline, TemplateSpec, outline
from cryptocontent.errors import NotFound, Refused
from cryptocontent.identity import Person
from cryptocontent.storage.database import batched, pairs
from cryptocontent.storage.models import (
    Approval,
    Article,
    Brief,
    Finding,
    Signature,
    TemplateVersion,
    Version,
    VersionCheck,
    Waiver,
)
from cryptocontent.storage.types import utc_now

_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True)
class Checked:
    """What one run of the checks says of a version."""

    findings: tuple[NewFinding, ...]
    metrics: dict[str, float]
    checks_version: str
    minhash: bytes


def run(subject: Subject, article_id: str, shelf: "Shelf") -> Checked:
    """All checks over `subject`, a text of that article."""
    minhash = signature(subject.markdown)
    others = {one: sketch for one, sketch in shelf.minhashes.items() if one != article_id}
    near = similar(minhash, others)[:_NEIGHBOURS]
    subject = replace(
        subject,
        neighbours=tuple(
            Neighbour(one, shelf.slugs.get(one, one), round(likeness, 3)) for one, likeness in near
        ),
    )
    findings = tuple(run_checks(subject))
    return Checked(findings, quality(subject, findings), subject.rules.version, minhash)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The texts of a project's articles, by which near-duplicates are known: MinHashes and slugs."""

    minhashes: dict[str, bytes]
    slugs: dict[str, str]

    @classmethod
    def of(cls, session: Session, project_id: str) -> "Shelf":
        """All of them, in two queries; who checks many articles reads it once."""
        minhashes = select(Signature.article_id, Signature.minhash).filter_by(project_id=project_id)
        slugs = select(Article.id, Article.slug).filter_by(project_id=project_id)
        return cls(pairs(session.execute(minhashes)), pairs(session.execute(slugs)))


def check_version(
    session: Session, article: Article, version: Version, cause: str, shelf: Shelf | None = None
) -> Checked:
    """Check a stored version against what is known now, and keep the result."""
    context = brief_context(session, article)
    known = known_sources(session, targets_of(session, version), context.rules)
    subject = subject_for(session, article, context, version.markdown, known, utc_now())
    checked = run(subject, article.id, shelf or Shelf.of(session, article.project_id))
    keep(session, article, version.id, checked, cause)
    return checked


@dataclass(frozen=True, slots=True)
class BriefContext:
    """What an article's brief asks for, and the rules of its project."""

    outline: Outline
    rules: Rules
    keywords: tuple[str, ...]
    asset_ids: frozenset[str]


def brief_context(session: Session, article: Article) -> BriefContext:
    """The article's brief, in the template version that it was made with."""
    brief = session.get_one(Brief, article.brief_id)
    template = session.get_one(TemplateVersion, brief.template_version_id)
    spec = TemplateSpec.model_validate(template.spec)
    return BriefContext(
        outline=outline(spec, brief.variables, brief.title),
        rules=load_rules(session, article.project_id),
        keywords=tuple(brief.keywords),
        asset_ids=asset_ids(spec, brief.variables),
    )


def subject_for(
    session: Session,
    article: Article,
    context: BriefContext,
    markdown: str,
    known: Mapping[int, Known],
    now: datetime,
) -> Subject:
    """A text of the article with all that it is held against, but for the article's neighbours."""
    approvals = select(func.count()).select_from(Approval).filter_by(article_id=article.id)
    return Subject(
        markdown=markdown,
        outline=context.outline,
        rules=context.rules,
        now=now,
        sources={number: one.cited for number, one in known.items()},
        keywords=context.keywords,
        asset_ids=context.asset_ids,
        reviewed=bool(session.scalar(approvals)),
    )


def asset_ids(spec: TemplateSpec, variables: Mapping[str, Any]) -> frozenset[str]:
    """The assets that a brief names in variables of type `asset_id`."""
    return frozenset(
        str(variables[name])
        for name, variable in spec.variables.items()
        if variable.type == "asset_id" and variables.get(name)
    )


def keep(session: Session, article: Article, version_id: str, checked: Checked, cause: str) -> None:
    """Store a run of the checks."""
    keep_all(session, [(article.project_id, article.id, version_id, checked)], cause)


def keep_all(session: Session, runs: Sequence[tuple[str, str, str, Checked]], cause: str) -> None:
    """Store runs of the checks, each with its project, article and version, in a handful of statements."""
    if not runs:
        return
    now = utc_now()
    checks = [
        {
            "version_id": version_id,
            "cause": cause,
            "checks_version": checked.checks_version,
            "metrics": dict(checked.metrics),
            "created_at": now,
        }
        for _, _, version_id, checked in runs
    ]
    ids = session.scalars(
        insert(VersionCheck).returning(VersionCheck.id, sort_by_parameter_order=True), checks
    )
    rows = [
        finding_row(version_id, check_id, finding)
        for check_id, (_, _, version_id, checked) in zip(ids.all(), runs, strict=True)
        for finding in checked.findings
    ]
    if rows:
        session.execute(insert(Finding), rows)
    session.execute(delete(Signature).where(Signature.article_id.in_([article for _, article, _, _ in runs])))
    session.execute(
        insert(Signature),
        [
            {"article_id": article, "project_id": project, "version_id": version, "minhash": checked.minhash}
            for project, article, version, checked in runs
        ],
    )


def finding_row(version_id: str, check_id: int | None, finding: NewFinding) -> dict[str, Any]:
    """A finding as its table has it."""
    return {
        "version_id": version_id,
        "check_id": check_id,
        "fingerprint": finding.fingerprint,
        "rule": finding.rule,
        "severity": finding.severity,
        "message": finding.message,
        "excerpt": finding.excerpt,
        "start": finding.start,
        "end": finding.end,
        "evidence": finding.evidence,
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """A finding of a version, and the waiver that lets it stand, if there is one."""

    finding: Finding
    waiver: Waiver | None

    @property
    def blocks(self) -> bool:
        """Whether it stops approval and publication."""
        return self.finding.severity == "block" and self.waiver is None


def standing_findings(session: Session, article_id: str, version_id: str) -> list[Standing]:
    """The findings in force for a version: of its newest check, and those that a stage left about what it
    did; with their waivers."""
    return standing_of(session, [(article_id, version_id)]).get(article_id, [])


def standing_of(session: Session, versions: Sequence[tuple[str, str]]) -> dict[str, list[Standing]]:
    """`standing_findings` of many articles, each with the version meant, in a handful of queries."""
    found: dict[str, list[Standing]] = {}
    for some in batched(versions, 400):
        article_of = {version: article for article, version in some}
        newest = set(
            session.scalars(
                select(func.max(VersionCheck.id))
                .where(VersionCheck.version_id.in_(article_of))
                .group_by(VersionCheck.version_id)
            )
        )
        waivers = {
            (waiver.article_id, waiver.fingerprint): waiver
            for waiver in session.scalars(select(Waiver).where(Waiver.article_id.in_(article_of.values())))
        }
        query = select(Finding).where(Finding.version_id.in_(article_of)).order_by(Finding.id)
        for finding in session.scalars(
            query.where(Finding.check_id.is_(None) | Finding.check_id.in_(newest))
        ):
            article = article_of[finding.version_id]
            waiver = waivers.get((article, finding.fingerprint))
            found.setdefault(article, []).append(Standing(finding, waiver))
    return found


def rule_of(rule_id: str) -> Rule | None:
    """The declared rule of that id."""
    return next((rule for check in CHECKS for rule in check.rules if rule.id == rule_id), None)


def waive(session: Session, article: Article, finding_id: int, reason: str, by: Person) -> Waiver:
    """Let a finding of the current version stand, with a reason of at least 10 characters; audited."""
    by.require("review")
    reason = reason.strip()
    if len(reason) < 10:
        raise Refused(f"reason {reason!r}: say in at least 10 characters why the finding may stand")
    standing = standing_findings(session, article.id, article.version_id or "")
    finding = next((one.finding for one in standing if one.finding.id == finding_id), None)
    if finding is None:
        there = ", ".join(str(one.finding.id) for one in standing if one.blocks)
        raise NotFound(f"no finding {finding_id} on the current version; blocking ones: {there or 'none'}")
    rule = rule_of(finding.rule)
    if rule is not None and not rule.waivable:
        raise Refused(f"finding {finding_id} ({finding.rule}) can't be waived: {rule.meaning}; mend the text")
    known = session.get(Waiver, (article.id, finding.fingerprint))
    if known is not None:
        return known
    waiver = Waiver(
        article_id=article.id,
        fingerprint=finding.fingerprint,
        rule=finding.rule,
        reason=reason,
        author=by.name,
    )
    session.add(waiver)
    session.flush()
    change = {
        "rule": finding.rule,
        "reason": reason,
        "excerpt": finding.excerpt[:500],
        "fingerprint": finding.fingerprint,
        "version": finding.version_id,
    }
    record(session, article.project_id, by.actor, "finding.waived", f"article:{article.id}", change)
    return waiver


def revoke_waiver(session: Session, article: Article, fingerprint: str, by: Person) -> None:
    """Take a waiver back: the finding blocks again; audited."""
    by.require("review")
    waiver = session.get(Waiver, (article.id, fingerprint))
    if waiver is None:
        raise NotFound(f"no waiver {fingerprint!r} on article {article.slug!r}")
    change = {"rule": waiver.rule, "reason": waiver.reason, "author": waiver.author}
    session.delete(waiver)
    session.flush()
    record(session, article.project_id, by.actor, "finding.waiver_revoked", f"article:{article.id}", change)
