"""Templates are checked whole; their text is rendered in a sandbox."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import (
    TemplateError,
    TemplateSpec,
    check_variables,
    outline,
    read_template,
    save_template,
)
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import TemplateVersion

GOOD: dict[str, Any] = {
    "name": "explainer",
    "title": "{{ topic }}, explained",
    "words": {"min": 500, "max": 900},
    "variables": {
        "topic": {"type": "text"},
        "level": {"type": "enum", "values": ["new", "expert"], "default": "new"},
        "year": {"type": "number", "min": 2009, "max": 2030, "required": False},
        "day": {"type": "date", "required": False},
        "assets": {"type": "list", "required": False},
    },
    "sections": [
        {"heading": "What {{ topic }} is", "query": "{{ topic }}", "words": {"min": 50, "max": 200}}
    ],
}


def write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump(GOOD | changes))
    return path


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"words": {"min": 9, "max": 1}}, "words: .*min 9 is above max 1"),
        ({"colour": "red"}, "colour: no such field; allowed: name, extends, .*internal_links"),
        ({"name": "Bad Name"}, "name: a name has lower-case letters"),
        ({"sections": []}, "sections: .*at least 1"),
        ({"title": "{{ topic"}, "title: "),
        (
            {"title": "{{ nobody }}"},
            "title: 'nobody' is not a variable; there are: assets, day, .*, year$",
        ),
        ({"title": "{{ topic.__class__.__mro__ }}"}, "title: the attribute .__mro__ can't be used"),
        ({"variables": {"topic": {"type": "enum"}}}, "variables.topic.values: required, but missing"),
        ({"words": {"min": 1, "max": 40}}, "least words sum to more"),
    ],
)
def test_a_bad_template_is_refused_with_file_and_field(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    path = write(tmp_path / "t.yaml", **changes)
    with pytest.raises(TemplateError, match=complaint) as error:
        read_template(path)
    assert str(path) in str(error.value)


def test_broken_yaml_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("name: x\ntitle: [unclosed\nwords: 1\n")
    with pytest.raises(TemplateError, match=r"t\.yaml:3: "):
        read_template(path)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "'topic': required"),
        ({"topic": "x", "level": "pro"}, "'level': 'pro' is not one of new, expert"),
        ({"topic": "x", "year": "1999"}, "'year': '1999' is not between 2009"),
        ({"topic": "x", "year": "soon"}, "'soon' is not a number"),
        ({"topic": "x", "day": "31.1.2026"}, "is not a date"),
        ({"topic": "x", "mood": "y"}, "'mood' is not one of template 'explainer'"),
    ],
)
def test_bad_variables_are_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(TemplateError, match=complaint):
        check_variables(TemplateSpec.model_validate(GOOD), given)


def test_variables_are_typed_and_fill_the_outline() -> None:
    spec = TemplateSpec.model_validate(GOOD)
    values = check_variables(spec, {"topic": " Blobs ", "year": "2024", "assets": "btc; eth;"})
    assert values == {"topic": "Blobs", "level": "new", "year": 2024, "day": "", "assets": ["btc", "eth"]}
    plan = outline(spec, values)
    assert (plan.title, plan.sections[0].heading) == ("Blobs, explained", "What Blobs is")
    assert outline(spec, values, "Mine").title == "Mine"


def test_templates_that_ship_with_us_are_good() -> None:
    folder = Path(__file__).parents[2] / "cryptocontent" / "sample" / "templates"
    assert len([read_template(path) for path in folder.glob("*.yaml")]) >= 2


def test_versions_are_numbered_and_the_same_content_makes_none(engine: Engine) -> None:
    who = Actor("test", "t")
    with writing(engine) as session:
        create_project(session, "p", "", who)
        first = save_template(session, "p", TemplateSpec.model_validate(GOOD), who)
        again = save_template(session, "p", TemplateSpec.model_validate(GOOD), who)
        second = save_template(session, "p", TemplateSpec.model_validate(GOOD | {"tone": "dry"}), who)
    assert first[1] and second[1] and again == (first[0], False)
    with reading(engine) as session:
        rows = session.execute(select(TemplateVersion.number, TemplateVersion.spec).order_by("number")).all()
    assert [number for number, _ in rows] == [1, 2]
    assert rows[0][1]["tone"] == "neutral"
