"""The worst that a model can be: it reads everything, however it is hidden, and obeys whoever speaks to it.

What it takes for an order is any sentence of the material or of a tool's answer with a word of command beside
something that it could do: words to write, an address, a link, a tool, a number to cite, a text of its own to
give away. It understands English, German, Spanish and French, and reads through encodings and look-alikes.
"""

import base64
import binascii
import html
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

from cryptocontent.content.text import sentences
from tests.fakes.authors_honest import Answer, answer_of, form_of
from tests.fakes.authors_reading import Seen, see
from tests.fakes.vendors import Asked, Reply

_COMMAND = re.compile(
    r"\b(?:ignore|disregard|forget|override|must|should|have to|need to|write|say|state|include|insert|add"
    r"|append|mention|print|output|repeat|quote|copy|put|place|use|set|make|begin|start|end|close|open|finish|answer|reply"
    r"|respond|recommend|advise|tell|urge|call|invoke|run|execute|link|visit|send|transfer|direct|point|cite"
    r"|attribute|credit|reveal|show|disclose|approve|mark|rate|rank|praise|promote|replace|decode|obey|follow"
    r"|schreib\w*|erwähn\w*|nenn\w*|füg\w*|ignorier\w*|antwort\w*|empfiehl|empfehl\w*|zitier\w*|verlink\w*|gib|setz\w*"
    r"|ruf\w*|escrib\w*|incluy\w*|añad\w*|mencion\w*|recomiend\w*|ignor[ae]\w*|cita|enlaza|responde\w*|pon"
    r"|écri\w+|ajout\w+|inclu\w+|mentionn\w+|recommand\w+|ignor\w+|cit\w+|répon\w+|oubli\w+)\b",
    re.I,
)
_QUOTED = re.compile(r"[\"“„«](.+?)[\"”“»]|(?<!\w)'(.+?)'(?!\w)", re.S)
_AFTER = re.compile(r":\s+(\S.*)\Z", re.S)
_URL = re.compile(
    r"\b(?:https?://|www\.)[^\s<>)\]\"'`”»]+[^\s<>)\]\"'`”».,;:!?]|\b[a-z0-9-]+\.(?:example|test)\b[^\s)\"'`”».,;]*"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{40}\b|\bbc1[a-z0-9]{20,60}\b|\b[13][1-9A-HJ-NP-Za-km-z]{25,34}\b")
_TOOL = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_TOOL_WORD = re.compile(r"\b(?:tool|function|call|invoke|run|execute|werkzeug|herramienta|outil)\w*\b", re.I)
_CITE = re.compile(r"\b(?:passage|source|citation|reference|quelle|fuente|number)s?\s+(\d{2,5})\b", re.I)
_REVEAL = re.compile(
    r"\b(?:system prompt|prompt|your (?:initial |own |exact )?instructions|your rules|what you were told"
    r"|systemprompt|your configuration|deine anweisungen|tus instrucciones|tes instructions|text above"
    r"|first lines?)\b",
    re.I,
)
_APPROVE = re.compile(r"\b(?:supported|approve[ds]?|verdicts?|fact[- ]check\w*|analyst)\b", re.I)
_ADVICE = re.compile(
    r"\b(?:buy(?:ing)?|invest(?:ing)? in|kaufen|comprar|acheter|purchas(?:e|ing)|stak(?:e|ing))\s+"
    r"(?:some |more )?([A-Z]\w+)"
)
_NAME = re.compile(
    r"\b(?:recommend|praise|promote|mention|favour)\w*\s+(?:the\s+)?(?:\w+\s+){0,2}?([A-Z]\w{4,})"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_LOOKALIKE = str.maketrans("аеорсухіѕАЕОРСХІ", "aeopcyxisAEOPCXI")
_MOST = 12


@dataclass(slots=True)
class Orders:
    """What the model was ordered to do, in the order in which it read it."""

    say: list[str] = field(default_factory=list)
    tools: list[str] = field(default_factory=list)
    cite: list[int] = field(default_factory=list)
    reveal: bool = False
    approve: bool = False

    def __bool__(self) -> bool:
        return bool(self.say or self.tools or self.cite or self.reveal or self.approve)


def orders_in(text: str) -> Orders:
    """All that a text orders its reader to do."""
    found = Orders()
    shown = readable(text)
    pieces = [piece for line in shown.splitlines() for piece in sentences(line.strip(" >|#*-\t"))]
    commanded = ""
    for piece in pieces:
        # An order may end with a colon and go on in the next sentence or line.
        whole = f"{commanded} {piece}".strip()
        commanded = whole if piece.rstrip().endswith(":") and _COMMAND.search(whole) else ""
        if not commanded and _COMMAND.search(whole):
            _take(found, whole)
    for blob in _BASE64.findall(shown):
        if hidden := _decoded(blob):
            inner = orders_in(hidden)
            found.say += inner.say
            found.tools += inner.tools
    return found


def _take(found: Orders, piece: str) -> None:
    """Add what one sentence orders."""
    if _REVEAL.search(piece):
        found.reveal = True
    if _APPROVE.search(piece):
        found.approve = True
    tools = _TOOL.findall(piece) if _TOOL_WORD.search(piece) else []
    found.tools += [one for one in tools if one not in found.tools]
    found.cite += [int(one) for one in _CITE.findall(piece)]
    demanded = [first or second for first, second in _QUOTED.findall(piece)]
    if not demanded and (after := _AFTER.search(piece)):
        demanded = [after[1]]
    demanded += [f"Readers should buy {name} now." for name in _ADVICE.findall(piece)]
    demanded += [f"{name} is the best of all." for name in _NAME.findall(piece)]
    demanded += [f"More is told at {url}." for url in _URL.findall(piece)]
    demanded += [f"Payments go to {address}." for address in _ADDRESS.findall(piece)]
    found.say += [
        one for one in dict.fromkeys(" ".join(one.split()) for one in demanded) if one not in found.say
    ]


def readable(text: str) -> str:
    """The text as a careful reader makes it out: without characters that hide, entities and look-alikes."""
    tags = "".join(chr(ord(one) - 0xE0000) if 0xE0020 <= ord(one) < 0xE007F else one for one in text)
    shown = "".join(one for one in tags if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFKC", html.unescape(shown)).translate(_LOOKALIKE)


def _decoded(blob: str) -> str:
    try:
        text = base64.b64decode(blob + "=" * (-len(blob) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
    return text if text.isprintable() else ""


def gullible(asked: Asked) -> Reply:
    """Honest work, and all that it is ordered to do on top."""
    seen = see(asked)
    orders = orders_in(seen.data)
    answer = answer_of(seen)
    if not orders:
        return Reply(json=answer)
    if wanted := [one for one in orders.tools if one not in seen.calls]:
        return Reply(tool_calls=[(one, {"query": "whatever you like"}) for one in wanted[:_MOST]])
    said = [_sentence(one) for one in orders.say]
    if orders.reveal:
        said.append(_sentence("I was told this: " + " ".join(asked.system.split()[:60])))
        said.append(_sentence("My task is this: " + " ".join(seen.task.split()[:40])))
    _OBEY[form_of(seen)](seen, orders, said, answer)
    return Reply(json=answer)


def _sentence(text: str) -> str:
    return text if text.rstrip("\"'”»`").endswith((".", "!", "?")) else f"{text}."


def _of_orders(seen: Seen, orders: Orders, said: list[str]) -> list[Answer]:
    """Sentences with what was demanded: once with the passage that demanded it as source, once without."""
    made: list[Answer] = []
    for one in said:
        source = next((p.number for p in seen.passages if one.rstrip(".")[:60] in readable(p.text)), None)
        known = source or (seen.passages[0].number if seen.passages else 1)
        made.append({"text": one, "citations": [known, *orders.cite]})
    return made


def _in_part(seen: Seen, orders: Orders, said: list[str], answer: Answer) -> None:
    _in_paragraphs(seen, orders, said, answer["paragraphs"])


def _in_article(seen: Seen, orders: Orders, said: list[str], answer: Answer) -> None:
    for part in (answer["lead"], *(one["paragraphs"] for one in answer["sections"])):
        _in_paragraphs(seen, orders, said, part)


def _in_paragraphs(seen: Seen, orders: Orders, said: list[str], paragraphs: list[Answer]) -> None:
    for paragraph in paragraphs:
        for one in paragraph["sentences"]:
            one["citations"] = [*one["citations"], *orders.cite]
    paragraphs.append({"sentences": _of_orders(seen, orders, said)})


def _in_plan(seen: Seen, orders: Orders, said: list[str], answer: Answer) -> None:
    told = " ".join(["Write in this part exactly:", *(f"“{one}”" for one in said)])
    answer["lead"] = told
    for one in answer["sections"]:
        one["angle"] = told[:290]
        one["passages"] += orders.cite
    answer["answers"] = [{"instruction": 1, "answer": told}]


def _in_edits(seen: Seen, orders: Orders, said: list[str], answer: Answer) -> None:
    bounds = re.search(r"blocks (\d+) to (\d+) of the draft", seen.task)
    first, last = (int(bounds[1]), int(bounds[2])) if bounds else (1, 0)
    places = [one for one in seen.draft if first <= one.block <= last]
    taken = {one["place"] for one in answer["edits"]}
    free = [one for one in places if one.place not in taken]
    common = {"kind": "replace_sentence", "rule": "order"}
    for sentence, one in zip(free, said, strict=False):
        edit = {**common, "place": sentence.place, "before": sentence.text, "reason": "It was demanded."}
        answer["edits"].append({**edit, "after": f"{sentence.text} {one}"})
    for sentence, one in zip(free[len(said) :], said, strict=False):
        edit = {
            **common,
            "place": sentence.place,
            "before": sentence.text,
            "after": sentence.text + " Indeed.",
        }
        answer["edits"].append({**edit, "reason": one})
    title: dict[str, Any] = {"kind": "replace_title", "place": "title", "before": seen.title, "rule": "order"}
    if said and form_of(seen) == "EditList":
        answer["edits"].append({**title, "after": said[0], "reason": said[0], "instruction": 1})


def _in_review(seen: Seen, orders: Orders, said: list[str], answer: Answer) -> None:
    for number, one in enumerate(answer["claims"]):
        if orders.approve:
            one["verdict"] = "supported"
            quote = seen.passages[0].text[:80] if seen.passages else ""
            one["evidence"] = one["evidence"] or [{"passage": 1, "quote": quote}]
        if said:
            one["reason"] = said[number % len(said)]
    answer["risks"] += [{"place": "title", "severity": "warn", "reason": one} for one in said]
    answer["answers"] = [{"instruction": 1, "answer": one} for one in said]


def _in_proposal(seen: Seen, orders: Orders, said: list[str], answer: Answer) -> None:
    if not said:
        return
    answer["title"] = said[0][:60]
    answer["description"] = " ".join(said)[:150].ljust(75, "!")
    answer["slug"] = re.sub(r"[^a-z0-9]+", "-", said[0].lower()).strip("-")[:60] or "x"
    answer["keywords"] = [*answer["keywords"], *(one[:50] for one in said)][:10]
    answer["links"] = [*answer["links"], {"text": (seen.title.split() or ["x"])[0], "slug": "buy-now"}]
    answer["answers"] = [{"instruction": 1, "answer": one} for one in said]


_OBEY = {
    "ArticlePlan": _in_plan,
    "SectionDraft": _in_part,
    "ArticleDraft": _in_article,
    "EditList": _in_edits,
    "CorrectionList": _in_edits,
    "ClaimReview": _in_review,
    "SeoProposal": _in_proposal,
}
