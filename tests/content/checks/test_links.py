"""Links: every way to write one, and every way to make it lead where a reader does not expect."""

import pytest

from cryptocontent.content.checks import links
from cryptocontent.content.checks.hosts import host_of, is_address, skeleton
from cryptocontent.content.checks.linked import links_of
from cryptocontent.content.rules import shipped_rules
from cryptocontent.content.rules.files import Links
from tests.content.checks.subjects import only, rules_of, subject

IMAGE = "ab" * 32
UNISWAP_CYRILLIC = "un\u0456swap.org"  # its i is Ukrainian
APPLE_CYRILLIC = "\u0430\u0440\u0440\u04cf\u0435.com"

CASES: list[tuple[str, set[str]]] = [
    # Good ones
    ("[the exchange](https://uniswap.org)", set()),
    ("[the app](https://app.uniswap.org/swap?x=1#y)", set()),
    ("[upper](HTTPS://UNISWAP.ORG)", set()),
    ("[rooted](https://uniswap.org./)", set()),
    ("<https://ethereum.org/en/>", set()),
    ("https://en.wikipedia.org/wiki/Merkle_(tree)", set()),
    (f"![a chart](image:{IMAGE})", set()),
    ("[our piece](article:the-merge)", set()),
    ("[write](mailto:press@uniswap.org)", set()),
    ("[there](/relative) [here](#part) [EIP](./eip-20.md)", set()),
    ("[news](https://x.com/Uniswap)", set()),
    ("[shop](https://amazon.com.br)", set()),
    ("[a](https://ledgerinsights.com) [b](https://distributed-ledger.org)", set()),
    ("[a](https://compound-interest.com) [b](https://safe-harbor.org) [c](https://phantomopera.com)", set()),
    ("[classic](https://ethereumclassic.org) [paper](https://ethereum.github.io/yellowpaper)", set()),
    ("See Uniswap.sol, web3.py and Solana.In the end, e.g. v1.2.3, msg.sender and Node.js.", set()),
    ("```text\nhttp://127.0.0.1:8545\nethereum.request\nuniswap.io\n```", set()),
    ("No link at all, only a [bracket] and (a parenthesis).", set()),
    # The block list
    ("[x](https://uniswap-airdrop.example/claim)", {"link.blocked"}),
    ("[x](https://a.b.uniswap-airdrop.example)", {"link.blocked"}),
    ("[x](https://double-your-btc.net)", {"link.blocked"}),
    ("[x](https://seed-phrase-verification.com)", {"link.blocked"}),
    ("Visit wallet-drainer.test to see.", {"link.blocked"}),
    ("`curl https://scam.invalid/x.sh`", {"link.blocked"}),
    # Look-alikes
    ("[x](https://uniswap-airdrop.com/claim)", {"link.lookalike"}),
    ("[x](https://metamask.io.login.example)", {"link.lookalike"}),
    ("[x](https://metamask.io.evil.com/io)", {"link.lookalike"}),
    ("[x](https://uniswop.org)", {"link.lookalike"}),
    ("[x](https://etherscam.io/address)", {"link.lookalike"}),
    ("[x](https://ethersacn.io)", {"link.lookalike"}),
    ("[x](https://binnance.com)", {"link.lookalike"}),
    ("[x](https://coinbase.co)", {"link.lookalike"}),
    ("[x](https://coin-base.com)", {"link.lookalike"}),
    ("[x](https://ledger-support.com)", {"link.lookalike"}),
    ("[x](https://ledger.com-verify.net)", {"link.lookalike"}),
    ("[x](https://claimuniswap.net)", {"link.lookalike"}),
    ("[x](https://g00gle.com)", {"link.lookalike"}),
    ("[x](https://krakem-login.com) [y](https://kraken-login.com)", {"link.lookalike"}),
    ("[x](https://uniswap-claim.vercel.app)", {"link.lookalike"}),
    ("[x](https://ethereum-merge-claim.org)", {"link.lookalike"}),
    ("[x](mailto:help@metamask-support.com)", {"link.lookalike"}),
    # Every way to write a link
    ("<https://uniswap-claim.com>", {"link.lookalike"}),
    ("Go to https://uniswap-claim.com, quickly.", {"link.lookalike"}),
    ("Go to www.uniswap-claim.com.", {"link.lookalike"}),
    ("Visit uniswap-claim.com now.", {"link.lookalike"}),
    ("Write to help@metamask-support.com.", {"link.lookalike"}),
    ("[x][r]\n\n[r]: https://uniswap-claim.com", {"link.lookalike"}),
    ("Nobody uses it.\n\n[r]: https://uniswap-claim.com", {"link.lookalike"}),
    ("![chart](https://uniswap-claim.com/a.png)", {"link.lookalike"}),
    ("- [in a list](https://uniswap-claim.com)", {"link.lookalike"}),
    ("| a |\n|---|\n| [x](https://uniswap-claim.com) |", {"link.lookalike"}),
    ("> [quoted](https://uniswap-claim.com)", {"link.lookalike"}),
    ("Text.[^1]\n\n## Sources\n\n[^1]: A title. <https://uniswap-claim.com/>", {"link.lookalike"}),
    # Letters beyond ASCII
    (f"[x](https://{UNISWAP_CYRILLIC})", {"link.lookalike", "link.punycode"}),
    ("[x](https://xn--unswap-qvf.org)", {"link.lookalike", "link.punycode"}),
    (f"[x](https://{APPLE_CYRILLIC})", {"link.lookalike", "link.idn"}),
    ("[x](https://münchen.de)", {"link.idn"}),
    ("[x](https://日本語.jp)", {"link.idn"}),
    # The text says another site
    ("[uniswap.org](https://evil.com)", {"link.text_mismatch"}),
    ("[`uniswap.org`](https://evil.com)", {"link.text_mismatch"}),
    ("[Go to https://aave.com now](https://bad-site.net)", {"link.text_mismatch"}),
    ("[the real aave.com](https://bad-site.net)", {"link.text_mismatch"}),
    ("[press@aave.com](mailto:press@bad-site.net)", {"link.text_mismatch"}),
    ("[bitcoin.org](https://bitcoin.com)", {"link.text_mismatch"}),
    ("[app.uniswap.org](https://uniswap.org) [https://uniswap.org](https://uniswap.org/x)", set()),
    ("[web3.py](https://github.com/ethereum/web3.py) [README.md](https://example.org/R)", set()),
    ("[coindesk.com](https://web.archive.org/web/2020/https://coindesk.com/x)", set()),
    ("[node.js](https://nodejs.org) [v1.2](https://nodejs.org)", set()),
    # Unsafe
    ("[x](javascript:alert(1))", {"link.unsafe"}),
    ("[x](data:text/html;base64,AAAA)", {"link.unsafe"}),
    ("[x](file:///etc/passwd)", {"link.unsafe"}),
    ("<ftp://files.example.org/a>", {"link.unsafe"}),
    ("[x](http://127.0.0.1:8545)", {"link.unsafe"}),
    ("[x](http://2130706433/)", {"link.unsafe"}),
    ("[x](http://0x7f000001/)", {"link.unsafe"}),
    ("[x](http://0177.0.0.1/)", {"link.unsafe"}),
    ("[x](http://[::1]/)", {"link.unsafe"}),
    ("[x](http://[::1/)", {"link.unsafe"}),
    ("[x](https://uniswap.org@evil.com)", {"link.unsafe"}),
    (r"[x](https:\\\\evil.com)", {"link.unsafe"}),
    (r"[x](</\\evil.com>)", {"link.unsafe"}),
    ("[x](//evil.com)", {"link.unsafe"}),
    ("[x](https://%65vil.com)", {"link.unsafe"}),
    ("[x](<https://good.org/\x01>)", {"link.unsafe"}),
    ("[x](https://bit.ly/abc)", {"link.shortener"}),
    ("https://t.co/abc", {"link.shortener"}),
]


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_links(body: str, expected: set[str]) -> None:
    assert set(rules_of(links.check, subject(body))) == expected


def test_a_finding_stands_at_its_link() -> None:
    body = "[one](https://uniswap.org), [two](https://uniswop.org) and\n[three](https://uniswop.org/b)."
    one, two = links.check(subject(body))
    assert (one.excerpt, two.excerpt) == ("https://uniswop.org", "https://uniswop.org/b")
    assert one.evidence["meant"] == "uniswap" and one.start != two.start
    escaped = only(links.check, subject("Before.\n\n[x](https://uniswop.org/a\\_b)\n\nAfter."))
    assert escaped.excerpt == "[x](https://uniswop.org/a\\_b)"


def test_a_blocked_link_can_not_be_waived() -> None:
    assert [rule.id for rule in links.RULES if not rule.waivable] == ["link.blocked"]


def test_a_project_s_own_lists_decide() -> None:
    rules = shipped_rules()

    def with_links(**changed: tuple[str, ...]) -> list[str]:
        mine = Links.model_validate(rules.links.model_dump() | changed)
        own = rules.model_copy(update={"links": mine})
        return rules_of(links.check, subject("[x](https://www.uniswap-fans.net)", rules=own))

    assert with_links() == ["link.lookalike"]
    assert with_links(allow=(*rules.links.allow, "uniswap-fans.net")) == []
    assert with_links(block=("uniswap-fans.net",)) == ["link.blocked"]


def test_hosts_in_their_parts() -> None:
    one = host_of("A.B.Example.co.uk.")
    assert (one.domain, one.label, one.below, one.suffix) == ("example.co.uk", "example", ("a", "b"), "co.uk")
    assert host_of("team.vercel.app").domain == "team.vercel.app", (
        "a name of its own, as its owner can be anybody"
    )
    assert host_of("a.metamask.example").domain == "metamask.example"
    assert (
        host_of("xn--mnchen-3ya.de").name == "münchen.de"
        and host_of("münchen.de").ascii == "xn--mnchen-3ya.de"
    )
    assert skeleton("Ме\u0442amask".lower()) == skeleton("metamask")
    assert [is_address(one) for one in ("127.1", "0x7f.1", "::1", "1inch.io", "a.b")] == [True] * 3 + [
        False
    ] * 2


def test_a_text_without_links_is_not_parsed() -> None:
    assert list(links_of("Plain words, 3.125 of them (and a half).")) == []
