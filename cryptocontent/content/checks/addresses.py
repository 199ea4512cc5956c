"""Addresses: whether the checksum is right and the chain is the one that the text names.

A reader who copies an address with one wrong character loses what they send. Addresses cut short
(`0xabc…123`) can't be used and are left alone.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptocontent.content.checks.formats import EVM, Format, Verdict, formats
from cryptocontent.content.checks.rule import Rule
from cryptocontent.content.checks.subject import PlacedBlock, Subject
from cryptocontent.content.documents import Heading, Verbatim
from cryptocontent.content.findings import NewFinding

BAD_CHECKSUM = Rule("address.bad_checksum", "block", "An address whose checksum is wrong: it was mistyped.")
NO_CHECKSUM = Rule(
    "address.no_checksum",
    "info",
    "An address in lower or upper case only (EIP-55): nothing shows a mistyped character.",
)
WRONG_CHAIN = Rule("address.wrong_chain", "block", "An address of another chain than the one the text names.")
MALFORMED = Rule(
    "address.malformed", "warn", "What looks like an address has a wrong length or a character of no address."
)
RULES = (BAD_CHECKSUM, NO_CHECKSUM, WRONG_CHAIN, MALFORMED)

_CANDIDATE = re.compile(r"(?<![0-9A-Za-z_…])(?<!\.\.)[0-9A-Za-z]{25,112}(?![0-9A-Za-z_…]|\.\.)")
_DIGIT = re.compile(r"\d")
# Identifiers in a URL (of a file, a video, a post) resemble addresses: only these places of one hold any.
_URL_BEFORE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s<>()\[\]\"']*\Z", re.I)
_ADDRESS_PLACE = re.compile(r"(?:address|addr|accounts?|token|contract|wallet|btc)[/=:]\Z", re.I)

# How chains are named. One name for all that share Ethereum's addresses.
_CHAINS = {
    EVM: r"(?i:ethereum|ether\b|erc-?\d+|evm\b|polygon|arbitrum|binance smart chain|bnb chain|avalanche"
    r"|gnosis chain|\boptimism\b|bep-?20)"
    r"|\bETH\b|\bBSC\b|\bAVAX\b|\bBase (?:network|chain|mainnet)|\bon Base\b",
    "bitcoin": r"(?i:(?<!wrapped )\bbitcoins?\b(?! cash|-))|(?<!-)\bBTC\b|(?i:lightning network)",
    "bitcoin-cash": r"(?i:bitcoin cash)|\bBCH\b",
    "litecoin": r"(?i:litecoin)|\bLTC\b",
    "dogecoin": r"(?i:dogecoin)|\bDOGE\b",
    "dash": r"\bDash\b|\bDASH\b",
    "zcash": r"(?i:zcash)|\bZEC\b",
    "tron": r"(?i:\btron\b|trc-?20)|\bTRX\b",
    "solana": r"(?i:solana|\bspl token)|\bSOL\b",
    "xrp": r"(?i:\bripple\b|xrp ledger)|\bXRPL?\b",
    "cardano": r"(?i:cardano)|\bADA\b",
    "cosmos": r"(?i:cosmos hub|\bcosmos\b)|\bATOM\b",
    "osmosis": r"(?i:osmosis)|\bOSMO\b",
    "stellar": r"(?i:stellar (?:network|lumens|account|address|wallet))|\bXLM\b",
    "algorand": r"(?i:algorand)|\bALGO\b",
    "polkadot": r"(?i:polkadot|kusama|substrate)|\bDOT\b|\bKSM\b",
    "tezos": r"(?i:tezos)|\bXTZ\b",
    "monero": r"(?i:monero)|\bXMR\b",
}
_NAMES = {chain: re.compile(pattern) for chain, pattern in _CHAINS.items()}
_WITHOUT_CONTRACTS = frozenset({"bitcoin", "bitcoin-cash", "litecoin", "dogecoin", "dash", "zcash", "monero"})
# "Wrapped bitcoin is the contract 0x…" names bitcoin and speaks of a token on another chain.
_TOKEN = re.compile(r"\b(?:wrapped|pegged|bridged?|backed|contracts?|tokens?|deploy\w*|factory)\b", re.I)


@dataclass(frozen=True, slots=True)
class _Address:
    """A candidate, the formats that it has, and what they say of it."""

    text: str
    start: int
    end: int
    formats: tuple[Format, ...]
    verdict: Verdict

    @property
    def chains(self) -> frozenset[str]:
        return frozenset().union(*(one.chains for one in self.formats))


def check(subject: Subject) -> Iterator[NewFinding]:
    """The addresses of title and body."""
    end = subject.body_span[1]
    seen: set[str] = set()
    for match in _CANDIDATE.finditer(subject.markdown, 0, end):
        if not _DIGIT.search(match[0]) or _in_url(subject.markdown, match.start()):
            continue
        if found := _classified(subject, match):
            yield from _judged(subject, found, again=match[0] in seen)
            seen.add(match[0])


def _in_url(markdown: str, start: int) -> bool:
    before = markdown[max(0, start - 200) : start]
    return bool(_URL_BEFORE.search(before)) and not _ADDRESS_PLACE.search(before)


def _classified(subject: Subject, match: re.Match[str]) -> _Address | None:
    """What the candidate is; None if it is no address, or none that anybody could recognise."""
    text = match[0]
    place = match.start(), match.end()
    fitting = [one for one in formats() if one.shape.fullmatch(text)]
    verdicts = [(one, one.judge(text)) for one in fitting]
    for wanted in ("valid", "no_checksum"):
        if right := tuple(one for one, verdict in verdicts if verdict == wanted):
            return _Address(text, *place, right, wanted)
    named: frozenset[str] | None = None
    for one, verdict in verdicts:
        if one.only_named:
            named = _named_around(subject, *place) if named is None else named
            if not named & one.chains:
                continue
        if _plausible(text, one):
            return _Address(text, *place, (one,), verdict)
    return None


def _plausible(text: str, one: Format) -> bool:
    """Whether something that is no valid address was meant as one, and is not an identifier or data."""
    if EVM in one.chains:
        digits = text[2:]
        foreign = sum(char not in "0123456789abcdefABCDEF" for char in digits)
        # 38 and 42 digits are 19 and 21 bytes of data; an odd number of digits is a slip.
        return (foreign == 0 and len(digits) in (39, 40, 41)) or (0 < foreign <= 2 and len(digits) == 40)
    in_one_case = text in (text.lower(), text.upper())
    return len(_DIGIT.findall(text)) >= 2 and not (one.mixed and in_one_case)


def _judged(subject: Subject, address: _Address, *, again: bool) -> Iterable[NewFinding]:
    name = address.formats[0].name

    def found(rule: Rule, message: str, **evidence: str) -> NewFinding:
        return rule.span(
            subject,
            address.start,
            address.end,
            message,
            **{"address": address.text, "format": name, **evidence},
        )

    if address.verdict == "bad_checksum":
        yield found(BAD_CHECKSUM, f"the checksum of this address is wrong ({name})")
    elif address.verdict == "malformed":
        size = len(address.text)
        yield found(MALFORMED, f"{size} characters that are no address ({name}), yet look like one")
    else:
        if address.verdict == "no_checksum" and EVM in address.chains and not again:
            yield found(NO_CHECKSUM, "this address bears no checksum: write it in mixed case (EIP-55)")
        if wrong := _wrong_chain(subject, address):
            valid = ", ".join(sorted(address.chains))
            yield found(
                WRONG_CHAIN, f"the text names {wrong}, and this address is valid on {valid}", key=wrong
            )


def _wrong_chain(subject: Subject, address: _Address) -> str:
    """The chain that the text names, if it is one alone and not the address's; else nothing."""
    for text in _around(subject, address.start, address.end):
        named = _named(text)
        if not named:
            continue
        if len(named) > 1 or named & address.chains:
            return ""
        if named <= _WITHOUT_CONTRACTS and not address.chains & _WITHOUT_CONTRACTS and _TOKEN.search(text):
            return ""
        return next(iter(named))
    return ""


def _named(text: str) -> frozenset[str]:
    return frozenset(chain for chain, pattern in _NAMES.items() if pattern.search(text))


def _named_around(subject: Subject, start: int, end: int) -> frozenset[str]:
    return next((named for text in _around(subject, start, end) if (named := _named(text))), frozenset())


def _around(subject: Subject, start: int, end: int) -> Iterator[str]:
    """What may name the address's chain, nearest first and without the address itself: its sentence (or
    line, of a table), its block, and the heading over it. Code names nothing."""
    block = _block(subject, start)
    if block and isinstance(block.block, Verbatim) and block.block.text.lstrip().startswith(("```", "~~~")):
        return
    text = subject.markdown
    sentence = next((one for one in subject.sentences if one.start <= start < one.end), None)
    if sentence:
        first, last = sentence.start, sentence.end
    else:
        first = text.rfind("\n", 0, start) + 1
        last = text.find("\n", end) if text.find("\n", end) >= 0 else len(text)
    yield text[first:start] + " " + text[end:last]
    if block:
        yield text[block.start : start] + " " + text[end : block.end]
        yield _heading(subject, block)


def _block(subject: Subject, at: int) -> PlacedBlock | None:
    return next((one for one in subject.blocks if one.start <= at < one.end), None)


def _heading(subject: Subject, block: PlacedBlock) -> str:
    before = [
        one.block.text
        for one in subject.blocks
        if isinstance(one.block, Heading) and one.start <= block.start
    ]
    return before[-1] if before else subject.title
