"""A model that does its work well: it copies and rewords whole sentences of the passages, and cites them."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from cryptocontent.agents.by_model.edits import EditList
from cryptocontent.agents.by_model.proofreader import CorrectionList
from cryptocontent.agents.by_model.proposals import SeoProposal
from cryptocontent.agents.by_model.verdicts import ClaimReview
from cryptocontent.agents.by_model.written import ArticleDraft, ArticlePlan, SectionDraft
from cryptocontent.content.text import sentences, slugify, word_count, words
from tests.fakes.authors_reading import Planned, Seen, alike, articles, best, see, stems
from tests.fakes.vendors import Asked, Reply, author

Answer = dict[str, Any]
_REWORDED = ((" because ", " since "), (" such as ", " like "), (" most often ", " mostly "))
"""What the honest writer says in other words, in every second sentence that has it."""
_EDITED = ((" for instance ", " for example "), (" in the same way as ", " like "), (" whereas ", " while "),
           (" in order to ", " to "), (" is thus ", " is "))  # fmt: skip
_CORRECTED = (("for ever", "forever"), ("'", "’"))
REWORDINGS = (*_REWORDED, *_EDITED, *_CORRECTED)
"""All changes of words that an honest model makes."""
_MOST_EDITS = 3


def honest(asked: Asked) -> Reply:
    """The answer of a model that does its work well."""
    return Reply(json=answer_of(see(asked)))


def answer_of(seen: Seen) -> Answer:
    """The honest answer to a question that was read."""
    return _FORMS[form_of(seen)](seen)


def form_of(seen: Seen) -> str:
    """The form of answer that is wanted. The task tells it: some forms have the same properties."""
    return next((form for begin, form in _TASKS if begin in seen.task), "ClaimReview")


def _plan(seen: Seen) -> Answer:
    taken: set[int] = set()
    planned = []
    for section in seen.sections:
        numbers, found = [], 0
        for passage in best(seen, f"{section.heading} {section.query}"):
            size = sum(map(word_count, passage.usable))
            if passage.number not in taken and size and found < section.words * 1.3:
                numbers.append(passage.number)
                found += size
        taken |= set(numbers)
        told = f"What {section.heading} is about, from {len(numbers)} passages."
        planned.append(
            {
                "section": section.number,
                "angle": told,
                "passages": numbers,
                "phrases": _phrases(seen, section),
            }
        )
    return {"lead": "What the article is about.", "sections": planned, "answers": _answers(seen)}


def _phrases(seen: Seen, section: Planned) -> list[int]:
    """All phrases that are required go into the last section."""
    if section.number < len(seen.sections) or "Phrases that must stand" not in seen.task:
        return []
    listed = seen.task.split("Phrases that must stand", 1)[1]
    return [int(number) for number in re.findall(r"^(\d+)\. “", listed, re.M)]


def _part(seen: Seen) -> Answer:
    number = seen.number(r"Write section (\d+) of")
    goal = seen.number(r"in about (\d+) words")
    given = re.search(r"gives to this part: ([\d, ]+)", seen.task)
    numbers = [int(one) for one in given[1].split(",")] if given else []
    section = next((one for one in seen.sections if one.number == number), None)
    about = f"{section.heading} {section.query}" if section else _title(seen)
    chosen = [one for wanted in numbers for one in seen.passages if one.number == wanted]
    rest = [one for one in best(seen, about) if one not in chosen]
    return {"paragraphs": _paragraphs(seen, goal, [*chosen, *rest], set(_banned(seen)))}


def _whole(seen: Seen) -> Answer:
    used = set(_banned(seen))
    total = seen.number(r"(\d+) to \d+ words in all")
    most = seen.number(r"\d+ to (\d+) words in all")
    asked = sum(one.words for one in seen.sections)
    lead = _paragraphs(seen, max(15, min(60, (total + most) // 2 - asked)), best(seen, _title(seen)), used)
    sections = [
        {
            "section": one.number,
            "paragraphs": _paragraphs(seen, one.words, best(seen, f"{one.heading} {one.query}"), used),
        }
        for one in seen.sections
    ]
    return {"lead": lead, "sections": sections, "answers": _answers(seen)}


def _title(seen: Seen) -> str:
    found = re.search(r"The article: “(.*?)”", seen.task)
    return found[1] if found else ""


def _paragraphs(seen: Seen, goal: int, passages: Sequence[Any], used: set[str]) -> list[Answer]:
    """About `goal` words: the sentences of one passage after the other, none that is `used` already."""
    made: list[Answer] = []
    size = 0
    for passage in passages:
        kept = []
        for sentence in passage.usable:
            length = word_count(sentence)
            if sentence in used or size + length > goal * 1.15 + 5 or size >= goal * 0.95:
                continue
            used.add(sentence)
            size += length
            kept.append({"text": _reworded(sentence), "citations": [passage.number]})
        if kept:
            made.append({"sentences": kept})
    return made


def _reworded(sentence: str) -> str:
    if len(sentence) % 2:
        for old, new in _REWORDED:
            sentence = sentence.replace(old, new)
    return sentence


def _banned(seen: Seen) -> list[str]:
    """The sentences that were found faulty when they were handed in first."""
    quoted = [match[1].rstrip("…") for one in seen.problems if (match := re.match(r"“(.*?)”: ", one))]
    everything = [sentence for passage in seen.passages for sentence in passage.usable]
    return [one for one in everything if any(_reworded(one).startswith(part) for part in quoted)]


def _edits(table: Sequence[tuple[str, str]], rule: str, split: bool) -> Callable[[Seen], Answer]:
    def edits(seen: Seen) -> Answer:
        bounds = re.search(r"blocks (\d+) to (\d+) of the draft", seen.task)
        first, last = (int(bounds[1]), int(bounds[2])) if bounds else (1, 0)
        refused = {
            match[1] for one in seen.problems if (match := re.match(r"Edit \d+ \(\w+ at (\S+)\)", one))
        }
        made: list[Answer] = []
        shown = [one for one in seen.draft if first <= one.block <= last and one.place not in refused]
        told: set[str] = set()
        for one in shown:
            if split and one.text in told:
                made.append(
                    _edit("remove_sentence", one.place, one.text, "", "repetition", "it was said before")
                )
                continue
            told.add(one.text)
            after = one.text
            for old, new in table:
                after = after.replace(old, new)
            if after != one.text and len(made) < _MOST_EDITS:
                made.append(_edit("replace_sentence", one.place, one.text, after, rule, "it reads better so"))
        long = next((one for one in shown if split and one.place.endswith(".5")), None)
        if long:
            why = "the paragraph is long"
            made.append(_edit("split_paragraph", long.place, long.text, "", "structure.long", why))
        return {"edits": made, "answers": _answers(seen)}

    return edits


def _edit(kind: str, place: str, before: str, after: str, rule: str, reason: str) -> Answer:
    return {"kind": kind, "place": place, "before": before, "after": after, "rule": rule, "reason": reason}


def _review(seen: Seen) -> Answer:
    listed = re.search(r"and on no other: ([\d., ]+)\. The other", seen.task)
    asked = [one.strip() for one in listed[1].split(",")] if listed else []
    by_place = {one.place: one for one in seen.draft}
    texts = {one.number: one for one in seen.passages}
    claims = []
    for place in asked:
        sentence = by_place[place]
        candidates = [texts[number] for number in sentence.cites if number in texts] or seen.passages
        scored = [
            (alike(sentence.text, quote), passage.number, quote)
            for passage in candidates
            for quote in sentences(passage.text)
        ]
        share, number, quote = max(scored, default=(0.0, 0, ""))
        if share >= 0.5 and len(words(quote)) >= 3:
            evidence = [{"passage": number, "quote": quote}]
            claims.append(_verdict(place, "supported", evidence, "The passage says the same."))
        else:
            claims.append(_verdict(place, "unsupported", [], "No passage says it."))
    return {"claims": claims, "risks": [], "answers": _answers(seen)}


def _verdict(place: str, verdict: str, evidence: list[Answer], reason: str) -> Answer:
    return {"place": place, "verdict": verdict, "evidence": evidence, "reason": reason}


def _proposal(seen: Seen) -> Answer:
    least, most = seen.number(r"Description: (\d+)", 70), seen.number(r"Description: \d+ to (\d+)", 155)
    texts = [one.text for one in seen.draft if not re.search(r"[\[\]<>*`|\"“”\d]", one.text)]
    fitting = [one for one in texts if least <= len(one) <= most]
    pairs = [f"{a} {b}" for a in texts for b in texts if a != b and least <= len(a) + len(b) + 1 <= most]
    description = next(iter([*fitting, *pairs, seen.title]))
    text = "\n".join((seen.title, *(one.text for one in seen.draft)))
    named = re.search(r"the brief asks for (.*)$", seen.task, re.M)
    wanted = re.findall(r"“(.*?)”", named[1]) if named else []
    common = Counter(word for one in texts for word in words(one) if word.islower() and len(word) > 8)
    keywords = [one for one in wanted if one.casefold() in text.casefold()]
    keywords += [word for word, _ in common.most_common(2)]
    return {
        "title": _cut(seen.title, seen.number(r"Title: at most (\d+)", 60)),
        "description": description,
        "slug": slugify(seen.title, 60),
        "keywords": list(dict.fromkeys(keywords)),
        "links": _links(seen),
        "answers": _answers(seen),
    }


def _links(seen: Seen) -> list[Answer]:
    """A link to each article offered of whose title two words stand side by side in a sentence."""
    if "Links: none" in seen.task:
        return []
    made = []
    for slug, title in articles(seen):
        named = words(title)
        pairs = [f"{a} {b}" for a, b in pairwise(named) if stems(a) and stems(b)]
        text = next((pair for pair in pairs for one in seen.draft if pair in one.text), "")
        if text:
            made.append({"text": text, "slug": slug})
    return made


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most + 1].rsplit(" ", 1)[0].rstrip(" ,:;")


def _answers(seen: Seen) -> list[Answer]:
    """A word on each request of a person."""
    listed = seen.task.partition("People of the newsroom ask for this")[2]
    asked = re.findall(r"^(\d+)\. [^:\n]+: ", listed, re.M)
    return [{"instruction": int(one), "answer": "It was done as far as the sources go."} for one in asked]


_TASKS = (
    ("Plan an article.", "ArticlePlan"),
    ("Write section ", "SectionDraft"),
    ("Write the lead ", "SectionDraft"),
    ("Write the whole article", "ArticleDraft"),
    ("Edit blocks ", "EditList"),
    ("Proofread blocks ", "CorrectionList"),
    ("Propose title, ", "SeoProposal"),
)
_FORMS: Mapping[str, Callable[[Seen], Answer]] = {
    "ArticlePlan": _plan,
    "SectionDraft": _part,
    "ArticleDraft": _whole,
    "EditList": _edits(_EDITED, "style.plain", True),
    "CorrectionList": _edits(_CORRECTED, "typography.marks", False),
    "ClaimReview": _review,
    "SeoProposal": _proposal,
}
for _form in (ArticlePlan, SectionDraft, ArticleDraft, EditList, CorrectionList, ClaimReview, SeoProposal):
    author(_form)(lambda asked: answer_of(see(asked)))
