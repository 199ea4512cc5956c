"""Which briefs compete with which: real pairs that do, and real pairs that only look alike."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update

from cryptocontent.agents.ranking import stem
from cryptocontent.content.projects import create_project
from cryptocontent.knowledge.embedding import Embedder, open_embedder
from cryptocontent.knowledge.overlap import CATEGORY, MOST_PER_BRIEF, Overlap, Piece, overlaps, pieces
from cryptocontent.settings import Settings
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, Brief, Version
from tests.agents.world import WHO, Calls, advance_all, make_world


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return open_embedder("local:wordllama")


def between(left: Piece, right: Piece, embedder: Embedder) -> Overlap | None:
    found = overlaps([left, right], [left.brief_id, right.brief_id], embedder, stem)
    assert len(found) <= 1, "a pair is reported once"
    return found[0] if found else None


COMPETING = [
    ("The Bitcoin halving, explained", "What the Bitcoin halving means"),
    ("How do I back up a seed phrase?", "Seed phrases, explained"),
    ("How proof of work and proof of stake compare on security",
     "Proof of work vs proof of stake: which is safer?"),
    ("What is a hardware wallet?", "Hardware wallets, explained"),
    ("EIP-4844, explained", "EIP-4844: what blobs change for rollups"),
    ("Best crypto wallets for beginners", "The best beginner crypto wallets"),
    ("What is the Lightning Network?", "The Lightning Network, explained"),
    ("What is MEV?", "MEV, explained"),
]  # fmt: skip
APART = [
    ("Ethereum's base fee", "Blob data on Ethereum"),
    ("Ethereum's base fee, explained", "Blob data on Ethereum, explained"),
    ("The Bitcoin halving, explained", "Bitcoin mining difficulty, explained"),
    ("EIP-4844, explained", "EIP-1559, explained"),
    ("What is a hardware wallet?", "What is a multisig wallet?"),
    ("How proof of work and proof of stake compare on security",
     "How optimistic rollups and zero-knowledge rollups compare on security"),
    ("Optimistic rollups, explained", "ZK rollups, explained"),
    ("What is USDC?", "What is USDT?"),
    ("USDC reserves, explained", "USDT reserves, explained"),
    ("Bitcoin price prediction 2025", "Ethereum price prediction 2025"),
    ("Solana staking, explained", "Ethereum staking, explained"),
    ("How to buy Bitcoin in Germany", "How to buy Bitcoin in France"),
    ("Proof of work, explained", "Proof of stake, explained"),
    ("What is the Lightning Network?", "What is the Polygon network?"),
    ("Bitcoin ETF inflows in 2024", "Bitcoin ETF inflows in 2025"),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), COMPETING)
def test_titles_about_one_subject_cannibalise(left: str, right: str, embedder: Embedder) -> None:
    found = between(Piece("a", left), Piece("b", right), embedder)
    assert found and (found.strength, found.exact) == ("cannibalises", False)
    assert found.reasons[0].startswith(("titles about", "one title")) and "meaning" in found.reasons[-1]


@pytest.mark.parametrize(("left", "right"), APART)
def test_titles_that_only_look_alike_do_not(left: str, right: str, embedder: Embedder) -> None:
    assert between(Piece("a", left), Piece("b", right), embedder) is None


def test_one_title_in_two_spellings_is_a_duplicate(embedder: Embedder) -> None:
    found = between(
        Piece("a", "Bitcoin’s halving, explained"), Piece("b", "bitcoin's  Halving, explained"), embedder
    )
    assert found and (found.strength, found.exact, found.reasons[0]) == ("duplicate", True, "the same title")
    turned = between(
        Piece("a", "Bitcoin ETF inflows in 2025"), Piece("b", "2025 inflows into Bitcoin ETFs"), embedder
    )
    assert turned and (turned.strength, turned.exact) == ("duplicate", False)
    typed = between(Piece("a", "Hardware wallets"), Piece("b", "Hardware walets"), embedder)
    assert typed and typed.reasons[0] == "titles about the same"


def test_the_same_words_and_keywords_are_a_duplicate(embedder: Embedder) -> None:
    keywords = ("bitcoin halving", "block subsidy", "supply schedule")
    left = Piece("a", "The Bitcoin halving, explained", keywords)
    found = between(left, Piece("b", "What the Bitcoin halving means", keywords), embedder)
    assert found and found.strength == "duplicate"
    assert "the same primary keyword 'bitcoin halving'" in found.reasons
    assert "3 of 3 keywords shared" in found.reasons


def test_keywords_cannibalise_though_titles_differ(embedder: Embedder) -> None:
    primary = between(
        Piece("a", "Why rollup fees fell", ("rollup fees", "dencun")),
        Piece("b", "Cheaper transactions at last", ("Fees of rollups",)),
        embedder,
    )
    assert primary is None, "`of` is a word like any other in a keyword"
    primary = between(
        Piece("a", "Why rollup fees fell", ("rollup fees", "dencun")),
        Piece("b", "Cheaper transactions at last", ("Rollup fee",)),
        embedder,
    )
    assert primary and primary.reasons[0] == "the same primary keyword 'rollup fees'"
    shared = between(
        Piece("a", "Why rollup fees fell", ("blobs", "rollup fees", "dencun")),
        Piece("b", "Cheaper transactions at last", ("gas", "rollup fees", "dencun")),
        embedder,
    )
    assert shared and shared.reasons[0] == "2 of 4 keywords shared"
    assert between(Piece("a", "One", ("blobs", "gas")), Piece("b", "Two", ("gas", "peg")), embedder) is None


def test_a_keyword_of_many_pieces_says_nothing(embedder: Embedder) -> None:
    subjects = ["staking", "mining", "custody", "bridges", "oracles", "airdrops", "taxes", "wallets"]
    known = [
        Piece(f"b{number}", f"{subject} {number}", ("crypto",))
        for number, subject in enumerate(subjects * (CATEGORY // len(subjects) + 1))
    ]
    assert len(known) > CATEGORY
    assert overlaps(known, [one.brief_id for one in known], embedder, stem) == []
    few = known[: len(subjects)]
    assert len(overlaps(few, [one.brief_id for one in few], embedder, stem)) == len(few) * (len(few) - 1) // 2


def test_only_asked_briefs_are_compared_and_articles_are_found_by_slug(embedder: Embedder) -> None:
    known = [
        Piece("old-1", "Seed phrases, explained"),
        Piece("old-2", "What is a seed phrase?"),
        Piece("new", "The Bitcoin halving, explained"),
        Piece("new", "The Bitcoin halving, explained", (), "the-bitcoin-halving-explained"),
        Piece("written", "Block subsidies"),
        Piece("written", "What halves every four years", (), "the-bitcoin-halving-explained-2"),
        Piece("other", "Miners and time", (), "the-bitcoin-halving-explained"),
    ]
    (found,) = overlaps(known, ["new"], embedder, stem)
    assert (found.brief_id, found.other_id, found.slug) == ("new", "other", "the-bitcoin-halving-explained")
    assert found.reasons[0] == "the article's slug is 'the-bitcoin-halving-explained'"
    assert not found.within, "a brief and its own article are no pair; old briefs were not asked about"


def test_a_brief_that_competes_with_everything_shows_its_strongest_pairs(embedder: Embedder) -> None:
    known = [Piece(f"b{number}", "Seed phrases, explained") for number in range(MOST_PER_BRIEF + 5)]
    found = overlaps(known, ["b3"], embedder, stem)
    assert len(found) == MOST_PER_BRIEF and {one.brief_id for one in found} == {"b3"}


class Flat:
    """Every text means the same: what is left are the titles and keywords."""

    name, dimensions = "flat", 2

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(texts), 1))


_titles = st.lists(
    st.sampled_from(["Bitcoin", "halving", "fees", "EIP-1559", "2024", "the", "wallets"]), max_size=5
)


@given(st.lists(_titles, min_size=2, max_size=8))
def test_the_order_of_pieces_does_not_decide_who_competes(titles: list[list[str]]) -> None:
    known = [Piece(f"b{number}", " ".join(title)) for number, title in enumerate(titles)]
    asked = [one.brief_id for one in known]

    def pairs(some: list[Piece]) -> set[tuple[frozenset[str], str]]:
        found = overlaps(some, asked, Flat(), stem)
        return {(frozenset((one.brief_id, one.other_id)), one.strength) for one in found}

    assert pairs(known) == pairs(known[::-1])
    for one in overlaps(known, asked, Flat(), stem):
        assert one.brief_id != one.other_id and one.within and one.reasons


def test_pieces_are_briefs_and_articles_as_they_stand(engine: Engine, tmp_path: Path) -> None:
    settings = Settings(CRYPTOCONTENT_HOME=tmp_path)  # type: ignore[call-arg]
    ids = make_world(engine, settings, 2)
    from cryptocontent.agents.pipeline import Pipeline

    advance_all(Pipeline(engine, "run", Calls(tmp_path / "calls").agents()), ids[:1])
    with writing(engine) as session:
        create_project(session, "other", "", WHO)
        session.execute(update(Brief).filter_by(id=ids[1]).values(keywords=["fees", "gas"]))
    with reading(engine) as session:
        known = pieces(session, "p")
        assert pieces(session, "other") == []
        article = session.query(Article).one()
        assert session.get_one(Version, article.version_id).details["seo"]["slug"] == "same-slug"
    assert known == [
        Piece(ids[0], "Topic 0"),
        Piece(ids[1], "Topic 1", ("fees", "gas")),
        Piece(ids[0], "Topic 0", (), "same-slug"),
    ]
    with writing(engine) as session:
        session.execute(update(Article).values(status="archived"))
    with reading(engine) as session:
        assert len(pieces(session, "p")) == 2, "what readers do not see any more competes with nothing"
