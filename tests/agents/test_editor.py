from cryptocontent.agents import editor
from cryptocontent.content.documents import Heading, body_words, paragraphs, parse
from tests.agents.research import draft, passage

FEE = "The base fee of Ethereum is burned in every block of the chain."
BLOB = "A blob is a large packet of data that nodes keep for some weeks."
NODE = "Nodes with slow disks fall behind when blocks are full of storage reads."


def rules_of(made):
    return [message.data["rule"] for message in made.messages if message.kind == "edit"]


async def test_a_repeated_sentence_is_removed_and_the_first_stays():
    body = f"{FEE}[^1] {BLOB}[^1]\n\n## What it is\n\n{NODE}[^2] {FEE}[^1]"
    made = await editor.rules(draft(body, f"{FEE} {BLOB}", NODE))
    assert made.draft.body.count("burned") == 1
    assert rules_of(made) == ["redundancy.repeated"]
    assert "removed 1 repeated sentence" in made.messages[-1].body.casefold()


async def test_a_contained_sentence_is_a_repetition():
    longer = (
        "The base fee of Ethereum is burned in every block of the chain, and the tip is paid to validators."
    )
    made = await editor.rules(draft(f"{longer}[^1] {NODE}[^1]\n\n{FEE[:-1]}.[^1] {BLOB}[^1]", "x"))
    assert "redundancy.repeated" in rules_of(made)


async def test_different_sentences_stay():
    body = f"{FEE}[^1] {BLOB}[^1]\n\n## What it is\n\n{NODE}[^1] Blobs are cheap.[^1]"
    made = await editor.rules(draft(body, "x"))
    assert made.draft.body == body
    assert rules_of(made) == []
    assert "nothing to change" in made.messages[-1].body


async def test_promotion_is_removed_but_not_inside_code():
    body = (
        f"{FEE}[^1] A revolutionary chain gives guaranteed returns to everyone.[^1] "
        "The flag `amazing` is set by nodes.[^1]"
    )
    made = await editor.rules(draft(body, "x"))
    assert "revolutionary" not in made.draft.body
    assert "`amazing`" in made.draft.body
    assert rules_of(made) == ["tone.promotion"]


async def test_a_leading_connective_is_dropped_at_a_paragraphs_beginning_only():
    body = (
        "However, the base fee is burned in every block.[^1] "
        f"However, the tip is not burned at all.[^1] {BLOB}[^1]"
    )
    made = await editor.rules(draft(body, "x"))
    assert made.draft.body.startswith("The base fee")
    assert "However, the tip" in made.draft.body
    assert rules_of(made) == ["coherence.connective"]


async def test_a_dangling_opening_joins_the_paragraph_before_if_it_has_the_same_source():
    body = f"{FEE}[^1] {BLOB}[^1]\n\nThis makes ether scarce over time for its holders.[^1] {NODE}[^1]"
    made = await editor.rules(draft(body, "x"))
    assert len(paragraphs(parse(made.draft.body))) == 1
    assert "structure.merged" in rules_of(made)


async def test_a_dangling_opening_after_another_source_is_removed():
    body = f"{FEE}[^1] {BLOB}[^1]\n\nThis makes ether scarce over time for its holders.[^2] {NODE}[^2]"
    made = await editor.rules(draft(body, "x", passage(2, "y", "other")))
    assert "scarce" not in made.draft.body
    assert "coherence.dangling" in rules_of(made)


async def test_single_sentences_merge_with_a_neighbour_of_the_same_source_only():
    same = await editor.rules(draft(f"{FEE}[^1] {BLOB}[^1]\n\n{NODE}[^1]", "x"))
    assert len(paragraphs(parse(same.draft.body))) == 1
    other = await editor.rules(draft(f"{FEE}[^1] {BLOB}[^1]\n\n{NODE}[^2]", "x", passage(2, "y", "other")))
    assert len(paragraphs(parse(other.draft.body))) == 2


async def test_long_paragraphs_are_split():
    found = [
        "Rollups post their compressed data to Ethereum, where anyone who runs a node can fetch all of it.",
        "Blob space has a market of its own, and its price rises while demand stays above the target.",
        "Operators who miss the window must find an archive that kept older packets on its own disks.",
        "Light clients sample a few columns only, which saves most of the bandwidth that full ones need.",
        "Validators attest to availability before they vote for any proposal of their peers in that slot.",
        "Calldata remains the fallback for small users, although each byte of it is stored for ever.",
        "Wallets rarely show such details, because the sequencer pays for publication and bills later.",
        "Later upgrades raised both limits once home stakers had proved that their lines could cope.",
    ]
    made = await editor.rules(draft(" ".join(f"{one}[^1]" for one in found), "x"))
    assert [len(one.sentences) for one in paragraphs(parse(made.draft.body))] == [4, 4]
    assert rules_of(made) == ["structure.split"]


async def test_too_much_is_cut_from_the_least_relevant_end():
    good = passage(1, "x", scores=(0.9, 0.9, 0.9))
    weak = passage(2, "y", "other", scores=(0.1, 0.1, 0.1))
    body = f"{FEE}[^1] {BLOB}[^1]\n\n{NODE}[^2] Blobs are cheap for users of rollups.[^2]"
    made = await editor.rules(draft(body, good, weak, most=40))
    assert body_words(parse(made.draft.body)) <= 40
    assert FEE in made.draft.body and BLOB in made.draft.body
    assert set(rules_of(made)) == {"length.article"}


async def test_the_article_never_falls_below_its_least_length():
    body = f"{FEE}[^1] {FEE}[^1]\n\n{BLOB}[^1] {BLOB}[^1]"
    total = body_words(parse(body))
    made = await editor.rules(draft(body, "x", least=total - 5))
    assert body_words(parse(made.draft.body)) >= total - 5
    assert made.messages[-1].data["kept_for_length"] >= 1


async def test_headings_take_the_outlines_wording_and_empty_sections_go():
    body = f"{FEE}[^1] {BLOB}[^1]\n\n## what it is:\n\n{NODE}[^1] Blobs are cheap.[^1]\n\n## Risks"
    made = await editor.rules(draft(body, "x"))
    assert [block.text for block in parse(made.draft.body) if isinstance(block, Heading)] == ["What it is"]
    assert rules_of(made) == ["structure.heading", "structure.empty"]


async def test_a_connective_after_a_sentence_from_another_place_is_dropped():
    late = "In addition, the tip of a transaction is paid to the validator."
    made = await editor.rules(draft(f"{FEE}[^1] {late}[^2]", FEE, f"{NODE} {late}"))
    assert rules_of(made) == ["coherence.connective"]
    assert "The tip of a transaction" in made.draft.body
    joined = await editor.rules(draft(f"{FEE}[^1] {late}[^1]", f"{FEE} {late}"))
    assert rules_of(joined) == [] and late in joined.draft.body


async def test_a_connective_without_a_rest_that_stands_alone_is_not_dropped():
    body = (
        f"{FEE}[^1] {BLOB}[^1]\n\nHowever, this makes ether scarce over time for its holders.[^1] {NODE}[^1]"
    )
    made = await editor.rules(draft(body, "x"))
    assert "However, this makes" in made.draft.body
    assert rules_of(made) == ["structure.merged"]


async def test_a_sentence_that_only_restates_another_section_goes_and_one_that_differs_stays():
    plain = "This EIP is a step towards supporting `SELFDESTRUCT` in Verkle trees."
    full = (
        "This EIP is designed to be a step towards supporting `SELFDESTRUCT` in Verkle trees while making "
        "the minimum amount of changes."
    )
    made = await editor.rules(draft(f"{FEE}[^1] {full}[^1]\n\n## What it is\n\n{NODE}[^1] {plain}[^1]", "x"))
    assert rules_of(made) == ["redundancy.restated"]
    assert full in made.draft.body and plain not in made.draft.body
    zero = "If the input is equal to 0, the contract must revert."
    size = "If the input is not exactly 32 bytes, the contract must revert."
    body = f"{FEE}[^1] {zero}[^1]\n\n## What it is\n\n{NODE}[^1] {size}[^1]"
    assert (await editor.rules(draft(body, "x"))).draft.body == body


async def test_a_single_sentence_joins_its_neighbour_across_a_figure():
    figure = "![A block](image:" + "a" * 64 + ")"
    made = await editor.rules(draft(f"{FEE}[^1] {BLOB}[^1]\n\n{figure}\n\n{NODE}[^1]", "x"))
    assert made.draft.body == f"{FEE}[^1] {BLOB}[^1] {NODE}[^1]\n\n{figure}"
