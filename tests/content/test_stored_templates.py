"""Versions that were stored before templates had typed fields, inheritance and sources still count."""

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import TemplateSpec, save_template
from cryptocontent.storage import writing
from cryptocontent.storage.models import Template, TemplateVersion

WHO = Actor("test", "t")


def variable(kind: str, **said: Any) -> dict[str, Any]:
    every = {"required": True, "default": None, "description": "", "values": [], "min": None, "max": None}
    return {"type": kind, **every, **said}


# As version 0.1 dumped it.
STORED: dict[str, Any] = {
    "name": "old",
    "description": "",
    "language": "en",
    "tone": "neutral",
    "audience": "",
    "jurisdiction": "generic",
    "title": "{{ topic }}",
    "words": {"min": 5, "max": 500},
    "variables": {
        "topic": variable("text"),
        "level": variable("enum", values=["new", "expert"], default="new"),
        "year": variable("number", min=2009.0, required=False),
        "day": variable("date", required=False),
        "assets": variable("list", required=False),
    },
    "sections": [
        {"heading": "What", "query": "{{ topic }}", "instructions": "", "words": {"min": 5, "max": 500}}
    ],
}
WRITTEN = {
    "name": "old",
    "title": "{{ topic }}",
    "words": {"min": 5, "max": 500},
    "variables": {
        "topic": {"type": "text"},
        "level": {"type": "enum", "values": ["new", "expert"], "default": "new"},
        "year": {"type": "number", "min": 2009, "required": False},
        "day": {"type": "date", "required": False},
        "assets": {"type": "list", "required": False},
    },
    "sections": [{"heading": "What", "query": "{{ topic }}", "words": {"min": 5, "max": 500}}],
}


def test_a_version_of_the_old_shape_means_what_it_meant() -> None:
    assert TemplateSpec.model_validate(STORED) == TemplateSpec.model_validate(WRITTEN)
    assert TemplateSpec.model_validate(STORED | {"jurisdiction": "uk"}).jurisdictions == ("uk",)


@pytest.mark.parametrize(
    "change",
    [
        {"variables": {"topic": variable("text", min=3)}},
        {"variables": {"topic": variable("text", values=["a"])}},
        {"jurisdictions": ["uk"]},
    ],
)
def test_only_empty_fields_are_passed_over(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TemplateSpec.model_validate(STORED | change)


def test_its_briefs_are_imported_and_saving_the_same_again_makes_no_version(engine: Engine) -> None:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        template = Template(project_id="p", name="old")
        session.add(template)
        session.flush()
        version = TemplateVersion(
            template_id=template.id, number=1, content_hash="0" * 64, spec=STORED, source={}
        )
        session.add(version)
        session.flush()
        template.version_id = version.id
    with writing(engine) as session:
        report = import_briefs(session, "p", b"template,topic,year\nold,Fees,2024\n", WHO)
        assert not report.problems and len(report.created) == 1
        saved = save_template(session, "p", TemplateSpec.model_validate(WRITTEN), WHO)
        assert saved == (session.scalars(select(TemplateVersion.id)).one(), False)
