"""Fake language models that do the five stages, as scripts for the fake vendors.

vendors.script = honest      # copies and rewords sentences of the passages, and cites them
vendors.script = gullible    # honest, but obeys whatever the material or a tool tells it to do
vendors.script = inventive   # makes citations, figures and quotations up in a third of its sentences

Each reads what a real model would read, from any of the vendors' protocols and in any mode of output, and
always gives the same answer to the same question. To import this makes the vendors' own `obedient` write what
`honest` writes.
"""

from tests.fakes.authors_gullible import Orders, gullible, orders_in
from tests.fakes.authors_honest import honest
from tests.fakes.authors_inventive import FIGURES, QUOTATION, SOURCE, inventive
from tests.fakes.authors_reading import Passage, Seen, Told, see

__all__ = [
    "FIGURES",
    "QUOTATION",
    "SOURCE",
    "Orders",
    "Passage",
    "Seen",
    "Told",
    "gullible",
    "honest",
    "inventive",
    "orders_in",
    "see",
]
