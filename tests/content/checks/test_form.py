import pytest

from cryptocontent.content.checks.form import check
from cryptocontent.content.readability import readability
from cryptocontent.content.templates import InternalLinks, WordRange
from tests.content.checks.subjects import asked, only, rules_of, subject, with_limits

TEXT = "The cat sat on the mat and looked at the dog."
HARD = "Decentralised authorisation mechanisms necessitate comprehensive cryptographic verification."


def test_a_plain_article_has_no_finding():
    assert rules_of(check, subject(f"{TEXT}\n\n## A\n\n{TEXT}\n\n### B\n\n{TEXT}\n\n## C\n\n{TEXT}")) == []


@pytest.mark.parametrize(
    ("body", "rule", "excerpt"),
    [
        (f"{TEXT}\n\n### Deep\n\n{TEXT}", "heading.order", "Deep"),
        (f"{TEXT}\n\n# Title\n\n{TEXT}", "heading.order", "Title"),
        (f"{TEXT}\n\n## Empty\n\n## Full\n\n{TEXT}", "heading.empty", "Empty"),
        (f"{TEXT}\n\n## Last", "heading.empty", "Last"),
        (f"{TEXT}\n\n## A\n\n### Empty\n\n## B\n\n{TEXT}", "heading.empty", "Empty"),
    ],
)
def test_headings(body, rule, excerpt):
    finding = only(check, subject(body))
    assert (finding.rule, finding.severity, finding.excerpt) == (rule, "warn", excerpt)


def test_length():
    words = WordRange(min=10, max=12)
    assert rules_of(check, subject(TEXT, plan=asked(words=words))) == []
    short = only(check, subject("The cat sat.", plan=asked(words=words)))
    assert (short.rule, short.severity, short.evidence) == (
        "length.below_minimum", "block", {"words": 3, "minimum": 10},
    )  # fmt: skip
    long = only(check, subject(f"{TEXT} {TEXT}", plan=asked(words=words)))
    assert (long.rule, long.severity) == ("length.above_maximum", "warn")


def test_titles():
    assert only(check, subject(TEXT, title="")).rule == "title.missing"
    assert only(check, subject(TEXT, title="Fees " * 23)).rule == "title.long"
    assert rules_of(check, subject(TEXT, title="Fees " * 21)) == []


def test_readability():
    finding = only(check, subject(HARD))
    assert (finding.rule, finding.severity) == ("readability.hard", "info")
    assert finding.evidence == readability([HARD])
    assert rules_of(check, subject(HARD, rules=with_limits(reading_ease_min=-200, grade_max=40))) == []


def test_required_phrases():
    plan = asked(required_phrases=("not financial advice",))
    assert only(check, subject(TEXT, plan=plan)).rule == "phrase.required_missing"
    assert rules_of(check, subject(f"{TEXT} It is *Not\nfinancial* advice.", plan=plan)) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (f"{TEXT} To the moon it goes.", ["To the moon"]),
        (f"{TEXT} They go to\nthe[^1] moon.", ["to\nthe[^1] moon"]),
        (f"{TEXT} It isn’t a security.", ["isn’t a security"]),
        (f"{TEXT}\n\n## To the moon\n\n{TEXT}", ["To the moon"]),
        (f"{TEXT} To the moonlight it goes.", []),
        (f"::: notice risk\nNothing goes to the moon.\n:::\n\n{TEXT}", []),
    ],
)
def test_forbidden_phrases(body, found):
    plan = asked(forbidden_phrases=("to the moon", "isn't a security"))
    told = list(check(subject(body, plan=plan)))
    assert [(one.rule, one.excerpt) for one in told] == [("phrase.forbidden", text) for text in found]
    assert only(check, subject(TEXT, title="To the moon", plan=plan)).rule == "phrase.forbidden"


def test_internal_links():
    plan = asked(internal_links=InternalLinks(min=1, max=2))
    link = "[Fees](article:fees)"
    assert rules_of(check, subject(f"{TEXT} See {link}.", plan=plan)) == []
    assert only(check, subject(f"{TEXT} See [fees](https://a.example).", plan=plan)).evidence == {"links": 0}
    assert rules_of(check, subject(f"{TEXT} See {link}, {link}, {link}.", plan=plan)) == [
        "links.internal_count"
    ]
