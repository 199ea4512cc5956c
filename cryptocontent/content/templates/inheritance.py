"""Inheritance: `extends: NAME` makes a template the child of another.

What the child does not say is the base's; mappings (`words`, `variables`, a variable's own fields) are
merged key by key, and a key set to null takes away what the base says; lists replace the base's. In
`sections`, an entry `{inherit: all}` stands for all of the base's sections, and `{inherit: "Heading"}` for
the one whose heading is written so.
"""

from collections.abc import Mapping

from cryptocontent.content.templates.spec import Loc, TemplateProblem, field_name
from cryptocontent.content.templates.values import hint
from cryptocontent.content.templates.written import IDENTITY, TemplateSource, Written, refuse


def inherit(base: Written, own: Written) -> tuple[Written, list[TemplateProblem]]:
    """The child `own` with what its whole base says filled in, and what is wrong with its inheriting."""
    problems: list[TemplateProblem] = []
    above = {key: item for key, item in base.value.items() if key not in IDENTITY}
    ours = {key: item for key, item in own.value.items() if key != "extends"}
    if "sections" in ours:
        ours["sections"] = _sections(above.get("sections"), own, problems)
    whole = _merged(Written(above, base.file, base.line), Written(ours, own.file, own.line), (), problems)
    return whole, problems


def _merged(base: Written, own: Written, loc: Loc, problems: list[TemplateProblem]) -> Written:
    if not isinstance(base.value, dict) or not isinstance(own.value, dict):
        return own
    values = dict(base.value)
    for key, item in own.value.items():
        here = (*loc, key)
        if item.value is None and key not in base.value:
            reason = f"null takes away what the base says, but it says nothing here{hint(key, base.value)}"
            problems.append(TemplateProblem(item.file, item.line, field_name(here), reason))
        elif item.value is None:
            del values[key]
        else:
            values[key] = _merged(base.value[key], item, here, problems) if key in base.value else item
    return Written(values, own.file, own.line)


def _sections(base: Written | None, own: Written, problems: list[TemplateProblem]) -> Written:
    listed = own.value["sections"]
    above = base.value if base is not None and isinstance(base.value, list) else []
    if not isinstance(listed.value, list):
        return Written(listed.value, listed.file, listed.line)
    sections: list[Written] = []
    for number, entry in enumerate(listed.value):
        if not isinstance(entry.value, dict) or "inherit" not in entry.value:
            sections.append(entry)
            continue
        wanted = entry.value["inherit"].value
        found = [one for one in above if wanted == "all" or one.at(("heading",)).value == wanted]
        if not found or len(entry.value) > 1:
            headings = [str(one.at(("heading",)).value) for one in above]
            reason = f"{wanted!r}: allowed alone in its entry, as all or a heading of the base: " + ", ".join(
                map(repr, headings)
            )
            problems.append(own.problem(("sections", number, "inherit"), reason))
        sections += found
    return Written(sections, listed.file, listed.line)


class Resolver:
    """Finds bases by name and makes templates whole. `sources` are made whole here; `stored` are whole
    already, and stand in where `sources` has none of the name."""

    def __init__(self, sources: Mapping[str, TemplateSource], stored: Mapping[str, Written]) -> None:
        self._sources = sources
        self._stored = stored
        self._done: dict[str, Written] = {}

    def order(self) -> list[str]:
        """The names of the sources, bases before their children; `TemplateError` naming every unknown
        base, and every circle."""
        ordered: dict[str, None] = {}
        problems = []
        for name in self._sources:
            if problem := self._visit(name, (), ordered):
                problems.append(problem)
        if problems:
            raise refuse(list(dict.fromkeys(problems)))
        return list(ordered)

    def _visit(self, name: str, trail: tuple[str, ...], ordered: dict[str, None]) -> TemplateProblem | None:
        source = self._sources.get(name)
        if source is None or name in ordered:
            return None
        if base := source.extends:
            if base in (*trail, name):
                # One circle is told once, at the smallest of its names.
                circle = [*trail, name][[*trail, name].index(base) :]
                first = min(circle)
                chain = [*circle[circle.index(first) :], *circle[: circle.index(first)], first]
                reason = f"{' extends '.join(chain)}: a template can't be its own base"
                return self._sources[first].written.problem(("extends",), reason)
            if base not in self._sources and base not in self._stored:
                names = sorted({*self._sources, *self._stored} - {name})
                there = f"there are: {', '.join(names) or 'none'}{hint(base, names)}"
                reason = f"no template {base!r} in this project or among the files given; {there}"
                return source.written.problem(("extends",), reason)
            if problem := self._visit(base, (*trail, name), ordered):
                return problem
        ordered[name] = None
        return None

    def whole(self, name: str) -> tuple[Written, list[TemplateProblem]]:
        """The template with what it inherits, and what is wrong with its own inheriting. Bases must be
        sound: see `order`."""
        if name not in self._sources:
            return self._stored[name], []
        source = self._sources[name]
        problems: list[TemplateProblem] = []
        if name not in self._done:
            whole = source.written
            if source.extends:
                whole, problems = inherit(self.whole(source.extends)[0], whole)
            else:
                whole, problems = _without_base(whole)
            self._done[name] = whole
        return self._done[name], problems


def _without_base(root: Written) -> tuple[Written, list[TemplateProblem]]:
    """A template that extends none; what it would inherit is a problem, and left out."""
    sections = root.value.get("sections")
    if sections is None or not isinstance(sections.value, list):
        return root, []
    reason = "there is no base to inherit from: `extends` names it"
    own, problems = [], []
    for number, entry in enumerate(sections.value):
        if isinstance(entry.value, dict) and "inherit" in entry.value:
            problems.append(root.problem(("sections", number, "inherit"), reason))
        else:
            own.append(entry)
    rest = root.value | {"sections": Written(own, sections.file, sections.line)}
    return Written(rest, root.file, root.line), problems
