"""A newsroom that watches a Linear team: the fake workspace, a project with a template, and a source."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateSpec, save_template
from cryptocontent.identity import Person
from cryptocontent.integrations.linear import Issue, open_linear, read_issue
from cryptocontent.planning.linear_issues import Applied, apply_issues
from cryptocontent.planning.linear_sources import add_linear
from cryptocontent.planning.linear_sync import Synced, sync_source
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Brief, LinearIssue, Source
from tests.fakes.linear import Linear, Node, environment, linear_server

ADMIN = Person("ada", "admin")
PROJECT = "news"
SPEC = TemplateSpec.model_validate(
    {
        "name": "explainer",
        "title": "{{ topic }}, explained",
        "words": {"min": 5, "max": 500},
        "variables": {
            "topic": {"type": "text"},
            "points": {"type": "list", "required": False},
        },
        "sections": [{"heading": "What", "query": "{{ topic }}", "words": {"min": 5, "max": 500}}],
    }
)


def block(**fields: str) -> str:
    """A description with a block of fields."""
    lines = "\n".join(f"{name}: {value}" for name, value in fields.items())
    return f"```brief\n{lines}\n```"


class World:
    """The fake, the newsroom's database, and shorthands for tests."""

    def __init__(self, linear: Linear, engine: Engine, **settings: Any) -> None:
        self.linear, self.engine = linear, engine
        self.settings = settings_for(linear, **settings)
        self.ada = linear.add_user("Ada Lovelace")
        self.team = linear.add_team("ENG", "Editorial")
        self.label = linear.add_label("Article")
        with writing(engine) as session:
            create_project(session, PROJECT, "News", ADMIN.actor)
            save_template(session, PROJECT, SPEC, ADMIN.actor)
        self.source_id = ""

    def watch(self, name: str = "ed", **config: Any) -> Source:
        """Watch the team; by default its issues with the label, by the template."""
        config = {"team": "ENG", "label": "article", "template": "explainer"} | config
        with open_linear(self.settings) as linear:
            source = add_linear(self.engine, linear, PROJECT, name, config, ADMIN)
        self.source_id = source.id
        return source

    def issue(self, title: str = "Base fee", description: str | None = None, **fields: Any) -> Node:
        """An issue with the label."""
        fields = {"labelIds": [self.label["id"]]} | fields
        text = block(topic="fees") if description is None else description
        return self.linear.add_issue(self.team, title, text, **fields)

    def seen(self, node: Node) -> Issue:
        """The issue as a webhook would tell of it now."""
        from tests.fakes.linear.webhooks import payload

        return read_issue(payload(self.linear, "update", "Issue", node, None)["data"])

    def apply(self, *issues: Issue, again: bool = False) -> Applied:
        with writing(self.engine) as session:
            source = session.get_one(Source, self.source_id)
            return apply_issues(session, source, issues, batch_size=100, again=again)

    def sync(self, **options: Any) -> Synced:
        options = {"seconds": 30.0} | options
        return sync_source(self.engine, self.settings, self.source_id, **options)

    def row(self, node: Node) -> LinearIssue:
        with reading(self.engine) as session:
            return session.get_one(LinearIssue, (self.source_id, node["id"]))

    def brief(self, node: Node) -> Brief:
        """The issue's brief."""
        with reading(self.engine) as session:
            row = session.get_one(LinearIssue, (self.source_id, node["id"]))
            return session.get_one(Brief, row.brief_id)

    def briefs(self) -> list[Brief]:
        with reading(self.engine) as session:
            return list(session.scalars(select(Brief).order_by(Brief.id)))

    def source(self) -> Source:
        with reading(self.engine) as session:
            return session.get_one(Source, self.source_id)

    def set_article(self, node: Node, status: str, **values: Any) -> str:
        """The issue's article is in this state."""
        brief_id = self.brief(node).id
        with writing(self.engine) as session:
            return put_article(session, brief_id, status, **values)


def put_article(session: Session, brief_id: str, status: str, **values: Any) -> str:
    article = session.scalar(select(Article).filter_by(brief_id=brief_id))
    if article is None:
        fields = {
            "project_id": PROJECT,
            "brief_id": brief_id,
            "slug": f"slug-{brief_id[-8:]}",
            "title": "An article",
        }
        article = Article(id=f"article-{brief_id[-8:]}", **fields)
        session.add(article)
    for name, value in ({"status": status} | values).items():
        setattr(article, name, value)
    session.flush()
    return article.id


def settings_for(linear: Linear, **values: Any) -> Settings:
    """Settings that lead to the fake, and nothing from the environment."""
    given = {name.lower(): value for name, value in environment(linear.url).items()}
    return Settings(_env_file=None, **(given | values))  # type: ignore[call-arg]


@contextmanager
def world_of(engine: Engine, **settings: Any) -> Iterator[World]:
    with linear_server() as linear:
        yield World(linear, engine, **settings)
