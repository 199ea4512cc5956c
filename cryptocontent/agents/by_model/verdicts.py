"""What a model says of a draft's claims, verified: a verdict counts only with the words that decide it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, Field

from cryptocontent.agents.analyst import Analysis, says
from cryptocontent.agents.by_model.answering import Manners
from cryptocontent.agents.by_model.edits import InstructionAnswer
from cryptocontent.agents.by_model.material import shown
from cryptocontent.agents.drafts import counted, enumeration, with_body
from cryptocontent.agents.finishing import subject_of
from cryptocontent.agents.own_words import LANGUAGE, WEAK, content_words, support
from cryptocontent.agents.work import Draft, ResearchPassage, Work
from cryptocontent.content.checks import CHECKS, run_checks
from cryptocontent.content.checks.checkables import claims
from cryptocontent.content.documents import Block, Paragraph, Sentence, parse, without_empty
from cryptocontent.content.findings import NewFinding
from cryptocontent.content.text import supports, words

Verdict = Literal["supported", "partly", "unsupported", "contradicted"]
_FEWEST_WORDS = 3
_CLAIMS = tuple(one for one in CHECKS if one.name == "claims")
_MOST = 400


class Evidence(BaseModel):
    """The words of a passage that decide."""

    passage: int = Field(description="the passage's number")
    quote: str = Field(description="an exact excerpt of it, at least three words, copied letter by letter")


class ClaimVerdict(BaseModel):
    """Whether the research bears out one sentence of the draft."""

    place: str = Field(description="the sentence's number in the draft, such as `3.2`")
    verdict: Verdict = Field(
        description=(
            "supported: passages say all of it; partly: they say a part, and nothing against the rest; "
            "unsupported: no passage says it; contradicted: a passage says otherwise"
        )
    )
    evidence: Sequence[Evidence] = Field((), description="what decides; empty only if unsupported")
    reason: str = Field(description="why, in one short sentence")


class JudgedRisk(BaseModel):
    """A sentence that may break what the law or the house asks for."""

    place: str = Field(description="the sentence's number in the draft, or `title`")
    severity: Literal["info", "warn"] = "warn"
    reason: str = Field(description="which rule, and what in the sentence may break it, in one sentence")


class ClaimReview(BaseModel):
    """The verdicts asked for, the risks seen, and answers to what people asked."""

    claims: Sequence[ClaimVerdict] = ()
    risks: Sequence[JudgedRisk] = ()
    answers: Sequence[InstructionAnswer] = ()


class Court:
    """A repaired draft and the verdicts on it. What counts is kept until `settled` acts upon it."""

    def __init__(self, work: Work, analysis: Analysis, manners: Manners) -> None:
        self.work, self.analysis, self.manners = work, analysis, manners
        self.blocks = parse(work.draft.body)
        self.sentences: Mapping[str, Sentence] = {
            f"{number}.{at}": sentence
            for number, block in enumerate(self.blocks, 1)
            if isinstance(block, Paragraph)
            for at, sentence in enumerate(block.sentences, 1)
        }
        self.verdicts: dict[str, ClaimVerdict] = {}
        self.risks: dict[str, list[JudgedRisk]] = {}
        self.not_counted = 0
        self.removed = 0

    def needed(self) -> list[str]:
        """The sentences that rules can't judge: cited ones that no passage cited has word for word, and
        claims that cite nothing."""
        tickers = self.analysis.listing.tickers
        return [
            place
            for place, one in self.sentences.items()
            if (not self._proven(one) if one.citations else claims(one.text, tickers))
        ]

    def problems(self, asked: Sequence[str], review: ClaimReview) -> list[str]:
        """What is wrong with a review, for the model to mend: verdicts that don't count or are missing."""
        found = [f"{one.place[:20]}: {wrong}." for one in review.claims if (wrong := self._wrong(one))]
        places = [_label(one.place) for one in review.claims]
        found += [f"{one}: two verdicts; give one." for one, n in Counter(places).items() if n > 1]
        if missing := [place for place in asked if place not in places]:
            found.append(f"There is no verdict on {enumeration(missing)}.")
        found += [
            f"risk at {one.place[:20]}: {wrong}." for one in review.risks if (wrong := self._wrong_risk(one))
        ]
        return found

    def take(self, review: ClaimReview) -> None:
        """Keep what counts of a review."""
        for one in review.claims:
            if self._wrong(one):
                self.not_counted += 1
            else:
                self.verdicts.setdefault(_label(one.place), one)
        for risk in review.risks:
            if not self._wrong_risk(risk):
                self.risks.setdefault(_label(risk.place), []).append(risk)

    def settled(self) -> Work:
        """The work after the verdicts: what is contradicted is gone, wrong citations are put right, and
        the rest is left as findings of the analysis."""
        blocks: list[Block] = []
        for number, block in enumerate(self.blocks, 1):
            if isinstance(block, Paragraph):
                kept = [
                    after
                    for at, sentence in enumerate(block.sentences, 1)
                    if (after := self._settle(f"{number}.{at}", sentence)) is not None
                ]
                block = replace(block, sentences=tuple(kept))
            blocks.append(block)
        self._tell_risks()
        return with_body(self.work, without_empty(blocks), ()) if blocks != self.blocks else self.work

    def remark(self) -> str:
        """What came of it, as a clause."""
        kinds = Counter(one.verdict for one in self.verdicts.values())
        told = enumeration(f"{number} {kind}" for kind, number in kinds.items())
        text = f"a model judged {counted(len(self.verdicts), 'sentence')}"
        text += f" ({told})" if told else ""
        text += f" and {counted(self.removed, 'of them was', 'of them were')} removed" if self.removed else ""
        if self.risks:
            text += f", and saw {counted(len(self.risks), 'risk')}"
        if self.not_counted:
            text += f"; {counted(self.not_counted, 'verdict')} did not count"
        return text

    def _proven(self, sentence: Sentence) -> bool:
        cited = (self.work.passage(number) for number in sentence.citations)
        return any(one is not None and one.fact is None and says(one, sentence.text) for one in cited)

    def _wrong(self, given: ClaimVerdict) -> str:
        """Why a verdict does not count, as a clause; "" if it does."""
        sentence = self.sentences.get(_label(given.place))
        if sentence is None:
            return "the draft has no sentence of that number"
        if not given.reason.strip():
            return "the verdict gives no reason"
        if unfit := self.manners.problem(given.reason):
            return f"its reason can't be shown: {unfit}"
        if given.verdict == "unsupported":
            return ""
        if not given.evidence:
            return f"{given.verdict} needs the passage that decides, and an exact quote of it"
        for one in given.evidence:
            passage = self.work.passage(one.passage)
            if passage is None or not shown(passage):
                return f"no passage {one.passage} was given"
            if wrong := self._misquoted(passage, one.quote, sentence):
                return wrong
        return ""

    def _wrong_risk(self, risk: JudgedRisk) -> str:
        if _label(risk.place) not in self.sentences and _label(risk.place) != "title":
            return "there is no such place; name a sentence or `title`"
        return self.manners.problem(risk.reason) if risk.reason.strip() else "it gives no reason"

    def _misquoted(self, passage: ResearchPassage, quote: str, sentence: Sentence) -> str:
        shown = f"“{' '.join(quote.split())[:80]}”"
        if len(words(quote)) < _FEWEST_WORDS:
            return f"the quote {shown} is too short to decide; give at least three words"
        if not supports(passage.text, quote):
            return f"the quote {shown} does not stand in passage {passage.number}, letter by letter"
        wanted, has = content_words(sentence.text), content_words(quote)
        # Any sentence of a passage is an exact quote; one about other things decides nothing.
        fewer = min(len(wanted), len(has))
        if self.analysis.language == LANGUAGE and fewer and len(wanted & has) < WEAK * fewer:
            return f"the quote {shown} is not about what the sentence says"
        return ""

    def _settle(self, place: str, sentence: Sentence) -> Sentence | None:
        given = self.verdicts.get(place)
        if given is None:
            return sentence
        # What the rules thought weak has its verdict now.
        self.analysis.left = [
            one for one in self.analysis.left if (one.rule, one.excerpt) != ("citation.weak", sentence.text)
        ]
        if given.verdict == "contradicted":
            return self._contradicted(sentence, given)
        if given.verdict == "supported":
            return self._supported(sentence, given)
        if self._proven(sentence):
            return sentence  # it stands in the source, whatever a model thinks of it
        if given.verdict == "unsupported" and sentence.citations and not self._holds(sentence):
            told = "No passage of the research says this sentence, so it was removed"
            self._note_removal(sentence, given, told)
            return None
        partly = given.verdict == "partly"
        told = "only a part of this sentence" if partly else "nothing that bears out this sentence"
        self._tell(f"The research says {told}", sentence, given)
        return sentence

    def _contradicted(self, sentence: Sentence, given: ClaimVerdict) -> Sentence | None:
        """A sentence that a source speaks against. If another source says it, sources disagree, and that is
        for people to decide: one bad document must not empty an article."""
        one = given.evidence[0]
        by_its_own = any(item.passage in sentence.citations for item in given.evidence)
        told = f"Passage {one.passage} speaks against this sentence (“{_short(one.quote)}”)"
        if self._proven(sentence) or (not by_its_own and sentence.citations and self._holds(sentence)):
            self._tell(f"{told}, which rests on another source", sentence, given)
            return sentence
        self._note_removal(sentence, given, f"{told}, so it was removed")
        return None

    def _supported(self, sentence: Sentence, given: ClaimVerdict) -> Sentence:
        """The sentence with the citations that the verdict proves, if its own are wrong or missing."""
        right = tuple(dict.fromkeys(one.passage for one in given.evidence))
        if self._proven(sentence) or set(right) & set(sentence.citations):
            return sentence
        passages = [one for number in right if (one := self.work.passage(number))]
        if support(sentence.text, passages, self.analysis.listing, self.analysis.language).missing:
            return sentence
        changed = replace(sentence, citations=right)
        rule, reason = ("corrected", "the passage cited does not say it; this one does")
        if not sentence.citations:
            rule, reason = ("added", "this passage says it")
        self.analysis.edits.add(f"citation.{rule}", sentence.render(), changed.render(), reason)
        return changed

    def _holds(self, sentence: Sentence) -> bool:
        """Whether the sentence passes the test of the rules."""
        cited = [one for number in sentence.citations if (one := self.work.passage(number))]
        borne = support(sentence.text, cited, self.analysis.listing, self.analysis.language)
        return borne.holds() or any(one.fact for one in cited)

    def _note_removal(self, sentence: Sentence, given: ClaimVerdict, message: str) -> None:
        self.removed += 1
        self._tell(message, sentence, given)
        reason = _short(given.reason).rstrip(". ")
        self.analysis.edits.add(f"claim.{given.verdict}", sentence.render(), "", reason)

    def _tell(self, message: str, sentence: Sentence, given: ClaimVerdict) -> None:
        self.analysis.tell(
            f"claim.{given.verdict}",
            f"{message}: {_short(given.reason)}",
            sentence.text,
            cited=list(sentence.citations),
            evidence=[one.model_dump() for one in given.evidence],
        )

    def _tell_risks(self) -> None:
        """The risks, one finding a place. Rules decide what blocks: a model's judgement warns at most."""
        for place, risks in self.risks.items():
            text = self.work.draft.title if place == "title" else self.sentences[place].text
            grave = any(one.severity == "warn" for one in risks)
            message = " ".join(dict.fromkeys(self._sayable(one.reason) for one in risks))
            self.analysis.left.append(
                NewFinding(
                    rule="claim.judged", severity="warn" if grave else "info", message=message, excerpt=text
                )
            )

    def _sayable(self, reason: str) -> str:
        """The reason, unless it makes a claim itself that nobody may make. The place is marked anyway."""
        text = _short(reason)
        said = self.work.model_copy(update={"draft": Draft(title="Reason", body=text)})
        if any(run_checks(subject_of(said, self.manners.rules), _CLAIMS)):
            return "A model sees a risk here; its reason makes such a claim itself and is not shown."
        return text


def _label(place: str) -> str:
    return place.strip(" []").lower()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MOST else text[: _MOST - 1].rsplit(" ", 1)[0] + "…"
