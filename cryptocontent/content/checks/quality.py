"""The quality numbers of a version: how well it is grounded, how much its own, how readable."""

from collections.abc import Sequence

from cryptocontent.content.checks.checkables import claims, quoted
from cryptocontent.content.checks.form import readability_of
from cryptocontent.content.checks.listing import listing_of
from cryptocontent.content.checks.numbers import examined
from cryptocontent.content.checks.originality import concentration
from cryptocontent.content.checks.quotes import quotations_of, shared_citations
from cryptocontent.content.checks.subject import Subject
from cryptocontent.content.documents import body_words, cited_numbers
from cryptocontent.content.findings import NewFinding


def quality(subject: Subject, findings: Sequence[NewFinding] | None = None) -> dict[str, float]:
    """Shares from 0 to 1 of 4 decimals, with 1 for nothing to measure (0 for `dangling_rate` and the
    concentration), and counts.

    `citation_coverage`: cited sentences of those with something to check; `sentence_coverage`: of all;
    `dangling_rate`: footnotes that point at nothing; `number_grounding`: numbers, dates, tickers and
    addresses that a cited source has; `quote_fidelity`: quotations that one has word for word;
    `uniqueness`: 1 − the likeness of the most similar article; `source_concentration`: the
    Herfindahl-Hirschman index of the references' shares of the citations. With the `findings` of the
    checks, how many there are that block and that warn.
    """
    tickers, shared = listing_of(subject).tickers, shared_citations(subject)
    sentences = subject.sentences
    cited = {one for one in sentences if one.citations or shared.get(one)}
    loose = {one.sentences[0] for one in quotations_of(subject) if not one.citations}
    checkable = [one for one in sentences if one in loose or claims(one.text, tickers)]
    markers = [number for one in sentences for number in one.citations]
    held = [
        (part, part in one.missing)
        for one in examined(subject)
        for part in one.parts
        if part.firm or one.sources
    ]
    quotations = quotations_of(subject)
    verbatim = sum(
        any(
            quoted(one.text, subject.sources[number].text)
            for number in one.citations
            if number in subject.sources
        )
        for one in quotations
    )
    shares = concentration(subject)
    measured = {
        "citation_coverage": _share(sum(one in cited for one in checkable), len(checkable)),
        "sentence_coverage": _share(len(cited), len(sentences)),
        "dangling_rate": _share(sum(one not in subject.sources for one in markers), len(markers), 0.0),
        "number_grounding": _share(sum(not missing for _, missing in held), len(held)),
        "quote_fidelity": _share(verbatim, len(quotations)),
        "uniqueness": round(1 - max((one.similarity for one in subject.neighbours), default=0.0), 4),
        "source_concentration": round(sum(share**2 for share in shares.values()), 4),
        "sources": float(len(shares)),
        "words": float(body_words(placed.block for placed in subject.blocks)),
        "citations": float(len(cited_numbers(subject.body))),
        **readability_of(subject),
    }
    if findings is not None:
        measured["blocking"] = float(sum(one.severity == "block" for one in findings))
        measured["warnings"] = float(sum(one.severity == "warn" for one in findings))
    return measured


def _share(part: int, whole: int, empty: float = 1.0) -> float:
    return round(part / whole, 4) if whole else empty
