"""The editor: repetitions, tone, paragraphs and lengths of a draft. Every change is a typed edit."""

from dataclasses import replace

from cryptocontent.agents.arrange import NEAR_DUPLICATE
from cryptocontent.agents.drafts import Edits, counted, enumeration, references_of, section_of, with_body
from cryptocontent.agents.lexicon import phrases, word_set
from cryptocontent.agents.prose import opening_form, opens_dangling, without_code, without_connective
from cryptocontent.agents.work import Work
from cryptocontent.content.documents import (
    Block,
    Figure,
    Heading,
    Paragraph,
    Sentence,
    body_words,
    parse,
    without_empty,
)
from cryptocontent.content.text import jaccard, normalized, shingles, word_count, words

VERSION = "2"

LONGEST_PARAGRAPH = 110
_LEAST_COMPARED = 5  # shorter sentences may look alike by chance
_RESTATED = 0.45
_TOLD = {
    "tone.promotion": "promotional {}",
    "redundancy.repeated": "repeated {}",
    "redundancy.restated": "restating {}",
    "coherence.dangling": "dangling {}",
}


async def rules(work: Work) -> Work:
    """Edit the draft by rules; never below the outline's least length."""
    return _Desk(work).edit()


class _Desk:
    """One draft on the editor's desk."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.outline = work.brief.outline
        self.blocks: list[Block] = parse(work.draft.body)
        self.edits = Edits("editor")
        self.words = body_words(self.blocks)
        self.kept = 0

    def edit(self) -> Work:
        before = self.words
        self._headings()
        self._tone()
        self._repetitions()
        self._restatements()
        self._openings()
        self._lengths()
        self._empty_sections()
        self._merge_singles()
        self._split_long()
        summary = self._summary(before)
        data = {"words_before": before, "words_after": body_words(self.blocks), "kept_for_length": self.kept}
        return with_body(self.work, self.blocks, self.edits.messages(summary, data))

    def _summary(self, before: int) -> str:
        counts = self.edits.counts()
        removed = [
            counted(counts[rule], kind.format("sentence")) for rule, kind in _TOLD.items() if counts[rule]
        ]
        done = [f"removed {enumeration(removed)}"] if removed else []
        if cut := counts["length.section"] + counts["length.article"]:
            done.append(f"cut {counted(cut, 'sentence')} to keep to the length")
        if counts["coherence.connective"]:
            done.append(f"dropped {counted(counts['coherence.connective'], 'leading connective')}")
        if counts["structure.merged"]:
            done.append(f"merged {counted(counts['structure.merged'], 'short paragraph')}")
        if counts["structure.split"]:
            done.append(f"split {counted(counts['structure.split'], 'long paragraph')}")
        if changed := counts["structure.heading"] + counts["structure.empty"]:
            done.append(f"put {counted(changed, 'heading')} right")
        text = enumeration(done)
        text = (
            text[0].upper() + text[1:]
            if text
            else "Checked for repetition, tone, openings and lengths: nothing to change"
        )
        kept = (
            f"; kept {counted(self.kept, 'weak sentence')}, or the article would be too short"
            if self.kept
            else ""
        )
        after = body_words(self.blocks)
        return f"{text}{kept}. {after} words" + (f" (before: {before})." if after != before else ".")

    def _paragraph(self, place: int) -> Paragraph:
        block = self.blocks[place]
        return block if isinstance(block, Paragraph) else Paragraph(())

    def _may_lose(self, sentence: Sentence) -> bool:
        """Whether the article stays long enough without the sentence."""
        if self.words - word_count(sentence.text) < self.outline.words.min:
            self.kept += 1
            return False
        return True

    def _may_shrink(self, before: str, after: str) -> bool:
        return self.words + word_count(after) - word_count(before) >= self.outline.words.min

    def _keep_only(self, place: int, kept: list[Sentence]) -> None:
        paragraph = self._paragraph(place)
        self.words += sum(word_count(one.text) for one in kept) - sum(
            word_count(one.text) for one in paragraph.sentences
        )
        self.blocks[place] = replace(paragraph, sentences=tuple(kept))

    def _headings(self) -> None:
        """The outline's wording, no final punctuation."""
        wanted = {
            section.heading.casefold().rstrip(".:; "): section.heading for section in self.outline.sections
        }
        for place, block in enumerate(self.blocks):
            if isinstance(block, Heading):
                text = wanted.get(block.text.casefold().rstrip(".:; "), block.text.rstrip(".:; "))
                if text and text != block.text:
                    self.edits.add("structure.heading", block.text, text, "headings follow the outline")
                    self.blocks[place] = replace(block, text=text)

    def _tone(self) -> None:
        hype = phrases("hype", "phrases")
        for place, block in enumerate(self.blocks):
            if not isinstance(block, Paragraph):
                continue
            kept = []
            for sentence in block.sentences:
                found = hype.search(without_code(sentence.text))
                if found and self._may_lose(sentence):
                    self.words -= word_count(sentence.text)
                    reason = f"“{found[0]}” is promotion; the tone is {self.outline.tone}"
                    self.edits.add("tone.promotion", sentence.text, "", reason)
                else:
                    kept.append(sentence)
            self.blocks[place] = replace(block, sentences=tuple(kept))

    def _repetitions(self) -> None:
        """Of sentences that say the same, the first stays."""
        seen: list[tuple[frozenset[str], str, str]] = []
        for place, block in enumerate(self.blocks):
            if not isinstance(block, Paragraph):
                continue
            kept = []
            for sentence in block.sentences:
                tokens, plain = shingles(words(sentence.text)), normalized(sentence.text).rstrip(".!? ")
                first = next((text for bag, other, text in seen if _alike(tokens, plain, bag, other)), None)
                if first is not None and self._may_lose(sentence):
                    self.words -= word_count(sentence.text)
                    self.edits.add(
                        "redundancy.repeated", sentence.text, "", f"the article says already: “{first}”"
                    )
                    continue
                kept.append(sentence)
                if len(tokens) >= _LEAST_COMPARED:
                    seen.append((tokens, plain, sentence.text))
            self.blocks[place] = replace(block, sentences=tuple(kept))

    def _restatements(self) -> None:
        """A sentence that says in other words what another place says, and nothing more, goes."""
        listed = [
            (place, at, sentence, shingles(words(sentence.text)))
            for place, block in enumerate(self.blocks)
            if isinstance(block, Paragraph)
            for at, sentence in enumerate(block.sentences)
        ]
        gone: set[tuple[int, int]] = set()
        for number, one in enumerate(listed):
            for other in listed[:number]:
                if one[0] == other[0] or not _similar(one[3], other[3]) or {one[:2], other[:2]} & gone:
                    continue
                for (place, at, weaker, tokens), (_, _, stays, bag) in ((one, other), (other, one)):
                    if not _says_more(weaker.text, tokens - bag) and self._removable(place, at):
                        gone.add((place, at))
                        self.words -= word_count(weaker.text)
                        reason = f"it only says in other words: “{stays.text}”"
                        self.edits.add("redundancy.restated", weaker.text, "", reason)
                        break
        for place in sorted({where for where, _ in gone}):
            found = self._paragraph(place)
            kept = tuple(one for at, one in enumerate(found.sentences) if (place, at) not in gone)
            self.blocks[place] = replace(found, sentences=kept)

    def _removable(self, place: int, at: int) -> bool:
        """Whether what follows the sentence stands without it, and the article is long enough."""
        following = self._paragraph(place).sentences[at + 1 : at + 2]
        return not any(opens_dangling(one.text) for one in following) and self._may_lose(
            self._paragraph(place).sentences[at]
        )

    def _openings(self) -> None:
        """No paragraph opens with what points back at nothing."""
        for place, block in enumerate(self.blocks):
            if not isinstance(block, Paragraph) or block.bullet:
                continue
            kept = list(block.sentences)
            while kept and kept[0].citations and opens_dangling(kept[0].text):
                first = kept[0]
                shorter = opening_form(first.text)
                if shorter and self._may_shrink(first.text, shorter):
                    self.edits.add(
                        "coherence.connective",
                        first.text,
                        shorter,
                        "a paragraph can't open with a connective",
                    )
                    self._count(first.text, shorter)
                    kept[0] = replace(first, text=shorter)
                elif self._joins_previous(place, first):
                    self._move_up(place, kept)
                    kept = []
                elif self._may_lose(first):
                    self.words -= word_count(first.text)
                    self.edits.add(
                        "coherence.dangling", first.text, "", "it points back at something that is not there"
                    )
                    kept = kept[1:]
                else:
                    break
            for at in range(1, len(kept)):
                kept[at] = self._loose(kept[at - 1], kept[at])
            self.blocks[place] = replace(block, sentences=tuple(kept))

    def _loose(self, before: Sentence, sentence: Sentence) -> Sentence:
        """The sentence without its connective where the sentence before it is from another place."""
        shorter = without_connective(sentence.text)
        if (
            shorter == sentence.text
            or opens_dangling(shorter)
            or not self._may_shrink(sentence.text, shorter)
            or self._goes_on(before, sentence)
        ):
            return sentence
        reason = "it connects with a sentence of the source that is not here"
        self.edits.add("coherence.connective", sentence.text, shorter, reason)
        self._count(sentence.text, shorter)
        return replace(sentence, text=shorter)

    def _goes_on(self, before: Sentence, sentence: Sentence) -> bool:
        """Whether the sentence follows the other in their source, as far as the source is known."""
        for number in sentence.citations:
            passage = self.work.passage(number)
            text = normalized(passage.text) if passage else ""
            at = text.find(normalized(sentence.text))
            if at >= 0:
                return text[:at].rstrip(" \"').!-").endswith(normalized(before.text).rstrip(" \"').!-"))
        return True

    def _count(self, before: str, after: str) -> None:
        self.words += word_count(after) - word_count(before)

    def _joins_previous(self, place: int, first: Sentence) -> bool:
        before = self.blocks[place - 1] if place else None
        if not isinstance(before, Paragraph) or before.bullet or not before.sentences:
            return False
        return bool(set(before.sentences[-1].citations) & set(first.citations))

    def _move_up(self, place: int, sentences: list[Sentence]) -> None:
        before = self._paragraph(place - 1)
        self.edits.add(
            "structure.merged",
            sentences[0].text,
            sentences[0].text,
            "it goes on from the paragraph before it",
        )
        self.blocks[place - 1] = replace(before, sentences=(*before.sentences, *sentences))

    def _lengths(self) -> None:
        """No section and no article longer than the outline allows: the least relevant sentences go."""
        sections = {
            section.heading: (number, section) for number, section in enumerate(self.outline.sections, 1)
        }
        # a quarter more does no harm where the sections together ask for less than the article
        spare = 1.0 if sum(one.words.max for one in self.outline.sections) >= self.outline.words.max else 1.25
        places = section_of(self.blocks)
        for start in sorted(set(places) - {-1}):
            heading = self.blocks[start]
            found = sections.get(heading.text) if isinstance(heading, Heading) else None
            if found:
                own = [place for place in range(len(places)) if places[place] == start]
                most = round(found[1].words.max * spare)
                self._cut(own, found[0], most, "length.section", f"“{found[1].heading}”")
        self._cut(list(range(len(self.blocks))), 0, self.outline.words.max, "length.article", "the article")

    def _cut(self, places: list[int], index: int, most: int, rule: str, what: str) -> None:
        while (total := body_words([self.blocks[place] for place in places])) > most:
            last = []
            for place in places:
                block = self.blocks[place]
                if isinstance(block, Paragraph) and block.sentences:
                    last.append((self._relevance(block.sentences[-1], index), -place, block.sentences[-1]))
            if not last:
                return
            _, place, sentence = min(last, key=lambda entry: entry[:2])
            if not self._may_lose(sentence):
                return
            self._keep_only(-place, list(self._paragraph(-place).sentences[:-1]))
            self.edits.add(
                rule,
                sentence.text,
                "",
                f"{what} had {total} words, {most} are allowed; this is its least relevant sentence",
            )

    def _relevance(self, sentence: Sentence, index: int) -> float:
        scores = [passage.scores for number in sentence.citations if (passage := self.work.passage(number))]
        return max((one[index] for one in scores if index < len(one)), default=0.0)

    def _empty_sections(self) -> None:
        """No heading over nothing."""
        kept = without_empty(self.blocks)
        for block in self.blocks:
            if isinstance(block, Heading) and block not in kept:
                self.edits.add("structure.empty", block.text, "", "nothing stands under it")
        self.blocks = kept

    def _merge_singles(self) -> None:
        """A paragraph of one sentence joins its neighbour from the same source."""
        place = 0
        while place < len(self.blocks):
            block = self.blocks[place]
            if isinstance(block, Paragraph) and len(block.sentences) == 1 and not block.bullet:
                for other in (self._neighbour(place, -1), self._neighbour(place, 1)):
                    if self._mergeable(block, other):
                        first, second = sorted((place, other))
                        merged = self._joined(first, second)
                        reason = "a single sentence is no paragraph; its neighbour has the same source"
                        self.edits.add(
                            "structure.merged", block.sentences[0].text, block.sentences[0].text, reason
                        )
                        self.blocks[first : second + 1] = [merged, *self.blocks[first + 1 : second]]
                        place = first
                        break
            place += 1

    def _neighbour(self, place: int, step: int) -> int:
        """The place of the block before or after, figures aside."""
        place += step
        while 0 <= place < len(self.blocks) and isinstance(self.blocks[place], Figure):
            place += step
        return place

    def _mergeable(self, block: Paragraph, other: int) -> bool:
        neighbour = self.blocks[other] if 0 <= other < len(self.blocks) else None
        if not isinstance(neighbour, Paragraph) or neighbour.bullet or not neighbour.sentences:
            return False
        total = body_words([block, neighbour])
        same = references_of(self.work, block) & references_of(self.work, neighbour)
        return bool(same) and total <= LONGEST_PARAGRAPH

    def _joined(self, first: int, second: int) -> Paragraph:
        left, right = self._paragraph(first), self._paragraph(second)
        return replace(left, sentences=(*left.sentences, *right.sentences))

    def _split_long(self) -> None:
        result: list[Block] = []
        queue = list(self.blocks)
        while queue:
            block = queue.pop(0)
            at = _split_place(block) if isinstance(block, Paragraph) and not block.bullet else 0
            if at and isinstance(block, Paragraph):
                text = block.sentences[at].text
                self.edits.add(
                    "structure.split",
                    text,
                    text,
                    f"the paragraph had {body_words([block])} words; a new one begins here",
                )
                result.append(replace(block, sentences=block.sentences[:at]))
                queue.insert(0, replace(block, sentences=block.sentences[at:]))
            else:
                result.append(block)
        self.blocks = result


def _alike(tokens: frozenset[str], plain: str, bag: frozenset[str], other: str) -> bool:
    if len(tokens) < _LEAST_COMPARED:
        return False
    # a cheap bound first: the intersection is not larger than the smaller set
    small, large = sorted((len(tokens), len(bag)))
    return (
        plain in other
        or other in plain
        or (small >= NEAR_DUPLICATE * large and jaccard(tokens, bag) >= NEAR_DUPLICATE)
    )


def _similar(tokens: frozenset[str], bag: frozenset[str]) -> bool:
    small, large = sorted((len(tokens), len(bag)))
    return small >= _RESTATED * large and jaccard(tokens, bag) >= _RESTATED


def _says_more(text: str, extra: frozenset[str]) -> bool:
    """Whether the words that the other sentence has not make a difference."""
    telling = extra - (word_set("editor", "function_words") - word_set("editor", "decisive"))
    return len(telling) > 1 or any(
        word in word_set("editor", "decisive") or not word.isalpha() or f"`{word}" in text.casefold()
        for word in telling
    )


def _split_place(paragraph: Paragraph) -> int:
    """Where a paragraph that is too long is cut: near its middle, before a sentence that can open one."""
    lengths = [word_count(sentence.text) for sentence in paragraph.sentences]
    total = sum(lengths)
    if total <= LONGEST_PARAGRAPH or len(lengths) < 4:
        return 0
    places = [at for at in range(2, len(lengths) - 1) if not opens_dangling(paragraph.sentences[at].text)]
    return min(places, key=lambda at: abs(2 * sum(lengths[:at]) - total), default=0)
