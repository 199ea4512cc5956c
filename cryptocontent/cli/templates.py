"""`cryptocontent template`: outlines with typed variables."""

from pathlib import Path
from typing import Annotated

import typer

from cryptocontent.cli.session import JsonOption, ProjectOption, command, current, print_json, print_rows

app = typer.Typer(
    help="Templates: versioned outlines with typed variables.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("add")
@command
def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.yaml…", help="Template files.")],
    project: ProjectOption = None,
) -> None:
    """Add templates from YAML files, or new versions of them. All files or none."""
    from cryptocontent.content.templates import read_template, save_template
    from cryptocontent.storage import writing

    specs = [read_template(file) for file in files]
    name = current.project(project, create=True)
    with writing(current.engine) as session:
        saved = [(spec.name, save_template(session, name, spec, current.actor)[1]) for spec in specs]
    for template, is_new in saved:
        current.console.print(f"template [bold]{template}[/]: {'new version' if is_new else 'unchanged'}")


@app.command("list")
@command
def list_all(project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show the project's templates."""
    from cryptocontent.content.briefs import current_templates
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
    name: Annotated[str, typer.Argument(help="The template's name.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a template's newest version, as YAML or JSON."""
    import yaml

    from cryptocontent.content.briefs import current_templates
    from cryptocontent.errors import NotFound
    from cryptocontent.storage import reading

    with reading(current.engine) as session:
        templates = current_templates(session, current.project(project))
    if name not in templates:
        raise NotFound(f"no template {name!r}; there are: {', '.join(sorted(templates)) or 'none'}")
    data = templates[name][1].model_dump(mode="json")
    if as_json:
        print_json(data)
    else:
        typer.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip())
