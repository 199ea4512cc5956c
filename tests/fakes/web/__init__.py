"""A website over real HTTP: pages, feeds, sitemaps, robots.txt. `web_server()` in tests, `app(Site())` for
people (`sample(site)` fills it, `environment(url)` leads to it); `raw` speaks HTTP byte by byte, or badly."""

from tests.fakes.web.sample import sample
from tests.fakes.web.server import app, environment, web_server
from tests.fakes.web.state import Asked, Fault, Resource, Site

__all__ = ["Asked", "Fault", "Resource", "Site", "app", "environment", "sample", "web_server"]
