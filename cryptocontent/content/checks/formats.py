"""The formats of blockchain addresses: what they look like, and whether one of them is right.

Checksums are computed by `bip_utils`, imported when the first candidate is looked at.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

Verdict = Literal["valid", "no_checksum", "bad_checksum", "malformed"]

EVM = "evm"
"""Ethereum and every chain that took over its addresses: one address is valid on all of them."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format of addresses.

    `shape` fits the whole of what a reader would take for such an address, a little too short or too long
    and with foreign characters too; `chains` are those on which it is valid. `judge` says whether one is
    right. Of a format with `only_named`, whose shape other things have too, a wrong one counts only where
    the text names its chain. `mixed` formats have capital and small letters in every address.
    """

    name: str
    chains: frozenset[str]
    shape: re.Pattern[str]
    judge: Callable[[str], Verdict]
    only_named: bool = False
    mixed: bool = False


def _base58check(
    address: str,
    *,
    prefixes: tuple[bytes, ...],
    size: int,
    alphabet: Literal["BITCOIN", "RIPPLE"] = "BITCOIN",
) -> Verdict:
    """Base58Check: version and hash, then four bytes of a double SHA-256. `size` is all but those four."""
    from bip_utils import Base58Alphabets, Base58ChecksumError, Base58Decoder

    letters = Base58Alphabets[alphabet]
    try:
        raw = Base58Decoder.Decode(address, letters)
    except ValueError:
        return "malformed"
    if len(raw) != size + 4 or not raw.startswith(prefixes):
        return "malformed"
    try:
        Base58Decoder.CheckDecode(address, letters)
    except Base58ChecksumError:
        return "bad_checksum"
    return "valid"


def _bech32(address: str, *, hrp: str, lengths: frozenset[int], segwit: bool = False) -> Verdict:
    """BIP-173 and, for the witness versions of Bitcoin and Litecoin, BIP-350. `lengths` are those in use:
    a wrong one of such a length has wrong characters, of another it lacks some."""
    from bip_utils import Bech32ChecksumError, Bech32Decoder, SegwitBech32Decoder

    try:
        (SegwitBech32Decoder if segwit else Bech32Decoder).Decode(hrp, address)
    except (ValueError, Bech32ChecksumError):
        return "bad_checksum" if len(address) in lengths else "malformed"
    return "valid"


def _cash(address: str) -> Verdict:
    from bip_utils import BchBech32Decoder, Bech32ChecksumError

    try:
        BchBech32Decoder.Decode("bitcoincash", f"bitcoincash:{address.lower()}")
    except (ValueError, Bech32ChecksumError):
        return "bad_checksum"
    return "valid"


_MAY_BE_HEX = re.compile(r"[0-9a-fA-F]*")


def _evm(address: str) -> Verdict:
    """EIP-55: the case of the letters is the checksum; in one case alone there is none. The same with a
    chain id (EIP-1191), which Rootstock's two networks use, is as good."""
    from bip_utils import EthAddrDecoder

    digits = address[2:]
    if len(digits) != 40 or not _MAY_BE_HEX.fullmatch(digits):
        return "malformed"
    if digits == digits.lower() or digits == digits.upper():
        return "no_checksum" if re.search("[a-fA-F]", digits) else "valid"
    try:
        EthAddrDecoder.DecodeAddr(f"0x{digits}")
    except ValueError:
        return "valid" if any(digits == _eip_1191(digits, chain) for chain in (30, 31)) else "bad_checksum"
    return "valid"


def _eip_1191(digits: str, chain_id: int) -> str:
    from bip_utils.utils.crypto import Kekkak256

    plain = digits.lower()
    nibbles = Kekkak256.QuickDigest(f"{chain_id}0x{plain}".encode()).hex()
    return "".join(
        char.upper() if int(nibble, 16) >= 8 else char for char, nibble in zip(plain, nibbles, strict=False)
    )


def _solana(address: str) -> Verdict:
    """32 bytes in base58, without a checksum."""
    from bip_utils import Base58Decoder

    try:
        return "no_checksum" if len(Base58Decoder.Decode(address)) == 32 else "malformed"
    except ValueError:
        return "malformed"


def _ss58(address: str) -> Verdict:
    from bip_utils import SS58ChecksumError, SS58Decoder

    try:
        SS58Decoder.Decode(address)
    except SS58ChecksumError:
        return "bad_checksum"
    except ValueError:
        return "malformed"
    return "valid"


def _stellar(address: str) -> Verdict:
    from bip_utils import XlmAddrDecoder, XlmAddrTypes

    try:
        XlmAddrDecoder.DecodeAddr(address, addr_type=XlmAddrTypes.PUB_KEY)
    except ValueError:
        return "bad_checksum" if len(address) == 56 else "malformed"
    return "valid"


def _algorand(address: str) -> Verdict:
    from bip_utils import AlgoAddrDecoder

    try:
        AlgoAddrDecoder.DecodeAddr(address)
    except ValueError as error:
        # The last two bytes may also name a point that is not on the curve: a contract's address.
        return "bad_checksum" if "checksum" in str(error) else "valid"
    return "valid"


def _byron(address: str) -> Verdict:
    from bip_utils import AdaByronAddrDecoder, AdaByronAddrTypes

    for kind in (AdaByronAddrTypes.PUBLIC_KEY, AdaByronAddrTypes.REDEMPTION):
        try:
            AdaByronAddrDecoder.DecodeAddr(address, addr_type=kind)
            return "valid"
        except ValueError as error:
            problem = str(error)
    return "bad_checksum" if "CRC" in problem or "checksum" in problem.lower() else "malformed"


def _monero(address: str) -> Verdict:
    from bip_utils import XmrAddrDecoder, XmrIntegratedAddrDecoder

    if len(address) not in (95, 106):
        return "malformed"
    try:
        if len(address) == 106:
            XmrIntegratedAddrDecoder.DecodeAddr(address, net_ver=b"\x13", payment_id=_payment_id(address))
        else:
            XmrAddrDecoder.DecodeAddr(address, net_ver=b"\x12" if address[0] == "4" else b"\x2a")
    except ValueError:
        return "bad_checksum"
    return "valid"


def _payment_id(address: str) -> bytes:
    from bip_utils import Base58XmrDecoder

    return bytes(Base58XmrDecoder.Decode(address)[65:73])


# The readable part of bech32 addresses, the chain, and the usual lengths of what follows it and the `1`:
# 38 for the hash of a key, 58 for that of a script or contract.
_COSMOS = {
    "cosmos": "cosmos", "cosmosvaloper": "cosmos", "osmo": "osmosis", "juno": "juno", "terra": "terra",
    "inj": "injective", "celestia": "celestia", "dydx": "dydx", "axelar": "axelar", "stars": "stargaze",
    "kava": "kava", "secret": "secret", "sei": "sei", "noble": "noble", "akash": "akash", "stride": "stride",
    "neutron": "neutron", "thor": "thorchain", "bnb": "bnb-beacon", "zil": "zilliqa", "one": "harmony",
    "erd": "multiversx", "avax": "avalanche-x",
}  # fmt: skip


def _chains(*names: str) -> frozenset[str]:
    return frozenset(names)


def _base58_format(
    name: str,
    chains: Iterable[str],
    shape: str,
    prefixes: tuple[bytes, ...],
    *,
    size: int = 21,
    alphabet: Literal["BITCOIN", "RIPPLE"] = "BITCOIN",
    only_named: bool = False,
) -> Format:
    judge = partial(_base58check, prefixes=prefixes, size=size, alphabet=alphabet)
    return Format(name, frozenset(chains), re.compile(shape), judge, only_named, mixed=True)


def _bech32_format(
    name: str, chain: str, hrp: str, lengths: Sequence[int], *, segwit: bool = False
) -> Format:
    usual = frozenset(len(hrp) + 1 + length for length in lengths)
    shape = re.compile(rf"(?i:{hrp}1[0-9a-z]{{{min(lengths) - 6},{max(lengths) + 6}}})")
    return Format(name, _chains(chain), shape, partial(_bech32, hrp=hrp, lengths=usual, segwit=segwit))


_ANY = "[0-9A-Za-z]"
_BASE58 = "[1-9A-HJ-NP-Za-km-z]"


@cache
def formats() -> tuple[Format, ...]:
    """The formats that are known; what fits several is judged by all of them."""
    return (
        Format("Ethereum (EIP-55)", _chains(EVM), re.compile(rf"0[xX]{_ANY}{{38,42}}"), _evm),
        _bech32_format("Bitcoin segwit (BIP-173, BIP-350)", "bitcoin", "bc", (39, 59), segwit=True),
        _bech32_format("Bitcoin testnet segwit", "bitcoin", "tb", (39, 59), segwit=True),
        _bech32_format("Litecoin segwit", "litecoin", "ltc", (39, 59), segwit=True),
        _bech32_format("Cardano (Shelley)", "cardano", "addr", (53, 98)),
        _bech32_format("Cardano stake", "cardano", "stake", (53,)),
        _bech32_format("Zcash Sapling", "zcash", "zs", (75,)),
        *(_bech32_format(f"bech32 ({hrp})", chain, hrp, (38, 58)) for hrp, chain in _COSMOS.items()),
        _base58_format(
            "Bitcoin (base58check)", ("bitcoin", "bitcoin-cash"), rf"1{_ANY}{{24,35}}", (b"\x00",)
        ),
        _base58_format(
            "Bitcoin script (base58check)",
            ("bitcoin", "bitcoin-cash", "litecoin"),
            rf"3{_ANY}{{31,35}}",
            (b"\x05",),
        ),
        _base58_format(
            "Bitcoin testnet", ("bitcoin",), rf"[mn2]{_ANY}{{32,34}}", (b"\x6f", b"\xc4"), only_named=True
        ),
        _base58_format("Litecoin (base58check)", ("litecoin",), rf"[LM]{_ANY}{{32,34}}", (b"\x30", b"\x32")),
        _base58_format("Dogecoin (base58check)", ("dogecoin",), rf"[DA9]{_ANY}{{32,34}}", (b"\x1e", b"\x16")),
        _base58_format("Dash (base58check)", ("dash",), rf"X{_ANY}{{32,34}}", (b"\x4c",), only_named=True),
        _base58_format("Tron (base58check)", ("tron",), rf"T{_ANY}{{32,34}}", (b"\x41",)),
        _base58_format(
            "XRP Ledger (base58check)", ("xrp",), rf"r{_ANY}{{24,35}}", (b"\x00",), alphabet="RIPPLE"
        ),
        _base58_format(
            "Zcash transparent", ("zcash",), rf"t[13]{_ANY}{{32,34}}", (b"\x1c\xb8", b"\x1c\xbd"), size=22
        ),
        _base58_format(
            "Tezos (base58check)",
            ("tezos",),
            rf"(?:tz[123]|KT1){_ANY}{{32,34}}",
            (b"\x06\xa1\x9f", b"\x06\xa1\xa1", b"\x06\xa1\xa4", b"\x02\x5a\x79"),
            size=23,
        ),
        Format(
            "Cardano (Byron)",
            _chains("cardano"),
            re.compile(rf"(?:Ae2|DdzFF){_ANY}{{50,105}}"),
            _byron,
            mixed=True,
        ),
        Format(
            "Bitcoin Cash (CashAddr)", _chains("bitcoin-cash"), re.compile(r"[qp][0-9a-z]{41}"), _cash, True
        ),
        Format("Monero", _chains("monero"), re.compile(rf"[48]{_ANY}{{93,105}}"), _monero, mixed=True),
        Format("Stellar", _chains("stellar"), re.compile(r"G[A-Z2-7]{54,56}"), _stellar),
        Format("Algorand", _chains("algorand"), re.compile(r"[A-Z2-7]{58}"), _algorand, True),
        Format(
            "Polkadot (SS58)",
            _chains("polkadot"),
            re.compile(rf"{_BASE58}{{46,49}}"),
            _ss58,
            True,
            mixed=True,
        ),
        Format(
            "Solana (base58)",
            _chains("solana"),
            re.compile(rf"{_BASE58}{{31,45}}"),
            _solana,
            True,
            mixed=True,
        ),
    )
