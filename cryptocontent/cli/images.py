"""`cryptocontent image`: the library of pictures, and putting one into an article."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cryptocontent.cli.articles import ArticleArgument
from cryptocontent.cli.session import (
    JsonOption,
    ProjectOption,
    command,
    current,
    print_json,
    print_rows,
)

app = typer.Typer(
    help="Images: the pictures that articles may show.", no_args_is_help=True, rich_markup_mode=None
)
ImageArgument = Annotated[
    str, typer.Argument(metavar="IMAGE", help="Its name, or at least 6 of the first digits of its hash.")
]
_SHOWN = 60  # characters of an alt text in a table
ORIGINS = ("upload", "chart", "reference")


@app.command("add")
@command
def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PNG, JPEG, GIF, WebP, BMP or TIFF.")],
    alt: Annotated[str, typer.Option("--alt", help="What it shows, for people who don't see it.")],
    licence: Annotated[str, typer.Option("--licence", help="How it may be used: CC BY 4.0, own work …")],
    credit: Annotated[str, typer.Option("--credit", help="Whom it is owed to, as readers see it.")],
    name: Annotated[
        str | None, typer.Option("--name", help="By which to find it (default: file name).")
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a picture into the library, without what its file tells about place, time and camera. The same
    picture again describes it anew."""
    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.images import ensure_renditions, find_image, save_image
    from cryptocontent.knowledge.images.cleaning import MOST_BYTES
    from cryptocontent.knowledge.images.store import describe_image
    from cryptocontent.storage import reading

    project_id = current.project(project)
    person = current.person(project_id)
    person.require("write")
    if not (credit.strip() and licence.strip()):
        raise Refused("credit and licence: say whom the picture is owed to and how it may be used")
    if file.stat().st_size > MOST_BYTES:
        raise Refused(f"{file}: {file.stat().st_size:,} bytes; allowed are {MOST_BYTES:,}")
    sha256 = save_image(
        current.engine,
        current.objects,
        project_id,
        file.read_bytes(),
        origin="upload",
        name=name or file.name,
        alt=alt,
        licence=licence,
        credit=credit,
        details={},
        actor=person.actor,
        file_name=file.name,
    )
    ensure_renditions(current.engine, current.objects, project_id, [sha256])
    with reading(current.engine) as session:
        found = describe_image(session, find_image(session, project_id, sha256))
    if as_json:
        print_json(found)
    else:
        _print(found)


@app.command("list")
@command
def list_all(
    project: ProjectOption = None,
    origin: Annotated[str | None, typer.Option(help="Only of origin upload, chart or reference.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the project's images, those of references too, newest first."""
    from cryptocontent.errors import Refused
    from cryptocontent.knowledge.images import list_images
    from cryptocontent.storage import reading

    if origin is not None and origin not in ORIGINS:
        raise Refused(f"origin {origin!r}: allowed are {', '.join(ORIGINS)}")
    project_id = current.project(project)
    current.person(project_id).require("read")
    with reading(current.engine) as session:
        rows = list_images(session, project_id, origin)
    if not as_json:
        for row in rows:
            row["digits"], row["size"] = row["sha256"][:12], f"{row['width']} × {row['height']}"
            row["name"] = row["name"] or row["reference"]
            row["alt"] = row["alt"] if len(row["alt"]) <= _SHOWN else row["alt"][: _SHOWN - 1] + "…"
    columns = {
        "digits": "Image",
        "name": "Name",
        "origin": "Origin",
        "size": "Pixels",
        "alt": "Shows",
        "licence": "Licence",
    }
    print_rows(rows, columns, as_json=as_json, empty="no images: `cryptocontent image add FILE --alt TEXT …`")


@app.command("show")
@command
def show(image: ImageArgument, project: ProjectOption = None, as_json: JsonOption = False) -> None:
    """Show what is known of an image: what it shows, whose it is, its sizes, and where it stands."""
    from cryptocontent.knowledge.images import find_image
    from cryptocontent.knowledge.images.store import describe_image
    from cryptocontent.storage import reading

    project_id = current.project(project)
    current.person(project_id).require("read")
    with reading(current.engine) as session:
        found = describe_image(session, find_image(session, project_id, image))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _print(one: dict[str, Any]) -> None:
    typer.secho(one["name"] or one["sha256"][:12], bold=True)
    for label, value in (
        ("image", one["sha256"]),
        ("origin", one["origin"]),
        ("shows", one["alt"] or "(nobody has said)"),
        ("licence", one["licence"]),
        ("credit", one["credit"]),
        ("file", f"{one['media_type']}, {one['width']} × {one['height']} pixels, {one['bytes']:,} bytes"),
    ):
        if value:
            typer.echo(f"  {label:<10} {value}")
    for row in one["renditions"]:
        size = f"{row['width']} × {row['height']}"
        typer.echo(f"  {row['name']:<10} {row['media_type']}, {size}, {row['bytes']:,} bytes")
    for row in one["references"]:
        typer.echo(f"  in reference {row['external_id']}" + (f": {row['alt']}" if row["alt"] else ""))
    for slug in one["articles"]:
        typer.echo(f"  in article {slug}")


@app.command("use")
@command
def use(
    article: ArticleArgument,
    image: ImageArgument,
    after: Annotated[
        str, typer.Option("--after", help="The heading below which it goes (default: the first paragraph).")
    ] = "",
    alt: Annotated[
        str, typer.Option("--alt", help="What it shows here, if the library's words don't fit.")
    ] = "",
) -> None:
    """Save the article with the picture in it, as its newest version; the rest of it stays as it is."""
    from cryptocontent.cli.review import acting, looked_at
    from cryptocontent.knowledge.images import find_image
    from cryptocontent.knowledge.images.placing import place_image

    with acting(article) as (session, found, person):
        person.require("write")
        chosen = find_image(session, found.project_id, image)
        base = looked_at(session, found, None)
        version = place_image(session, found, base.id, chosen, person, after=after, alt=alt)
        said = f"version {version.number} shows image {chosen.sha256[:12]}; {found.status}"
    typer.echo(said)
