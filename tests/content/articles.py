"""An article with its brief, research, passages and versions, made straight in the database: quick."""

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor
from cryptocontent.content.articles import find_version
from cryptocontent.content.checks.compliance import with_notices
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules import shipped_rules
from cryptocontent.content.templates import TemplateSpec, outline, save_template
from cryptocontent.identity import Person
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import (
    Article,
    Brief,
    Citation,
    Passage,
    Reference,
    ReferenceRevision,
    Research,
    RevisionPassage,
    Version,
)

WHO = Actor("test", "t")
ADA, ED, EVE = Person("ada", "admin"), Person("ed", "editor"), Person("eve", "editor")
WIL, VIC, BOT = Person("wil", "writer"), Person("vic", "viewer"), Person("bot", "api")
PEOPLE = (ADA, ED, EVE, WIL, VIC, BOT)

PASSAGES = (
    "The base fee of Ethereum is burned in every block.",
    "A blob holds 4096 field elements of 32 bytes each.",
    "Validators propose a block every 12 seconds on Ethereum.",
)
SPEC = TemplateSpec.model_validate(
    {
        "name": "note",
        "title": "{{ topic }}",
        "jurisdictions": ["generic"],
        "words": {"min": 5, "max": 500},
        "variables": {"topic": {"type": "text"}},
        "sections": [{"heading": "What", "query": "{{ topic }}", "words": {"min": 5, "max": 500}}],
    }
)
BODY = f"{PASSAGES[0]}[^1]\n\n## Blobs\n\n{PASSAGES[1]}[^2]\n\n## Blocks\n\n{PASSAGES[2]}[^3]"

READY = with_notices(BODY, outline(SPEC, {"topic": "Fees"}, "Fees"), shipped_rules(), title="Fees")


def make_article(engine: Engine, article_id: str = "a", project: str = "p") -> None:
    """A project with an article whose first version is an agent's; everything in it is cited."""
    with writing(engine) as session:
        create_project(session, project, "", WHO)
        template, _ = save_template(session, project, SPEC, WHO)
        session.execute(
            insert(Reference),
            [
                {
                    "id": "r",
                    "project_id": project,
                    "source": "folder",
                    "external_id": "fees.md",
                    "title": "Fees",
                }
            ],
        )
        revision = {"id": "rev", "reference_id": "r", "number": 1, "content_hash": "c" * 64}
        session.execute(
            insert(ReferenceRevision),
            [revision | {"media_type": "text/markdown", "markdown": "\n\n".join(PASSAGES)}],
        )
        session.get_one(Reference, "r").revision_id = "rev"
        rows = [
            {"id": f"passage-{n}", "project_id": project, "reference_id": "r", "kind": "prose", "text": text}
            for n, text in enumerate(PASSAGES, 1)
        ]
        session.execute(insert(Passage), rows)
        places = [
            {"revision_id": "rev", "ordinal": n, "passage_id": f"passage-{n}", "start": 0, "end": 1}
            for n in range(1, len(PASSAGES) + 1)
        ]
        session.execute(insert(RevisionPassage), places)
        brief = {"id": f"{project}--{article_id}", "project_id": project, "template_version_id": template}
        brief |= {"title": "Fees", "variables": {"topic": "Fees"}, "origin": "test", "content_hash": "h"}
        session.execute(insert(Brief), [brief])
        frozen = [
            {
                "passage_id": f"passage-{n}",
                "reference_id": "r",
                "revision_id": "rev",
                "ordinal": n,
                "scores": [1.0],
            }
            for n in range(1, len(PASSAGES) + 1)
        ]
        research = {"id": "res", "brief_id": brief["id"], "content_hash": "x", "query_hash": "q"}
        session.execute(insert(Research), [research | {"passages": frozen, "knowledge_version": 1}])
        session.get_one(Brief, brief["id"]).research_id = "res"
        _first_version(session, project, article_id, brief["id"])


def _first_version(session: Session, project: str, article_id: str, brief_id: str) -> None:
    article = {"id": article_id, "project_id": project, "brief_id": brief_id, "slug": "fees", "title": "Fees"}
    session.execute(insert(Article), [article])
    version = {"id": "v1", "article_id": article_id, "number": 1, "author_kind": "stage", "author": "seo"}
    version |= {"title": "Fees", "markdown": f"# Fees\n\n{READY}\n", "content_hash": "1"}
    version |= {"provenance": {"research": "res", "stage": "seo"}, "details": {"seo": None, "metrics": {}}}
    session.execute(insert(Version), [version])
    cited = [
        {
            "version_id": "v1",
            "number": n,
            "passage_id": f"passage-{n}",
            "reference_id": "r",
            "revision_id": "rev",
        }
        for n in range(1, len(PASSAGES) + 1)
    ]
    session.execute(insert(Citation), cited)
    session.get_one(Article, article_id).version_id = "v1"


def text_of(engine: Engine, article_id: str = "a") -> str:
    """The Markdown of the current version."""
    with reading(engine) as session:
        return find_version(session, session.get_one(Article, article_id)).markdown
