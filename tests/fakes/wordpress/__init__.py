"""WordPress' REST API as far as publishing uses it, over real HTTP: `wordpress_server()` in tests,
`app(sample())` for people, whom its pages show the posts (`environment(url)` leads to it)."""

from tests.fakes.wordpress.server import app, environment, wordpress_server
from tests.fakes.wordpress.state import PASSWORD, USER, Fault, Post, WordPress, sample

__all__ = [
    "PASSWORD",
    "USER",
    "Fault",
    "Post",
    "WordPress",
    "app",
    "environment",
    "sample",
    "wordpress_server",
]
