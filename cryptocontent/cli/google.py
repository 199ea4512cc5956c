"""`cryptocontent google`: the login at Google, and whether it works."""

import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cryptocontent.cli.session import JsonOption, command, current, print_json

app = typer.Typer(
    help="Google: log in for Drive folders and Google Docs, and check the login.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command("login")
@command
def login(
    client_secrets: Annotated[
        Path,
        typer.Option(help="The JSON file of an OAuth client of the type Desktop app, from Google's console."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Where the login is kept (default: GOOGLE_CREDENTIALS_FILE, or the home)."),
    ] = None,
    publish: Annotated[
        bool,
        typer.Option("--publish", help="Also ask for the right to write, for publishing as Google Docs."),
    ] = False,
    browser: Annotated[bool, typer.Option(help="Open the browser, or only print the address.")] = True,
    port: Annotated[int, typer.Option(help="Local port that Google sends the browser back to; 0: any.")] = 0,
    seconds: Annotated[int, typer.Option(min=1, help="How long to wait for the browser.")] = 300,
) -> None:
    """Log in as a person. A newsroom's server does better with a service account: docs/google-drive.md."""
    from cryptocontent.integrations.google import READ, WRITE

    target = out or current.settings.google_credentials_file or current.settings.home / "google-login.json"
    flow = _flow(client_secrets, WRITE if publish else READ)
    info = _asked(flow, browser=browser, port=port, seconds=seconds)
    _keep(target, info)
    typer.echo(f"logged in; the login is in {target}, which only you can read")
    if target != current.settings.google_credentials_file:
        typer.echo(f"next: GOOGLE_CREDENTIALS_FILE={target.absolute()} in the environment or in .env")


def _flow(client_secrets: Path, scope: str) -> Any:
    from google_auth_oauthlib.flow import InstalledAppFlow

    from cryptocontent.errors import Refused

    try:
        return InstalledAppFlow.from_client_secrets_file(str(client_secrets), scopes=[scope])
    except FileNotFoundError:
        raise Refused(f"--client-secrets: there is no file {client_secrets}") from None
    except (ValueError, KeyError):
        pass  # what is wrong with it may quote it
    raise Refused(f"--client-secrets: {client_secrets} is not the JSON file of an OAuth client (Desktop app)")


def _asked(flow: Any, *, browser: bool, port: int, seconds: int) -> dict[str, str]:
    """What is to be kept of the login, once the person has said yes in the browser."""
    from google_auth_oauthlib.flow import WSGITimeoutError
    from oauthlib.oauth2 import OAuth2Error
    from requests import RequestException

    from cryptocontent.errors import Refused

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # who reads through a pipe needs the address now
    try:
        found = flow.run_local_server(
            port=port,
            open_browser=browser,
            timeout_seconds=seconds,
            authorization_prompt_message="Open this address and say yes:\n{url}\n",
            success_message="You are logged in. You may close this window.",
            prompt="consent",  # else Google gives no refresh token to who has said yes before
            access_type="offline",
        )
    except WSGITimeoutError:
        raise Refused(f"nobody said yes within {seconds} s") from None
    except (OAuth2Error, RequestException, Warning) as error:
        name = getattr(error, "error", "") or type(error).__name__
        problem = Refused(f"Google did not let you in ({name})")
    else:
        if found.refresh_token:
            return {
                "type": "authorized_user",
                "client_id": found.client_id,
                "client_secret": found.client_secret,
                "refresh_token": found.refresh_token,
                "token_uri": found.token_uri,
            }
        problem = Refused("Google gave no refresh token: the OAuth client has to be of the type Desktop app")
    raise problem


def _keep(target: Path, info: dict[str, str]) -> None:
    """Write it so that nobody else can read it, at no time."""
    from cryptocontent.storage.atomic import write_whole

    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, json.dumps(info, indent=2).encode(), mode=0o600)


@app.command("check")
@command
def check(
    folder: Annotated[
        str | None, typer.Argument(metavar="[FOLDER]", help="A folder's id or address: can it be seen?")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say who we are for Google, and what of a folder can be seen."""
    from cryptocontent.errors import NotFound, Refused
    from cryptocontent.integrations.google import Missing, off, who
    from cryptocontent.integrations.google_drive import open_drive
    from cryptocontent.knowledge.sources.google_drive import GoogleDrive

    if why := off(current.settings):
        raise Refused(why)
    wanted = GoogleDrive().check({"folder": folder})["folder"] if folder else ""
    told: dict[str, Any] = {}
    with open_drive(current.settings) as drive:
        told["account"] = drive.account()
        if wanted:
            try:
                found = drive.get(wanted)
                if not found.is_folder:
                    raise Refused(f"folder {wanted}: {found.name!r} is no folder")
                files, more = drive.children(found.id, found.drive)
            except Missing:
                raise NotFound(
                    f"folder {wanted} is not there, or not shared with {who(current.settings)}"
                ) from None
            told |= {"folder": found.name, "url": found.url, "shared_drive": found.drive, "more": bool(more)}
            told["items"] = [one.name for one in files]
    if as_json:
        print_json(told)
        return
    typer.echo(f"logged in at Google as {told['account']}")
    if wanted:
        place = " (in a shared drive)" if told["shared_drive"] else ""
        number = f"{len(told['items'])}{' or more' if told['more'] else ''}"
        typer.echo(f"folder {told['folder']!r}{place}: {number} files and folders in it")
        for name in told["items"][:10]:
            typer.echo(f"  {name}")
    else:
        typer.echo("to see whether a folder is visible: cryptocontent google check FOLDER")
