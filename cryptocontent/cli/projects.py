"""`cryptocontent project`: the tenants."""

from typing import Annotated

import typer

from cryptocontent.cli.session import JsonOption, command, current, print_rows

app = typer.Typer(
    help="Projects: each has its own references, templates, briefs and articles.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("create")
@command
def create(
    project_id: Annotated[str, typer.Argument(metavar="ID", help="Lower-case letters, digits, hyphens.")],
    name: Annotated[str, typer.Option(help="Name for people (default: the id).")] = "",
) -> None:
    """Make a project."""
    from cryptocontent.content.projects import create_project
    from cryptocontent.storage import writing

    with writing(current.engine) as session:
        create_project(session, project_id, name, current.actor)
    current.console.print(f"project [bold]{project_id}[/] is there")


@app.command("list")
@command
def list_all(as_json: JsonOption = False) -> None:
    """Show the projects."""
    from cryptocontent.content.projects import list_projects
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        rows = list_projects(session)
    columns = {
        "id": "Id",
        "name": "Name",
        "references": "References",
        "briefs": "Briefs",
        "articles": "Articles",
    }
    print_rows(rows, columns, as_json=as_json, empty="no projects yet: `cryptocontent project create ID`")
