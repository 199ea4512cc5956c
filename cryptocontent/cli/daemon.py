"""The Dagster daemon, looking at backfills every few seconds.

Dagster 1.13 looks every 30 s and has no setting for it: a backfill launched in the UI stood still for
half a minute before its first run, and as long after its last one.
"""

from dagster._daemon import controller
from dagster._daemon.cli import main

_SECONDS = 10

if __name__ == "__main__":
    controller.DEFAULT_DAEMON_INTERVAL_SECONDS = _SECONDS
    main()
