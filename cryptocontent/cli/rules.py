"""`cryptocontent rules`: what the checks go by, per project."""

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json, print_rows

app = typer.Typer(
    help="Rule files that the checks go by; a project may have its own.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The rule file's name (`rules list`).")]


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the rule files, and which of them the project has a version of its own of."""
    from cryptocontent.content.rules import NAMES, current_rules
    from cryptocontent.storage import reading

    project_id = current.project(project)
    with reading(current.engine) as session:
        found = {name: current_rules(session, project_id, name) for name in NAMES}
    rows = [
        {
            "name": name,
            "version": number,
            "in_force": f"version {number} of {project_id}" if number else "as shipped",
            "source": content.get("source") or content.get("note") or "",
        }
        for name, (number, content) in found.items()
    ]
    if not as_json:
        rows = [row | {"source": textwrap.shorten(str(row["source"]), 100, placeholder=" …")} for row in rows]
    columns = {"name": "Name", "in_force": "In force", "source": "Source"}
    print_rows(rows, columns, as_json=as_json, empty="")


@app.command("show")
@command
def show(
    name: NameArgument,
    shipped: Annotated[bool, typer.Option("--shipped", help="As it ships, with its comments.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the rule file in force as YAML: what `rules set` takes."""
    import yaml

    from cryptocontent.content.rules import current_rules, read_rules, shipped_text
    from cryptocontent.storage import reading

    if shipped:
        text = shipped_text(name)
        content = read_rules(name, text)
    else:
        with reading(current.engine) as session:
            number, content = current_rules(session, current.project(project), name)
        # The shipped file says more than its content: it has comments.
        text = (
            yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
            if number
            else shipped_text(name)
        )
    if as_json:
        print_json(content)
    else:
        typer.echo(text.rstrip())


@app.command("set")
@command
def set_file(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The whole rule file.")],
    project: ProjectOption = None,
) -> None:
    """Put a project's own version of a rule file in force (admins only). All versions are kept."""
    from cryptocontent.content.rules import current_rules, read_rules, set_rules
    from cryptocontent.errors import Refused
    from cryptocontent.storage import writing

    project_id = current.project(project)
    person = current.person(project_id)
    try:
        content = read_rules(name, file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise Refused(f"{file}: the file is not UTF-8 text (byte {error.start})") from None
    except Refused as error:
        raise Refused(f"{file}: {error}") from None
    with writing(current.engine) as session:
        before, _ = current_rules(session, project_id, name)
        number = set_rules(session, project_id, name, content, person)
    if number == before:
        typer.echo(f"rules {name}: unchanged, {f'version {number}' if number else 'as shipped'} is in force")
    else:
        typer.echo(f"rules {name}: version {number} is in force in project {project_id}")
