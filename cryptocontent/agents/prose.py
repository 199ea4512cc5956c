"""Which sentences of a source can stand in an article, and how: shared by the agents' rules engines.

Everything here looks at one sentence, or at the sentences of one paragraph; nothing here ranks or composes.
A sentence has a *level*, the first step of relaxation at which it is good enough (see `LEVELS`).
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from cryptocontent.agents.lexicon import data, phrases, word_set
from cryptocontent.content.text import sentences, words

LEVELS = (
    "whole, plain sentences",
    "longer sentences and sentences with code",
    "sentences in which the source names itself, after the sentence that they follow",
    "sentences in which the source names itself, under its name as heading",
    "list items that are whole sentences",
    "sentences in which the source's authors speak, or that point elsewhere",
)
_LENGTHY, _NAMING, _NAMING_FIRST, _LISTS, _LAST = range(1, len(LEVELS))
NEVER = len(LEVELS)

_CODE = re.compile(r"`+[^`]*`+")
_DEBRIS = re.compile(
    r"\]\(|\{|\}|\$\$|\$[^\d\s]|\||<|>|\\|\^|~~|https?:|www\.|\*|==|!=|:=|\+=|&&|&\w+;|(?<!\w)_|_(?!\w)|"
    r"\s=\s|\w\(\w*\)|\w\[\w*\]|\[\s?[\]x]|\.\.\.|…|\u2192|->|::|\bhttps\b|0x[0-9a-fA-F]{12,}|\w/\w+/\w|[∈∀∃≤≥≠×⋅∑]|"
    r"\.(?:md|py|json|yaml|sol|go|rs|ts|js|html?|png)\b|\[\^?\d+\]|\(\s*\)|``|\s/\s\S+\s/\s"
)
_SNAKE = re.compile(r"\b\w*[a-zA-Z0-9]_\w+\b|\b[a-z]+[A-Z]\w+\b")
_TERMINAL = re.compile(r"[.!][\"')\]”’]*\Z")
_START = re.compile(r"[\"'“(]?(?:[A-ZÀ-ÖØ-Þ0-9]|`[^`])|[a-z]?[A-Z]|(?:e|zk|x)[A-Z-]")
_LISTED = re.compile(r"\(?(?:\d+|[a-zA-Z]|[ivx]+)[.)]\s|[-*+•]\s|#|>|\[")
_LABEL = re.compile(r"[A-Z`][^.:;,]{0,50}:\s")
_INNER_STOP = re.compile(r"[.!?][\"')]*\s+[A-Z`\"(]")
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|etc|vs|cf|al|Fig|approx|resp|No)\.", re.IGNORECASE)
_PARENTHESIS = re.compile(
    r"\s\((?:see|cf\.?|as (?:described|defined|mentioned)|described|defined|above|below)[^()]*\)", re.I
)
_ENDING = re.compile(r"\w{2,}(?:ed|izes|ises|ates|ifies|ses|shes|ches|ects|ines)\Z")
_NORMATIVE = re.compile(r"\b(?:MUST|SHALL|SHOULD|MAY|REQUIRED|RECOMMENDED|OPTIONAL)\b")
_CONSTANT = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b")
_PLACE = re.compile(r"\b(?:above|below)(?=\s+(?:the|a|an|its|their|which|that|\d|`|zero|one))", re.I)
_POINTING = re.compile(r"\b(?:above|below|following)\s*[.,;:)]", re.I)
_FROM_TO = re.compile(r"\bfollowing (?=the|a|an|this)\b", re.I)
_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*", re.UNICODE)
_DEMONSTRATIVE = re.compile(
    r"\b(?:this(?! (?:eip|proposal|specification|document)\b)|these|those(?! (?:who|that|which|of|with|in))|"
    r"such(?! as)|(?:of|to|than|like|as|for|from|by|with|all) that(?=[,.;]| of)|"
    r"(?:the|its) (?:former|latter|same|other))\b",
    re.IGNORECASE,
)
_COUNTED = (
    "one|two|three|four|five|six|seven|eight|nine|ten|both|several|some|many|most|few|all|none|each|any|"
    "neither|either|another|others"
)
_AUXILIARY = (
    "is|are|was|were|has|have|had|can|cannot|could|may|might|must|shall|should|will|would|do|does|did"
)
_PARTITIVE = re.compile(
    rf"(?:{_COUNTED})(?: (?:also|then|only|still))? (?:{_AUXILIARY})\b|"
    rf"(?:{_COUNTED}) of (?:them|these|those|which|whom|the (?:above|former|latter|two|three|four))\b|"
    r"(?:the )?(?:former|latter|others|rest)\b",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"(?:the )?(?:first|second|third|fourth|last|next|other|previous)(?: (?:one|two|three|ones))? "
    r"(?:(?:also|then|only|simply) )?([a-z]+)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(r"\A(?:If|When|For|To|While|Otherwise)\b[^,]*, ([a-z]+) (?:the|a|an|its|all|it|them)\b")
_CAPTION = re.compile(
    r"\A(?:figure|fig\.|table|chart|diagram|plot|graph|image|screenshot|source)\s?[\d:]|"
    r"\((?:(?:in|the) )?(?:black|white|blue|red|green|orange|yellow|purple|gr[ae]y|left|right|top|bottom|"
    r"dashed|dotted|solid)(?: lines?)?\)",
    re.IGNORECASE,
)
_CLAUSE = frozenset(["because", "if", "while", "when", "although", "though", "whereas", "unless", "since"])
_ADVERBIAL = frozenset(["if", "when", "because", "unless", "until", "while", "whereas", "although"])
_RELATIVE = frozenset(["that", "which", "who", "whose", "where"])
_NAME = re.compile(r"[\w.\-$#/+@:]{1,48}(?:\(\w*\)|\[\w*\])?\Z|0x[0-9a-fA-F]{1,8}\Z")
_SHORT, _LONG, _LONGEST = 7, 45, 60


@dataclass(frozen=True, slots=True)
class SourceSentence:
    """A sentence of a passage. `text` is how it stands after the sentence before it, `opening` how it can
    open a paragraph; both are word for word in the passage. `level` and `opens` say from which step of
    relaxation on (`NEVER`: not at all)."""

    text: str
    opening: str
    level: int
    opens: int
    paragraph: int
    index: int
    last: bool
    words: int
    tokens: frozenset[str]
    quality: float
    names_document: bool = False


@lru_cache(maxsize=4096)
def source_sentences(text: str, kind: str) -> tuple[SourceSentence, ...]:
    """The sentences of a passage with what can be made of each; none for tables and code."""
    found: list[SourceSentence] = []
    if kind not in ("prose", "list"):
        return ()
    number = 0
    for paragraph in text.split("\n\n"):
        blocks = paragraph.split("\n") if kind == "list" else [" ".join(paragraph.split())]
        for block in blocks:
            item = block.startswith(("- ", "* ", "+ "))
            plain = " ".join((block[2:] if item else block).split())
            split = sentences(plain)
            for index, sentence in enumerate(split):
                place = (number, index, index == len(split) - 1)
                found.append(_judge(sentence, place, _LISTS if kind == "list" else 0))
            number += 1
    return tuple(found)


def _judge(sentence: str, place: tuple[int, int, bool], least: int) -> SourceSentence:
    text = tidy(sentence)
    found = fitness(text)
    if found == NEVER and (unlabelled := without_label(text)) != text:
        # an item such as `Simplicity: the tree has one layer.` is a sentence without its label
        text, found, least = unlabelled, fitness(unlabelled), max(least, _LENGTHY)
    if found == NEVER:
        return SourceSentence(text, "", NEVER, NEVER, *place, 0, frozenset(), 0.0)
    level = max(found, least)
    opening = opening_form(text)
    opens = NEVER
    if opening:
        opens = max(level, fitness(opening))
        opens = max(opens, _NAMING_FIRST) if names_document(without_code(opening)) else opens
    tokens = frozenset(word.casefold() for word in words(text))
    return SourceSentence(
        text,
        opening,
        level,
        opens,
        *place,
        len(words(text)),
        tokens,
        quality(text),
        names_document(without_code(text)),
    )


def tidy(sentence: str) -> str:
    """The sentence without a closing parenthesis that points elsewhere: `(see below).` becomes `.`"""
    last = list(_PARENTHESIS.finditer(sentence))[-1:]
    if last and sentence[last[0].end() :] in (".", "!", ""):
        return sentence[: last[0].start()] + "."
    return sentence


def without_label(sentence: str) -> str:
    """The sentence without a label of a few words and a colon before it, its first letter a capital."""
    match = _LABEL.match(sentence)
    if not match or "`" in match[0]:
        return sentence
    rest = sentence[match.end() :]
    return rest[:1].upper() + rest[1:]


def without_code(sentence: str) -> str:
    """The sentence with `x` in place of each span of code."""
    return _CODE.sub("x", sentence) if "`" in sentence else sentence


@lru_cache(maxsize=20_000)
def fitness(text: str) -> int:
    """The level from which on a sentence can stand after the sentence before it in its source; `NEVER` if
    it is a fragment, debris, boilerplate or a title."""
    plain = without_code(text)
    count = len(words(plain))
    if not _SHORT <= count <= _LONGEST or not _TERMINAL.search(text) or not _START.match(text):
        return NEVER
    if _DEBRIS.search(plain) or _LISTED.match(text) or not balanced(text):
        return NEVER
    if phrases("prose", "boilerplate", True).search(plain) or is_imperative(plain) or not has_verb(plain):
        return NEVER
    if _CAPTION.search(plain) or is_fragment(plain):
        return NEVER
    if _POINTING.search(plain) or _is_pseudocode(text):
        return NEVER
    inner = _ABBREVIATION.sub("", plain)
    if _INNER_STOP.search(inner[:-1]) or "?" in plain:
        return NEVER
    if (label := _LABEL.match(plain)) and label.end() < len(plain) / 2:
        return NEVER
    if speaks_elsewhere(plain):
        return _LAST
    if names_document(plain):
        return _NAMING
    heavy = count > _LONG or text.count("`") > 4 or bool(_SNAKE.search(plain)) or inner != plain
    return _LENGTHY if heavy else 0


def _is_pseudocode(text: str) -> bool:
    return "`" in text and any(not _NAME.match(span.strip("` ")) for span in _CODE.findall(text))


def opening_form(text: str) -> str:
    """The sentence as it can open a paragraph: itself, or itself without a leading connective, or ""."""
    for _ in range(2):
        if not opens_dangling(text):
            return text
        shorter = without_connective(text)
        if shorter == text:
            return ""
        text = shorter
    return "" if opens_dangling(text) else text


@cache
def _connective() -> re.Pattern[str]:
    body = phrases("prose", "strippable").pattern
    return re.compile(rf"\A{body}(?:,\s+|\s+(?=that\b)|(?<=that)\s+|:\s+)(?:that\s+)?", re.IGNORECASE)


def without_connective(text: str) -> str:
    """The sentence without a leading `However, `, `Note that `…, its first letter a capital."""
    match = _connective().match(text)
    if not match or len(words(text[match.end() :])) < _SHORT:
        return text
    rest = text[match.end() :]
    return rest[0].upper() + rest[1:]


@cache
def _dangling_phrase() -> re.Pattern[str]:
    return re.compile(r"\A" + phrases("prose", "dangling_phrases").pattern, re.IGNORECASE)


@cache
def _expletive() -> re.Pattern[str]:
    return re.compile(r"\A" + str(data("prose")["expletive"]), re.IGNORECASE)


@lru_cache(maxsize=20_000)
def opens_dangling(text: str) -> bool:
    """Whether the sentence, as the first of a paragraph, points back at something that is not there."""
    plain = without_code(text)
    if _expletive().match(plain):
        return False
    if _self_reference().match(plain):
        return False
    start = [word.casefold() for word in _WORD.findall(plain[:80])[:5]]
    if not start or start[0].split("'")[0].split("’")[0] in word_set("prose", "dangling_openers"):
        return True
    if _connective().match(plain) or _dangling_phrase().match(plain) or _PARTITIVE.match(plain):
        return True
    ordinal = _ORDINAL.match(plain)
    if ordinal and ordinal[1].casefold() in word_set("prose", "verbs"):
        return True
    if _DEMONSTRATIVE.search(" ".join(plain.split()[:12])):
        return True
    pronouns = word_set("prose", "pronouns")
    if start[0] in word_set("prose", "subordinators"):
        return any(word in pronouns or word == "that" for word in start[1:4])
    return start[0].endswith(("ly", "ing")) and any(word in pronouns for word in start[1:4])


@cache
def _self_reference() -> re.Pattern[str]:
    nouns = "|".join(sorted(word_set("prose", "document_words")))
    return re.compile(
        rf"\b(?:this|the (?:present|current|proposed)|our|these|the) (?:\w+ )?(?:{nouns})s?\b(?![-\d])",
        re.IGNORECASE,
    )


@cache
def _first_person() -> re.Pattern[str]:
    body = "|".join(
        re.escape(word) for word in sorted(word_set("prose", "first_person"), key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w'])(?:{body})(?![\w'-])", re.IGNORECASE)


def names_document(plain: str) -> bool:
    """Whether the sentence mentions its document: `this proposal`, `the specification`."""
    return bool(_self_reference().search(plain))


def speaks_elsewhere(plain: str) -> bool:
    """Whether its authors speak (`we`), or it points to another place of its document's layout."""
    # `US` is no pronoun, and a small `i` is a number
    if any(match[0] not in ("US", "i") for match in _first_person().finditer(plain)):
        return True
    cleared = _FROM_TO.sub("", _PLACE.sub("", plain))
    return bool(phrases("prose", "layout").search(cleared))


def is_imperative(plain: str) -> bool:
    """Whether it begins with a bare verb, as titles and instructions do."""
    first, second = ([word.casefold().strip(",:;") for word in plain.split(maxsplit=2)[:2]] + ["", ""])[:2]
    verbs = word_set("prose", "verbs")
    # `Returns the hash`, but not `Returns are taxed`
    without_subject = (
        first.endswith("s") and first in verbs - word_set("prose", "finite") and second not in verbs
    )
    if first in word_set("prose", "imperatives") or without_subject or _NORMATIVE.match(plain):
        return True
    # `If the field is empty, set the hash to zero.`
    return any(match[1].casefold() in word_set("prose", "imperatives") for match in _COMMAND.finditer(plain))


def has_verb(plain: str) -> bool:
    """Whether some word looks like a finite verb."""
    found = [word.casefold() for word in _WORD.findall(plain)]
    if found and found[0].endswith("ing"):
        return any(word in word_set("prose", "finite") for word in found[1:])
    verbs = word_set("prose", "verbs")
    return any(word in verbs or _ENDING.match(word) for word in found[1:])


def is_fragment(plain: str) -> bool:
    """Whether it has no main clause: `Because anyone can pay.`, `The next block if this one is full.`,
    `No changes to the costs.` In doubt it has one."""
    found = [word.casefold() for word in _WORD.findall(plain)]
    verbs = [at for at in range(1, len(found)) if _may_be_verb(found, at)]
    if not verbs:
        return not any(_resembles_verb(found, at) for at in range(1, len(found)))
    if found[0] in _CLAUSE:
        if "," in plain:
            rest = [word.casefold() for word in _WORD.findall(plain.split(",", 1)[1])]
            return not any(_resembles_verb(rest, at) for at in range(len(rest)))
        dated = found[0] == "since" and (found[1][:1].isdigit() or found[1] == "the")
        return not dated and sum(_resembles_verb(found, at) for at in range(1, len(found))) < 2
    clause = next((at for at, word in enumerate(found) if at and word in _ADVERBIAL | _RELATIVE), 0)
    if not clause or verbs[0] < clause or found[0] in word_set("prose", "subordinators"):
        return False
    if any(_resembles_verb(found, at) for at in range(1, clause)):
        return False
    if found[clause] in _ADVERBIAL:
        return "," not in plain
    # what stands next to `that` is taken for a verb, because no list has them all
    after = range(clause + 1, len(found))
    return sum(at == clause + 1 or _resembles_verb(found, at) for at in after) < 2


def _resembles_verb(found: list[str], at: int) -> bool:
    """The same, with every bare verb and every word in `-s` before what begins an object or adverbial."""
    if found[at] in word_set("prose", "nouns_too"):
        before = found[at - 1] if at else ""
        return at < len(found) - 1 and before not in word_set("prose", "noun_markers")
    if _may_be_verb(found, at, 0) or found[at] in word_set("prose", "imperatives"):
        return True
    if len(found[at]) < 4 or not found[at].endswith("s") or found[at].endswith(("ss", "us", "ous")):
        return False
    after = found[at + 1] if at + 1 < len(found) else "."
    return after == "." or after in word_set("prose", "object_markers") or after.endswith("ly")


def _may_be_verb(found: list[str], at: int, least: int = 1) -> bool:
    """Whether the word can be a finite verb where it stands; `costs` and `changes` are nouns after `the`
    or `no`, and at the end."""
    word = found[at]
    if word not in word_set("prose", "verbs"):
        return bool(_ENDING.match(word))
    if at < least or word not in word_set("prose", "nouns_too"):
        return True
    before = found[at - 1] if at else ""
    return at < len(found) - 1 and before not in word_set("prose", "noun_markers")


def balanced(text: str) -> bool:
    """Whether brackets close, and quotation marks and backticks come in pairs."""
    if text.count("`") % 2 or text.count('"') % 2 or text.count("“") != text.count("”"):
        return False
    depth: list[str] = []
    pairs = {")": "(", "]": "["}
    for mark in without_code(text):
        if mark in "([":
            depth.append(mark)
        elif mark in ")]" and (not depth or depth.pop() != pairs[mark]):
            return False
    return not depth


def quality(text: str) -> float:
    """How well a sentence reads, about 1 for a plain one: less for code, constants, norms, parentheses."""
    plain = without_code(text)
    count = len(words(plain)) or 1
    code = text.count("`") / 2
    value = 1.0 - 0.5 * min(1.0, 6 * code / count)
    value -= (
        0.12 * len(_NORMATIVE.findall(plain)) + 0.15 * len(_CONSTANT.findall(text)) + 0.06 * plain.count("(")
    )
    if count < 10 or count > 34:
        value -= 0.12
    if re.match(r"(?:There|In order|To|If|For|In|When)\b", plain):
        value -= 0.05
    return max(0.0, value)


def skipped_heading(heading_path: tuple[str, ...]) -> bool:
    """Whether the headings say that what follows is no prose about the subject (tests, licence, code…)."""
    return any(phrases("prose", "skipped_headings", True).match(part.strip("*_ ")) for part in heading_path)
