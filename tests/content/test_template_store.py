"""Templates in the database: inheritance, versions, and what a base's change does to its children."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from cryptocontent.audit import Actor, verify
from cryptocontent.content.projects import create_project
from cryptocontent.content.rules import current_rules, set_rules
from cryptocontent.content.templates import (
    Saved,
    TemplateError,
    TemplateSpec,
    WordRange,
    current_templates,
    find_version,
    list_versions,
    preview,
    read_sources,
    save_template,
    save_templates,
    spec_of_file,
    spec_of_version,
    template_diff,
)
from cryptocontent.errors import NotFound
from cryptocontent.identity import Person
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import AuditEntry, Reference, TemplateVersion

WHO = Actor("test", "t")
BASE = """\
name: base
tone: neutral
forbidden_phrases: [to the moon]
title: "{{ topic }}"
words: {min: 100, max: 900}
variables:
  topic: {type: text, description: the subject}
  level: {type: enum, values: [new, expert], default: new}
sections:
  - {heading: "{{ topic }} in brief", query: "{{ topic }}", words: {min: 10, max: 100}}
  - {heading: Risks, query: "{{ topic }} risks", words: {min: 10, max: 100}}
"""
CHILD = """\
name: child
extends: base
title: "{{ topic }}, explained"
words: {max: 500}
variables:
  topic: {description: what it is about}
  level: null
  asset: {type: asset_id, required: false}
sections:
  - inherit: "{{ topic }} in brief"
  - {heading: How it works, query: "how {{ topic }} works", words: {min: 20, max: 200}}
  - inherit: Risks
"""
GRANDCHILD = "name: grandchild\nextends: child\ntone: dry\nsections: [{inherit: all}]\n"


@pytest.fixture
def project(engine: Engine) -> Engine:
    with writing(engine) as session:
        create_project(session, "p", "", WHO)
        create_project(session, "q", "", WHO)
    return engine


def save(engine: Engine, folder: Path, *texts: str, project: str = "p") -> list[Saved]:
    paths = []
    for number, text in enumerate(texts):
        path = folder / f"{number}-{text.split()[1]}.yaml"
        path.write_text(text)
        paths.append(path)
    sources = read_sources(paths)
    with writing(engine) as session:
        return save_templates(session, project, sources, WHO)


def new_ones(saved: Iterable[Saved]) -> dict[str, int]:
    return {one.name: one.number for one in saved if one.is_new}


def spec(engine: Engine, name: str, number: int | None = None) -> TemplateSpec:
    with reading(engine) as session:
        return spec_of_version(session, "p", name, number)


def test_a_child_takes_over_what_it_does_not_say(project: Engine, tmp_path: Path) -> None:
    saved = save(project, tmp_path, GRANDCHILD, CHILD, BASE)  # children first: the order is found
    assert new_ones(saved) == {"base": 1, "child": 1, "grandchild": 1}
    child = spec(project, "child")
    assert (child.tone, child.forbidden_phrases, child.title) == (
        "neutral",
        ("to the moon",),
        "{{ topic }}, explained",
    )
    assert (child.words.min, child.words.max) == (100, 500)
    assert list(child.variables) == ["topic", "asset"]
    assert (child.variables["topic"].type, child.variables["topic"].description) == (
        "text",
        "what it is about",
    )
    headings = ["{{ topic }} in brief", "How it works", "Risks"]
    assert [section.heading for section in child.sections] == headings
    grandchild = spec(project, "grandchild")
    assert (grandchild.name, grandchild.tone) == ("grandchild", "dry")
    assert [section.heading for section in grandchild.sections] == headings
    with reading(project) as session:
        version = find_version(session, "p", "child")
        assert version.base_version_id == find_version(session, "p", "base").id
        assert version.source["extends"] == "base" and "tone" not in version.source
        assert version.spec["tone"] == "neutral" and "extends" not in version.spec
        assert verify(session, "p").broken_at is None


def test_the_same_files_again_make_nothing(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, CHILD, GRANDCHILD)
    assert new_ones(save(project, tmp_path, CHILD, GRANDCHILD, BASE)) == {}
    assert new_ones(save(project, tmp_path, CHILD)) == {}
    with reading(project) as session:
        assert len(session.scalars(select(TemplateVersion)).all()) == 3


def test_a_new_version_of_a_base_makes_new_versions_of_its_children(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, CHILD, GRANDCHILD)
    saved = save(project, tmp_path, BASE.replace("to the moon", "guaranteed"))
    assert new_ones(saved) == {"base": 2, "child": 2, "grandchild": 2}
    assert {one.name: one.base for one in saved} == {"base": "", "child": "base", "grandchild": "child"}
    assert spec(project, "grandchild").forbidden_phrases == ("guaranteed",)
    assert spec(project, "grandchild", 1).forbidden_phrases == ("to the moon",), "versions never change"
    with reading(project) as session:
        rows = list_versions(session, "p", "grandchild")
        assert [(row["version"], row["base"]) for row in rows] == [
            (2, "child version 2"),
            (1, "child version 1"),
        ]
        entries = session.scalars(select(AuditEntry).filter_by(project_id="p", action="template.saved")).all()
        assert [entry.subject for entry in entries][3:] == [
            "template:base",
            "template:child",
            "template:grandchild",
        ]
        assert "child" in str(entries[-1].data["because"])
        assert entries[-1].data["before"] != entries[-1].data["after"]
        assert verify(session, "p").broken_at is None


def test_a_base_and_its_child_can_change_together(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, CHILD)
    # `level` is renamed in the base; the old child would have nothing to take away.
    base, child = BASE.replace("level:", "depth:"), CHILD.replace("level: null", "depth: null")
    with pytest.raises(TemplateError, match="child"):
        save(project, tmp_path, base)
    assert new_ones(save(project, tmp_path, child, base)) == {"base": 2, "child": 2}


def test_a_change_that_would_make_a_child_unsound_is_refused_with_its_name(
    project: Engine, tmp_path: Path
) -> None:
    save(project, tmp_path, BASE, CHILD, GRANDCHILD)
    changed = BASE.replace("heading: Risks", "heading: Dangers")
    with pytest.raises(TemplateError, match=r"'child'[\s\S]*sections\[3\].inherit: 'Risks'[\s\S]*'Dangers'"):
        save(project, tmp_path, changed)
    longer = spec(project, "base").model_copy(update={"words": WordRange(min=600, max=900)})
    with (
        pytest.raises(TemplateError, match=r"'child' extends it[\s\S]*words: min 600 is above max 500"),
        writing(project) as session,
    ):
        save_template(session, "p", longer, WHO)
    with reading(project) as session:
        assert len(session.scalars(select(TemplateVersion)).all()) == 3, "nothing was written"


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (["name: a\nextends: a\n"], "a extends a: a template can't be its own base"),
        (
            ["name: a\nextends: b\n", "name: b\nextends: c\n", "name: c\nextends: a\n"],
            "a extends b extends c extends a: a template can't be its own base",
        ),
        (["name: a\nextends: bose\n"], r"0-a\.yaml:2: extends: no template 'bose'.*did you mean 'base'"),
        (["name: base\nextends: child\n"], "base extends child extends base"),
        ([BASE, BASE], "same name"),
        (["name: a\nextends: base\nvariables: {topik: null}\n"], r":3: variables.topik: null .*'topic'"),
        (["name: a\nextends: base\nsections: [{inherit: Rissks}]\n"], r":3: sections\[1\].inherit: 'Rissks'"),
        (
            ["name: a\nextends: base\nsections: [{inherit: all, words: {}}]\n"],
            r"sections\[1\].inherit: 'all'",
        ),
        (["name: a\nextends: base\nsections: null\n"], "sections: required, but missing"),
    ],
)
def test_bases_that_can_not_be_are_refused(
    project: Engine, tmp_path: Path, texts: list[str], complaint: str
) -> None:
    save(project, tmp_path, BASE, CHILD)
    with pytest.raises(TemplateError, match=complaint):
        save(project, tmp_path, *texts)


def test_a_base_of_another_project_is_unknown_here(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, project="q")
    with pytest.raises(TemplateError, match="no template 'base' in this project"):
        save(project, tmp_path, CHILD)


def test_all_files_or_none(project: Engine, tmp_path: Path) -> None:
    bad = CHILD.replace("{{ topic }}, explained", "{{ nobody }}").replace("max: 500", "max: 30")
    with pytest.raises(TemplateError) as error:
        save(project, tmp_path, BASE, bad)
    fields = {problem.field for problem in error.value.problems}
    assert "title" in fields or "words" in fields
    with reading(project) as session:
        assert current_templates(session, "p") == {}


def test_a_whole_template_replaces_one_that_inherits(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, CHILD)
    with writing(project) as session:
        kept = save_template(session, "p", spec(project, "base"), WHO)
        assert not kept[1]
        save_template(session, "p", spec(project, "child").model_copy(update={"tone": "dry"}), WHO)
    assert new_ones(save(project, tmp_path, BASE.replace("neutral", "warm"))) == {"base": 2}
    assert spec(project, "child").tone == "dry"


def test_differences_are_shown_as_yaml(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, CHILD)
    save(project, tmp_path, BASE.replace("neutral", "warm"))
    with reading(project) as session:
        diff = template_diff(session, "p", "child").splitlines()
        assert template_diff(session, "p", "child", 1, 2).splitlines() == diff
        assert template_diff(session, "p", "child", 2, 2) == ""
        with pytest.raises(NotFound, match="no version 7; it has 1 to 2"):
            template_diff(session, "p", "child", 7)
        with pytest.raises(NotFound, match="no version before version 1"):
            template_diff(session, "p", "child", None, 1)
        with pytest.raises(NotFound, match=r"no template 'chil'; there are: base, child; did you"):
            list_versions(session, "p", "chil")
    assert "+tone: warm" in diff


def test_the_projects_own_rules_decide(project: Engine, tmp_path: Path) -> None:
    text = BASE.replace("tone: neutral", "jurisdictions: [generic, atlantis]")
    with pytest.raises(TemplateError, match=r"0-base\.yaml:2: jurisdictions\[2\]: 'atlantis'.*generic"):
        save(project, tmp_path, text)
    with writing(project) as session:
        _, rules = current_rules(session, "p", "jurisdictions")
        notice = {
            "id": "tide",
            "text": "This article may be under water.",
            "position": "end",
            "when": "always",
            "source": "House rule",
        }
        own = {"id": "atlantis", "name": "Atlantis", "notices": [notice]}
        changed = rules | {"jurisdictions": [*rules["jurisdictions"], own]}
        set_rules(session, "p", "jurisdictions", changed, Person("anna", "admin"))
    save(project, tmp_path, text)
    with reading(project) as session:
        shown = preview(session, "p", spec(project, "base"), {})
    assert shown["jurisdictions"][1] == {
        "id": "atlantis",
        "name": "Atlantis",
        "notices": [{"id": "tide", "position": "end", "when": "always"}],
    }


def test_tags_are_those_of_active_references(project: Engine, tmp_path: Path) -> None:
    level = "level: {type: enum, values: [new, expert], default: new}"
    text = BASE.replace(level, "tag: {type: reference_tag}")
    save(project, tmp_path, text)
    with writing(project) as session:
        for tag, status in (("fees", "active"), ("old", "withdrawn"), ("bad", "recalled")):
            session.add(reference(tags=[tag], status=status))
    with reading(project) as session:
        found = spec(project, "base")
        assert preview(session, "p", found, {"tag": "fees"})["variables"]["tag"]["value"] == "fees"
        assert preview(session, "p", found, {})["variables"]["tag"] == {"value": "fees", "sample": True}
        for tag in ("old", "bad", "fee"):
            with pytest.raises(TemplateError, match=f"{tag!r} is not a tag of any active reference.*fees"):
                preview(session, "p", found, {"tag": tag})
    # A default is checked against the references when the template is saved.
    with pytest.raises(TemplateError, match=r":\d+: variables.tag.default: 'old' is not a tag"):
        save(project, tmp_path, text.replace("reference_tag}", "reference_tag, default: old}"))


def reference(*, tags: list[str], status: str) -> Reference:
    origin = {"project_id": "p", "source": "upload", "external_id": tags[0], "title": tags[0]}
    return Reference(id=f"reference-{tags[0]}", tags=tags, status=status, **origin)


def test_a_preview_shows_what_an_editor_would_read(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE, CHILD)
    with reading(project) as session:
        shown = preview(session, "p", spec(project, "child"), {"topic": "Blobs", "asset": "ethereum"}, "Own")
        assert shown["title"] == "Own" and shown["sections"][0]["heading"] == "Blobs in brief"
        assert shown["variables"] == {
            "topic": {"value": "Blobs", "sample": False},
            "asset": {"value": "ethereum", "sample": False},
        }
        assert shown["forbidden_phrases"] == ["to the moon"] and shown["words"] == {"min": 100, "max": 500}
        assert [one["id"] for one in shown["jurisdictions"]] == ["generic"]
        sample = preview(session, "p", spec(project, "child"), {})
        assert sample["variables"]["topic"] == {"value": "Sample", "sample": True}
        with pytest.raises(TemplateError, match=r"'asset': 'ETH' is a ticker.*'ethereum'"):
            preview(session, "p", spec(project, "child"), {"asset": "ETH"})


def test_a_file_is_previewed_before_it_is_added(project: Engine, tmp_path: Path) -> None:
    save(project, tmp_path, BASE)
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    (alone / "child.yaml").write_text(CHILD)
    with reading(project) as session:
        assert spec_of_file(session, "p", alone / "child.yaml").tone == "neutral"
        assert list(current_templates(session, "p")) == ["base"]
    with pytest.raises(TemplateError, match="no template 'base'"):
        spec_of_file(None, "", alone / "child.yaml")
    (alone / "base.yaml").write_text(BASE.replace("neutral", "warm"))
    with reading(project) as session:
        assert spec_of_file(session, "p", alone / "child.yaml").tone == "warm", "what lies beside it is newer"
    assert spec_of_file(None, "", alone / "child.yaml").tone == "warm"
