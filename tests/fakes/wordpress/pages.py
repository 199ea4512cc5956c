"""What readers see: the list of posts, one post, the files of the media library."""

import re
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tests.fakes.wordpress.state import WordPress


def page(site: WordPress, request: Request) -> Any:
    path = request.url.path.strip("/")
    if path.startswith("wp-content/uploads/"):
        name = path.rpartition("/")[2]
        media = next((one for one in site.media.values() if one.file == name), None)
        return Response(media.data, media_type=media.mime_type) if media else Response("", 404)
    asked = request.query_params.get("p", "")
    for post in site.posts.values():
        if (path and post.slug == path and post.status == "publish") or asked == str(post.id):
            shown = re.sub(r"<!--.*?-->", "", post.content, flags=re.DOTALL)
            return HTMLResponse(f"<title>{post.title}</title><h1>{post.title}</h1>{shown}")
    if path:
        return HTMLResponse("<h1>Not found</h1>", 404)
    items = "".join(
        f'<li><a href="{escape(site.link(one))}">{one.title}</a> ({one.status})'
        for one in site.posts.values()
    )
    return HTMLResponse(f"<title>A WordPress site</title><h1>Posts</h1><ul>{items}</ul>")
