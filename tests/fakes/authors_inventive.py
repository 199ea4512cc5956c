"""A model that makes things up: sources, figures and quotations, in about a third of its sentences."""

import hashlib
from typing import Any

from tests.fakes.authors_honest import Answer, answer_of, form_of
from tests.fakes.authors_reading import Seen, see
from tests.fakes.vendors import Asked, Reply

FIGURES = ("83.7", "4,417", "61.9")
QUOTATION = "nobody ever checked this remarkable claim before today"
SOURCE = 7000
"""From this number on there are no passages."""


def inventive(asked: Asked) -> Reply:
    """Honest, but for every third sentence. Told of its problems, it mends half of them."""
    seen = see(asked)
    answer = answer_of(seen)
    match form_of(seen):
        case "ArticleDraft":
            for part in (answer["lead"], *(one["paragraphs"] for one in answer["sections"])):
                _invent(seen, part)
        case "SectionDraft":
            _invent(seen, answer["paragraphs"])
        case "ArticlePlan":
            for one in answer["sections"]:
                one["passages"].append(SOURCE + one["section"])
        case "EditList" | "CorrectionList":
            for one in answer["edits"]:
                if one["kind"] == "replace_sentence" and _kept(seen, one["before"]):
                    one["after"] = (
                        one["after"].rstrip(".") + f", which {FIGURES[0]} percent of users confirm."
                    )
        case "ClaimReview":
            for one in answer["claims"]:
                if one["evidence"] and _kept(seen, one["place"]):
                    one["evidence"] = [{**one["evidence"][0], "quote": QUOTATION}]
        case "SeoProposal":
            if not seen.problems:
                answer["title"] = f"{answer['title'][:40]}: {FIGURES[1]} facts"
            answer["description"] = (
                f"{answer['description'][:100].rstrip('. ')}, in {FIGURES[2]} percent of cases."
            )
            answer["keywords"].append("quantum dividends")
    return Reply(json=answer)


def _invent(seen: Seen, paragraphs: list[Answer]) -> None:
    every: list[dict[str, Any]] = [one for paragraph in paragraphs for one in paragraph["sentences"]]
    for number, one in enumerate(every):
        if number % 3 != 1 or not _kept(seen, one["text"]):
            continue
        bare = one["text"].rstrip(".")
        match _draw(one["text"], "kind") % 3:
            case 0:
                one["citations"] = [SOURCE + number]
            case 1:
                figure = FIGURES[_draw(one["text"], "figure") % len(FIGURES)]
                one["text"] = f"{bare}, in {figure} percent of all cases."
            case _:
                one["text"] = f"{bare}, or as one author has it, “{QUOTATION}”."


def _kept(seen: Seen, text: str) -> bool:
    """What is told to be wrong is mended in half of the cases."""
    return not seen.problems or _draw(text, "mend") % 2 == 0


def _draw(text: str, what: str) -> int:
    return hashlib.sha256(f"{what}:{text}".encode()).digest()[0]
