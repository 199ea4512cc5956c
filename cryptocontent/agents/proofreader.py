"""The proofreader: typography, doubled words, names, tickers and spelling, outside code.

A cited sentence must stay what its source says. So a correction that changes letters of such a sentence
is not made; it is left as a finding.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from cryptocontent.agents.drafts import Edits, counted, enumeration, with_body
from cryptocontent.agents.lexicon import data
from cryptocontent.agents.work import Work, WorkMessage
from cryptocontent.content.documents import Block, Figure, Heading, Paragraph, Sentence, parse
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.text import supports

VERSION = "2"

_CODE = re.compile(r"(`+[^`]*`+)")
_URL = re.compile(r"https?://\S+")
_TOLD = {"typography": "typography", "grammar": "grammar", "names": "names", "spelling": "spelling"}
Replacement = str | Callable[[re.Match[str]], str]


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    pattern: re.Pattern[str]
    replacement: Replacement
    reason: str
    anywhere: bool = True  # False: only where nothing is cited, because a source's own signs stay


async def rules(work: Work) -> Work:
    """Proofread the draft by rules."""
    edits = Edits("proofreader")
    findings: list[NewFinding] = []
    blocks: list[Block] = []
    for block in parse(work.draft.body):
        if isinstance(block, Paragraph):
            corrected = tuple(_sentence(work, sentence, edits, findings) for sentence in block.sentences)
            block = replace(block, sentences=corrected)
        elif isinstance(block, Heading):
            block = replace(block, text=_plain(block.text, edits))
        elif isinstance(block, Figure):
            block = replace(block, alt=_plain(block.alt, edits), caption=block.caption)
        blocks.append(block)
    told = [
        WorkMessage(author="proofreader", kind="finding", body=one.message, data=one.model_dump())
        for one in findings
    ]
    messages = (*told, *edits.messages(_summary(edits, findings)))
    return with_body(work, blocks, messages, findings=(*work.findings, *findings))


def _summary(edits: Edits, findings: list[NewFinding]) -> str:
    counts = edits.counts()
    groups = {
        group: sum(number for rule, number in counts.items() if rule.startswith(group + "."))
        for group in _TOLD
    }
    done = [f"{number} of {_TOLD[group]}" for group, number in groups.items() if number]
    text = (
        f"Corrected {counted(sum(counts.values()), 'place')} ({enumeration(done)})"
        if done
        else "Read it all: nothing to correct"
    )
    left = (
        f"; left {counted(len(findings), 'slip')} of the sources as they are, because they are quoted"
        if findings
        else ""
    )
    return f"{text}{left}."


def _plain(text: str, edits: Edits) -> str:
    """A heading or caption: names only."""
    for rule in _rules():
        if rule.name.startswith("names.") and (changed := _applied(rule, text)) != text:
            edits.add(rule.name, text, changed, rule.reason)
            text = changed
    return text


def _sentence(work: Work, sentence: Sentence, edits: Edits, findings: list[NewFinding]) -> Sentence:
    text = sentence.text
    sources = [passage.text for number in sentence.citations if (passage := work.passage(number))]
    sources = [source for source in sources if supports(source, text)]
    for rule in _rules():
        if (sources and not rule.anywhere) or not rule.pattern.search(text):
            continue
        changed = _applied(rule, text)
        if changed == text:
            continue
        if all(supports(source, changed) for source in sources):
            edits.add(rule.name, text, changed, rule.reason)
            text = changed
        elif not rule.name.startswith("typography."):
            message = f"The source writes it so: {rule.reason}. It stands as the source has it."
            findings.append(
                NewFinding(rule=f"source.{rule.name}", severity="info", message=message, excerpt=text)
            )
    for name, changed, reason in _whole(text):
        if changed != text and all(supports(source, changed) for source in sources):
            edits.add(name, text, changed, reason)
            text = changed
    return sentence if text == sentence.text else replace(sentence, text=text)


def _whole(text: str) -> Iterator[tuple[str, str, str]]:
    """Corrections of a sentence's beginning and end."""
    if text[:1].islower() and re.match(r"[a-zà-ÿ]+[\s,]", text) and not re.match(r"(?:e|i|zk|x)[A-Z-]", text):
        text = text[0].upper() + text[1:]
        yield "grammar.capital", text, "a sentence begins with a capital"
    if text and text[-1].isalnum():
        yield "typography.full_stop", text + ".", "a sentence ends with a full stop"


def _applied(rule: _Rule, text: str) -> str:
    """The rule on all of the text but code and addresses."""
    parts = _CODE.split(text) if "`" in text else [text]
    for place in range(0, len(parts), 2):
        if rule.pattern.search(parts[place]) and not _URL.search(parts[place]):
            parts[place] = rule.pattern.sub(rule.replacement, parts[place])
    return "".join(parts)


@cache
def _rules() -> tuple[_Rule, ...]:
    return (*_typography(), *_grammar(), *_names(), *_spelling())


def _typography() -> list[_Rule]:
    return [
        _Rule("typography.space", re.compile(r"(?<=\S)[ \t]{2,}(?=\S)"), " ", "one space between words"),
        _Rule(
            "typography.space",
            re.compile(r"(?<=[\w)\]\"'”])\s+(?=[,;:!?](?:\s|$))"),
            "",
            "no space before punctuation",
        ),
        _Rule(
            "typography.space",
            re.compile(r"(?<=[\w)\]])\s+(?=\.(?:\s|$))"),
            "",
            "no space before a full stop",
        ),
        _Rule(
            "typography.space",
            re.compile(r"(?<=[A-Za-z])([,;])(?=[A-Za-z])"),
            r"\1 ",
            "a space after punctuation",
        ),
        _Rule("typography.bracket", re.compile(r"(?<=\()\s+|\s+(?=\))"), "", "no space inside brackets"),
        _Rule("typography.doubled", re.compile(r"([,;:!?])\1+"), r"\1", "punctuation stands once"),
        _Rule("typography.doubled", re.compile(r"(?<!\.)\.\.(?!\.)"), ".", "a full stop stands once"),
        _Rule("typography.quotes", re.compile(r"(?<!\w)``|''(?!\w)"), '"', "quotation marks"),
        _Rule("typography.quotes", re.compile(r"“([^”\"]*)\""), r"“\1”", "quotation marks come in pairs"),
        _Rule(
            "typography.ellipsis", re.compile(r"(?<!\.)\.\.\.(?!\.)"), "…", "an ellipsis is one sign", False
        ),
        _Rule(
            "typography.dash", re.compile(r"(?<=\w) (?:--|-) (?=\w)"), " – ", "a dash is not a hyphen", False
        ),
        _Rule(
            "typography.dash", re.compile(r"(?<=\w)---?(?=[A-Za-z])"), "–", "a dash is not a hyphen", False
        ),
        _Rule(
            "typography.capitals",
            re.compile(
                r"(?<![\w\"“'‘`(/-])(?:(?:MUST|SHALL|SHOULD)(?: NOT)?|MAY|"
                r"(?:(?:IS|ARE)(?: NOT)? )?(?:REQUIRED|RECOMMENDED|OPTIONAL))"
                r"(?![\w\"”'’`)/-])"
            ),
            lambda match: match[0].lower(),
            "capitals of a specification are small letters in an article",
        ),
        _Rule(
            "typography.range",
            re.compile(r"(?<![\w.-])(\d+)-(\d+)(?![\w-]|\.\d)"),
            r"\1–\2",
            "a range has a dash",
            False,
        ),
    ]


def _grammar() -> list[_Rule]:
    # `that that` and `had had` can be right
    doubled = re.compile(r"\b(?!(?:that|had|can|do|will|is)\b)([A-Za-z]{2,})\s+\1\b(?!-)", re.IGNORECASE)
    article = re.compile(
        r"\ba (?=(?:[aei][a-z]{3,}|EVM|EIP|ETH|NFT|EOA)\b)"
        r"(?!eu|ewe|also\b|after\b|exist|and\b|else\b|even\b|into\b)"
    )
    return [
        _Rule("grammar.doubled_word", doubled, r"\1", "the word stands twice"),
        _Rule("grammar.article", article, "an ", "“an” before a vowel"),
    ]


def _names() -> list[_Rule]:
    names = data("names")
    forms = {
        str(key): str(value) for key, value in {**names["names"], **names["units"]}.items() if key != value
    }
    network = "|".join(str(names["bitcoin_network"]).split())
    return [
        _Rule(
            "names.spelling",
            _words(forms, ignore_case=False),
            lambda match: forms[match[0]],
            "names are written as their owners do",
        ),
        _Rule(
            "names.bitcoin",
            re.compile(rf"(?<![\w'\"/.@-])bitcoin(?=['’]s? (?:{network})\b| (?:{network})\b)"),
            "Bitcoin",
            "the network is Bitcoin, the unit bitcoin",
        ),
        _Rule(
            "names.bitcoin",
            re.compile(r"(?<=\d )Bitcoins?(?= (?:are|were|is|was|per|each|at|in|by|to)\b|[.,;])"),
            "bitcoin",
            "the unit is bitcoin",
        ),
    ]


def _spelling() -> list[_Rule]:
    right = {str(key): str(value) for key, value in data("misspellings").items()}

    def corrected(match: re.Match[str]) -> str:
        word = right[match[0].casefold()]
        return word[0].upper() + word[1:] if match[0][0].isupper() else word

    return [_Rule("spelling.common", _words(right, ignore_case=True), corrected, "a common misspelling")]


def _words(forms: dict[str, str], ignore_case: bool) -> re.Pattern[str]:
    body = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.compile(rf"(?<![\w'\"/.@-])(?:{body})(?![\w'\"/@-]|\.\w)", re.IGNORECASE if ignore_case else 0)
