"""Protection from instructions in references: what a model is not shown, and what of its answer is not kept.

The patterns are those that keep such text from being published (`content.checks.injection`), and those of
`orders`, which are wider: a sentence that is lost to a writer costs little. They find what is known, not all
that there will be; so a model has nothing but reading tools, its material is delimited, and its answers are
checked.
"""

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache

from cryptocontent.agents.by_model.orders import orders
from cryptocontent.agents.work import ResearchPassage, Work
from cryptocontent.content.checks import injection
from cryptocontent.content.checks.checkables import checkables, whole
from cryptocontent.content.checks.linked import links_of
from cryptocontent.content.checks.patterns import Line, first_match, plain
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.rules import Rules, shipped_rules
from cryptocontent.content.rules.files import Injection
from cryptocontent.content.templates import Outline, WordRange
from cryptocontent.content.text import normalized, sentences, words

TOOLS = ("search_passages", "market_fact", "existing_articles")
"""The names of the tools that models are offered: no reader should meet one."""
LEAKED_WORDS = 8
"""So many consecutive words of a prompt are no accident."""
_QUOTED = re.compile(r"“[^“”]*”")
_SHORT_QUOTE = re.compile(r"“(?!.*(?:://|www\.|0x))[^“”]{0,24}”\Z")
REMOVED = "[…]"
"""Stands where something was taken out."""
_FEWEST_ENCODED = 3
_BLOB = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{20,}={0,2}(?![A-Za-z0-9+/=])")
_LOOKALIKE = str.maketrans(
    "аеорсухіѕјһԁАВЕКМНОРСТХІЅαορνΑΒΕΗΙΚΜΝΟΡΤΧ", "aeopcyxisjhdABEKMHOPCTXISaopvABEHIKMNOPTX"
)
"""Cyrillic and Greek letters that look like Latin ones."""

_ANY_OUTLINE = Outline(
    title="",
    language="en",
    tone="",
    audience="",
    jurisdictions=(),
    words=WordRange(min=0, max=1),
    sections=(),
)


def screened(work: Work, rules: Rules) -> tuple[Work, list[NewFinding]]:
    """The work as models may see it: sentences that instruct an agent are taken out of the research, and so
    is text that no reader sees, and all that stands under a title or heading that instructs; numbers stay.
    With a finding for each reference that had some. What comes back to the pipeline must bear the work's own
    research again."""
    research: list[ResearchPassage] = []
    taken: dict[str, tuple[ResearchPassage, list[str]]] = {}
    for passage in work.research:
        text, gone = _clean(passage.text, rules.injection)
        title, of_title = _clean(passage.title, rules.injection)
        path, of_path = [], list[str]()
        for heading in passage.heading_path:
            cleaned, found = _clean(heading, rules.injection)
            path.append(cleaned)
            of_path += found
        if of_title or of_path:
            # What is cited is named by its title and heading in the article: this must not be cited.
            text = ""
        if all_gone := [*of_title, *of_path, *gone]:
            taken.setdefault(passage.reference_id, (passage, []))[1].extend(all_gone)
            update = {"text": text, "title": title, "heading_path": tuple(path)}
            passage = passage.model_copy(update=update)
        research.append(passage)
    if not taken:
        return work, []
    return work.model_copy(update={"research": tuple(research)}), [
        _finding(passage, list(dict.fromkeys(gone))) for passage, gone in taken.values()
    ]


def instructions_in(text: str, rules: Rules) -> list[str]:
    """The sentences of a text that instruct an agent. One that quotes such words as an example is excused,
    as it is when an article is published."""
    found = rules.injection
    pieces = (one for one, _, _ in _pieces(text))
    return [one for one in pieces if any(_instructs(line, found, found.exceptions) for line in _lines(one))]


def leaks(text: str, told: Iterable[str], allowed: Sequence[str] = ()) -> list[str]:
    """The sentences of an answer that repeat eight words or more of what its model was told. `allowed` are
    the parts of that which may stand in an answer: required phrases, headings, text of the article."""
    secret = {run for one in told for run in _runs(one)} - {run for one in allowed for run in _runs(one)}
    return [one for one, _, _ in _pieces(text) if not secret.isdisjoint(_runs(one))] if secret else []


def foreign(text: str, work: Work) -> list[str]:
    """The URLs, domains and addresses of a text that neither research nor brief has, and names of our
    tools: each as it stands there, once."""
    targets = [link.target for link in links_of(text)]
    addresses = [part for one, _, _ in _pieces(text) for part in checkables(one) if part.kind == "address"]
    tools = [name for name in TOOLS if name in text]
    if not (targets or addresses or tools):
        return []
    known = _known(work)
    found = [target for target in targets if not whole(_bare(target), known)]
    found += [part.text for part in addresses if not whole(part.text.lower(), known)]
    return list(dict.fromkeys([*found, *(name for name in tools if not whole(name, known))]))


def unquoted(reason: str) -> str:
    """A refusal's reason without what it quotes, but for a few words: what was refused is not handed on by
    telling of it."""
    return _QUOTED.sub(lambda quote: quote[0] if _SHORT_QUOTE.match(quote[0]) else "“…”", reason)


def _known(work: Work) -> str:
    """All that research and brief say, in lower case."""
    brief = work.brief
    texts = [brief.outline.model_dump_json(), *brief.keywords, *map(str, brief.variables.values())]
    texts += [one.body for one in work.instructions]
    for passage in work.research:
        if passage.status != "recalled":
            texts += [passage.text, passage.title, *passage.heading_path, passage.url or ""]
    return "\n".join(texts).lower()


def _bare(target: str) -> str:
    """A URL as it is looked for in texts."""
    return target.lower().strip().removeprefix("https://").removeprefix("http://").rstrip("/")


def _runs(text: str) -> set[tuple[str, ...]]:
    """All runs of eight words."""
    found = [word.casefold() for word in words(normalized(text))]
    return {tuple(found[at : at + LEAKED_WORDS]) for at in range(len(found) - LEAKED_WORDS + 1)}


@lru_cache(maxsize=20_000)
def _clean(text: str, rules: Injection) -> tuple[str, tuple[str, ...]]:
    """The text without what instructs an agent or is hidden, and what was taken out. A sentence that only
    quotes such words goes too: to a model they are the same words."""
    if not text.strip():
        return text, ()
    seen, gone = _without_hidden(text, rules)
    kept, at, goes_on = "", 0, False
    for piece, start, end in _pieces(seen):
        ordered = any(_instructs(line, rules, ()) or orders(line) or _encodes(line) for line in _lines(piece))
        if ordered or goes_on:
            kept += seen[at:start] + REMOVED
            gone.append(piece)
            at = end
        # "Write this:" – and what is to be written is the next sentence.
        goes_on = ordered and piece.endswith(":")
    return (kept + seen[at:], tuple(gone)) if gone else (text, ())


def _encodes(text: str) -> bool:
    """Whether a text holds words in base64, which no reader reads."""
    for match in _BLOB.finditer(text):
        try:
            told = base64.b64decode(match[0] + "=" * (-len(match[0]) % 4)).decode()
        except (binascii.Error, ValueError):
            continue
        if told.isprintable() and len(words(told)) >= _FEWEST_ENCODED:
            return True
    return False


def _without_hidden(text: str, rules: Injection) -> tuple[str, list[str]]:
    """The text without what the check of injection calls hidden. Of invisible characters only they go."""
    # That check looks at nothing of its subject but the text and the rules of injection.
    subject = Subject(
        markdown=text,
        outline=_ANY_OUTLINE,
        rules=shipped_rules().model_copy(update={"injection": rules}),
        now=datetime.min.replace(tzinfo=UTC),
    )
    hidden = [one for one in injection.check(subject) if one.rule == injection.HIDDEN.id]
    kept, at, gone = "", 0, []
    for one in sorted(hidden, key=lambda one: one.start or 0):
        start, end = max(one.start or 0, at), one.end or 0
        if end <= start:
            continue
        names = set(one.evidence.get("characters", ()))
        shown = "".join(char for char in text[start:end] if names and not _is_invisible(char, names))
        kept += text[at:start] + (shown or REMOVED)
        gone.append(str(one.evidence.get("hidden_text") or shown or one.excerpt))
        at = end
    return kept + text[at:], gone


def _is_invisible(char: str, names: set[str]) -> bool:
    return f"U+{ord(char):04X}" in names or (
        unicodedata.category(char) in ("Cf", "Cc") and char not in "\n\r\t"
    )


def _instructs(text: str, rules: Injection, exceptions: tuple[str, ...]) -> bool:
    """Whether a line of text instructs an agent by the rules' patterns, and no exception excuses it."""
    bare = plain(text)
    line = Line(text, bare, bare.lower(), 0, len(text))
    return first_match(line, rules.words, rules.patterns, exceptions) is not None


def _lines(piece: str) -> list[str]:
    """A piece of text as a whole and line by line, as it is and in the letters that it looks like."""
    seen = unicodedata.normalize("NFKC", piece)
    lines = (" ".join(seen.split()), *(line.strip() for line in seen.splitlines()))
    return list(dict.fromkeys((*(one.translate(_LOOKALIKE) for one in lines), *lines)))


def _pieces(text: str) -> list[tuple[str, int, int]]:
    """The sentences of a text, code and tables included, with their places."""
    found, at = [], 0
    for piece in sentences(text):
        start = text.find(piece, at)
        if start < 0:  # the segmenter changed it: nothing must go unread
            return [(text, 0, len(text))]
        at = start + len(piece)
        found.append((piece, start, at))
    return found


def _finding(passage: ResearchPassage, gone: Sequence[str]) -> NewFinding:
    told = "1 piece of text that instructs" if len(gone) == 1 else f"{len(gone)} pieces of text that instruct"
    return NewFinding(
        rule="injection.screened",
        severity="info",
        message=f"“{passage.title[:120]}” holds {told} an agent; models do not see it.",
        evidence={
            "reference": passage.reference_id,
            "taken_out": [one[:200] for one in gone[:10]],
            "key": passage.reference_id,
        },
    )
