import pytest

from cryptocontent.agents.prose import (
    LEVELS,
    NEVER,
    balanced,
    fitness,
    opening_form,
    opens_dangling,
    skipped_heading,
    source_sentences,
    tidy,
    without_connective,
)

GOOD = [
    "Rollups are the only trustless scaling solution for Ethereum in the short term.",
    "The block validity conditions are modified to include blob gas checks.",
    "`BLOBHASH` returns the versioned hash of a blob in the current transaction.",
    "Blobs cost less than calldata (which every full node keeps) at most times.",
    "Costs are shared by all of the users of a rollup.",
    "Because blocks are full, the base fee of the chain rises.",
    "If a block is full the base fee of the next one rises.",
    "Since 2015 the chain has grown by some gigabytes in every month.",
    "Nodes that serve blobs need more bandwidth than light clients.",
    "No node keeps the blobs of a block for ever.",
    "Any change of the limit requires a hard fork of the network.",
    "The fee is burned if the block is valid for all nodes.",
    "Full nodes check every transaction and keep the complete current state.",
    "Traders compare that ratio with other markets until no difference stays.",
]
NEVER_FIT = [
    "Introduce a new transaction format for blobs which contain data that cannot be accessed.",
    "Broadcasts the signed block on the gossip topic after the block was published.",
    "The resulting RLP encoding of the header is therefore:",
    "the lower case fragment of a longer sentence is not whole.",
    "See the whole list at https://example.org/list of all the names.",
    "A [link](somewhere) was left in the text by the importer.",
    "The value {{ topic }} was never filled in by the template at all.",
    "The sum is $\\sum_i x_i$ in the notation of the whole paper.",
    "A table | with cells | is never a sentence of its own here.",
    'The key words "MUST" and "MAY" are to be interpreted as described in RFC 2119.',
    "Copyright and related rights are waived via CC0 for all of it.",
    "Needs discussion and more thought by all of the authors, TODO.",
    "The balance (of the account is never closed and so is broken.",
    "Increasing the cost of a read to that of a write.",
    "Signs typed data using a specific account of the wallet.",
    "Is it really worth the effort to change the format of it all?",
    "The check is `if a < b and c: return d` for every block of the chain.",
    "Too short.",
    "No changes to current opcode gas costs.",
    "Because anybody/everybody can contribute to the rent account.",
    "If the base fee of the next block is higher than before.",
    "The next instruction if the current instruction is not a terminating instruction nor a jump.",
    "The nodes of the network that are behind the head of the chain.",
    "Blob base fee evolution with the current fee market (black) and the proposed reserve fee (blue).",
    "Figure 3: the base fee was around 16 gwei in all of the weeks.",
    "If the instruction has no bounds recorded, record the bounds of it.",
    "MUST execute all calls atomically, or no effects appear on chain.",
    "FYI the names of the fields are those of the first draft.",
    "The notation is used throughout the text of all of the documents.",
]


@pytest.mark.parametrize("text", GOOD)
def test_plain_whole_sentences_are_fit_from_the_first_step(text):
    assert fitness(text) == 0
    assert opening_form(text) == text


@pytest.mark.parametrize("text", NEVER_FIT)
def test_debris_fragments_titles_and_boilerplate_are_never_fit(text):
    assert fitness(text) == NEVER


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("The field `a` and the field `b` and the field `c` follow the rules of the header.", 1),
        ("This proposal was written to make room for data on the chain.", 2),
        ("We add a new type of gas that only blobs are priced in.", 5),
        ("Clients follow the rules of the table that the next section gives.", 5),
    ],
)
def test_weaker_sentences_need_a_step_of_relaxation(text, level):
    assert fitness(text) == level
    assert level < len(LEVELS)


@pytest.mark.parametrize(
    "text",
    [
        "This means that blob transactions cannot create contracts.",
        "It follows its own targeting rule.",
        "However, data sharding will take a considerable amount of time.",
        "If they fail, the block is not valid for any node.",
        "For example, a rollup may post its data elsewhere.",
        "Even these fees are too expensive for many users.",
        "The latter is cheaper for users of a rollup.",
        "Adding a field would duplicate all of that.",
        "Thus a syncing node asks for the filters of all receipts.",
        "The first sets a context variable based on a signature.",
        "The first is introducing a new transaction type.",
        "The next sends a call as the authorized account.",
        "The last uses a list of the slots.",
        "The other is the size of the code.",
        "Others prefer a fee in every block.",
        "Three are for handling batches of calls.",
        "Both are deferred to a later upgrade.",
        "One is the cost of the storage.",
        "Some of these need a hard fork.",
        "Each of them has a fee of its own.",
        "For example, the fee of a blob rises with demand.",
    ],
)
def test_sentences_that_point_back_dangle_as_openings(text):
    assert opens_dangling(text)


@pytest.mark.parametrize(
    "text",
    [
        "It is possible that a node misses a blob.",
        "Nodes that serve blobs need more bandwidth.",
        "If a block is full, the base fee rises.",
        "There are two kinds of gas.",
        "Users such as rollups pay less.",
        "The first version of the protocol had no fee market.",
        "The last block of an epoch is a checkpoint.",
        "One blob is a packet of 128 kilobytes.",
        "Three validators sign every block of the chain.",
        "One of the main goals of rollups is low fees.",
    ],
)
def test_sentences_that_stand_alone_do_not_dangle(text):
    assert not opens_dangling(text)


def test_a_connective_is_dropped_only_if_the_rest_stands_alone():
    assert without_connective("However, blobs are pruned after some weeks by all nodes.") == (
        "Blobs are pruned after some weeks by all nodes."
    )
    assert opening_form("Therefore, the fee of a blob rises with demand for it.").startswith("The fee")
    assert opening_form("However, this fee of a blob rises with demand for it.") == ""


def test_a_pointer_in_parentheses_at_the_end_is_cut():
    assert tidy("The fee is burned (see the section on fees).") == "The fee is burned."
    assert tidy("The fee (in wei) is burned.") == "The fee (in wei) is burned."


def test_brackets_quotes_and_backticks_balance():
    assert balanced('A (b [c]) "d" `e(`.')
    for text in ("A (b.", "A b).", 'A "b.', "A `b.", "A (b]."):
        assert not balanced(text)


def test_a_passage_gives_its_sentences_with_their_places():
    text = (
        "Fees are burned in every block of the chain. This makes ether scarce over time.\n\n"
        "Blobs are large packets of data that nodes keep for weeks."
    )
    found = source_sentences(text, "prose")
    assert [(one.paragraph, one.index, one.last) for one in found] == [
        (0, 0, False),
        (0, 1, True),
        (1, 0, True),
    ]
    assert [one.opens for one in found] == [0, NEVER, 0]
    assert source_sentences(text, "table") == source_sentences(text, "code") == ()


def test_a_list_item_is_a_sentence_without_its_label():
    found = source_sentences("- Simplicity: the tree has one layer and is easy to read.\n- gas", "list")
    assert [one.text for one in found if one.level < NEVER] == ["The tree has one layer and is easy to read."]


def test_tests_and_licences_are_no_prose():
    assert skipped_heading(("Specification", "Test Cases"))
    assert skipped_heading(("Copyright",))
    assert not skipped_heading(("Motivation",))
