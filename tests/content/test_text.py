"""Words, slugs and support."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.content.text import content_hash, sentences, slugify, supports, word_count, words


@pytest.mark.parametrize(
    ("passage", "claim", "holds"),
    [
        ("A blob holds 4096 field elements. It is big.", "A blob holds 4096 field elements.", True),
        ("A blob holds 4096 field elements, and more.", "A blob holds 4096 field elements.", True),
        ("However, a blob\nholds “4096” elements.", 'A blob holds "4096" elements.[^3]', True),
        ("The `GAS_PER_BLOB` constant is fixed.", "The GAS_PER_BLOB constant is fixed.", True),
        ("A blob holds 4096 field elements.", "A blob holds 4097 field elements.", False),
        ("A blob holds 4096 field elements.", "", False),
        ("A blob holds 4096 field elements.", ".", False),
    ],
)
def test_support_is_word_for_word(passage: str, claim: str, holds: bool) -> None:
    assert supports(passage, claim) is holds


def test_abbreviations_do_not_end_sentences() -> None:
    assert sentences("Fees fell, e.g. by 0.3 ETH. See v1.2 of U.S. rules.") == [
        "Fees fell, e.g. by 0.3 ETH.",
        "See v1.2 of U.S. rules.",
    ]


def test_identifiers_are_one_word() -> None:
    assert words("EIP-4844 sets max_fee to 1,000.5 wei") == [
        "EIP-4844",
        "sets",
        "max_fee",
        "to",
        "1,000.5",
        "wei",
    ]
    assert word_count("**Two** words.[^12]") == 2


@given(st.text(max_size=200), st.integers(8, 80))
def test_slugs_are_safe_and_stable(text: str, limit: int) -> None:
    slug = slugify(text, limit)
    assert 0 < len(slug) <= limit
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert slugify(slug, limit) == slug


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.lists(st.text(max_size=3)), max_size=5))
def test_hashes_do_not_depend_on_the_order_of_keys(data: dict[str, object]) -> None:
    assert content_hash(data) == content_hash(dict(reversed(data.items())))
    assert content_hash(data) != content_hash([data])
