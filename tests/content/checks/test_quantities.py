from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cryptocontent.content.checks.dates import Day, dates
from cryptocontent.content.checks.quantities import Quantity, quantities, rounds, same

ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
ONES += [f"{stem}teen" for stem in ("thir", "four", "fif", "six", "seven", "eigh", "nine")]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def spelled(number: int) -> str:
    """A number below a million in English words."""
    if number >= 1000:
        rest = f" {spelled(number % 1000)}" if number % 1000 else ""
        return f"{spelled(number // 1000)} thousand{rest}"
    if number >= 100:
        rest = f" and {spelled(number % 100)}" if number % 100 else ""
        return f"{ONES[number // 100 - 1]} hundred{rest}"
    if number >= 20:
        return TENS[number // 10 - 2] + (f"-{ONES[number % 10 - 1]}" if number % 10 else "")
    return ONES[number - 1]


def values(text: str) -> list[Decimal]:
    return [one.readings[0].value for one in quantities(text)]


@given(st.integers(0, 10**15), st.booleans())
def test_digits_are_read_with_and_without_separators(number, grouped):
    text = f"It is {number:,} then." if grouped else f"It is {number} then."
    assert values(text) == [number]


@given(st.decimals(0, 10**6, places=3))
def test_decimals_are_read_exactly(number):
    assert values(f"It is {number}.") == [number]


@given(st.integers(1, 999_999))
def test_words_are_read(number):
    assert values(f"There are {spelled(number)} blocks.") == [number]


@given(st.integers(1, 9999), st.sampled_from([("million", 6), ("billion", 9), ("trillion", 12), ("bn", 9)]))
def test_scales_are_read(number, scale):
    word, power = scale
    assert values(f"It holds ${number / 10} {word} today.") == [Decimal(number) / 10 * Decimal(10) ** power]


@given(st.integers(1000, 10**12), st.integers(1, 3))
def test_a_scaled_number_fits_what_it_is_a_rounding_of_and_no_other(number, digits):
    value = Decimal(number)
    place = Decimal(1).scaleb(value.adjusted() - digits + 1)
    claim = (value / place).to_integral_value() * place
    told = Quantity(claim, step=place, power=3)
    assert same(told, Quantity(value))
    assert (
        not same(Quantity(claim + place, step=place, power=3), Quantity(value))
        or abs(claim + place - value) <= place / 2
    )
    if claim != value:
        assert not same(Quantity(claim, step=place), Quantity(value))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,200,000", [("1200000", "")]),
        ("1.2 million blocks", [("1200000", "")]),
        ("$1.2bn", [("1200000000", "USD")]),
        ("US$ 45m", [("45000000", "USD")]),
        ("EUR 5,000", [("5000", "EUR")]),
        ("46.6M gas", [("46600000", "")]),
        ("twelve", [("12", "")]),
        ("half a million", [("500000", "")]),
        ("a hundred", [("100", "")]),
        ("5%, 5 per cent, five percent", [("5", "%")] * 3),
        ("12-second slots", [("12", "second")]),
        ("a 20-byte address", [("20", "byte")]),
        ("16MB or 16 MiB", [("16", "MB"), ("16", "MB")]),
        ("0.5 ether and 0.5 ETH", [("0.5", "ETH"), ("0.5", "ETH")]),
        ("mid-2024", [("2024", "")]),
        ("2^256", [("2", ""), ("256", "")]),
        ("Layer-2, EIP-1559, v1.2, L2, 2D4, 0x12", []),
        ("twenty one or thirty-third", [("21", ""), ("33", "")]),
        ("−5 and -5", [("5", ""), ("5", "")]),
        ("one second", [("1", "second")]),
        ("10-20 days", [("10", ""), ("20", "day")]),
    ],
)
def test_numbers_as_texts_have_them(text, found):
    told = [one.readings[0] for one in quantities(text)]
    assert [(one.value, one.unit) for one in told] == [(Decimal(value), unit) for value, unit in found]


@pytest.mark.parametrize(
    ("claim", "source", "holds"),
    [
        ("4096", "4096", True),
        ("4097", "4096", False),
        ("2024", "2023", False),
        ("15%", "12%", False),
        ("15%", "15 percent", True),
        ("15", "15%", False),
        ("1.2 million", "1,200,000", True),
        ("1.2 billion", "1,234,567,890", True),
        ("1.3 billion", "1,234,567,890", False),
        ("1,200,000,000", "1,234,567,890", False),
        ("about 1,200,000,000", "1,234,567,890", True),
        ("20 million", "21 million", False),
        ("about 20 million", "21 million", True),
        ("about 4,000", "4096", True),
        ("about 4097", "4096", False),
        ("roughly 15%", "12%", False),
        ("about 10", "8", False),
        ("more than 90 percent", "93 percent", True),
        ("more than 90 percent", "89 percent", False),
        ("nearly 20 million", "19,687,500", True),
        ("nearly 19 million", "19,687,500", False),
        ("just over 19 million", "19,687,500", True),
        ("100+", "107", True),
        ("more than 100", "99.6", False),
        ("no more than 6", "6", True),
        ("twelve", "12", True),
        ("12 minutes", "12 seconds", False),
        ("12 seconds", "a 12-second slot", True),
        ("$5", "€5", False),
        ("$5", "5 dollars", True),
        ("5 million", "5 to 10 million", True),
        ("5%", "5–10%", True),
        ("5%", "between 5 and 10 percent", True),
        ("16MB", "~16 MB", True),
        ("20th", "20", True),
    ],
)
def test_a_claim_is_what_the_source_says_or_an_honest_rounding(claim, source, holds):
    (told,) = quantities(claim)
    found = any(
        same(reading, other)
        for reading in told.readings
        for one in quantities(source)
        for other in one.readings
    )
    assert found is holds


def test_a_rounding_has_fewer_digits_than_what_it_rounds():
    about = Quantity(Decimal(100), hedge="about")
    assert rounds(about, Decimal(96), Decimal(1))
    assert not rounds(about, Decimal(96), Decimal(100))
    assert not rounds(Quantity(Decimal(0), hedge="about"), Decimal("0.4"), Decimal("0.1"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("24 November 2026", Day(2026, 11, 24)),
        ("24th of November 2026", Day(2026, 11, 24)),
        ("November 24, 2026", Day(2026, 11, 24)),
        ("Nov. 24, 2026", Day(2026, 11, 24)),
        ("2026-11-24T10:00Z", Day(2026, 11, 24)),
        ("24/11/2026", Day(2026, 11, 24)),
        ("Sept 9", Day(None, 9, 9)),
        ("May 2024", Day(2024, 5)),
        ("Q3 2024", Day(2024, quarter=3)),
        ("the third quarter of 2024", Day(2024, quarter=3)),
    ],
)
def test_dates_as_texts_have_them(text, found):
    assert [one.readings for one in dates(f"It was {text}.")] == [(found,)]


@pytest.mark.parametrize("text", ["users may 12 times", "March 1.5", "June 12,000", "2026-13-01", "Mayor 5"])
def test_what_is_no_date(text):
    assert dates(text) == ()


@given(st.dates())
def test_a_date_agrees_with_itself_in_every_form(day):
    forms = [
        f"{day.day} {day:%B} {day.year}",
        f"{day:%B} {day.day}, {day.year}",
        f"{day.year:04}-{day:%m-%d}",
    ]
    read = [one.readings[0] for form in forms for one in dates(form) if 1600 <= day.year <= 2199]
    assert all(one == Day(day.year, day.month, day.day) for one in read)
    assert len(read) == (3 if 1600 <= day.year <= 2199 else 0)


def test_a_source_must_state_all_that_a_date_does():
    full = Day(2024, 4, 20)
    assert Day(2024, 4).agrees(full) and Day(None, 4, 20).agrees(full) and Day(2024, quarter=2).agrees(full)
    assert (
        not full.agrees(Day(2024, 4))
        and not Day(2023, 4).agrees(full)
        and not Day(2024, quarter=1).agrees(full)
    )
