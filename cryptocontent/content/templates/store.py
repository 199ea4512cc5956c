"""Templates as they are kept: numbered versions that never change, and who extends whom.

A version holds the whole template (`spec`) and what its author wrote (`source`). A new version of a base
makes new versions of all that extend it, in the same transaction, or is refused if one of them would
become invalid: what a brief asks for never hangs on a template that is no longer sound.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session

from cryptocontent.audit import Actor, Change, lock, record_all
from cryptocontent.content.rules import Rules, load_rules
from cryptocontent.content.templates.files import check
from cryptocontent.content.templates.inheritance import Resolver
from cryptocontent.content.templates.spec import TemplateError, TemplateProblem, TemplateSpec
from cryptocontent.content.templates.values import Known, hint, known_by
from cryptocontent.content.templates.written import (
    TemplateSource,
    Written,
    read_sources,
    refuse,
    sound_source,
    written,
)
from cryptocontent.content.text import content_hash
from cryptocontent.errors import NotFound
from cryptocontent.storage.models import Reference, Template, TemplateVersion
from cryptocontent.storage.types import new_id


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a template: its newest version, whether that is new, and the base that made it so
    ("" if it was saved itself)."""

    name: str
    number: int
    version_id: str
    is_new: bool
    base: str = ""


def save_template(
    session: Session,
    project_id: str,
    template: TemplateSpec | TemplateSource | Mapping[str, Any],
    actor: Actor,
) -> tuple[str, bool]:
    """Store a template as its newest version, and new versions of those that extend it. Returns the
    version's id, and whether it is new: the same content again makes nothing. `template` is whole, or
    what its author wrote, which may extend another template of the project."""
    work = _Saving(session, project_id, actor)
    if isinstance(template, TemplateSpec):
        saved = work.save_whole(template)
    else:
        source = template if isinstance(template, TemplateSource) else source_from(template)
        saved = work.save([source])[0]
    work.finish()
    return saved.version_id, saved.is_new


def save_templates(
    session: Session, project_id: str, files: Sequence[Path | TemplateSource], actor: Actor
) -> list[Saved]:
    """Store templates from YAML files, bases before those that extend them; all of them or none.
    `TemplateError` with everything that is wrong in any of them. Returns what became of each, and the
    templates that got a new version since their base has one."""
    sources = read_sources(files)
    work = _Saving(session, project_id, actor)
    work.save(sources)
    work.finish()
    return work.done


def source_from(data: Mapping[str, Any]) -> TemplateSource:
    """What an author wrote, from plain data (an API's JSON) instead of a file."""
    label = f"template {str(data.get('name', ''))[:60]!r}"
    return sound_source(written(_json(data), label))


@dataclass
class _Saving:
    """One transaction's work: what is stored is read once, the project being locked."""

    session: Session
    project_id: str
    actor: Actor
    done: list[Saved] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    stored: dict[str, tuple[Template, TemplateVersion]] = field(init=False)
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        lock(self.session, self.project_id)
        self.rules = load_rules(self.session, self.project_id)
        rows = self.session.execute(
            select(Template, TemplateVersion)
            .join(TemplateVersion, TemplateVersion.id == Template.version_id)
            .where(Template.project_id == self.project_id)
        )
        self.stored = {template.name: (template, version) for template, version in rows}

    def finish(self) -> None:
        record_all(self.session, self.project_id, self.changes)

    def save_whole(self, spec: TemplateSpec) -> Saved:
        """Store a template that extends none."""
        current = self.stored.get(spec.name)
        if current and _spec_of(current[1]) == spec:
            self._keep(spec.name, current[1], is_new=False)
        else:
            source = source_from(spec.model_dump(mode="json", exclude_unset=True))
            if problems := spec.rule_problems(self.rules, self._known(spec)):
                raise refuse([source.written.problem(loc, reason) for loc, reason in problems])
            self._store(spec, source, None, "")
            self._renew_children([spec.name])
        return self.done[0]

    def save(self, sources: Sequence[TemplateSource]) -> list[Saved]:
        """Store sources, bases first, and renew the stored templates that extend them."""
        by_name: dict[str, TemplateSource] = {}
        for source in sources:
            if other := by_name.get(source.name):
                raise refuse([source.written.problem(("name",), f"{other.label} has the same name")])
            by_name[source.name] = source
        everything = {**self._stored_sources(), **by_name}
        resolver = Resolver(everything, {})
        order = [name for name in resolver.order() if name in by_name]
        problems: list[TemplateProblem] = []
        specs: dict[str, TemplateSpec] = {}
        for name in order:
            whole, found = resolver.whole(name)
            spec, more = check(whole, self.rules, self._known_of(whole))
            problems += [*found, *more]
            if spec is not None:
                specs[name] = spec
        if problems:
            raise refuse(list(dict.fromkeys(problems)))
        for name in order:
            self._save_one(specs[name], by_name[name])
        self._renew_children(order)
        first = {saved.name: saved for saved in self.done}
        return [first[source.name] for source in sources]

    def _save_one(self, spec: TemplateSpec, source: TemplateSource) -> None:
        base = self.stored[source.extends][1] if source.extends else None
        current = self.stored.get(spec.name)
        if current:
            version = current[1]
            # Without a base the specification is all that there is to say, in whatever words.
            base_now_or_before = source.extends or (version.source or {}).get("extends")
            same_source = not base_now_or_before or version.source == _json(source.written.plain())
            same_base = version.base_version_id == (base.id if base else None)
            if same_source and same_base and _spec_of(version) == spec:
                self._keep(spec.name, version, is_new=False)
                return
        self._store(spec, source, base, "")

    def _stored_sources(self) -> dict[str, TemplateSource]:
        """What the authors of the stored templates wrote; where that was not kept, the whole template."""
        sources = {}
        for name, (_, version) in self.stored.items():
            data = version.source or version.spec
            root = written(data, f"template {name!r}")
            sources[name] = TemplateSource(name, data.get("extends"), root)
        return sources

    def _known_of(self, whole: Written) -> Known:
        variables = whole.plain().get("variables")
        types = (
            [one.get("type") for one in variables.values() if isinstance(one, dict)]
            if isinstance(variables, dict)
            else []
        )
        return _known(self.session, self.project_id, self.rules, tagged="reference_tag" in types)

    def _known(self, spec: TemplateSpec) -> Known:
        return known_in(self.session, self.project_id, [spec], self.rules)

    def _keep(self, name: str, version: TemplateVersion, *, is_new: bool, because: str = "") -> None:
        self.done.append(Saved(name, version.number, version.id, is_new, because))

    def _store(
        self, spec: TemplateSpec, source: TemplateSource, base: TemplateVersion | None, because: str
    ) -> None:
        data = spec.model_dump(mode="json")
        digest = content_hash(data)
        if spec.name in self.stored:
            template, current = self.stored[spec.name]
            number, before = current.number + 1, current.content_hash
        else:
            template = Template(id=new_id(), project_id=self.project_id, name=spec.name)
            self.session.add(template)
            self.session.flush()
            number, before = 1, None
        version = TemplateVersion(
            id=new_id(),
            template_id=template.id,
            number=number,
            content_hash=digest,
            spec=data,
            source=_json(source.written.plain()),
            base_version_id=base.id if base else None,
        )
        self.session.add(version)
        template.version_id = version.id
        self.session.flush()
        self.stored[spec.name] = (template, version)
        change: dict[str, Any] = {"number": number, "before": before, "after": digest}
        if source.extends:
            change["base"] = source.extends
        if because:
            change["because"] = f"a new version of {because}"
        self.changes.append(Change(self.actor, "template.saved", f"template:{spec.name}", change))
        self._keep(spec.name, version, is_new=True, because=because)

    def _renew_children(self, saved: Sequence[str]) -> None:
        """New versions of the templates that extend what has a new version, and of those that extend them.
        What was `saved` itself stands on its base's newest version already."""
        sources = self._stored_sources()
        resolver = Resolver(sources, {})
        renewed = {one.name for one in self.done if one.is_new}
        for name in resolver.order():
            source, base = sources[name], sources[name].extends
            if name in saved or base is None or base not in renewed:
                continue
            whole, problems = resolver.whole(name)
            spec, more = check(whole, self.rules, self._known_of(whole))
            if spec is None or problems:
                reasons = "\n".join(map(str, dict.fromkeys([*problems, *more])))
                raise TemplateError(
                    f"template {base!r} can't become this: template {name!r} extends it and would become "
                    f"invalid:\n{reasons}",
                    tuple(dict.fromkeys([*problems, *more])),
                )
            self._store(spec, source, self.stored[base][1], base)
            renewed.add(name)


def _spec_of(version: TemplateVersion) -> TemplateSpec:
    return TemplateSpec.model_validate(version.spec)


def _json(value: Any) -> Any:
    """What YAML made of a file, as JSON holds it: dates as text."""
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_json(one) for one in value]
    return value if isinstance(value, str | int | float | None) else str(value)


def current_templates(session: Session, project_id: str) -> dict[str, tuple[TemplateVersion, TemplateSpec]]:
    """The newest version of each of the project's templates, by name."""
    rows = session.execute(
        select(Template.name, TemplateVersion)
        .join(TemplateVersion, TemplateVersion.id == Template.version_id)
        .where(Template.project_id == project_id)
    )
    return {name: (version, TemplateSpec.model_validate(version.spec)) for name, version in rows}


def known_in(
    session: Session, project_id: str, specs: Sequence[TemplateSpec], rules: Rules | None = None
) -> Known:
    """What the variables of `specs` may name in this project: the assets of its rules, and the tags of its
    active references (read only if a variable of type `reference_tag` asks for them)."""
    tagged = any(one.type == "reference_tag" for spec in specs for one in spec.variables.values())
    return _known(session, project_id, rules or load_rules(session, project_id), tagged=tagged)


def _known(session: Session, project_id: str, rules: Rules, *, tagged: bool) -> Known:
    if not tagged:
        return known_by(rules)
    lists = session.scalars(select(Reference.tags).filter_by(project_id=project_id, status="active"))
    return known_by(rules, {tag for one in lists for tag in one})


def template_versions(session: Session, project_id: str, name: str) -> list[TemplateVersion]:
    """All versions of a template, the newest first; `NotFound` naming the project's templates."""
    versions = session.scalars(
        select(TemplateVersion)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Template.project_id == project_id, Template.name == name)
        .order_by(TemplateVersion.number.desc())
    ).all()
    if versions:
        return list(versions)
    names = sorted(session.scalars(select(Template.name).filter_by(project_id=project_id)))
    raise NotFound(f"no template {name!r}; there are: {', '.join(names) or 'none'}{hint(name, names)}")


def find_version(session: Session, project_id: str, name: str, number: int | None = None) -> TemplateVersion:
    """A version of a template by its number, else the newest."""
    versions = template_versions(session, project_id, name)
    if number is None:
        return versions[0]
    for version in versions:
        if version.number == number:
            return version
    raise NotFound(f"template {name!r} has no version {number}; it has 1 to {versions[0].number}")


def list_versions(session: Session, project_id: str, name: str) -> list[dict[str, Any]]:
    """A template's versions as rows, the newest first: `version`, `created_at`, `base` (the base's name
    and version, or ""), `content_hash`."""
    versions = template_versions(session, project_id, name)
    rows = session.execute(
        select(TemplateVersion.id, Template.name, TemplateVersion.number)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(TemplateVersion.id.in_({one.base_version_id for one in versions if one.base_version_id}))
    )
    bases = {version_id: f"{base} version {number}" for version_id, base, number in rows}
    return [
        {
            "version": one.number,
            "created_at": one.created_at,
            "base": bases.get(one.base_version_id or "", ""),
            "content_hash": one.content_hash,
        }
        for one in versions
    ]


def template_diff(
    session: Session, project_id: str, name: str, old: int | None = None, new: int | None = None
) -> str:
    """What changed from one version to another (else from the last but one to the newest), as a unified
    diff of the whole template in YAML; "" if nothing did."""
    after = find_version(session, project_id, name, new)
    if old is None and after.number == 1:
        raise NotFound(f"template {name!r} has no version before version 1")
    before = find_version(session, project_id, name, after.number - 1 if old is None else old)
    lines = difflib.unified_diff(
        template_yaml(before.spec).splitlines(),
        template_yaml(after.spec).splitlines(),
        f"{name} version {before.number}",
        f"{name} version {after.number}",
        lineterm="",
    )
    return "\n".join(lines)


def template_yaml(spec: Mapping[str, Any]) -> str:
    """A stored template as its file could say it: whole, without what is so by default."""
    data = TemplateSpec.model_validate(spec).model_dump(mode="json", exclude_defaults=True)
    return as_yaml(data)


def as_yaml(data: Any) -> str:
    """Data of a template as YAML, in the order of its fields."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
