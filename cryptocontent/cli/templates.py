"""`cryptocontent template`: outlines with typed variables."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json, print_rows

if TYPE_CHECKING:
    from cryptocontent.content.templates import TemplateSpec

app = typer.Typer(
    help="Templates: versioned outlines with typed variables.", no_args_is_help=True, rich_markup_mode=None
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]


@app.command("add")
@command
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.yaml…", help="Template files.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add templates from YAML files, or new versions of them. All files or none, in any order."""
    from dataclasses import asdict

    from cryptocontent.content.templates import read_sources, save_templates
    from cryptocontent.storage import writing

    sources = read_sources(files)
    name = current.project(project, create=True)
    person = current.person(name)
    person.require("review")
    with writing(current.engine) as session:
        saved = save_templates(session, name, sources, person.actor)
    if as_json:
        print_json([asdict(one) for one in saved])
        return
    for one in saved:
        what = "new version" if one.is_new else "unchanged"
        why = f", for {one.base} has one" if one.base and one.is_new else ""
        typer.echo(f"template {one.name}: {what}{why}")


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the project's templates."""
    from cryptocontent.content.templates import current_templates
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        templates = current_templates(session, current.project(project))
    rows = [
        {
            "name": name,
            "version": version.number,
            "sections": len(spec.sections),
            "words": f"{spec.words.min}-{spec.words.max}",
            "variables": ", ".join(spec.variables),
            "description": spec.description,
            "extends": (version.source or {}).get("extends") or "",
        }
        for name, (version, spec) in sorted(templates.items())
    ]
    columns = {
        key: key.capitalize() for key in ("name", "version", "sections", "words", "variables", "description")
    }
    print_rows(
        rows, columns, as_json=as_json, empty="no templates yet: `cryptocontent template add FILE.yaml`"
    )


@app.command("show")
@command
def show(
    name: NameArgument,
    version: Annotated[int | None, typer.Option(min=1, help="Its number (default: the newest).")] = None,
    source: Annotated[
        bool, typer.Option("--source", help="As its author wrote it, without what it inherits.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version of a template with all that it inherits, as YAML or JSON."""
    from cryptocontent.content.templates import as_yaml, find_version, template_yaml
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        found = find_version(session, current.project(project), name, version)
    if as_json:
        print_json((found.source or found.spec) if source else found.spec)
    else:
        text = as_yaml(found.source) if source and found.source else template_yaml(found.spec)
        typer.echo(text.rstrip())


@app.command("versions")
@command
def versions(name: NameArgument, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show a template's versions, the newest first."""
    from cryptocontent.content.templates import list_versions
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_versions(session, current.project(project), name)
    for row in rows if not as_json else ():
        row["created_at"] = row["created_at"].strftime("%Y-%m-%d %H:%M UTC")
        row["content_hash"] = row["content_hash"][:12]
    columns = {"version": "Version", "created_at": "Created", "base": "Extends", "content_hash": "Content"}
    print_rows(rows, columns, as_json=as_json, empty="")


@app.command("diff")
@command
def diff(
    name: NameArgument,
    old: Annotated[int | None, typer.Argument(min=1, help="Default: the one before NEW.")] = None,
    new: Annotated[int | None, typer.Argument(min=1, help="Default: the newest.")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what changed between two versions of a template, inherited parts included."""
    from cryptocontent.content.templates import template_diff
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        text = template_diff(session, current.project(project), name, old, new)
    if as_json:
        print_json({"template": name, "diff": text})
    else:
        typer.echo(text or "no difference")


@app.command("preview")
@command
def preview(
    template: Annotated[str, typer.Argument(metavar="NAME|FILE.yaml", help="A template, or a file of one.")],
    var: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable's value; can be repeated.")
    ] = None,
    brief_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="CSV or XLSX file of briefs to take the values from.")
    ] = None,
    row: Annotated[int, typer.Option(min=1, help="Which brief of the file, from 1.")] = 1,
    version: Annotated[int | None, typer.Option(min=1, help="Its number (default: the newest).")] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the outline that a template makes, with sample values where none are given. Nothing is stored;
    a file need not have been added."""
    from cryptocontent.content.templates import preview as make_preview
    from cryptocontent.content.templates import spec_of_file, spec_of_version
    from cryptocontent.errors import NotFound, Refused
    from cryptocontent.storage import reading

    is_file = template.endswith((".yaml", ".yml"))
    if is_file and version is not None:
        raise Refused(f"--version {version}: a file has no versions")
    try:
        name = current.project(project)
    except NotFound:
        # A file can be looked at before there is any project; the rules as they ship decide then.
        if project or not is_file:
            raise
        name = ""
    with reading(current.engine) if name else nullcontext() as session:
        if is_file:
            spec = spec_of_file(session, name, Path(template))
        elif session is not None:
            spec = spec_of_version(session, name, template, version)
        title, given = _brief_of(brief_file, row, spec) if brief_file else ("", {})
        shown = make_preview(session, name, spec, given | _given(var or []), title)
    if as_json:
        print_json(shown)
    else:
        _print_preview(shown)


def _given(pairs: list[str]) -> dict[str, str]:
    from cryptocontent.errors import Refused

    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise Refused(f"--var {pair!r}: write it as name=value")
        given[name.strip()] = value
    return given


def _brief_of(file: Path, number: int, spec: "TemplateSpec") -> tuple[str, dict[str, Any]]:
    """The title and the variables of a row; those that belong to other templates are left out."""
    from cryptocontent.content.brief_files import read_table
    from cryptocontent.content.templates import FIXED_COLUMNS
    from cryptocontent.errors import NotFound, Refused

    table = read_table(file.read_bytes())
    if table.problems:
        raise Refused("\n".join(f"{file}: {problem}" for problem in table.problems))
    if number > len(table.rows):
        raise NotFound(f"--row {number}: {file} has {len(table.rows)} briefs")
    cells = table.rows[number - 1].cells
    if (named := str(cells.get("template", spec.name))) != spec.name:
        raise Refused(f"--row {number}: the brief is of template {named!r}, not of {spec.name!r}")
    values = {column: value for column, value in cells.items() if column not in FIXED_COLUMNS}
    return str(cells.get("title", "")), values


def _print_preview(shown: dict[str, Any]) -> None:
    def line(label: str, text: str) -> None:
        if text:
            typer.secho(f"{label:<14}", dim=True, nl=False)
            typer.echo(text)

    def words(of: dict[str, int]) -> str:
        return f"{of['min']} to {of['max']} words"

    typer.secho(shown["title"], bold=True)
    line("length", words(shown["words"]))
    line("tone", shown["tone"])
    line("audience", shown["audience"])
    line("language", shown["language"])
    for one in shown["jurisdictions"]:
        notices = ", ".join(f"{each['id']} ({each['when']}, {each['position']})" for each in one["notices"])
        line("jurisdiction", f"{one['id']}: {one['name']}; notices: {notices or 'none'}")
    line("must say", "; ".join(f"“{phrase}”" for phrase in shown["required_phrases"]))
    line("must not say", "; ".join(f"“{phrase}”" for phrase in shown["forbidden_phrases"]))
    links = shown["internal_links"]
    line("links", f"{links['min']} to {links['max']} to other articles")
    for name, one in shown["variables"].items():
        value = "; ".join(one["value"]) if isinstance(one["value"], list) else str(one["value"])
        line("variable", f"{name} = {value or '(empty)'}" + (" (a sample)" if one["sample"] else ""))
    for number, section in enumerate(shown["sections"], 1):
        typer.echo()
        typer.secho(f"{number}. {section['heading']}", bold=True, nl=False)
        typer.secho(f"  {words(section['words'])}", dim=True)
        line("   look for", section["query"])
        line("   write", section["instructions"])
