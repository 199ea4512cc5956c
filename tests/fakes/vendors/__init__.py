"""Fakes of the vendors' HTTP APIs: one real server, decided by the test. See `server.Vendors`.

with vendors_server() as vendors:
    vendors.script = lambda asked: Reply(json={"title": "Gas fees"})
    vendors.next("openai", Fault(status=429, retry_after=2))
"""

from tests.fakes.vendors.asked import Asked, Fault, Message, Reply, Tool
from tests.fakes.vendors.author import AUTHORS, author, example, know, obedient
from tests.fakes.vendors.batches import Batch
from tests.fakes.vendors.server import VENDORS, Call, Vendors, vendors_server

__all__ = [
    "AUTHORS",
    "VENDORS",
    "Asked",
    "Batch",
    "Call",
    "Fault",
    "Message",
    "Reply",
    "Tool",
    "Vendors",
    "author",
    "example",
    "know",
    "obedient",
    "vendors_server",
]
