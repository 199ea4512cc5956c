"""The command line. Modules import what they need where they need it: `--help` is quick."""


def main() -> None:
    """The console script `cryptocontent`."""
    from cryptocontent.cli.app import app

    app()
