"""A newsroom that publishes to a blog."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.fakes.wordpress import WordPress, wordpress_server
from tests.publishing.newsroom import Newsroom, logins, newsroom


@pytest.fixture
def site() -> Iterator[WordPress]:
    with wordpress_server() as site:
        yield site


@pytest.fixture
def house(engine: Engine, tmp_path: Path, site: WordPress) -> Newsroom:
    """With one article that is not published yet, and the target `blog`."""
    made = newsroom(engine, tmp_path, wordpress_logins=logins(site))
    made.target("wordpress", "blog", url=site.url)
    return made
