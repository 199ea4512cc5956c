"""A newsroom with articles that may be published at once, and targets to publish to."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert, select, update

from cryptocontent.audit import Actor
from cryptocontent.content import outbox, review
from cryptocontent.content.versions import save_version
from cryptocontent.publishing.deliveries import deliver
from cryptocontent.publishing.outcomes import Outcome
from cryptocontent.publishing.registry import add_target
from cryptocontent.settings import Settings
from cryptocontent.storage import ObjectStore, open_object_store, reading, writing
from cryptocontent.storage.models import Article, AuditEntry, Brief, Citation, Event, Publication, Version
from cryptocontent.storage.types import utc_now
from tests.content.articles import ADA, ED, WIL, make_article
from tests.fakes.wordpress import WordPress, environment

SYSTEM = Actor("system", "test")


@dataclass
class Newsroom:
    """Project `p` with the article `a` (slug `fees`)."""

    engine: Engine
    home: Path
    environment: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings.model_validate({"CRYPTOCONTENT_HOME": self.home, **self.environment})

    @property
    def objects(self) -> ObjectStore:
        return open_object_store(self.settings.object_store_url)

    @property
    def folder(self) -> Path:
        return self.settings.exports_dir / "p" / "published"

    def more(self, count: int) -> list[str]:
        """Further articles like `a`, with slugs `fees-1` and so on, published and waiting for delivery: past
        the checks, which would call them duplicates."""
        with writing(self.engine) as session:
            brief, version = session.get_one(Brief, "p--a"), session.get_one(Version, "v1")
            cited = session.scalars(select(Citation).filter_by(version_id="v1")).all()
            for number in range(1, count + 1):
                name = f"a{number}"
                row = {"id": f"p--{name}", "project_id": "p", "title": "Fees", "origin": "test"}
                row |= {"template_version_id": brief.template_version_id, "variables": brief.variables}
                row |= {"content_hash": f"h{number}", "research_id": brief.research_id}
                session.execute(insert(Brief), [row])
                row = {"id": name, "project_id": "p", "brief_id": f"p--{name}", "slug": f"fees-{number}"}
                session.execute(insert(Article), [row | {"title": "Fees"}])
                row = {"id": f"v1-{name}", "article_id": name, "number": 1, "author_kind": "stage"}
                row |= {"author": "seo", "title": f"Fees {number}", "content_hash": "1"}
                row |= {"provenance": version.provenance, "details": version.details}
                session.execute(insert(Version), [row | {"markdown": version.markdown}])
                rows = [
                    {
                        "version_id": f"v1-{name}",
                        "number": one.number,
                        "passage_id": one.passage_id,
                        "reference_id": one.reference_id,
                        "revision_id": one.revision_id,
                    }
                    for one in cited
                ]
                session.execute(insert(Citation), rows)
                article = session.get_one(Article, name)
                article.version_id = article.published_version_id = f"v1-{name}"
                article.status, article.published_at = "published", utc_now()
                targets = outbox.targets_of_project(session, "p")
                outbox.hand_out(session, article, f"v1-{name}", SYSTEM, utc_now(), targets=targets)
        return [f"a{number}" for number in range(1, count + 1)]

    def target(self, kind: str, name: str, **config: Any) -> None:
        with writing(self.engine) as session:
            add_target(session, "p", kind, name, config, ADA)

    def write(self, change: str, article_id: str = "a") -> str:
        """A newer version, its heading changed."""
        with writing(self.engine) as session:
            article = session.get_one(Article, article_id)
            text = session.get_one(Version, article.version_id).markdown
            text = f"# {change}\n" + text.partition("\n")[2]
            return save_version(session, article, article.version_id or "", text, WIL).id

    def publish(self, article_id: str = "a") -> None:
        """The current version, approved if need be, published; nothing is delivered."""
        with writing(self.engine) as session:
            article = session.get_one(Article, article_id)
            version = article.version_id or ""
            if article.status in ("draft", "changes_requested"):
                review.submit(session, article, version, WIL)
            if article.status == "in_review":
                assert review.approve(session, article, version, ED).done
            assert review.publish(session, article, version, ED).done

    def archive(self, article_id: str = "a") -> None:
        with writing(self.engine) as session:
            review.archive(session, session.get_one(Article, article_id), "it is wrong", ED)

    def reopen(self, article_id: str = "a") -> None:
        with writing(self.engine) as session:
            review.reopen_by(session, session.get_one(Article, article_id), "once more", ED)

    def deliver(self, article_ids: Collection[str] | None = None, **options: Any) -> list[Outcome]:
        return deliver(
            self.engine, self.objects, self.settings, actor=SYSTEM, article_ids=article_ids, **options
        )

    def time_passes(self) -> None:
        """Every pause and every lease is over."""
        with writing(self.engine) as session:
            session.execute(update(Publication).values(not_before=None, leased_until=None))

    def rows(self, target: str, article_id: str = "a") -> list[Publication]:
        """An article's publications at a target, the oldest version first."""
        query = select(Publication).join(Version, Version.id == Publication.version_id)
        query = query.filter(Publication.article_id == article_id, Publication.target == target)
        with reading(self.engine) as session:
            return list(session.scalars(query.order_by(Version.number)))

    def statuses(self, target: str, article_id: str = "a") -> list[str]:
        return [row.status for row in self.rows(target, article_id)]

    def audited(self, action: str) -> list[AuditEntry]:
        with reading(self.engine) as session:
            return list(session.scalars(select(AuditEntry).filter_by(action=action).order_by(AuditEntry.seq)))

    def events(self) -> list[Event]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Event).filter_by(kind="publication").order_by(Event.id)))


def newsroom(engine: Engine, home: Path, **environment: Any) -> Newsroom:
    make_article(engine)
    return Newsroom(engine, home, environment)


def logins(site: WordPress) -> dict[str, str]:
    """The setting `wordpress_logins` that leads to the site."""
    found: dict[str, str] = json.loads(environment(site.url)["WORDPRESS_LOGINS"])
    return found


def titles(site: WordPress) -> list[str]:
    """What readers of the site see."""
    return [post.title for post in site.live()]
