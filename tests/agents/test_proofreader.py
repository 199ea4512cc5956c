import pytest

from cryptocontent.agents import proofreader
from cryptocontent.content.documents import parse
from cryptocontent.content.text import supports
from tests.agents.research import draft


def edits(made):
    return [message.data for message in made.messages if message.kind == "edit"]


@pytest.mark.parametrize(
    ("wrong", "right", "rule"),
    [
        ("Fees rose , and blocks were full.", "Fees rose, and blocks were full.", "typography.space"),
        ("Fees rose,, and blocks were full.", "Fees rose, and blocks were full.", "typography.doubled"),
        ("Fees rose -- and blocks were full.", "Fees rose – and blocks were full.", "typography.dash"),
        ("Fees rose and ... fell.", "Fees rose and … fell.", "typography.ellipsis"),
        ("Fees of 10-20 gwei are usual.", "Fees of 10–20 gwei are usual.", "typography.range"),
        ("Fees of ( some ) blocks rose.", "Fees of (some) blocks rose.", "typography.bracket"),
        ("The the fee is burned.", "The fee is burned.", "grammar.doubled_word"),
        ("Fees are a amount of gas.", "Fees are an amount of gas.", "grammar.article"),
        ("fees are burned by the chain.", "Fees are burned by the chain.", "grammar.capital"),
        ("Fees are burned by the chain", "Fees are burned by the chain.", "typography.full_stop"),
        ("Users of ethereum pay fees.", "Users of Ethereum pay fees.", "names.spelling"),
        ("The code is on Github for all.", "The code is on GitHub for all.", "names.spelling"),
        ("The bitcoin network is older.", "The Bitcoin network is older.", "names.bitcoin"),
        ("A miner earns 3 Bitcoin per block.", "A miner earns 3 bitcoin per block.", "names.bitcoin"),
        ("Nodes MUST NOT send blocks.", "Nodes must not send blocks.", "typography.capitals"),
        ("The field IS REQUIRED by nodes.", "The field is required by nodes.", "typography.capitals"),
        ("Nodes recieve blocks.", "Nodes receive blocks.", "spelling.common"),
        ("Seperate fees are paid.", "Separate fees are paid.", "spelling.common"),
    ],
)
async def test_slips_of_ones_own_are_corrected(wrong, right, rule):
    made = await proofreader.rules(draft(wrong))
    assert made.draft.body == right
    assert rule in [edit["rule"] for edit in edits(made)]


@pytest.mark.parametrize(
    "text",
    [
        "The method `ethereum recieve , github` is code.",
        "He said that that was had had long ago.",
        "The price of bitcoin rose by 3 per cent.",
        "The 'eth' protocol is on https://github.com/ethereum for all.",
        'The word "MUST" and `MUST` are as the source has them.',
        "An hour is a unit of time, a user is a person.",
        "The range is 0x10-0x20 in EIP-1559 and version 1.2-3.4 of geth.",
    ],
)
async def test_what_is_right_stays(text):
    made = await proofreader.rules(draft(text))
    assert made.draft.body == text
    assert edits(made) == []


async def test_a_cited_sentence_stays_word_for_word_and_the_slip_is_a_finding():
    source = "Nodes recieve blocks from ethereum peers."
    made = await proofreader.rules(draft(f"{source}[^1]", source))
    (sentence,) = parse(made.draft.body)[0].sentences
    assert sentence.text == "Nodes recieve blocks from Ethereum peers."
    assert supports(source, sentence.text)
    assert [(one.rule, one.severity) for one in made.findings] == [("source.spelling.common", "info")]
    assert "left 1 slip" in made.messages[-1].body


async def test_signs_of_a_source_stay_but_doubled_punctuation_at_its_end_goes():
    source = "Fees of 10-20 gwei -- that is little -- are usual.."
    made = await proofreader.rules(draft(f"{source}[^1]", source))
    assert "10-20" in made.draft.body and "--" in made.draft.body
    assert supports(source, parse(made.draft.body)[0].sentences[0].text)


async def test_headings_are_corrected_too():
    made = await proofreader.rules(draft("## Fees of ethereum\n\nFees are paid."))
    assert made.draft.body.startswith("## Fees of Ethereum")


async def test_the_capitals_of_a_specification_go_from_cited_sentences_too():
    source = "Clients MUST keep blobs for 4096 epochs and MAY keep them longer."
    made = await proofreader.rules(draft(f"{source}[^1]", source))
    (sentence,) = parse(made.draft.body)[0].sentences
    assert sentence.text == "Clients must keep blobs for 4096 epochs and may keep them longer."
    assert supports(source, sentence.text) and made.findings == ()
