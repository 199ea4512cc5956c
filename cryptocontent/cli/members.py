"""`cryptocontent member`: who works in a project, and as what."""

from typing import Annotated

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_rows

app = typer.Typer(help="Members of a project and their roles.", no_args_is_help=True, rich_markup_mode=None)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The member's name.")]


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the project's members."""
    from cryptocontent.identity import list_members
    from cryptocontent.storage import reading

    name = current.project(project)
    with reading(current.engine) as session:
        rows = list_members(session, name)
    empty = "no members yet: `cryptocontent member set NAME ROLE`"
    print_rows(rows, {"name": "Name", "role": "Role"}, as_json=as_json, empty=empty)


@app.command("set")
@command
def set_role(
    name: NameArgument,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="viewer, writer, editor, admin or api.")],
    project: ProjectOption = None,
) -> None:
    """Make somebody a member, or give a member another role (admins only)."""
    _set(name, role, project)
    typer.echo(f"{name} is {role} now")


@app.command("remove")
@command
def remove(name: NameArgument, project: ProjectOption = None) -> None:
    """Take a member's role away (admins only); what they did stays in the audit trail."""
    _set(name, None, project)
    typer.echo(f"{name} is no member any more")


def _set(name: str, role: str | None, named_project: str | None) -> None:
    from cryptocontent.errors import NotFound
    from cryptocontent.identity import list_members, set_member
    from cryptocontent.storage import writing

    project = current.project(named_project)
    person = current.person(project)
    with writing(current.engine) as session:
        if role is None and name not in (there := [row["name"] for row in list_members(session, project)]):
            person.require("administer")
            raise NotFound(
                f"no member {name!r} in project {project!r}; there are: {', '.join(there) or 'none'}"
            )
        set_member(session, project, name, role, person)
