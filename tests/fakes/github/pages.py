"""Pages for a person who tries publishing without an account: repositories, files, pull requests, and the
buttons that a reviewer has at GitHub. At the addresses that GitHub's `html_url` have."""

import re
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from tests.fakes.github.repo import Repo
from tests.fakes.github.state import GitHub


async def page(github: GitHub, request: Request) -> Response:
    path = request.url.path
    if path == "/":
        return _html(
            "Repositories", *(f'<p><a href="/{name}">{escape(name)}</a></p>' for name in github.repos)
        )
    found = re.fullmatch(r"/([^/]+/[^/]+)(/.*)?", path)
    repo = github.repos.get(found[1]) if found else None
    if found is None or repo is None:
        return PlainTextResponse("Not Found", 404)
    rest = found[2] or ""
    if not rest:
        return _repository(repo)
    if at := re.fullmatch(r"/blob/([^/]+)/(.+)", rest):
        files = repo.files(at[1]) if at[1] in repo.refs else {}
        data = repo.blobs.get(files.get(at[2], ""))
        return PlainTextResponse(data) if data is not None else PlainTextResponse("Not Found", 404)
    if (at := re.fullmatch(r"/pull/(\d+)(/merge|/close)?", rest)) and 0 < int(at[1]) <= len(repo.pulls):
        if request.method == "POST" and at[2]:
            try:
                (repo.merge if at[2] == "/merge" else repo.close)(int(at[1]))
            except ValueError as error:
                return PlainTextResponse(str(error), 409)
            return RedirectResponse(f"/{repo.name}/pull/{at[1]}", 303)
        return _pull(repo, int(at[1]))
    return PlainTextResponse("Not Found", 404)


def _html(title: str, *parts: str) -> HTMLResponse:
    return HTMLResponse(
        f"<!doctype html><title>{escape(title)}</title><h1>{escape(title)}</h1>{''.join(parts)}"
    )


def _repository(repo: Repo) -> HTMLResponse:
    pulls = "".join(
        f'<li><a href="/{repo.name}/pull/{one.number}">#{one.number} {escape(one.title)}</a> {one.state}</li>'
        for one in repo.pulls
    )
    files = "".join(
        f'<li><a href="/{repo.name}/blob/main/{path}">{escape(path)}</a></li>'
        for path in sorted(repo.files())
    )
    return _html(repo.name, f"<h2>Pull requests</h2><ul>{pulls}</ul><h2>Files of main</h2><ul>{files}</ul>")


def _pull(repo: Repo, number: int) -> HTMLResponse:
    pull = repo.pulls[number - 1]
    state = "merged" if pull.merged else pull.state
    head = repo.refs.get(pull.branch, pull.head_sha) if pull.state == "open" else pull.head_sha
    base = repo.merge_base(repo.refs[pull.base], head)
    if pull.merged and pull.merge_commit_sha:
        base = repo.commits[pull.merge_commit_sha].parents[0]
    before, after = repo.files(base), repo.files(head)
    changed = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    parts = [f"<p>{state}: {escape(pull.branch)} into {escape(pull.base)}</p><pre>{escape(pull.body)}</pre>"]
    if pull.state == "open":
        parts += [
            f'<form method="post" action="/{repo.name}/pull/{number}/{what}"><button>{what}</button></form>'
            for what in ("merge", "close")
        ]
    for path in changed:
        data = repo.blobs[after[path]] if path in after else b"(removed)"
        text = data.decode(errors="replace") if path.endswith(".md") or path not in after else "(image)"
        parts.append(f"<h2>{escape(path)}</h2><pre>{escape(text)}</pre>")
    return _html(f"#{number} {pull.title}", *parts)
