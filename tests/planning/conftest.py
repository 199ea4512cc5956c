from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from tests.planning.world import World, world_of


@pytest.fixture
def world(sqlite_engine: Engine) -> Iterator[World]:
    """A newsroom on SQLite."""
    with world_of(sqlite_engine) as world:
        yield world


@pytest.fixture
def any_world(engine: Engine) -> Iterator[World]:
    """A newsroom on each database."""
    with world_of(engine) as world:
        yield world
