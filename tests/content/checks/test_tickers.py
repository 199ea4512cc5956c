import pytest

from cryptocontent.content.checks.tickers import check
from cryptocontent.content.rules import shipped_rules
from cryptocontent.content.rules.files import Asset
from tests.content.checks.subjects import only, rules_of, subject, with_assets


def test_a_ticker_of_several_assets_blocks_once():
    finding = only(check, subject("The price of STRK rose.[^1]\n\nSTRK fell.[^1]", "x"))
    assert (finding.rule, finding.severity) == ("ticker.ambiguous", "block")
    assert finding.evidence == {"ticker": "STRK", "assets": ["starknet", "strike"], "key": "STRK"}
    assert finding.excerpt == "The price of STRK rose."


@pytest.mark.parametrize("text", ["$strk rose.", "Stakers of STRK gain.", "STRK"])
def test_it_does_so_in_every_form(text):
    assert rules_of(check, subject(text)) == ["ticker.ambiguous"]


@pytest.mark.parametrize(
    "text", ["Only one asset is ETH.", "They strike a deal.", "The `STRK` constant.", "An Act of law."]
)
def test_what_is_no_ambiguous_ticker(text):
    assert rules_of(check, subject(text)) == []


def test_the_brief_decides():
    assert rules_of(check, subject("STRK rose.", asset_ids=frozenset(["strike"]))) == []
    assert rules_of(check, subject("STRK rose.", asset_ids=frozenset(["bitcoin"]))) == ["ticker.ambiguous"]
    both = frozenset(["strike", "starknet"])
    assert rules_of(check, subject("STRK rose.", asset_ids=both)) == ["ticker.ambiguous"]


def test_the_full_name_decides_if_it_is_one():
    assert rules_of(check, subject("Starknet is a rollup. STRK rose.")) == []
    assert rules_of(check, subject("STRK rose.", title="Starknet, explained")) == []
    assert rules_of(check, subject("Starknet met Strike. STRK rose.")) == ["ticker.ambiguous"]
    assert rules_of(check, subject("Beam (BEAM) rose.")) == ["ticker.ambiguous"]  # two are called so


def test_a_longer_name_is_not_the_shorter_one():
    rules = with_assets(
        Asset(id="terra", ticker="LUNA", name="Terra"),
        Asset(id="other", ticker="LUNA", name="Luna by Virtuals"),
        Asset(id="classic", ticker="LUNC", name="Terra Classic"),
    )
    assert rules_of(check, subject("LUNA is not Terra Classic.", rules=rules)) == ["ticker.ambiguous"]
    assert rules_of(check, subject("LUNA is Terra.", rules=rules)) == []


def test_a_name_with_the_ticker_of_another_asset_blocks():
    finding = only(check, subject("Cardano (SHIB) rose."))
    assert (finding.rule, finding.evidence["asset"]) == ("ticker.wrong_asset", "cardano")
    for text in (
        "Cardano (ADA) rose.",
        "Ethereum (EVM) rose.",
        "Solana ($SOL) rose.",
        "Cardano, SHIB and all.",
    ):
        assert rules_of(check, subject(text)) == [], text


def test_the_listing_has_what_the_newsroom_writes_about():
    assets = shipped_rules().assets.assets
    assert len(assets) >= 150
    assert len({asset.id for asset in assets}) == len(assets)
    bearers: dict[str, int] = {}
    for asset in assets:
        bearers[asset.ticker] = bearers.get(asset.ticker, 0) + 1
    assert sum(number > 1 for number in bearers.values()) >= 12
    assert {"bitcoin", "ethereum", "solana", "tron", "litecoin", "dogecoin", "ripple", "cardano"} <= {
        chain for asset in assets for chain in asset.chains
    }
