"""WordPress: an article is one post, updated in place, so that its address and comments stay.

A comment at the end of the post's content, which readers do not see, names the article, the version and a
hash of what was sent. By it a delivery knows what an earlier one made, also where nobody learnt of it: posts
are looked up by slug first (WordPress adds `-2` where a slug is taken), then by a search for the article's
id. Custom fields would need code on the site.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, timedelta
from hashlib import sha256
from html import escape
from typing import Any
from urllib.parse import urlsplit

from cryptocontent.content.text import slugify
from cryptocontent.errors import Refused
from cryptocontent.integrations.unavailable import Unavailable
from cryptocontent.integrations.wordpress import Media, Post, Problem, WordPress, is_loopback, open_site
from cryptocontent.publishing.fragments import Fragment, Shown
from cryptocontent.publishing.render import to_html
from cryptocontent.publishing.targets.seam import Delivered, Parcel, TryLater
from cryptocontent.settings import Settings
from cryptocontent.storage.types import utc_now

_DEFAULTS: dict[str, Any] = {
    "url": "",
    "status": "publish",
    "categories": [],
    "tags": False,
    "featured_image": False,
    "withdraw": "draft",
}
_CHOICES = {"status": ("publish", "draft"), "withdraw": ("draft", "trash")}
_SWITCHES = {"true": True, "false": False}
_MARK = re.compile(r"<!-- cryptocontent article=(\S+) version=(\S+) sent=([0-9a-f]{16}) -->")
_SAME_SLUG = 9
_MOST_TAGS = 20
# A date ahead of the site's clock would make the post wait: newer ones get the site's own time.
_OLD = timedelta(days=1)


class WordPressSite:
    """Publishing as a post."""

    def check(self, config: Mapping[str, Any]) -> dict[str, Any]:
        problems = [
            f"{name}: not known (allowed: {', '.join(_DEFAULTS)})" for name in config.keys() - _DEFAULTS
        ]
        full = _DEFAULTS | {name: value for name, value in config.items() if value not in (None, "")}
        for name, allowed in _CHOICES.items():
            if full[name] not in allowed:
                problems.append(f"{name}: {full[name]!r} is not {' or '.join(allowed)}")
        for name in ("tags", "featured_image"):
            full[name] = _SWITCHES.get(str(full[name]).lower(), full[name])
            if not isinstance(full[name], bool):
                problems.append(f"{name}: {full[name]!r} is not true or false")
        names = full["categories"]
        if isinstance(names, str):
            full["categories"] = names = [part.strip() for part in names.split(",") if part.strip()]
        if not isinstance(names, list) or not all(isinstance(one, str) and slugify(one) for one in names):
            problems.append(f"categories: {names!r} is no list of names")
        full["url"] = str(full["url"]).strip().rstrip("/")
        if problem := _url_problem(full["url"]):
            problems.append(problem)
        if problems:
            raise Refused("; ".join(problems))
        return full

    def off(self, settings: Settings) -> str:
        if settings.wordpress_logins:
            return ""
        return 'WORDPRESS_LOGINS is not set: {"blog.example": "user:application password"}'

    def deliver(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        with _site(settings, config) as site:
            notes: list[str] = []
            post = _find(site, config, parcel)
            fields = _fields(site, config, parcel, notes)
            if post is None:
                fields |= {"status": config["status"], "slug": parcel.rendered.article["slug"]}
                if parcel.published_at < utc_now() - _OLD:
                    fields["date_gmt"] = f"{parcel.published_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
                return _delivered(config, site.create_post(fields), notes)
            shown = _shown_again(config, post, parcel)
            if shown or _sent(post.content) != _sent(fields["content"]):
                post = site.update_post(post.id, fields | shown)
            return _delivered(config, post, notes)

    def withdraw(self, settings: Settings, config: Mapping[str, Any], parcel: Parcel) -> Delivered:
        with _site(settings, config) as site:
            post = _find(site, config, parcel)
            if post is None:
                gone = parcel.previous or Delivered("", "")
                return Delivered(gone.external_id, "", {**gone.details, "state": "gone"})
            if config["withdraw"] == "trash" and post.status != "trash":
                post = site.trash_post(post.id) or post
                return Delivered(str(post.id), "", {"site": config["url"], "state": "trash"})
            if post.status not in ("draft", "trash"):
                post = site.update_post(post.id, {"status": "draft"})
            return Delivered(str(post.id), "", {"site": config["url"], "state": post.status})

    def follow(self, settings: Settings, config: Mapping[str, Any], delivered: Delivered) -> Delivered | None:
        return None

    def probe(self, settings: Settings, config: Mapping[str, Any]) -> str:
        with _site(settings, config) as site:
            me = site.me()
        may = dict(me.get("capabilities") or {})
        needed = ["edit_posts", "upload_files", *(["publish_posts"] if config["status"] == "publish" else [])]
        if lacking := [one for one in needed if not may.get(one)]:
            raise Refused(f"{site.host}: user {site.user} lacks {', '.join(lacking)}; make them an Author")
        return f"{site.host} accepts the login of {me.get('name') or site.user}, who may publish there"


def _url_problem(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    plain = (
        host and not (parts.query or parts.fragment or "@" in parts.netloc) and not re.search(r"[\s\\]", url)
    )
    if plain and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        return ""
    # Not repeated where it may hold a password.
    said = "the address" if "@" in url else repr(url)
    return f"url: {said} is no https:// address of a site (http:// only to this machine)"


@contextmanager
def _site(settings: Settings, config: Mapping[str, Any]) -> Iterator[WordPress]:
    try:
        with open_site(settings, config["url"]) as site:
            yield site
    except Unavailable as error:
        raise TryLater(str(error), error.seconds) from None


def _find(site: WordPress, config: Mapping[str, Any], parcel: Parcel) -> Post | None:
    """The article's post. The one that we know of by its id, unless it was deleted for good or was of another
    site; else one that bears the article's mark."""
    previous = parcel.previous
    if previous and previous.external_id.isdigit() and previous.details.get("site") == config["url"]:
        post = site.post(int(previous.external_id))
        if post is not None:
            return post
    slug = parcel.rendered.article["slug"]
    slugs = [slug, *(f"{slug}-{number}" for number in range(2, _SAME_SLUG)), f"{slug}__trashed"]
    for search in ({"slug": ",".join(slugs)}, {"search": parcel.article_id}):
        own = [one for one in site.posts(**search) if _article(one.content) == parcel.article_id]
        if own:
            return min(own, key=lambda one: (one.status == "trash", one.id))
    return None


def _article(content: str) -> str:
    found = _MARK.search(content)
    return found[1] if found else ""


def _sent(content: str) -> str:
    found = _MARK.search(content)
    return found[0] if found else ""


def _fields(site: WordPress, config: Mapping[str, Any], parcel: Parcel, notes: list[str]) -> dict[str, Any]:
    """What a post is to say. Titles and excerpts are HTML at WordPress: signs of ours are no tags."""
    rendered, seo = parcel.rendered, parcel.rendered.seo or {}
    fragment = Fragment(to_html(rendered))
    images = fragment.images()
    media = _uploaded(site, parcel, images)
    # A block of plain HTML: WordPress puts no paragraphs and line breaks of its own into it.
    content = fragment.html(lambda name: media[name].url if name in media else f"images/{name}")
    fields: dict[str, Any] = {
        "title": escape(str(rendered.article["title"]), quote=False),
        "excerpt": escape(str(seo.get("description") or ""), quote=False),
        "content": f"<!-- wp:html -->\n{content}<!-- /wp:html -->\n",
    }
    if config["categories"]:
        fields["categories"] = _terms(site, "categories", config["categories"], None)
    if config["tags"]:
        words = [str(one) for one in seo.get("keywords") or ()][:_MOST_TAGS]
        fields["tags"] = _terms(site, "tags", words, notes)
    if config["featured_image"] and images and images[0].file in media:
        fields["featured_media"] = media[images[0].file].id
    sent = sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]
    mark = f"<!-- cryptocontent article={parcel.article_id} version={parcel.version_id} sent={sent} -->"
    return fields | {"content": f"{fields['content']}\n{mark}"}


def _uploaded(site: WordPress, parcel: Parcel, images: list[Shown]) -> dict[str, Media]:
    """The images at the site, by their files' names: each is uploaded once, and known by a slug that holds
    its hash."""
    digests = {name: digest for digest, name in parcel.rendered.images.items()}
    slugs = {one.file: f"cryptocontent-{digests[one.file][:32]}" for one in images if one.file in digests}
    there = site.media(list(dict.fromkeys(slugs.values()))) if slugs else {}
    for one in images:
        slug = slugs.get(one.file)
        if slug and slug not in there:
            title = one.alt or one.caption or one.file
            fields = {"slug": slug, "title": title, "alt_text": one.alt, "caption": escape(one.caption)}
            there[slug] = site.upload(one.file, parcel.image(one.file), fields)
    return {name: there[slug] for name, slug in slugs.items()}


def _terms(site: WordPress, taxonomy: str, names: list[str], notes: list[str] | None) -> list[int]:
    """Ids of categories or tags, made where they are missing. Where the user may not make them that is noted,
    or, without `notes`, refused."""
    by_slug = {slugify(name): name for name in names if slugify(name)}
    ids = site.terms(taxonomy, by_slug) if by_slug else {}
    for slug, name in by_slug.items():
        if slug in ids:
            continue
        try:
            ids[slug] = site.create_term(taxonomy, slug, name)
        except Problem as problem:
            if problem.status != 403 or notes is None:
                raise Refused(f"{taxonomy}: {name!r}: {problem}") from None
            notes.append(f"{taxonomy}: {name!r} is not there, and user {site.user} may not make it")
    return [ids[slug] for slug in by_slug if slug in ids]


def _shown_again(config: Mapping[str, Any], post: Post, parcel: Parcel) -> dict[str, str]:
    """The state that a post has to get: `draft` leaves alone what people made of it since."""
    if post.status == "trash":
        return {"status": config["status"], "slug": str(parcel.rendered.article["slug"])}
    if config["status"] == "publish" and post.status != "publish":
        return {"status": "publish"}
    return {}


def _delivered(config: Mapping[str, Any], post: Post, notes: list[str]) -> Delivered:
    details: dict[str, Any] = {"site": config["url"], "state": post.status, "slug": post.slug}
    return Delivered(str(post.id), post.link, details | ({"notes": notes} if notes else {}))
