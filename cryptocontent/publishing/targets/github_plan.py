"""What is proposed to a content repository: names and texts of an article's branch, file and pull request,
the marks by which they are known again, and the check of a target's configuration."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from cryptocontent.content.text import slugify
from cryptocontent.errors import Refused
from cryptocontent.publishing.render import to_markdown
from cryptocontent.publishing.targets.seam import Parcel
from cryptocontent.settings import Settings

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_PLACE = re.compile(r"\{(slug|article|project|date|year|month)\}")
_PATH = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
_URL = re.compile(r"(https?:/)?/[^\s()<>]*")
_MOST = 150  # characters of a branch or path before a slug is put in
_FIELDS = {
    "repository": "owner/name",
    "base": "a branch's name",
    "path": "a file's path that ends with .md",
    "images": "a folder's path",
    "images_url": "an address, or a path of the site that begins with /",
    "branch": "a branch's name",
    "reviewers": "a list of logins and organisation/team",
    "labels": "a list of names",
    "draft": "true or false",
}
_DEFAULTS: dict[str, Any] = {
    "repository": "",
    "base": "",
    "path": "content/articles/{slug}.md",
    "images": "content/images",
    "images_url": "",
    "branch": "cryptocontent/{slug}",
    "reviewers": [],
    "labels": [],
    "draft": False,
}
_BEGIN, _END = "<!-- cryptocontent", "cryptocontent -->"
_SECTION = re.compile(rf"{_BEGIN} begins -->.*?{_END}", re.DOTALL)
_VOID = "Cryptocontent-Void: "
_SUMMARY = 600


@dataclass(frozen=True, slots=True)
class Plan:
    """One article's way into the repository. `mark` is the line that says what is proposed: the version,
    or its withdrawal."""

    parcel: Parcel
    config: Mapping[str, Any]
    base: str
    branch: str
    path: str
    mark: str
    title: str
    text: str  # of the pull request, for people

    def _marks(self) -> list[str]:
        return [
            f"Cryptocontent-Article: {self.parcel.article_id}",
            self.mark,
            f"Cryptocontent-File: {self.path}",
        ]

    @property
    def message(self) -> str:
        """The commit's message."""
        return "\n".join([self.title, "", *self._marks(), ""])

    def body(self, present: str = "") -> str:
        """The pull request's text: our part anew, what people wrote around it as it is."""
        part = "\n".join([f"{_BEGIN} begins -->", self.text, "", _BEGIN, *self._marks(), _END])
        if _SECTION.search(present):
            return _SECTION.sub(lambda _: part, present, count=1)
        return f"{part}\n\n{present}".strip()

    def is_mine(self, text: str) -> bool:
        """Whether a commit's message or a pull request's text is of this article."""
        return self._marks()[0] in text.split("\n")

    def is_this(self, text: str) -> bool:
        """Whether it is of what is proposed now, at the same place."""
        return set(self._marks()) <= set(text.split("\n"))

    def owns(self, text: str) -> bool:
        """Whether a file is this article's, by its front matter; one that names no brief is taken for it."""
        found = re.match(r"---\n(.*?)\n---\n", text.replace("\r\n", "\n"), re.DOTALL)
        try:
            matter = yaml.safe_load(found[1]) if found else None
        except yaml.YAMLError:
            matter = None
        brief = matter.get("brief") if isinstance(matter, dict) else None
        return brief in (None, self.parcel.rendered.article["brief"])


def publication(settings: Settings, config: Mapping[str, Any], parcel: Parcel, base: str) -> Plan:
    """How a version is proposed to the branch `base`."""
    article = parcel.rendered.article
    summary = " ".join(str((parcel.rendered.seo or {}).get("description", "")).split())[:_SUMMARY]
    count = len(parcel.rendered.citations)
    cited = "1 citation" if count == 1 else f"{count} citations"
    lines = [f"> {_plain(summary)}", ""] if summary else []
    lines.append(f"Version {article['version']}, {article['words']} words, {cited}.")
    if settings.public_url:
        url = f"{settings.public_url.rstrip('/')}/articles/{parcel.article_id}"
        lines += ["", f"[The article in the newsroom]({url})"]
    lines += [
        "",
        "A newer version goes to the same branch. Merge to publish; close to turn this version down.",
    ]
    return Plan(
        parcel=parcel,
        config=config,
        base=base,
        branch=_filled(config["branch"], parcel),
        path=_filled(config["path"], parcel),
        mark=f"Cryptocontent-Version: {parcel.version_id}",
        title=_calm(article["title"]),
        text="\n".join(lines),
    )


def withdrawal(plan: Plan) -> Plan:
    """How it is proposed that the article goes, from where it is."""
    parcel = plan.parcel
    return replace(
        plan,
        mark=f"Cryptocontent-Withdraws: {parcel.version_id}",
        path=str(parcel.previous.details.get("path", plan.path)) if parcel.previous else plan.path,
        title=f"Withdraw: {plan.title}",
        text="The article was withdrawn. Its file goes; images stay, since other articles may show them.",
    )


def void(body: str) -> str:
    """A pull request's text, once we close it ourselves: what it proposed is not what people turned down."""
    return body.replace("\nCryptocontent-Version: ", f"\n{_VOID}")


def is_void(body: str) -> bool:
    """Whether we closed it."""
    return f"\n{_VOID}" in body


def files(plan: Plan) -> tuple[str, dict[str, bytes]]:
    """The article in Markdown, and its images by their paths. The Markdown finds them from where it is, or
    at `images_url`."""
    folder, images = _filled(plan.config["images"], plan.parcel), plan.parcel.rendered.images
    url = plan.config["images_url"] or posixpath.relpath(folder, posixpath.dirname(plan.path) or ".")
    text = to_markdown(plan.parcel.rendered)
    paths = {}
    for name in dict.fromkeys(images.values()):
        text = text.replace(f"](images/{name}", f"]({url.rstrip('/')}/{name}")
        paths[posixpath.normpath(f"{folder}/{name}")] = plan.parcel.image(name)
    return text, paths


def _filled(template: str, parcel: Parcel) -> str:
    slug, when = parcel.rendered.article["slug"], parcel.published_at
    if slug != slugify(slug, len(slug)):
        raise Refused(f"article {parcel.article_id}: the slug {slug!r} is no file name")
    values = {
        "slug": slug,
        "article": parcel.article_id,
        "project": parcel.project_id,
        "date": f"{when:%Y-%m-%d}",
        "year": f"{when:%Y}",
        "month": f"{when:%m}",
    }
    return _PLACE.sub(lambda place: values[place[1]], template)


def _calm(text: str) -> str:
    """Text on one line that calls nobody, closes no issue and forges no mark of ours."""
    line = " ".join(text.split()).replace("Cryptocontent-", "Cryptocontent\u200b-")
    return re.sub(r"(@|#|\bGH-|/(?:issues|pull)/)(?=\w)", "\\1\u200b", line)


def _plain(text: str) -> str:
    return _calm(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def check_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with its defaults; `Refused` with every problem that it has."""
    problems = [
        f"{name}: not known (allowed: {', '.join(_FIELDS)})" for name in config if name not in _FIELDS
    ]
    given = {name: value for name, value in config.items() if name in _FIELDS and value not in (None, "")}
    full = _DEFAULTS | given
    for name, default in _DEFAULTS.items():
        value = full[name]
        if isinstance(default, list) and isinstance(value, str):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(default, bool) and str(value).lower() in ("true", "false"):
            value = str(value).lower() == "true"
        whole = all(isinstance(one, str) and one for one in value) if isinstance(value, list) else True
        if not isinstance(value, type(default)) or not whole:
            problems.append(f"{name}: {value!r} is not {_FIELDS[name]}")
            value = default
        full[name] = value.strip() if isinstance(value, str) else value
    full["images"] = full["images"].strip("/") or "."
    if not _REPOSITORY.fullmatch(full["repository"]):
        problems.append(f"repository: {full['repository']!r} is not {_FIELDS['repository']}")
    if full["base"] and not _is_branch(full["base"]):
        problems.append(f"base: {full['base']!r} is not {_FIELDS['base']}")
    for name in ("path", "branch", "images"):
        problems += _template_problems(name, full[name])
    if full["images_url"] and not _URL.fullmatch(full["images_url"]):
        problems.append(f"images_url: {full['images_url']!r} is not {_FIELDS['images_url']}")
    if problems:
        raise Refused("; ".join(problems))
    return full


def _template_problems(name: str, template: str) -> list[str]:
    filled = _PLACE.sub("x", template)
    right = _is_branch(filled) if name == "branch" else _is_path(filled)
    if not right or (name == "path" and not filled.endswith(".md")):
        places = "{slug}, {article}, {project}, {date}, {year}, {month}"
        return [
            f"{name}: {template!r} is not {_FIELDS[name]} of letters, digits, '.', '_', '-', '/' and {places}"
        ]
    held = {found[1] for found in _PLACE.finditer(template)}
    if name != "images" and not held & {"slug", "article"}:
        return [f"{name}: {template!r} is the same for all articles, without {{slug}} or {{article}}"]
    if name == "branch" and held & {"date", "year", "month"}:
        return [f"branch: {template!r} has a date, which may change; a branch is found by its name"]
    return [f"{name}: longer than {_MOST} characters"] if len(template) > _MOST else []


def _is_path(path: str) -> bool:
    parts = path.split("/")
    hidden = {"..", ".git"} & set(parts) or ("." in parts and path != ".")
    return bool(_PATH.fullmatch(path)) and not hidden and not path.startswith("-")


def _is_branch(name: str) -> bool:
    """By `git check-ref-format`, and within what needs no quoting anywhere."""
    bad = ".." in name or any(
        part.startswith((".", "-")) or part.endswith((".lock", ".")) for part in name.split("/")
    )
    return bool(_PATH.fullmatch(name)) and not bad and len(name) <= _MOST
