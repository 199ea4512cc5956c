"""Where a stretch of text stands in a later version: comments and suggestions survive edits by it."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Place:
    """Offsets in a text; `intact` if the very words of the original stand there."""

    start: int
    end: int
    intact: bool


def find_again(before: str, after: str, start: int, end: int) -> Place | None:
    """Where `before[start:end]` stands in `after`; None when none of its words is left.

    Both texts are compared token by token (Ratcliff/Obershelp, `difflib`) after what they have in common
    at both ends is set aside: the place is what its words became, so that the same words elsewhere are
    never mistaken for them.
    """
    if before == after:
        return Place(start, end, True)
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    starts_old = [0, *accumulate(map(len, old))]
    starts_new = [0, *accumulate(map(len, new))]
    mapped = [(index, index) for index in range(head)]
    middle = SequenceMatcher(
        None, old[head : len(old) - tail], new[head : len(new) - tail], autojunk=False
    ).get_matching_blocks()
    mapped += [
        (head + block.a + step, head + block.b + step) for block in middle for step in range(block.size)
    ]
    mapped += [(len(old) - tail + step, len(new) - tail + step) for step in range(tail)]
    kept = [
        (there, here)
        for there, here in mapped
        if starts_old[there] < end and starts_old[there + 1] > start and old[there].strip()
    ]
    if not kept:
        return None
    if start == end:
        return None
    first_old, first_new = kept[0]
    last_old, last_new = kept[-1]
    begin = starts_new[first_new] + max(0, start - starts_old[first_old])
    finish = starts_new[last_new + 1] - max(0, starts_old[last_old + 1] - end)
    return Place(begin, finish, after[begin:finish] == before[start:end])


def _common(left: list[str], right: list[str]) -> int:
    """How many tokens both begin with."""
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
