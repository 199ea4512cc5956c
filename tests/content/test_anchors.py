"""Places survive edits: the words found again are those that were meant, wherever the text moved."""

from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.content.anchors import find_again

TEXT = "The fee is burned. Blobs are big. The fee is small. Blocks are quick."


def at(quote: str, text: str = TEXT, nth: int = 0) -> tuple[int, int]:
    start = -1
    for _ in range(nth + 1):
        start = text.index(quote, start + 1)
    return start, start + len(quote)


def test_text_before_it_moves_it() -> None:
    after = "First of all, a word. " + TEXT
    place = find_again(TEXT, after, *at("Blobs are big"))
    assert place is not None and place.intact
    assert after[place.start : place.end] == "Blobs are big"


def test_the_second_of_two_equal_phrases_stays_the_second() -> None:
    after = TEXT.replace("Blobs are big. ", "")
    place = find_again(TEXT, after, *at("The fee is", nth=1))
    assert place is not None and (place.start, place.end) == at("The fee is", after, 1)


def test_words_changed_within_it_are_part_of_it() -> None:
    after = TEXT.replace("Blobs are big", "Blobs are quite big")
    place = find_again(TEXT, after, *at("Blobs are big"))
    assert place is not None and not place.intact
    assert after[place.start : place.end] == "Blobs are quite big"


def test_what_is_gone_is_gone() -> None:
    assert find_again(TEXT, TEXT.replace("Blobs are big. ", ""), *at("Blobs are big. ")) is None


def test_a_part_of_a_word_is_found_again() -> None:
    place = find_again(TEXT, "So. " + TEXT, *at("lob"))
    assert place is not None and ("So. " + TEXT)[place.start : place.end] == "lob"


words = st.lists(st.sampled_from(["fee", "blob", "block", "gas", "chain"]), min_size=1, max_size=12)


@given(words, words, words, st.data())
def test_a_stretch_around_which_text_is_put_is_intact(
    head: list[str], middle: list[str], tail: list[str], data: st.DataObject
) -> None:
    marked = "«" + " ".join(middle) + "»"
    before = " ".join([*head, marked, *tail])
    more = " ".join(data.draw(words))
    after = f"{more} {before} {more}"
    start = before.index("«")
    place = find_again(before, after, start, start + len(marked))
    assert place is not None and place.intact and after[place.start : place.end] == marked


@given(st.text(max_size=60), st.text(max_size=60), st.data())
def test_any_two_texts_give_a_place_inside_the_second_or_none(
    before: str, after: str, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(before)))
    end = data.draw(st.integers(start, len(before)))
    place = find_again(before, after, start, end)
    assert place is None or 0 <= place.start <= place.end <= len(after)
