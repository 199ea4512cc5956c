"""Addresses: public test vectors of the standards, and what only resembles one.

EIP-55, EIP-1191, BIP-173, BIP-350 and CIP-19 give their vectors; the others are the genesis address,
well-known contracts, and addresses that the projects' documentation shows.
"""

import pytest

from cryptocontent.content.checks import addresses
from tests.content.checks.subjects import only, rules_of, subject

EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
TRON = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
SOLANA = "7xKXtg2CW87d97TXJSDpbD5jBkheTqA83TZRuJosgAsU"

VALID = [
    EVM,
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    "0x0000000000000000000000000000000000000000",  # no letters, so nothing to check
    "0x27b1FdB04752BBc536007A920D24ACB045561c26",  # EIP-1191, Rootstock (chain 30)
    "0x5aaEB6053f3e94c9b9a09f33669435E7ef1bEAeD",
    GENESIS,
    "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
    SEGWIT,
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",  # BIP-350, taproot
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
    "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc1",
    "ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfea",
    "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L",
    TRON,
    "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
    "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl8",
    "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl2wywfgse35a3x",
    "stake1uyehkck0lajq8gr28t9uxnuvgcqrc6070x3k9r8048z8y5gh6ffgw",
    "Ae2tdPwUPEZFRbyhz3cpfC2CumGzNkFBN2L42rcUc2yjQpEkxDbkPodpMAi",
    "cosmos1fl48vsnmsdzcv85q5d2q4z5ajdha8yu34mf0eh",
    "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
    "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN",
    "HZ57J3K46JIJXILONBBZOHX6BKPXEM2VVXNRFSUED6DKFD5ZD24PMJ3MVA",
    "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjb",
    "888tNkZrPN6JsEgekjMnABU4TBzc2Dt29EPAvkRxbANsAnjyPbb3iQ1YBRk1UXcdRsiKc9dhwMVgN5S9cQUiyoogDavup3H",
    "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5",
    "t1VShHAhsQc5RVndQLyM1ZbQXLHKd35GkG1",
    SOLANA,
]
BAD_CHECKSUM = [
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee",
    "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivNfa",
    "3P14159f73E4gFr7JterCCQh9QjiTjiZrH",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
    "bc1qw508d6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",  # both cases in one address, BIP-173
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",  # BIP-350: bech32m where bech32 belongs
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # BIP-350: bech32 where bech32m does
    "ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfeb",
    "LM2WMpR1Rp6j3Sa59cMXMs1SPzj9eXpGc2",
    "DH5yaieqoZN36fDVciNyRueRGvGLR3mr7M",
    "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6s",
    "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTi",
    "addr1vx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzers66hrl9",
    "Ae2tdPwUPEZFRbyhz3cpfC2CumGzNkFBN2L42rcUc2yjQpEkxDbkPodpMAj",
    "cosmos1fl48vsnmsdzcv85q5d2q4z5ajdha8yu34mf0ek",
    "GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVM",
    "tz1VSUr8wwNhLAzempoch5d6hLRiTh8Cjcjc",
]
MALFORMED = [
    EVM[:-1],
    EVM + "0",
    EVM[:-1] + "g",
    SEGWIT[:-1],
    GENESIS[:-2] + "0a",  # 0 is no digit of base58
    "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6",
]
INNOCENT = [
    "0x" + "ab" * 32,  # a hash
    "0xa9059cbb",  # a method's selector
    "0x" + "ef0100" + "ab" * 20,  # a delegation, EIP-7702
    "0x5aAeb6…BeAed",
    "0x5aAeb6053F3E94C9b9A09f33669435E7…",
    "1000000000000000000000000000",
    "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    "6ec274b4e4e1b6bd92bf9ae0bbd72f68d81cbd2b",
    "TransactionReceiptTrieImplementation2",
    "onERC1155BatchReceivedWithLongName123",
    "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG",  # a CID
    "https://drive.example/file/1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfXX/view",
]


@pytest.mark.parametrize("address", VALID)
def test_valid_addresses_are_left_alone(address: str) -> None:
    assert rules_of(addresses.check, subject(f"The address is {address}.")) == []


@pytest.mark.parametrize("address", BAD_CHECKSUM)
def test_a_wrong_checksum_is_found_where_it_stands(address: str) -> None:
    found = only(addresses.check, subject(f"The reward goes to {address}, as shown.\n\n## More\n\nText."))
    assert (found.rule, found.severity, found.excerpt) == ("address.bad_checksum", "block", address)
    assert found.evidence["address"] == address


@pytest.mark.parametrize("address", MALFORMED)
def test_what_is_too_long_or_short_to_be_an_address_is_malformed(address: str) -> None:
    found = only(addresses.check, subject(f"Send it to {address} today."))
    assert (found.rule, found.severity) == ("address.malformed", "warn")


@pytest.mark.parametrize("text", INNOCENT)
def test_hashes_identifiers_and_truncated_addresses_are_none(text: str) -> None:
    assert rules_of(addresses.check, subject(f"It is {text} here.")) == []


def test_an_address_in_one_case_is_named_once() -> None:
    plain = EVM.lower()
    body = f"The vault is {plain}. Again: `{plain}`.\n\n```text\n{EVM.upper().replace('X', 'x')}\n```"
    found = list(addresses.check(subject(body)))
    assert [one.rule for one in found] == ["address.no_checksum"] * 2
    assert {one.excerpt for one in found} == {plain, EVM.upper().replace("X", "x")}


def test_one_wrong_character_of_a_hundred_is_found_in_tables_and_code() -> None:
    wrong = EVM.replace("F3E94", "F3e94")
    for body in (
        f"| name | at |\n|---|---|\n| vault | {wrong} |",
        f"```text\n{wrong}\n```",
        f"> At {wrong}.",
    ):
        assert only(addresses.check, subject(body)).rule == "address.bad_checksum"


def test_addresses_in_the_path_of_an_explorer_are_looked_at() -> None:
    url = "https://explorer.example/address/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAee"
    assert only(addresses.check, subject(f"See [it]({url}).")).rule == "address.bad_checksum"


WRONG = [
    (f"Send bitcoin to {EVM}.", "bitcoin"),
    (f"The Solana wallet is {EVM}.", "solana"),
    (f"The foundation's Ethereum address is {GENESIS}.", "evm"),
    (f"Donations in ETH go to {SEGWIT}.", "evm"),
    (f"USDT on Tron moves to {EVM}.", "tron"),
    (f"Its Litecoin address is {SEGWIT}.", "litecoin"),
    (f"XRP is sent to {TRON}.", "xrp"),
    (f"The Bitcoin address is {SOLANA}.", "bitcoin"),
    (f"The Dogecoin donors used {GENESIS}.", "dogecoin"),
]
RIGHT = [
    f"The Ethereum address is {EVM}.",
    f"The contract on Polygon is {EVM}.",
    f"Satoshi's Bitcoin address is {GENESIS}.",
    f"Old Bitcoin Cash addresses look like {GENESIS}.",
    f"The bridge locks bitcoin on Ethereum at {EVM}.",
    f"Wrapped bitcoin is the token {EVM}.",
    f"The Bitcoin-backed token lives in the contract {EVM}.",
    f"USDT on Tron is the contract {TRON}.",
    f"Unlike in Bitcoin and Litecoin, the account {EVM} has a balance.",
    f"The wallet is {EVM}.",
    f"The Solana account is {SOLANA}.",
]


@pytest.mark.parametrize(("sentence", "named"), WRONG)
def test_an_address_of_another_chain_than_the_one_named(sentence: str, named: str) -> None:
    found = only(addresses.check, subject(sentence))
    assert (found.rule, found.severity, found.evidence["key"]) == ("address.wrong_chain", "block", named)


@pytest.mark.parametrize("sentence", RIGHT)
def test_an_address_of_the_chain_that_is_named(sentence: str) -> None:
    assert rules_of(addresses.check, subject(sentence)) == []


def test_the_paragraph_and_then_the_heading_name_the_chain() -> None:
    assert rules_of(addresses.check, subject(f"Litecoin is older.\n\nIt pays to this: {SEGWIT}.")) == []
    paragraph = f"Litecoin miners are paid. The first one used {SEGWIT}."
    assert only(addresses.check, subject(paragraph)).rule == "address.wrong_chain"
    heading = f"## Donations in Dogecoin\n\nWhoever likes it sends something to {EVM}."
    assert only(addresses.check, subject(heading)).evidence["key"] == "dogecoin"
    assert rules_of(addresses.check, subject(heading.replace("Dogecoin", "ether"))) == []
