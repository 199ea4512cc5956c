"""Locked notices: due, there, word for word, in place; and put there without touching anything else."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cryptocontent.content.checks import compliance
from cryptocontent.content.checks.compliance import reviewed_text, with_notices
from cryptocontent.content.documents import body_words, parse, render
from cryptocontent.content.rules import Rules, read_rules, shipped_rules, shipped_text
from cryptocontent.content.rules.files import Jurisdictions
from cryptocontent.errors import Refused
from tests.content.checks.subjects import asked, only, rules_of, subject

ALL = asked(jurisdictions=("generic", "uk", "eu-mica", "eu-ai-act"))
PROMOTION = "Sign up today and start trading.\n\n## How\n\nBlocks are full.\n\n## Why\n\nFees are burned."
NEUTRAL = PROMOTION.replace("Sign up today and start trading.", "Blocks carry transactions.")
RULES = shipped_rules()
TEXTS = {notice.id: notice.text for one in RULES.jurisdictions.jurisdictions for notice in one.notices}


def block(name: str) -> str:
    return f"::: notice {name}\n{TEXTS[name]}\n:::"


def test_the_prescribed_words() -> None:
    assert TEXTS["uk-risk-warning"] == (
        "Don't invest unless you're prepared to lose all the money you invest. This is a high-risk "
        "investment and you should not expect to be protected if something goes wrong."
    )
    assert TEXTS["eu-mica-marketing"] == (
        "This crypto-asset marketing communication has not been reviewed or approved by any competent "
        "authority in any Member State of the European Union. The offeror of the crypto-asset is solely "
        "responsible for the content of this crypto-asset marketing communication."
    )


def test_all_that_is_due_is_missing_until_it_is_put_in() -> None:
    before = subject(PROMOTION, plan=ALL)
    assert rules_of(compliance.check, before) == ["notice.missing"] * 4
    body = with_notices(PROMOTION, ALL, RULES)
    assert rules_of(compliance.check, subject(body, plan=ALL)) == []
    order = re.findall(r"^(?:::: notice (\S+)|## (\w+))$", body, re.M)
    assert [one or two for one, two in order] == [
        "uk-risk-warning",
        "eu-ai-disclosure",
        "eu-mica-marketing",
        "How",
        "Why",
        "generic-information",
    ]


def test_a_notice_is_due_by_promotion_and_by_review() -> None:
    def due(body: str, **more: bool) -> list[str]:
        return [one.evidence["key"] for one in compliance.check(subject(body, plan=ALL, **more))]

    assert due(NEUTRAL, reviewed=True) == ["generic-information"]
    assert due(NEUTRAL, by_agent=False) == ["generic-information"]
    assert due(NEUTRAL) == ["generic-information", "eu-ai-disclosure"]
    assert due(PROMOTION, reviewed=True) == ["generic-information", "uk-risk-warning", "eu-mica-marketing"]
    assert "notice uk" in with_notices(NEUTRAL, ALL, RULES, title="Buy bitcoin now")
    assert "notice uk" in with_notices(NEUTRAL, ALL, RULES, promotion=True)
    assert "notice uk" not in with_notices(PROMOTION, ALL, RULES, promotion=False)
    assert "notice eu-ai" not in with_notices(NEUTRAL, ALL, RULES, reviewed=True)


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Use our referral link to join.", True),
        ("The token sale is now live.", True),
        ("Earn up to 12% a year.", True),
        ("Click here to buy the token.", True),
        ("Use code CRYPTO10 for a discount.", True),
        ("A referral link leads to a phishing page.", False),
        ("Sponsored by an exchange, this piece explains fees.", True),
        ("You can buy the token today.", True),
        ("Sponsored transactions are paid for others.", False),
        ("Sponsored content: an exchange and its fees.", True),
        ("In 2014 a token sale raised 31,000 bitcoin.", False),
        ("The FCA banned sign-up bonuses: firms must not offer a welcome bonus.", False),
        ("Validators earn rewards for each block.", False),
        ("Users open a channel with a deposit.", False),
        ("Never invest now because a stranger says so.", False),
    ],
)
def test_what_makes_a_promotion(sentence: str, expected: bool) -> None:
    assert compliance.promotes(subject(sentence)) is expected


def test_altered_notices_are_found_and_put_right() -> None:
    body = with_notices(NEUTRAL, ALL, RULES)
    for old, new in (
        ("for information only", "for information"),
        ("Crypto-assets", "crypto-assets"),
        ("not", ""),
    ):
        altered = subject(
            body.replace(old, new, 1) if old != "not" else body.replace(" not ", " ", 1), plan=ALL
        )
        found = only(compliance.check, altered)
        assert (found.rule, found.severity) == ("notice.altered", "block")
        assert found.evidence["expected"] in TEXTS.values()
        assert with_notices(altered.body, ALL, RULES) == body
    spaced = body.replace("for information only", "for\n   information   only")
    assert rules_of(compliance.check, subject(spaced, plan=ALL)) == [], "white space is no wording"


def test_a_right_and_an_altered_one_are_an_altered_one() -> None:
    body = with_notices(NEUTRAL, asked(), RULES)
    twice = body + "\n\n" + block("generic-information").replace("not financial", "financial")
    assert rules_of(compliance.check, subject(twice, plan=asked())) == ["notice.altered"]


def test_buried_notices_are_found_and_moved() -> None:
    plan = asked(jurisdictions=("uk",))
    right = with_notices(PROMOTION, plan, RULES)
    warning = block("uk-risk-warning")
    buried = [
        PROMOTION + "\n\n" + warning,
        PROMOTION.replace("## How", warning + "\n\n## How"),
        "## First\n\n" + right,
    ]
    for body in buried:
        assert only(compliance.check, subject(body, plan=plan)).rule == "notice.buried"
        assert rules_of(compliance.check, subject(with_notices(body, plan, RULES), plan=plan)) == []
    assert with_notices(buried[0], plan, RULES) == right
    mica = asked(jurisdictions=("eu-mica",))
    body = PROMOTION.replace("## Why", block("eu-mica-marketing") + "\n\n## Why")
    assert only(compliance.check, subject(body, plan=mica)).rule == "notice.buried"
    generic = block("generic-information")
    middle = NEUTRAL.replace("## Why", generic + "\n\n## Why")
    assert only(compliance.check, subject(middle, plan=asked())).rule == "notice.buried"
    assert rules_of(compliance.check, subject(f"{generic}\n\n{NEUTRAL}", plan=asked())) == [], (
        "more prominent"
    )


def test_a_notice_in_code_or_a_comment_or_without_an_end_is_none() -> None:
    generic = block("generic-information")
    for body in (f"{NEUTRAL}\n\n```text\n{generic}\n```", NEUTRAL + "\n\n" + generic.replace(":::", "", 1)):
        assert rules_of(compliance.check, subject(body, plan=asked())) == ["notice.missing"]
    cut = generic.removesuffix("\n:::")
    assert rules_of(compliance.check, subject(f"{NEUTRAL}\n\n{cut}", plan=asked())) == ["notice.altered"]
    mended = with_notices(f"{NEUTRAL}\n\n{cut}\n\nAn edit.", asked(), RULES)
    assert "An edit." in mended and TEXTS["generic-information"] in mended
    assert rules_of(compliance.check, subject(mended, plan=asked())) == []


def test_what_somebody_wrote_into_a_notice_stays_in_the_article() -> None:
    inside = block("generic-information").replace("\n:::", "\n\nA new paragraph.\n\nAnother.\n:::")
    body = with_notices(f"{NEUTRAL}\n\n{inside}\n\nThe end.", asked(), RULES)
    assert body == f"{NEUTRAL}\n\nA new paragraph.\n\nAnother.\n\nThe end.\n\n{block('generic-information')}"


def test_notices_that_are_not_due_go() -> None:
    body = with_notices(PROMOTION, ALL, RULES)
    assert with_notices(body, asked(jurisdictions=()), RULES) == PROMOTION
    assert with_notices("Kept  as\tit is.\n\n\n", asked(jurisdictions=()), RULES) == "Kept  as\tit is.\n\n\n"


def test_a_notice_that_no_rule_knows_is_somebodys_words_and_stays() -> None:
    own = f"::: notice of-ours\nPaid for by nobody.\n:::\n\n{NEUTRAL}"
    assert with_notices(own, asked(jurisdictions=()), RULES) == own
    body = with_notices(own, asked(), RULES)
    assert body == f"{own}\n\n{block('generic-information')}"
    assert rules_of(compliance.check, subject(body, plan=asked())) == []


def test_the_list_of_sources_stays_last() -> None:
    tail = "## Sources\n\n[^1]: Fees."
    body = with_notices(f"Blocks.[^1]\n\n{tail}", asked(), RULES)
    assert body == f"Blocks.[^1]\n\n{block('generic-information')}\n\n{tail}"


def test_an_unknown_jurisdiction_blocks() -> None:
    found = only(compliance.check, subject("Text.", plan=asked(jurisdictions=("mars",))))
    assert (found.rule, found.severity, found.evidence["key"]) == ("jurisdiction.unknown", "block", "mars")
    assert "generic, uk, eu-mica, eu-ai-act" in found.message


def test_notices_are_no_words_of_the_article_and_stay_whole() -> None:
    body = with_notices(PROMOTION, ALL, RULES)
    assert body_words(parse(body)) == body_words(parse(PROMOTION))
    assert render(parse(body)) == body
    spaced = "::: notice a-b\nOne.\n\n## Two\n\n- three\n:::\n\nText."
    assert [one.render() for one in parse(spaced)] == [spaced.removesuffix("\n\nText."), "Text."]


def test_bad_rules_are_refused() -> None:
    shipped = shipped_text("jurisdictions")
    for old, new, problem in (
        ("id: uk\n", "id: generic\n", "'generic' stands twice"),
        ("id: uk-risk-warning", "id: generic-information", "'generic-information' stands twice"),
        ("position: top", "position: bottom", "'top', 'after_lead' or 'end'"),
        ("          Don't invest", "          ::: Don't invest", "can't begin with :::"),
    ):
        assert old in shipped
        with pytest.raises(Refused, match=re.escape(problem)):
            read_rules("jurisdictions", shipped.replace(old, new, 1))


PIECES = st.sampled_from(
    [
        "Sign up today.", "Blocks are full.", "## A heading", "# One", "- an item", "1. a step", "> quoted",
        "```", "~~~", "| a | b |", ":::", "::: notice uk-risk-warning", "::: notice generic-information",
        "::: notice gone", block("uk-risk-warning"), block("eu-mica-marketing").replace("not", ""),
        block("generic-information"), "Don't invest unless you're prepared", "<!-- x", "![a](image:ab)",
        "Claim.[^1]", "[^1]: A source.", "## Sources", "", "  ", "\t::: x", "   ```", "#", "##",
    ]
)  # fmt: skip
BODIES = st.lists(st.tuples(PIECES, st.sampled_from(["\n", "\n\n", "\n\n\n"])), max_size=12).map(
    lambda parts: "".join(text + gap for text, gap in parts)
)
PLANS = st.lists(st.sampled_from(["generic", "uk", "eu-mica", "eu-ai-act"]), unique=True).map(
    lambda names: asked(jurisdictions=tuple(names))
)


def words_beside_notices(body: str, rules: Rules) -> list[str]:
    return with_notices(body, asked(jurisdictions=()), rules).split()


@settings(max_examples=400, deadline=None)
@given(BODIES, PLANS)
def test_twice_is_once_and_the_check_is_content(body: str, plan: object) -> None:
    once = with_notices(body, plan, RULES)  # type: ignore[arg-type]
    assert with_notices(once, plan, RULES) == once  # type: ignore[arg-type]
    assert rules_of(compliance.check, subject(once, plan=plan)) == []  # type: ignore[arg-type]
    fences = {"```", "~~~"}
    kept = [word for word in words_beside_notices(body, RULES) if word not in fences]
    assert [word for word in words_beside_notices(once, RULES) if word not in fences] == kept


def test_an_admin_s_notice_of_several_paragraphs() -> None:
    own = {
        "note": "ours",
        "jurisdictions": [
            {
                "id": "generic",
                "name": "Here",
                "notices": [
                    {
                        "id": "long",
                        "when": "always",
                        "position": "end",
                        "source": "us",
                        "text": "The first paragraph of it.\n\nThe second one.",
                    }
                ],
            }
        ],
    }
    rules = RULES.model_copy(update={"jurisdictions": Jurisdictions.model_validate(own)})
    body = with_notices(NEUTRAL, asked(), rules)
    assert with_notices(body, asked(), rules) == body
    assert rules_of(compliance.check, subject(body, plan=asked(), rules=rules)) == []


def test_an_approved_text_no_longer_says_that_nobody_reviewed_it() -> None:
    unreviewed = block("eu-ai-disclosure")
    text = f"# Fees\n\n{unreviewed}\n\nThe fee is burned.[^1]\n\n{block('generic-information')}\n"
    assert reviewed_text(text, shipped_rules()) == (
        f"# Fees\n\nThe fee is burned.[^1]\n\n{block('generic-information')}\n"
    )
