"""Fetching what strangers name: the guarded HTTP client for pages, sitemaps and feeds.

What is read is decided here once (`addresses`), and where a connection may lead is decided where it is made
(`network`); `fetching` puts both under limits of size and time. Nothing of ours fetches a foreign address in
any other way.
"""

from cryptocontent.integrations.web.addresses import Address, parse, shown
from cryptocontent.integrations.web.fetching import Fetched, Seen, Unavailable, Unfit, Web
from cryptocontent.integrations.web.network import Forbidden, private_hosts

__all__ = [
    "Address",
    "Fetched",
    "Forbidden",
    "Seen",
    "Unavailable",
    "Unfit",
    "Web",
    "parse",
    "private_hosts",
    "shown",
]
