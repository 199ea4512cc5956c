"""Fixtures: the vendors, one server per module, and the settings that lead to them.

A folder's conftest takes them over: `from tests.fakes.vendors.fixtures import *`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cryptocontent.settings import Settings
from tests.fakes.vendors import Vendors, vendors_server

__all__ = ["_vendors_server", "vendor_settings", "vendors"]


@pytest.fixture(scope="module")
def _vendors_server() -> Iterator[Vendors]:
    with vendors_server() as running:
        yield running


@pytest.fixture
def vendors(_vendors_server: Vendors) -> Vendors:
    """All vendors, with nothing asked of them yet; every question gets a valid answer."""
    _vendors_server.reset()
    return _vendors_server


@pytest.fixture
def vendor_settings(vendors: Vendors, tmp_path: Path) -> Settings:
    """Settings with the vendors' URLs and keys, and a home of the test's own."""
    return vendors.settings(tmp_path)
