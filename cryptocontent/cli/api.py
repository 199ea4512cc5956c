"""`cryptocontent api`: the gateway, in the foreground."""

from typing import Annotated

import typer

from cryptocontent.cli.session import command, current


@command
def api(
    host: Annotated[
        str, typer.Option(help="Address to listen on; another one only behind a proxy with TLS.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve the gateway: webhooks of vendors, and its health. Ctrl-C ends it."""
    import uvicorn

    from cryptocontent.api.app import create_app
    from cryptocontent.integrations.linear_access import off

    app = create_app(current.settings)
    typer.echo(f"gateway on http://{host}:{port}; health: /healthz")
    if not current.settings.linear_webhook_secret.get_secret_value():
        typer.echo("  /webhooks/linear is off: LINEAR_WEBHOOK_SECRET is not set (docs/linear.md)")
    elif why := off(current.settings):
        typer.echo(f"  /webhooks/linear is on; what is told to Linear is off: {why}")
    else:
        typer.echo("  /webhooks/linear is on")
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False, server_header=False)
