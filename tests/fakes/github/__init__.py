"""GitHub's REST API as far as publishing uses it, over real HTTP: `github_server()` in tests, `app(GitHub())`
for people (`sample()` fills it, `environment(url)` leads to it)."""

from tests.fakes.github.repo import Pull, Repo
from tests.fakes.github.server import app, environment, github_server
from tests.fakes.github.state import APP_ID, TOKEN, Access, Fault, GitHub, app_key, sample

__all__ = [
    "APP_ID",
    "TOKEN",
    "Access",
    "Fault",
    "GitHub",
    "Pull",
    "Repo",
    "app",
    "app_key",
    "environment",
    "github_server",
    "sample",
]
