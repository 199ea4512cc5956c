"""Linear over real HTTP: `linear_server()` in tests, `app(Linear())` for people (`sample(linear)` fills it,
`environment(url)` leads to it, `sender(linear)` sends its webhooks)."""

from tests.fakes.linear.sample import sample
from tests.fakes.linear.server import app, application_environment, environment, linear_server
from tests.fakes.linear.state import Call, Fault, Linear, Node, later
from tests.fakes.linear.webhooks import sender, signed

__all__ = [
    "Call",
    "Fault",
    "Linear",
    "Node",
    "app",
    "application_environment",
    "environment",
    "later",
    "linear_server",
    "sample",
    "sender",
    "signed",
]
