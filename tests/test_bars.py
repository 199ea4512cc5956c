"""The bars of the main job on a corpus that it was not tuned to: 25 briefs become 25 articles whose every
sentence stands in the passage that it cites, and the right document is found.

The checker looks at exported files only, with expressions of its own: it shares no code with the agents.
"""

import asyncio
import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from cryptocontent.agents.pipeline import PIPELINE, Pipeline
from cryptocontent.audit import Actor
from cryptocontent.content.briefs import import_briefs
from cryptocontent.content.generations import brief_ids
from cryptocontent.content.projects import create_project
from cryptocontent.content.templates import read_template, save_template
from cryptocontent.knowledge.references import import_paths
from cryptocontent.knowledge.research import freeze
from cryptocontent.knowledge.search import rank_documents, search_index, sync_index
from cryptocontent.publishing import export_project
from cryptocontent.settings import Settings
from cryptocontent.storage import migrate, open_engine, open_object_store, reading, writing
from tests.cli.homes import SAMPLE, shared_folder

TESTER = Actor("test", "bars")
SHARED = Path(__file__).parents[2] / "shared" / "corpus"
TEMPLATE = SAMPLE / "templates" / "explainer.yaml"

EIP_BRIEFS = """
EIP-1559|how the fee is set|fee market;base fee;gas|
Shard blob transactions|what rollups pay|blobs;data availability;KZG|Blob transactions in plain words
Storage rent||state rent;storage|
EIP-2718 typed transaction envelopes|why old transactions stay valid|typed transactions;envelope|
Verkle trees|what stateless clients gain||
EIP-3074||sponsored transactions|How AUTH and AUTHCALL delegate control
The EVM Object Format|what code validation rules out|EOF;bytecode;validation|
Bounding historical data in execution clients||history expiry|
Beacon chain push withdrawals|when validators are paid|withdrawals;validators|
Account abstraction|||
The upgrade to proof of stake|what the fields difficulty and mixHash became|proof of stake;difficulty|
Deactivating SELFDESTRUCT|which contracts break|selfdestruct|
Transient storage opcodes|||
BLS12-381 curve operations||BLS12-381;precompile|
Slashing protection interchange format||slashing protection;validator|
Chain identifiers||chain id;replay|
The PUSH0 instruction|what it saves|PUSH0|
Limiting and metering initcode||initcode;metering|
Calldata cost increases||calldata;gas cost|
Ethereum wire protocol messages||p2p;eth protocol|
Beacon block root in the EVM|who reads it|beacon root|
Wallet call APIs for batches||wallet;JSON-RPC|
MCOPY|what compilers did before|memory;instruction|Copying memory in one instruction: MCOPY
Gas refunds and their removal||refunds;gas|
SSZ transactions and receipts roots||SSZ;receipts|
"""
SAMPLE_BRIEFS = """
The Bitcoin halving|what changes for miners|halving;block subsidy|
Bitcoin's supply schedule||supply|
Proof of work|what mining costs|mining|
Proof of stake|how validators are chosen|validators;finality|
The Merge|what changed for energy use|ethereum merge|
Ethereum's base fee|why fees rise and fall|eip-1559;gas|
Fee burning||burn;ether|
Blobs|why rollup fees fell|eip-4844;dencun|
Optimistic rollups|how long withdrawals take|fraud proofs|
Zero-knowledge rollups||validity proofs|
Rollups||layer 2|
Automated market makers|how a price comes about|liquidity pool|
Impermanent loss||liquidity providers|
Stablecoins|what stands behind the peg|reserves;peg|
MiCA|what issuers of stablecoins must do|european union|
Seed phrases|how to keep a backup safe|bip-39|
Hardware wallets||self-custody|
Public keys and addresses||addresses|
Checksum addresses||eip-55|
Merkle trees||merkle proof|
Light clients||light client|
The Lightning Network|what a channel costs|payment channels|
Maximal extractable value|who pays for it|mev|
Sandwich attacks||mev;swap|
Consensus||proof of work;proof of stake|
"""
SAMPLE_QUERIES = """
how the base fee of a block is set from the block before	eip-1559-base-fee
how long blobs are kept and why they are cheaper than calldata	eip-4844-blobs
capital letters in an address as checksum	eip-55-checksum-addresses
the block subsidy is cut in half every 210,000 blocks	bitcoin-halving-and-supply
constant product formula of a liquidity pool	automated-market-makers
how Ethereum moved to proof of stake	ethereum-merge-proof-of-stake
fraud proofs and validity proofs	rollups-optimistic-and-zk
the words of a seed phrase encode all private keys	seed-phrases-and-hardware-wallets
a payment channel between two parties	lightning-network
rules for issuers of asset-referenced tokens in Europe	eu-mica-regulation
a Merkle proof that a transaction is in a block	light-clients-and-merkle-trees
sandwich attacks and front-running by searchers	maximal-extractable-value
"""


def _corpus() -> tuple[Path, str, list[tuple[str, str]]]:
    """References, briefs, and queries with the document that answers each: of the shared corpus if it
    stands beside the checkout, else of the sample project."""
    if (SHARED / "eips").is_dir():
        lines = (SHARED / "queries.tsv").read_text().splitlines()
        return SHARED / "eips", EIP_BRIEFS, [(line.split("\t")[0], line.split("\t")[1]) for line in lines]
    lines = SAMPLE_QUERIES.strip().splitlines()
    return (
        SAMPLE / "references",
        SAMPLE_BRIEFS,
        [(line.split("\t")[0], line.split("\t")[1]) for line in lines],
    )


def _csv(briefs: str) -> bytes:
    rows = [line.split("|") for line in briefs.strip().splitlines()]
    lines = [",".join(f'"{cell}"' for cell in ("explainer", *row)) for row in rows]
    return "\n".join(["template,topic,angle,keywords,title", *lines]).encode()


def _write_articles(home: Path) -> None:
    """The main job, by the real pipeline: import, embed, freeze research, five stages, export."""
    references, briefs, _ = _corpus()
    settings = Settings(CRYPTOCONTENT_HOME=home)  # type: ignore[call-arg]
    engine, objects = open_engine(settings.database_url), open_object_store(settings.object_store_url)
    migrate(engine)
    with writing(engine) as session:
        create_project(session, "p", "", TESTER)
        save_template(session, "p", read_template(TEMPLATE), TESTER)
        assert import_briefs(session, "p", _csv(briefs), TESTER).problems == ()
    imported = import_paths(engine, objects, "p", [references], TESTER, max_bytes=10_000_000)
    assert not imported.problems
    sync_index(engine, settings, "p")
    with reading(engine) as session:
        ids = brief_ids(session, "p")
    freeze(engine, lambda queries: search_index(settings, queries), ids)
    outcome = asyncio.run(Pipeline(engine, "bars").advance(ids, PIPELINE[-1].stage))
    failed = {brief: reason for brief, reason in outcome.items() if reason}
    assert not failed, failed
    export_project(engine, objects, "p", home / "exports")


# The checker: plain expressions over exported Markdown, and the passages of the exported JSON.

_MARKER = re.compile(r"\[\^(\d+)\]")
_MARKERS = re.compile(r"((?:\[\^\d+\])+)(?:\s+|\Z)")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]`]*\Z")
_SENTENCE_INSIDE = re.compile(
    r"(?<!e\.g)(?<!i\.e)(?<!vs)(?<!cf)(?<!etc)(?<!al)[.!?][\"'”’)]*\s+[\"'“(`]?[A-Z]"
)
_WORD = re.compile(r"\w+(?:[.,'’/_-]\w+)*")
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'"})
DEBRIS = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "link": r"\]\(|\[[^\]]+\]\[|\[\[|\]\]",
        "tag": r"</?[a-z!][^>]*>|<!--|-->",
        "entity": r"&(?:[a-z]+|#\w+);",
        "template": r"\{\{|\}\}|\{%|%\}",
        "formula": r"\$\$|\\(?:frac|text|mathbb|cdot|times|le|ge|[()\[\]])",
        "emphasis": r"\*\*|(?<!\w)__|~~",
        "heading or list": r"\A(?:#+\s|[-*+•]\s|\d+[.)]\s|>\s|\|)|\s\|\s",
        "address": r"https?://|www\.",
        "note to self": r"\b(?:TODO|TBD|FIXME|XXX|lorem ipsum)\b",
        "licence": r"copyright and related rights|\bCC0\b|all rights reserved",
        "reference": r"\(see\b|\bsee (?:above|below|here|section|the section|also)\b",
        "place": r"\bas (?:described|mentioned|noted|defined|discussed|explained|stated|outlined|shown) "
        r"(?:above|below|earlier|previously)\b|\b(?:above|below)[.,;:]|\bin the (?:next|previous) section\b",
        "norm": r"RFC ?-?(?:2119|8174)|key ?words? [“\"]?MUST",
        "damage": r"[\x00-\x08\x0b-\x1f\u200b\ufffd]|â€|Ã[\x80-\xbf]",
        "spacing": r"\s[,;.](?!\w)|\(\s|\s\)|(?<!\.)\.\.(?!\.)|\s{2,}",
        "cut": r"[:,;–-]\Z",
    }.items()
}


def _plain(text: str) -> str:
    """Text with whitespace, case, quotation marks and Markdown's markup made equal, and nothing else."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"[`*]|(?<!\w)_|_(?!\w)", "", text).translate(_QUOTES).split()).casefold()


_RULES = yaml.safe_load((SAMPLE.parent / "content" / "rules" / "jurisdictions.yaml").read_text())
NOTICE = "> " + next(
    " ".join(notice["text"].split())
    for one in _RULES["jurisdictions"]
    if one["id"] == "generic"
    for notice in one["notices"]
)


@dataclass
class Article:
    """An exported article, taken apart."""

    name: str
    matter: dict[str, Any]
    blocks: list[str]
    notes: dict[int, str]
    passages: dict[int, str]

    @classmethod
    def read(cls, name: str, markdown: str, exported: dict[str, Any]) -> "Article":
        _, matter, text = re.split(r"^---\n", markdown, maxsplit=2, flags=re.MULTILINE)
        notes = {int(number): note for number, note in re.findall(r"^\[\^(\d+)\]: (.+)$", text, re.MULTILINE)}
        blocks = [block.strip() for block in re.split(r"\n\s*\n", text) if block.strip()]
        # The locked notice of the jurisdiction is the newsroom's own words, not the article's.
        blocks = [block for block in blocks if not re.match(r"\[\^\d+\]: ", block) and block != NOTICE]
        passages = {one["number"]: one["text"] for one in exported["citations"]}
        return cls(name, yaml.safe_load(matter), blocks, notes, passages)

    @property
    def headings(self) -> list[tuple[int, str]]:
        return [
            (len(found[1]), found[2]) for block in self.blocks if (found := re.match(r"(#+) (.+)\Z", block))
        ]

    @property
    def paragraphs(self) -> list[str]:
        """All that is read besides headings and images; the items of a list one by one."""
        text = [block for block in self.blocks if not re.match(r"#+ |!\[", block)]
        return [re.sub(r"\A(?:[-*+]|\d+[.)]) ", "", item) for block in text for item in _items(block)]

    @property
    def claims(self) -> list[tuple[str, list[int]]]:
        """Each stretch of prose up to its markers, with their numbers; none for prose without markers."""
        found = []
        for paragraph in self.paragraphs:
            start = 0
            for markers in _MARKERS.finditer(paragraph):
                numbers = [int(number) for number in _MARKER.findall(markers[1])]
                found.append((paragraph[start : markers.start()].strip(), numbers))
                start = markers.end()
            if paragraph[start:].strip():
                found.append((paragraph[start:].strip(), []))
        return found

    @property
    def words(self) -> int:
        text = " ".join([*self.paragraphs, *(heading for _, heading in self.headings[:-1])])
        return len(_WORD.findall(_MARKER.sub(" ", text)))


def _items(block: str) -> list[str]:
    lines = block.split("\n")
    return lines if all(re.match(r"(?:[-*+]|\d+[.)]) ", line) for line in lines) else [" ".join(lines)]


def citation_faults(article: Article) -> list[str]:
    """Sentences without citation, markers that lead nowhere, passages that do not say what they are cited
    for, sources that nobody cites."""
    faults = []
    cited: set[int] = set()
    for text, numbers in article.claims:
        if not numbers:
            faults.append(f"no citation: {text}")
        if _SENTENCE_INSIDE.search(text):
            faults.append(f"only the last of these is cited: {text}")
        for number in numbers:
            cited.add(number)
            if number not in article.notes or number not in article.passages:
                faults.append(f"[^{number}] leads nowhere: {text}")
            elif _plain(text) not in _plain(article.passages[number]):
                faults.append(f"[^{number}] does not say: {text}")
    faults += [f"nobody cites source {number}" for number in sorted(article.notes.keys() - cited)]
    return faults


def debris(article: Article) -> list[str]:
    """What a reader would take for a leftover: of markup, of a licence, of a place in another document."""
    faults = []
    for text in [*(text for text, _ in article.claims), *(heading for _, heading in article.headings)]:
        spoken = re.sub(r"`[^`]*`", "x", text)
        found = [name for name, pattern in DEBRIS.items() if pattern.search(spoken)]
        if text.count("`") % 2 or spoken.count('"') % 2:
            found.append("unpaired")
        if any(spoken.count(one) != spoken.count(other) for one, other in ("()", "[]", "{}", "“”")):
            found.append("unbalanced")
        faults += [f"{', '.join(found)}: {text}"] if found else []
    for text, _ in article.claims:
        if not _SENTENCE_END.search(text):
            faults.append(f"no end: {text}")
        if len(_WORD.findall(text)) < 5:
            faults.append(f"no sentence: {text}")
    return faults


def repetitions(article: Article) -> list[str]:
    """Sentences that stand twice."""
    counts = Counter(re.sub(r"\W+", " ", _plain(text)).strip() for text, _ in article.claims)
    return [f"{count} times: {text}" for text, count in counts.items() if count > 1]


def structure_faults(article: Article, sections: list[str]) -> list[str]:
    """Title, introduction, the template's sections in their order, sources at the end."""
    faults = []
    levels = [level for level, _ in article.headings]
    if article.headings[0] != (1, article.matter["title"]) or levels.count(1) != 1:
        faults.append(f"title: {article.headings[:1]}")
    if any(after > before + 1 for before, after in pairwise(levels)):
        faults.append(f"levels: {levels}")
    second = [text for level, text in article.headings if level == 2]
    if second[-1:] != ["Sources"] or second.count("Sources") != 1 or not article.notes:
        faults.append("no list of sources at the end")
    if second[:-1] != [section for section in sections if section in second] or len(second) < 5:
        faults.append(f"sections: {second}")
    for before, after in pairwise(article.blocks):
        if before.startswith("#") and after.startswith("#") and not after.startswith(before.split()[0] + "#"):
            faults.append(f"nothing under {before!r}")
    first = [block.startswith("## ") for block in article.blocks].index(True)
    if len(_WORD.findall(" ".join(article.blocks[1:first]))) < 20:
        faults.append(f"no introduction: {article.blocks[1:first]}")
    return faults


# The bars


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared_folder(tmp_path_factory, "bars-home", _write_articles)


@pytest.fixture(scope="module")
def articles(home: Path) -> list[Article]:
    return [
        Article.read(path.stem, path.read_text(), json.loads(path.with_suffix(".json").read_text()))
        for path in sorted((home / "exports").glob("*.md"))
    ]


def _faults(articles: list[Article], check: Any) -> dict[str, list[str]]:
    found = {article.name: check(article) for article in articles}
    return {name: faults for name, faults in found.items() if faults}


def test_every_brief_becomes_an_article_of_its_own(articles: list[Article]) -> None:
    assert len(articles) == 25
    assert len({article.matter["brief"] for article in articles}) == 25
    assert len({article.matter["title"] for article in articles}) == 25
    openings = Counter(article.claims[0][0] for article in articles)
    assert max(openings.values()) <= 3, openings.most_common(1)


def test_the_articles_are_as_long_as_the_template_says(articles: list[Article]) -> None:
    bounds = yaml.safe_load(TEMPLATE.read_text())["words"]
    for article in articles:
        assert 500 <= bounds["min"] <= article.words <= bounds["max"], (article.name, article.words)
        assert abs(article.matter["words"] - article.words) <= 0.05 * article.words, (
            article.name,
            article.words,
        )


def test_every_sentence_stands_in_the_passage_that_it_cites(articles: list[Article]) -> None:
    assert sum(len(article.claims) for article in articles) > 25 * 20
    assert _faults(articles, citation_faults) == {}


def test_no_article_holds_debris_of_its_sources(articles: list[Article]) -> None:
    assert _faults(articles, debris) == {}


def test_no_sentence_stands_twice(articles: list[Article]) -> None:
    assert _faults(articles, repetitions) == {}


def test_the_articles_have_introduction_sections_and_sources(articles: list[Article]) -> None:
    topics = {
        line.split("|")[3] or f"{line.split('|')[0]}, explained": line.split("|")[0] for line in _lines()
    }
    outline = yaml.safe_load(TEMPLATE.read_text())["sections"]

    def check(article: Article) -> list[str]:
        topic = topics[article.matter["title"]]
        return structure_faults(article, [one["heading"].replace("{{ topic }}", topic) for one in outline])

    assert _faults(articles, check) == {}


def _lines() -> list[str]:
    return _corpus()[1].strip().splitlines()


def test_the_right_document_is_found_and_nothing_lost_that_bm25_finds(home: Path) -> None:
    _, _, queries = _corpus()
    settings = Settings(CRYPTOCONTENT_HOME=home)  # type: ignore[call-arg]
    engine = open_engine(settings.database_url)
    texts = [text for text, _ in queries]
    reciprocal = {}
    for mode in ("hybrid", "bm25"):
        rankings = rank_documents(engine, settings, "p", texts, mode)  # type: ignore[arg-type]
        stems = [[Path(name).stem for name in ranking[:10]] for ranking in rankings]
        ranks = [
            1 / (found.index(one) + 1) if one in found else 0.0
            for (_, one), found in zip(queries, stems, strict=True)
        ]
        reciprocal[mode] = sum(ranks) / len(queries)
    assert reciprocal["hybrid"] >= 0.97, reciprocal
    assert reciprocal["hybrid"] >= reciprocal["bm25"], reciprocal


# The checker finds what it is there to find.

_GOOD = """---
title: Fees
words: 60
---

# Fees

The base fee of Ethereum is burned in every block, and the rest of the fee goes to validators.[^1]
Wallets show it to users.[^1]

## In brief

A block that is fuller than its target raises the base fee.[^2]

## Sources

[^1]: Fees.
[^2]: Blocks.
"""
_PASSAGES = {
    "citations": [
        {
            "number": 1,
            "text": "The *base fee* of Ethereum is burned in every block, and the rest of the fee goes\n"
            "to validators. Wallets show it to users.",
        },
        {"number": 2, "text": "A block that is fuller than its target raises the base fee. It is so."},
    ]
}


def _check_all(markdown: str) -> list[str]:
    article = Article.read("x", markdown, _PASSAGES)
    # A small article has few sections: that one finding is not meant here.
    structure = [
        one for one in structure_faults(article, ["In brief"]) if not one.startswith("sections: ['In")
    ]
    return [*citation_faults(article), *debris(article), *repetitions(article), *structure]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("", "", ""),
        ("raises the base fee.[^2]", "raises the base fee.", "no citation"),
        ("raises the base fee.[^2]", "lowers the base fee.[^2]", "does not say"),
        ("raises the base fee.[^2]", "raises the base fee.[^1]", "does not say"),
        ("raises the base fee.[^2]", "raises the base fee.[^2][^7]", "leads nowhere"),
        ("raises the base fee.[^2]", "raises the base fee. It is so.[^2]", "only the last"),
        ("raises the base fee.[^2]", "raises the base fee.[^2] And more is said.", "no citation"),
        ("[^2]: Blocks.\n", "", "leads nowhere"),
        ("[^2]: Blocks.\n", "[^2]: Blocks.\n[^3]: Nobody.\n", "nobody cites"),
        ("## Sources\n", "", "no list of sources"),
        ("Wallets show it to users.", "Wallets show it\nto users (see below.", "reference"),
        ("Wallets show it to users.", "[Wallets](https://x.example) show it to users.", "link"),
        ("Wallets show it to users.", "Wallets show `it to users.", "unpaired"),
        ("Wallets show it to users.", "Wallets <b>show</b> it to users.", "tag"),
        ("Wallets show it to users.", "Wallets show it to users, as described above.", "place"),
        ("Wallets show it to users.", "Wallets show {{ it }} to users.", "template"),
        ("Wallets show it to users.", "Wallets show it to users:", "cut"),
        ("Wallets show it to users.", "Copyright and related rights are waived.", "licence"),
        ("# Fees\n", "# Costs\n", "title"),
        ("## In brief\n", "#### In brief\n", "levels"),
        ("## In brief\n", "## In brief\n\n## Empty\n", "nothing under"),
        ("# Fees\n\n", "# Fees\n\n## Early\n\n", "no introduction"),
        (
            "raises the base fee.[^2]",
            "raises the base fee.[^2]\n\nA block that is fuller than its target raises the base fee.[^2]",
            "2 times",
        ),
    ],
)
def test_the_checker_finds_each_fault(old: str, new: str, fault: str) -> None:
    assert old in _GOOD
    found = _check_all(_GOOD.replace(old, new, 1) if old else _GOOD)
    assert any(fault in one for one in found) if fault else found == [], found
