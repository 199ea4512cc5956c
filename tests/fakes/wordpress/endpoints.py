"""The endpoints of `/wp-json/wp/v2`: what is asked is checked by type, choice and capability as WordPress
does, then done. Stricter than WordPress in one thing: what it does not know is an error, not ignored."""

import html
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.fakes.wordpress.state import CAPABILITIES, STATUSES, Media, Post, Term, WordPress, slug_of

Answer = tuple[int, Any, dict[str, str]]
_POST = {
    "title": str,
    "content": str,
    "excerpt": str,
    "slug": str,
    "status": str,
    "date_gmt": str,
    "categories": list,
    "tags": list,
    "featured_media": int,
}
_IMAGES = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


class Problem(Exception):
    """An error as WordPress answers it."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.data: dict[str, Any] = {"code": code, "message": message, "data": {"status": status, **more}}


@dataclass
class Asked:
    """A request: who asks what."""

    site: WordPress
    user: str
    method: str
    query: dict[str, str]
    fields: dict[str, Any]
    upload: tuple[str, str, bytes] | None

    def can(self, capability: str) -> bool:
        return bool(self.user) and capability in CAPABILITIES[self.site.users[self.user][1]]

    def need(self, capability: str, code: str, message: str) -> None:
        if not self.can(capability):
            raise Problem(403 if self.user else 401, code, f"Sorry, you are not allowed to {message}.")

    def known(self, *names: str) -> None:
        if self.method == "GET":
            names = (*names, "context", "_fields", "page", "per_page")
        else:
            names = (*names, "context")
        given = {**self.query, **self.fields}
        if unknown := [name for name in given if name not in names]:
            raise _invalid(*unknown)
        context = self.query.get("context", "view")
        if context not in ("view", "embed", "edit"):
            raise _invalid("context")
        if context == "edit" and not self.user:
            raise Problem(401, "rest_forbidden_context", "Sorry, you are not allowed to edit posts.")

    @property
    def edits(self) -> bool:
        return self.method != "GET" or self.query.get("context") == "edit"

    def only(self, data: dict[str, Any]) -> dict[str, Any]:
        wanted = self.query.get("_fields", "")
        return {name: data[name] for name in wanted.split(",") if name in data} if wanted else data

    def page(self, found: list[dict[str, Any]]) -> Answer:
        size, page = int(self.query.get("per_page", 10)), int(self.query.get("page", 1))
        if not 1 <= size <= 100:
            raise _invalid("per_page")
        pages = math.ceil(len(found) / size)
        if page > max(pages, 1):
            raise Problem(400, "rest_post_invalid_page_number", "The page number requested is larger …")
        shown = [self.only(one) for one in found[(page - 1) * size : page * size]]
        return 200, shown, {"x-wp-total": str(len(found)), "x-wp-totalpages": str(pages)}


def _invalid(*names: str) -> Problem:
    params = dict.fromkeys(names, "Invalid parameter.")
    return Problem(400, "rest_invalid_param", f"Invalid parameter(s): {', '.join(names)}", params=params)


def route(asked: Asked, path: str) -> Answer:
    for method, pattern, act in _ROUTES:
        if method == asked.method and (found := re.fullmatch(pattern, path)):
            return act(asked, *found.groups())
    raise Problem(404, "rest_no_route", "No route was found matching the URL and request method.")


def _me(asked: Asked) -> Answer:
    asked.known()
    if not asked.user:
        raise Problem(401, "rest_not_logged_in", "You are not currently logged in.")
    able = CAPABILITIES[asked.site.users[asked.user][1]]
    data: dict[str, Any] = {"id": 1, "name": asked.user.title(), "slug": asked.user}
    return 200, data | ({"capabilities": dict.fromkeys(able, True)} if asked.edits else {}), {}


# Posts


def _shown(asked: Asked, post: Post) -> dict[str, Any]:
    rendered = re.sub(r"<!--.*?-->", "", post.content, flags=re.DOTALL)
    data = {
        "id": post.id,
        "date_gmt": post.date_gmt or None,
        "slug": post.slug,
        "status": post.status,
        "type": "post",
        "link": asked.site.link(post),
        "title": {"rendered": post.title},
        "content": {"rendered": rendered, "protected": False},
        "excerpt": {"rendered": f"<p>{post.excerpt}</p>", "protected": False},
        "featured_media": post.featured_media,
        "categories": post.categories,
        "tags": post.tags,
    }
    if asked.edits:
        for name in ("title", "content", "excerpt"):
            data[name]["raw"] = getattr(post, name)  # type: ignore[index]
    return data


def _list_posts(asked: Asked) -> Answer:
    asked.known("slug", "status", "search")
    statuses = asked.query.get("status", "publish").split(",")
    if not {*statuses} <= {*STATUSES, "trash", "any"}:
        raise _invalid("status")
    if statuses != ["publish"] and not asked.can("edit_posts"):
        raise _invalid("status")
    every = {*STATUSES} if "any" in statuses else {*statuses}
    found = [one for one in asked.site.posts.values() if one.status in every]
    if slugs := asked.query.get("slug"):
        found = [one for one in found if one.slug in slugs.split(",")]
    if words := asked.query.get("search", "").lower():
        found = [one for one in found if words in f"{one.title} {one.excerpt} {one.content}".lower()]
    return asked.page([_shown(asked, one) for one in sorted(found, key=lambda one: -one.id)])


def _one(asked: Asked, post_id: str) -> Post:
    post = asked.site.posts.get(int(post_id))
    if post is None:
        raise Problem(404, "rest_post_invalid_id", "Invalid post ID.")
    return post


def _get_post(asked: Asked, post_id: str) -> Answer:
    asked.known()
    post = _one(asked, post_id)
    if post.status != "publish" and not asked.can("edit_posts"):
        raise Problem(401, "rest_forbidden", "Sorry, you are not allowed to do that.")
    return 200, asked.only(_shown(asked, post)), {}


def _create_post(asked: Asked) -> Answer:
    asked.known(*_POST)
    asked.need("edit_posts", "rest_cannot_create", "create posts as this user")
    post = Post(0, asked.user)
    _change(asked, post)
    if not (post.title or post.content or post.excerpt):
        raise Problem(400, "empty_content", "Content, title, and excerpt are empty.")
    post.id = asked.site.new_id()
    asked.site.posts[post.id] = post
    return 201, _shown(asked, post), {"location": f"{asked.site.url}/wp-json/wp/v2/posts/{post.id}"}


def _update_post(asked: Asked, post_id: str) -> Answer:
    asked.known(*_POST)
    post = _one(asked, post_id)
    if post.author != asked.user:
        asked.need("edit_others_posts", "rest_cannot_edit", "edit this post")
    asked.need("edit_posts", "rest_cannot_edit", "edit this post")
    _change(asked, post)
    post.changes += 1
    return 200, _shown(asked, post), {}


def _change(asked: Asked, post: Post) -> None:
    fields, site = asked.fields, asked.site
    if wrong := [name for name, value in fields.items() if not isinstance(value, _POST[name])]:
        raise _invalid(*wrong)
    status = fields.get("status", post.status)
    if status not in STATUSES and status != post.status:
        raise _invalid("status")
    if status in ("publish", "future", "private") and status != post.status:
        asked.need("publish_posts", "rest_cannot_publish", "publish posts in this post type")
    for taxonomy in ("categories", "tags"):
        if not {*fields.get(taxonomy, [])} <= site.terms[taxonomy].keys():
            raise _invalid(taxonomy)
    if fields.get("featured_media") and fields["featured_media"] not in site.media:
        raise Problem(400, "rest_invalid_featured_media", "Invalid featured media ID.")
    if "date_gmt" in fields:
        try:
            datetime.fromisoformat(fields["date_gmt"])
        except ValueError:
            raise _invalid("date_gmt") from None
    for name, value in fields.items():
        setattr(post, name, value)
    if post.status == "publish":
        post.date_gmt = post.date_gmt or f"{site.now():%Y-%m-%dT%H:%M:%S}"
        if datetime.fromisoformat(post.date_gmt).replace(tzinfo=UTC) > site.now():
            post.status = "future"
    if post.status not in ("draft", "pending"):
        post.slug = site.unique_slug(slug_of(post.slug or html.unescape(post.title)), post.id)


def _delete_post(asked: Asked, post_id: str) -> Answer:
    asked.known("force")
    post = _one(asked, post_id)
    asked.need("delete_posts", "rest_cannot_delete", "delete this post")
    if post.status == "trash":
        raise Problem(410, "rest_already_trashed", "The post has already been deleted.")
    post.status, post.slug = "trash", f"{post.slug}__trashed"
    return 200, _shown(asked, post), {}


# Media


def _file(asked: Asked, media: Media) -> dict[str, Any]:
    return {
        "id": media.id,
        "slug": media.slug,
        "status": "inherit",
        "type": "attachment",
        "title": {"rendered": media.title},
        "alt_text": media.alt_text,
        "caption": {"rendered": f"<p>{media.caption}</p>"},
        "media_type": "image",
        "mime_type": media.mime_type,
        "source_url": f"{asked.site.url}/wp-content/uploads/2026/11/{media.file}",
    }


def _list_media(asked: Asked) -> Answer:
    asked.known("slug", "search", "status")
    found = list(asked.site.media.values())
    if slugs := asked.query.get("slug"):
        found = [one for one in found if one.slug in slugs.split(",")]
    return asked.page([_file(asked, one) for one in found])


def _create_media(asked: Asked) -> Answer:
    asked.known("slug", "title", "alt_text", "caption", "description")
    asked.need("upload_files", "rest_cannot_create", "upload media on this site")
    if asked.upload is None:
        raise Problem(400, "rest_upload_no_data", "No data supplied.")
    name, kind, data = asked.upload
    real = next((media_type for magic, media_type in _IMAGES.items() if data.startswith(magic)), "")
    if not real or real != kind:
        message = "Sorry, you are not allowed to upload this file type."
        raise Problem(500, "rest_upload_sideload_error", message)
    site, fields = asked.site, asked.fields
    taken = {one.file for one in site.media.values()}
    stem, _, suffix = name.rpartition(".")
    number, file = 1, name
    while file in taken:
        file, number = f"{stem}-{number}.{suffix}", number + 1
    media = Media(
        site.new_id(),
        site.unique_slug(slug_of(fields.get("slug") or stem), 0),
        fields.get("title", stem),
        fields.get("alt_text", ""),
        fields.get("caption", ""),
        file,
        kind,
        data,
    )
    site.media[media.id] = media
    return 201, _file(asked, media), {}


# Terms


def _term(term: Term) -> dict[str, Any]:
    return {"id": term.id, "name": html.escape(term.name, quote=False), "slug": term.slug, "count": 0}


def _list_terms(asked: Asked, taxonomy: str) -> Answer:
    asked.known("slug", "search")
    found = list(asked.site.terms[taxonomy].values())
    if slugs := asked.query.get("slug"):
        found = [one for one in found if one.slug in slugs.split(",")]
    return asked.page([_term(one) for one in found])


def _create_term(asked: Asked, taxonomy: str) -> Answer:
    asked.known("name", "slug", "description", "parent")
    # Tags ask for `edit_terms`, which WordPress maps to `manage_categories` as well.
    asked.need("manage_categories", "rest_cannot_create", "create terms in this taxonomy")
    name = asked.fields.get("name")
    if not isinstance(name, str) or not name:
        raise Problem(400, "rest_missing_callback_param", "Missing parameter(s): name", params=["name"])
    there = asked.site.terms[taxonomy]
    for one in there.values():
        if one.name.lower() == name.lower():
            message = "A term with the name provided already exists with this parent."
            raise Problem(400, "term_exists", message, term_id=one.id)
    term = Term(asked.site.new_id(), name, slug_of(asked.fields.get("slug") or name))
    there[term.id] = term
    return 201, _term(term), {}


_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "users/me", _me),
    ("GET", "posts", _list_posts),
    ("POST", "posts", _create_post),
    ("GET", r"posts/(\d+)", _get_post),
    ("POST", r"posts/(\d+)", _update_post),
    ("DELETE", r"posts/(\d+)", _delete_post),
    ("GET", "media", _list_media),
    ("POST", "media", _create_media),
    ("GET", "(categories|tags)", _list_terms),
    ("POST", "(categories|tags)", _create_term),
]
