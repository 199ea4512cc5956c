"""What a model reads of a question of our agents: passages, draft, task and problems, as they stand in it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptocontent.content.text import sentences, words
from tests.fakes.vendors import Asked

_PASSAGE = re.compile(
    r"<<<passage (?P<number>\d+) (?P<tag>[0-9a-f]{16})>>>\n(?P<all>.*?)"
    r"(?=\n\n<<<passage \d+ (?P=tag)>>>|\n<<<end of research (?P=tag)>>>)",
    re.S,
)
_BLOCK = r"<<<{0} (?P<tag>[0-9a-f]{{16}})>>>\n(?P<all>.*?)\n<<<end of {0} (?P=tag)>>>"
_DRAFT = re.compile(_BLOCK.format("draft"), re.S)
_ARTICLES = re.compile(_BLOCK.format("articles"), re.S)
_LABEL = re.compile(r"^\[(\d+)\.(\d+)\] (.*)$", re.M)
_HEADING = re.compile(r"^\[(\d+)\] #+ (.*)$", re.M)
_MARKER = re.compile(r"\[\^(\d+)\]")
_SECTION = re.compile(r"^(\d+)\. (.+) \(about (\d+) words\)\. Looks for: (.*)$", re.M)
_OUTPUT = "final_result"
_STOP_WORDS = """
    a about after all an and are as at be been but by can did do does for from had has have how if in into is
    it its may more most must no not of on one only or other so some such than that the their them then there
    these they this those to was were what when where which while who why will with would you your
"""
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage; `head` is what stands before its text (title, kind, …)."""

    number: int
    head: str
    text: str

    @property
    def usable(self) -> list[str]:
        """Its plain whole sentences, fit to be copied into an article."""
        if "kind: table" in self.head or "kind: code" in self.head:
            return []
        found = [" ".join(one.split()) for one in sentences(self.text)]
        return [one for one in found if _plain(one)]


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence of a draft: its place, its text without markers, and what it cites."""

    place: str
    text: str
    cites: tuple[int, ...]

    @property
    def block(self) -> int:
        return int(self.place.split(".")[0])


@dataclass(frozen=True, slots=True)
class Planned:
    """A section as the task names it."""

    number: int
    heading: str
    words: int
    query: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A question as it is read."""

    asked: Asked
    passages: tuple[Passage, ...]
    draft: tuple[Told, ...]
    title: str
    task: str
    problems: tuple[str, ...]
    results: tuple[str, ...]
    calls: tuple[str, ...]

    @property
    def data(self) -> str:
        """All that is no word of ours, as far as anybody can tell: material, and what tools returned."""
        first = self.asked.messages[0].text
        return "\n\n".join((first.removesuffix(self.task), *self.results))

    @property
    def sections(self) -> list[Planned]:
        return [Planned(int(n), heading, int(w), q) for n, heading, w, q in _SECTION.findall(self.task)]

    def number(self, pattern: str, default: int = 0) -> int:
        """The first number that the task gives after a pattern."""
        found = re.search(pattern, self.task)
        return int(found[1]) if found else default


def see(asked: Asked) -> Seen:
    """Read a question."""
    first = asked.messages[0].text
    at = first.rfind("\n<<<end of ")
    task = first[first.index(">>>", at) + 3 :].lstrip("\n") if at >= 0 else first
    passages = {
        int(one["number"]): Passage(int(one["number"]), *_parts(one["all"]))
        for one in _PASSAGE.finditer(first)
    }
    draft = _DRAFT.search(first)
    told = [
        Told(f"{block}.{at}", _MARKER.sub("", text).strip(), tuple(map(int, _MARKER.findall(text))))
        for block, at, text in _LABEL.findall(draft["all"] if draft else "")
    ]
    title = re.search(r"^\[title\] (.*)$", draft["all"], re.M) if draft else None
    returned = [_unwrapped(one) for one in asked.results]
    later = [one.text for one in asked.messages[1:] if one.role == "user" and one.text]
    problems = [one for one in (*returned, *later) if "has these problems" in one]
    return Seen(
        asked=asked,
        passages=tuple(passages.values()),
        draft=tuple(told),
        title=title[1] if title else "",
        task=task,
        problems=tuple(re.findall(r"^- (.*)$", problems[-1], re.M)) if problems else (),
        results=tuple(one for one in returned if one not in problems),
        calls=tuple(name for one in asked.messages for name, _ in one.calls if not name.startswith(_OUTPUT)),
    )


def headings(seen: Seen) -> list[tuple[int, str]]:
    """The headings of the draft, with their blocks."""
    return [(int(block), text) for block, text in _HEADING.findall(seen.asked.messages[0].text)]


def articles(seen: Seen) -> list[tuple[str, str]]:
    """The other articles that were shown: slug and title."""
    shown = "\n".join(one["all"] for one in _ARTICLES.finditer(seen.data))
    return re.findall(r"^- article:(\S+) \| (.*)$", shown, re.M)


def stems(text: str) -> set[str]:
    """The words of a text that say what it is about, cut to six letters."""
    return {word[:6] for word in map(str.casefold, words(text)) if word not in _STOP and len(word) > 2}


def alike(one: str, other: str) -> float:
    """How much two texts have in common, as a share of the smaller one."""
    left, right = stems(one), stems(other)
    return len(left & right) / (min(len(left), len(right)) or 1)


def best(seen: Seen, about: str, numbers: Sequence[int] = ()) -> list[Passage]:
    """The passages with words of `about`, those with most first; only of `numbers`, if given."""
    wanted = stems(about)
    scored = [
        (-len(wanted & stems(f"{one.head} {one.text}")), one.number, one)
        for one in seen.passages
        if not numbers or one.number in numbers
    ]
    return [one for score, _, one in sorted(scored, key=lambda entry: entry[:2]) if score]


def _parts(text: str) -> tuple[str, str]:
    head, _, rest = text.partition("\n\n")
    return head, rest


def _plain(sentence: str) -> bool:
    return (
        6 <= len(words(sentence)) <= 45
        and sentence[0].isupper()
        and sentence.endswith(".")
        and not re.search(r"[\[\]<>|#*{}\\`\"“”]|://|\.\.\.|…", sentence)
    )


def _unwrapped(result: str) -> str:
    """What a tool returned: Google's protocol wraps it into JSON."""
    try:
        found = json.loads(result)
    except ValueError:
        return result
    return "\n".join(_strings(found)) or result


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in items for text in _strings(one)]
