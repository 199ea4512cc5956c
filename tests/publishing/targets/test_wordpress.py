"""Publishing to WordPress: what readers of the site find, after any order of versions, lost answers and
people's own changes."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cryptocontent.errors import Refused
from cryptocontent.publishing.targets import open_target
from cryptocontent.publishing.targets.seam import Delivered, TryLater
from cryptocontent.publishing.targets.wordpress import WordPressSite
from cryptocontent.settings import Settings
from cryptocontent.storage.types import utc_now
from tests.fakes.wordpress import PASSWORD, USER, Fault, Post, WordPress, environment, wordpress_server
from tests.publishing.targets.parcels import DIGEST, IMAGE, PNG, after, parcel

TARGET = WordPressSite()


@pytest.fixture
def site() -> Iterator[WordPress]:
    with wordpress_server() as site:
        yield site


def settings_at(url: str) -> Settings:
    return Settings.model_validate({"wordpress_logins": json.loads(environment(url)["WORDPRESS_LOGINS"])})


@pytest.fixture
def settings(site: WordPress) -> Settings:
    return settings_at(site.url)


@pytest.fixture
def settings_of(site: WordPress) -> Any:
    return lambda login: Settings.model_validate({"wordpress_logins": {site.url[7:]: login}})


def config(site: WordPress, **changes: Any) -> dict[str, Any]:
    return TARGET.check({"url": site.url, **changes})


@pytest.fixture
def deliver(site: WordPress, settings: Settings) -> Any:
    return lambda parcel, **changes: TARGET.deliver(settings, config(site, **changes), parcel)


@pytest.fixture
def withdraw(site: WordPress, settings: Settings) -> Any:
    return lambda parcel, **changes: TARGET.withdraw(settings, config(site, **changes), parcel)


def only_post(site: WordPress) -> Post:
    (post,) = site.posts.values()
    return post


# What readers find


def test_an_article_is_a_post_with_its_picture(site: WordPress, deliver: Any) -> None:
    delivered = deliver(parcel())
    post, (media,) = only_post(site), site.media.values()
    assert (post.title, post.slug, post.status) == ("The base fee", "the-base-fee", "publish")
    assert post.excerpt == "What the base fee is."
    assert "<h1" not in post.content, "a theme shows the title by itself"
    assert "burned in every block of version 1" in post.content and "<table>" in post.content
    assert (media.data, media.mime_type, media.alt_text) == (PNG, "image/png", "Fees over time")
    (shown,) = re.findall(r'<img[^>]* src="([^"]*)"', post.content)
    assert shown == f"{site.url}/wp-content/uploads/2026/11/{IMAGE}"
    assert (delivered.external_id, delivered.url) == (str(post.id), f"{site.url}/the-base-fee/")


def test_text_is_text_whatever_signs_it_has(site: WordPress, deliver: Any) -> None:
    deliver(parcel(title="Fees < 1 & <b>more</b>", markdown="# Fees\n\nSafe.<script>alert(1)</script>"))
    post = only_post(site)
    assert post.title == "Fees &lt; 1 &amp; &lt;b&gt;more&lt;/b&gt;"
    assert "<script" not in post.content


def test_a_new_version_updates_the_post_and_uploads_no_picture_twice(site: WordPress, deliver: Any) -> None:
    first = deliver(parcel())
    second = deliver(after(first))
    assert "version 2" in only_post(site).content and len(site.media) == 1
    assert (second.external_id, second.url) == (first.external_id, first.url)


def test_the_same_version_again_changes_nothing(site: WordPress, deliver: Any) -> None:
    first = deliver(parcel())
    only_post(site).title = "As a person at the site has it"
    assert deliver(replace(parcel(), previous=first)).url == first.url
    assert only_post(site).changes == 0


def test_categories_and_tags_are_found_or_made_once(site: WordPress, deliver: Any) -> None:
    wanted = {"categories": "Uncategorized, Crypto News", "tags": True}
    first = deliver(parcel(), **wanted)
    deliver(after(first), **wanted)
    assert {one.name for one in site.terms["categories"].values()} == {"Uncategorized", "Crypto News"}
    post = only_post(site)
    assert post.categories == [1, *(one for one in site.terms["categories"] if one != 1)]
    assert post.tags == list(site.terms["tags"]) and len(post.tags) == 1


def test_an_author_who_may_make_no_terms_publishes_without_tags(
    site: WordPress, settings: Settings, deliver: Any
) -> None:
    site.users[USER] = (PASSWORD, "author")
    assert "may not make it" in deliver(parcel(), tags=True).details["notes"][0]
    assert only_post(site).tags == []
    with pytest.raises(Refused, match="categories: 'Crypto News'"):
        deliver(parcel(version=2), categories="Crypto News")


def test_an_old_article_keeps_its_date_and_a_new_one_never_waits(site: WordPress, deliver: Any) -> None:
    deliver(parcel())
    assert only_post(site).date_gmt == "2026-01-02T03:04:00"
    site.posts.clear()
    site.clock_behind = 7200
    deliver(parcel(published_at=utc_now() - timedelta(seconds=5)))
    assert only_post(site).status == "publish"


def test_drafts_stay_what_people_make_of_them(site: WordPress, deliver: Any) -> None:
    first = deliver(parcel(), status="draft")
    assert only_post(site).status == "draft" and "?p=" in first.url
    only_post(site).status = "publish"
    deliver(after(first), status="draft")
    assert only_post(site).status == "publish" and "version 2" in only_post(site).content


def test_a_person_s_post_of_the_same_slug_is_left_alone(site: WordPress, deliver: Any) -> None:
    theirs = Post(1, "admin", "The base fee", "<p>Ours.</p>", slug="the-base-fee", status="publish")
    site.posts[1] = theirs
    first = deliver(parcel())
    assert first.url == f"{site.url}/the-base-fee-2/"
    deliver(parcel(version=2))  # nothing is known of the first delivery
    assert len(site.posts) == 2 and theirs.content == "<p>Ours.</p>" and theirs.changes == 0


# Taking back


def test_a_withdrawn_post_is_a_draft_and_comes_back_at_its_address(
    site: WordPress, deliver: Any, withdraw: Any
) -> None:
    first = deliver(parcel())
    gone = withdraw(replace(parcel(), previous=first))
    assert only_post(site).status == "draft" and gone.url == ""
    withdraw(replace(parcel(), previous=gone))
    assert only_post(site).changes == 1
    again = deliver(after(gone))
    assert again.url == first.url and only_post(site).status == "publish"


def test_or_it_is_in_the_trash(site: WordPress, deliver: Any, withdraw: Any) -> None:
    first = deliver(parcel())
    gone = withdraw(replace(parcel(), previous=first), withdraw="trash")
    assert only_post(site).status == "trash"
    withdraw(replace(parcel(), previous=gone), withdraw="trash")
    assert deliver(parcel(version=2), withdraw="trash").url == first.url, "found without its id, too"
    assert only_post(site).status == "publish"


def test_what_is_not_there_is_withdrawn(site: WordPress, deliver: Any, withdraw: Any) -> None:
    assert withdraw(parcel()).details["state"] == "gone"
    first = deliver(parcel())
    site.posts.clear()
    assert withdraw(replace(parcel(), previous=first)).external_id == first.external_id
    assert deliver(after(first)).external_id != first.external_id, "deleted for good: a new post"


# Lost answers


@pytest.mark.parametrize("path", ["/posts", "/media", "/categories"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_what_went_through_unnoticed_is_found(site: WordPress, deliver: Any, path: str, known: bool) -> None:
    before = deliver(parcel(images={}), categories="News") if known else None
    site.fail(Fault("status", 502, after=True, method="POST", path=path))
    two = parcel(version=2)
    lost = path != "/categories" or not known
    with pytest.raises(TryLater) if lost else nullcontext():
        deliver(replace(two, previous=before), categories="News")
    deliver(replace(two, previous=before), categories="News")
    assert "version 2" in only_post(site).content
    assert len(site.media) == 1 and len(site.terms["categories"]) == 2


def test_a_post_whose_slug_a_person_changed_is_found_by_search(site: WordPress, deliver: Any) -> None:
    deliver(parcel())
    only_post(site).slug = "another"
    assert deliver(parcel(version=2)).url.endswith("/another/")
    assert len(site.posts) == 1


def test_ids_of_another_site_are_not_used(site: WordPress, deliver: Any) -> None:
    theirs = Post(7, "admin", "Mine", "<p>Mine.</p>", slug="mine", status="publish")
    site.posts[7] = theirs
    deliver(replace(parcel(), previous=Delivered("7", "", {"site": "https://old.example"})))
    assert theirs.changes == 0 and len(site.posts) == 2


# Errors


@pytest.mark.parametrize(
    ("fault", "seconds", "said"),
    [
        (Fault("status", 503), None, "answers 503"),
        (Fault("limit", seconds=17), 17, "asks to wait for 17 s"),
        (Fault("truncated"), None, "does not answer"),
        (Fault("html", 403), 900, "a firewall"),
        (Fault("html", 200), None, "is not JSON"),
    ],
    ids=["down", "limit", "truncated", "firewall", "no api"],
)
def test_what_passes_is_tried_later(
    site: WordPress, deliver: Any, fault: Fault, seconds: float | None, said: str
) -> None:
    site.fail(fault)
    with pytest.raises(TryLater, match=said) as caught:
        deliver(parcel())
    assert caught.value.seconds == seconds and site.posts == {}


def test_a_site_that_is_down_is_tried_later() -> None:
    with wordpress_server() as gone:
        url = gone.url
    there = settings_at(url)
    with pytest.raises(TryLater, match="does not answer"):
        TARGET.deliver(there, TARGET.check({"url": url}), parcel())


@pytest.mark.parametrize("login", [f"{USER}:wrong-hunter2-word", "stranger:wrong-hunter2-word"])
def test_a_wrong_login_waits_for_a_new_one_and_is_never_shown(
    site: WordPress, settings_of: Any, login: str
) -> None:
    with pytest.raises(TryLater, match="does not accept the login of WORDPRESS_LOGINS") as caught:
        TARGET.deliver(settings_of(login), config(site), parcel())
    assert caught.value.seconds == 900
    shown: Any = caught.value
    while shown is not None:
        assert "hunter2" not in repr(shown)
        shown = shown.__cause__ or shown.__context__


def test_who_may_not_publish_is_refused(site: WordPress, deliver: Any) -> None:
    site.users[USER] = (PASSWORD, "contributor")
    with pytest.raises(Refused, match=r"user newsroom may not do this: .*\(rest_cannot_"):
        deliver(parcel())


@pytest.mark.parametrize("login", ["", "no-colon", "user:"])
def test_without_a_login_for_the_host_nothing_is_sent(site: WordPress, settings_of: Any, login: str) -> None:
    with pytest.raises(Refused, match="WORDPRESS_LOGINS: there is no entry"):
        TARGET.deliver(settings_of(login), config(site), parcel())
    assert TARGET.off(Settings.model_validate({})) and not TARGET.off(settings_of("a:b"))
    assert site.calls == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "http://blog.example"}, "url: 'http://blog.example' is no https"),
        ({"url": "https://user:hunter2@blog.example"}, "url: the address is no https"),
        ({"url": ""}, "url: ''"),
        ({"url": "https://[bad"}, "url: "),
        ({"status": "private"}, "status: 'private' is not publish or draft"),
        ({"tags": "perhaps"}, "tags: 'perhaps' is not true or false"),
        ({"categories": [1]}, "categories: "),
        ({"colour": "red"}, "colour: not known"),
    ],
)
def test_a_bad_configuration_names_the_field(given: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=re.escape(said)) as caught:
        TARGET.check({"url": "https://blog.example", **given})
    assert "hunter2" not in str(caught.value)


def test_a_check_says_who_may_publish(site: WordPress, settings: Settings) -> None:
    assert open_target("wordpress").check({"url": site.url})["status"] == "publish"
    assert "accepts the login of Newsroom" in TARGET.probe(settings, config(site))
    site.users[USER] = (PASSWORD, "contributor")
    with pytest.raises(Refused, match="lacks upload_files, publish_posts"):
        TARGET.probe(settings, config(site))


def test_pictures_that_are_gone_here_stop_nothing_there(site: WordPress, deliver: Any) -> None:
    featured = deliver(parcel(), featured_image=True)
    post = only_post(site)
    assert post.featured_media == next(iter(site.media))
    deliver(after(featured, images={}, markdown="# The base fee\n\nNo picture."), featured_image=True)
    assert DIGEST not in only_post(site).content
