import pytest

from cryptocontent.content.checks.checkables import (
    checkables,
    claims,
    grounded,
    quotations,
    quoted,
    verbatim,
)
from cryptocontent.content.checks.listing import listing_of, tickers_in
from tests.content.checks.subjects import BLOBS, HALVING, subject

TICKERS = listing_of(subject("x")).tickers
SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        (
            "It rose 12.5% to 1,200 on 3 January 2009.",
            [("percentage", "12.5%"), ("number", "1,200"), ("date", "3 January 2009")],
        ),
        (
            "Send 2 ETH to 0x1234567890abcdef.",
            [("number", "2"), ("ticker", "ETH"), ("address", "0x1234567890abcdef")],
        ),
        (
            'He said "the fee is burned" in EIP-1559.',
            [("quote", "the fee is burned"), ("number", "EIP-1559")],
        ),
        (
            "Geth 1.10.9 uses 46.6M gas for `2`.",
            [("number", "1.10.9"), ("number", "46.6M"), ("number", "2")],
        ),
        ("The text speaks of “blobs” and “fees”.", []),
        ("Rollups wait seven days, in two ways.", [("number", "seven")]),
        ("A hundred nodes, twelve of them, the fourth.", [("number", "A hundred"), ("number", "twelve")]),
        ("Opcode `0xf7` at 12:30 UTC.", [("number", "0xf7"), ("number", "12:30")]),
        ("Pay with stETH or $sol, not with Sol.", [("ticker", "stETH"), ("ticker", "sol")]),
        ("See [the docs](https://example.org/2024/05).", []),
        ("Hashed by keccak256.", [("number", "keccak256")]),
        (f"It went to {SEGWIT}.", [("address", SEGWIT)]),
        ("Nothing can be checked here.", []),
    ],
)  # fmt: skip
def test_what_can_be_checked_is_found(sentence, found):
    assert [(part.kind, part.text) for part in checkables(sentence, TICKERS)] == found


@pytest.mark.parametrize(
    "sentence",
    [
        "Rollups are a layer 2, and Layer-2 networks depend on layer 1.",
        "L2s and Web3 are 24/7.",
        "Ethereum 2.0 was the name.",
        "See Figure 3 and Table 2.",
        "In step 1, the client asks; in step 2 it is told.",
        "It has two parts: (1) the base fee and (2) the tip.",
        "What is EIP-1559?",
        "How does ETH work?",
        "Section 4 says so.",
        "One of the first three proposals had many authors.",
        "Read [What 2024 brought to ETH](article:what-2024-brought).",
        "The *base fee* is “burned”.",
        "The Block Access List (BAL) lists it.",
    ],
)
def test_what_makes_no_claim(sentence):
    assert claims(sentence, TICKERS) == ()


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("Did you know that fees fell by 38%?", ["38%"]),
        ("It took place on 14 May 2025.", ["14 May 2025"]),
        ("The fund lost $610 million.", ["$610 million"]),
        ("EIP-4844 was adopted.", ["EIP-4844"]),
        ("ETH rose.", ["ETH"]),
        ("It took six months.", ["six"]),
        ("“We will never ship this,” one said.", ["We will never ship this,"]),
        ("The law is Article 7 of it.", ["7"]),
    ],
)
def test_what_makes_a_claim(sentence, parts):
    assert [part.text for part in claims(sentence, TICKERS)] == parts


@pytest.mark.parametrize(
    ("sentence", "evidence", "holds"),
    [
        ("It is 1,200.", "It was 1200 then.", True),
        ("It is 12.", "It was 120 then.", False),
        ("It is 12.", "It was 1.12 then.", False),
        ("It is 12.", "It was 12.5 then.", False),
        ("It is 12.", "It was 12% then.", False),
        ("It is 12.", "It was 12.", True),
        ("It is twelve.", "It was 12.", True),
        ("It is the 4th of them.", "It was the fourth.", True),
        ('"Fees are burned" he said.', "Fees are burned, she said.", True),
        ('"Fees are kept" he said.', "Fees are burned, she said.", False),
        ("A blob has 4096 elements.", BLOBS, True),
        ("A blob has 4097 elements.", BLOBS, False),
        ("EIP 4844 did it.", BLOBS, True),
        ("EIP-4845 did it.", BLOBS, False),
        ("EIP-4844 did it.", "EIPs 1559 and 4844 did it.", True),
        ("In November 2012 it fell.", HALVING, True),
        ("In November 2013 it fell.", HALVING, False),
        ("In 2024 it fell.", HALVING, True),
        ("In 2025 it fell.", HALVING, False),
        ("On 20 April 2024 it fell.", "It fell on 20 April. In 2024 few noticed.", True),
        ("On 20 April 2024 it fell.", "It fell on 21 April. In 2024 few noticed.", False),
        ("On 20 April 2024 it fell.", "It fell on 20 April.", False),
        ("Nearly 20 million exist.", HALVING, True),
        ("Opcode 0xF7 exists.", "The opcode is `0xf7`.", True),
        ("Opcode 0xF8 exists.", "The opcode is `0xf7`.", False),
        ("It uses Keccak-256 or keccak256.", "Hashed by KECCAK256.", True),
        ("It uses BLS12-391 here.", "The curve BLS12-381.", False),
        ("Geth 1.10.9 did.", "Geth 1.10.8 did.", False),
        ("ETH rose.", "The eth price rose.", True),
        ("ETH rose.", "The method rose.", False),
        ("Pay to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.", "Paid to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.", True),
        ("Pay to 1A1zP1eP5QGefi2DMPTfTL5SLmv7Divfna.", "Paid to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa.", False),
        ("Pay to 0xABCDEF0123456789.", "Paid to 0xabcdef0123456789.", True),
        ("Pay to 0xABCDEF0123456789.", "Paid to 0xabcdef01234567890.", False),
    ],
)  # fmt: skip
def test_values_are_compared_by_value_and_words_by_word(sentence, evidence, holds):
    parts = checkables(sentence, TICKERS)
    assert parts
    assert all(grounded(part, evidence) for part in parts) is holds


def test_quotations_are_of_three_words_or_twelve_characters():
    assert [quote for quote, _, _ in quotations("A “sure thing”, “a sure thing”, “nevertheless”.")] == [
        "a sure thing",
        "nevertheless",
    ]
    assert [
        one for one, _, _ in quotations('She said "all is well" and «tout va bien» or ‘it isn’t so now’.')
    ] == [
        "all is well",
        "tout va bien",
        "it isn’t so now",
    ]
    assert quotations('A 5" screen shows all of it.') == []
    assert quotations('`say "all is well"` is code') == []


@pytest.mark.parametrize(
    ("quote", "holds"),
    [
        ("always represent a 20-byte address", True),
        ("Always  represent a 20-byte address.", True),
        ("Rollups are […] the only trustless scaling solution", True),
        ("Rollups … the only trustless scaling solution", True),
        ("The only trustless scaling solution … Rollups are", False),
        ("represent a 21-byte address", False),
        ("represent a 20-byte addr", False),
    ],
)
def test_quotations_stand_word_for_word(quote, holds):
    assert quoted(quote, BLOBS) is holds


def test_what_ends_with_a_number_is_not_looked_for_as_words():
    assert verbatim("A blob holds 4096 field elements.", BLOBS)
    assert not verbatim("A blob holds 4096", "A blob holds 4096 million elements.")
    assert not verbatim("A blob holds", "A blob holdsall.")


def test_tickers_are_no_code_no_time_zone_and_no_shouted_words():
    for text in ("the `GAS` opcode", "at 12:00 GMT", "READ THE ACT OF 1933", "a.ETH", "ETH-based", "@ETH"):
        assert tickers_in(text, TICKERS) == [], text
    assert [one for one, _, _ in tickers_in("GMT rose, BTC ETH fell, stETH too.", TICKERS)] == [
        "GMT",
        "BTC",
        "ETH",
        "STETH",
    ]
