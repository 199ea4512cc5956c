"""The fake vendors, for every test of this folder."""

from tests.fakes.vendors.fixtures import *  # noqa: F403
