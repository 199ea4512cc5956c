"""People's versions: saved whole, checked, never merged silently."""

import pytest
from sqlalchemy import Engine, select

from cryptocontent.audit import verify
from cryptocontent.content.articles import citations_of, versions_of
from cryptocontent.content.checking import standing_findings
from cryptocontent.content.versions import StaleEdit, restore, save_version
from cryptocontent.errors import NotAllowed, NotFound, Refused
from cryptocontent.storage import reading, writing
from cryptocontent.storage.models import Article, AuditEntry, Version, VersionCheck
from tests.content.articles import ADA, BODY, ED, PASSAGES, VIC, WIL, make_article, text_of


@pytest.fixture
def house(engine: Engine) -> Engine:
    make_article(engine)
    return engine


def edit(engine: Engine, text: str, by=WIL, base: str | None = None) -> Version:  # type: ignore[no-untyped-def]
    with writing(engine) as session:
        article = session.get_one(Article, "a")
        return save_version(session, article, base or article.version_id or "", text, by)


def test_an_edit_is_a_version_with_parent_citations_check_and_audit(house: Engine) -> None:
    version = edit(house, f"# Fees today\n\n{PASSAGES[0]}[^1] {PASSAGES[2]}[^3]\n")
    assert (version.number, version.parent_id, version.author_kind, version.author) == (
        2,
        "v1",
        "person",
        "wil",
    )
    assert "[^1]: Fees" in version.markdown and "[^3]: Fees" in version.markdown
    assert "[^2]" not in version.markdown
    with reading(house) as session:
        article = session.get_one(Article, "a")
        assert (article.version_id, article.title) == (version.id, "Fees today")
        assert [row["number"] for row in citations_of(session, version.id)] == [1, 3]
        check = session.scalars(select(VersionCheck).filter_by(version_id=version.id)).one()
        assert check.cause == "save" and check.metrics["words"] > 10
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.seq.desc())).first()
        assert entry is not None and entry.actor == "person:wil" and entry.action == "version.created"
        assert "-A blob holds 4096" in entry.data["diff"]
        assert verify(session, "p").broken_at is None


def test_the_same_text_again_makes_nothing(house: Engine) -> None:
    first = edit(house, text_of(house) + "\n")
    assert edit(house, text_of(house)).id == first.id
    with reading(house) as session:
        assert len(versions_of(session, "a")) == (1 if first.id == "v1" else 2)


def test_a_stale_edit_is_refused_with_both_versions_and_writes_nothing(house: Engine) -> None:
    newer = edit(house, text_of(house).replace("# Fees", "# Newer"), ED)
    with pytest.raises(StaleEdit, match="made from version 1, but ed has saved version 2") as caught:
        edit(house, text_of(house).replace("# Newer", "# Mine"), WIL, base="v1")
    assert (caught.value.base.id, caught.value.current.id) == ("v1", newer.id)  # type: ignore[union-attr]
    with reading(house) as session:
        assert session.get_one(Article, "a").title == "Newer"
        assert len(versions_of(session, "a")) == 2


def test_two_people_at_once_one_wins(house: Engine) -> None:
    import threading

    together, outcomes = threading.Barrier(2), []

    def save(name: str) -> None:
        together.wait(10)
        try:
            outcomes.append(
                edit(house, f"# By {name}\n\n{BODY}", WIL if name == "wil" else ED, base="v1").number
            )
        except StaleEdit:
            outcomes.append("stale")

    threads = [threading.Thread(target=save, args=(name,)) for name in ("wil", "ed")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, outcomes)) == ["2", "stale"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no title here", "begin with its title"),
        ("# \n\ntext", "begin with its title"),
        (f"# {'x' * 301}\n\ntext", "301 characters"),
        ("# T\n\n" + "x" * 300_001, "allowed are 300000"),
        ("# T\n\na\x00b", "NUL"),
        ("# T\n\nNew.[^passage:nowhere]", "no such passage"),
        ("# T\n\nNew.[^fact:nowhere]", "no such market fact"),
    ],
)
def test_bad_texts_are_refused_and_leave_nothing(house: Engine, text: str, said: str) -> None:
    with pytest.raises((Refused, NotFound), match=said):
        edit(house, text)
    with reading(house) as session:
        assert len(versions_of(session, "a")) == 1


def test_a_viewer_may_not_edit(house: Engine) -> None:
    with pytest.raises(NotAllowed, match="vic is viewer"):
        edit(house, "# T\n\nText.", VIC)


def test_a_passage_that_research_did_not_have_is_cited_by_its_id(house: Engine) -> None:
    with writing(house) as session:
        from cryptocontent.storage.models import Passage, RevisionPassage

        text = "A new thing was measured in 2026."
        session.add(
            Passage(id="new", project_id="p", reference_id="r", heading_path=[], kind="prose", text=text)
        )
        session.flush()
        session.add(RevisionPassage(revision_id="rev", ordinal=9, passage_id="new", start=0, end=1))
    version = edit(
        house,
        text_of(house).replace(PASSAGES[0], f"A new thing was measured in 2026.[^passage:new] {PASSAGES[0]}"),
    )
    assert "measured in 2026.[^4]" in version.markdown
    again = edit(house, text_of(house).replace("# Fees", "# More"))
    with reading(house) as session:
        assert {row["number"]: row["passage"] for row in citations_of(session, again.id)}[4] == "new"
        rules = {one.finding.rule for one in standing_findings(session, "a", again.id)}
    assert "citation.dangling" not in rules


def test_a_dangling_number_may_be_saved_but_blocks(house: Engine) -> None:
    version = edit(house, text_of(house).replace("[^2]", "[^77]"))
    with reading(house) as session:
        blocking = [one.finding.rule for one in standing_findings(session, "a", version.id) if one.blocks]
    assert "citation.dangling" in blocking


def test_restore_makes_the_old_text_a_new_version(house: Engine) -> None:
    edit(house, text_of(house).replace("Blobs", "Big blobs"))
    with writing(house) as session:
        article = session.get_one(Article, "a")
        version = restore(session, article, article.version_id or "", session.get_one(Version, "v1"), ADA)
    with reading(house) as session:
        old = session.get_one(Version, "v1")
        assert version.number == 3 and "## Blobs" in version.markdown and "## Big" not in version.markdown
        assert version.provenance["restored_from"] == 1 and version.provenance["contributors"] == []
        assert old.markdown.startswith("# Fees")


def test_versions_never_change(house: Engine) -> None:
    from sqlalchemy import update
    from sqlalchemy.exc import DBAPIError

    with pytest.raises(DBAPIError, match="written once"), writing(house) as session:
        session.execute(update(Version).values(markdown="other"))
