"""A small site for people who try sources: an article or two, a feed of each kind, a sitemap, robots.txt."""

import json

from tests.fakes.web.state import Site, paragraphs

_ARTICLES = {
    "/blog/rollups": ("Rollups", "rollups"),
    "/blog/staking": ("Staking", "staking"),
    "/blog/bridges": ("Bridges", "bridges"),
}


def sample(site: Site) -> list[str]:
    """Fill the site, which is served at `site.url`; returns what to try, for people."""
    base = site.url
    for path, (title, topic) in _ARTICLES.items():
        head = (
            f'<link rel="canonical" href="{base}{path}">'
            '<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">'
            '<meta name="author" content="Ada Example">'
            '<meta property="article:published_time" content="2026-11-02T09:00:00Z">'
        )
        site.page(path, paragraphs(topic), title, head)
    site.page("/private/notes", paragraphs("secrets"), "Notes")
    site.robots("User-agent: *\nDisallow: /private/\n")
    site.put("/sitemap.xml", sitemap({base + path: "2026-11-02" for path in _ARTICLES}), "application/xml")
    entries = [(base + path, title, "2026-11-02T09:00:00Z") for path, (title, _) in _ARTICLES.items()]
    site.put("/feed.xml", rss(base, entries), "application/rss+xml")
    site.put("/atom.xml", atom(base, entries), "application/atom+xml")
    site.put("/feed.json", json_feed(base, entries), "application/feed+json")
    return [
        f"cryptocontent source add feed blog url={base}/feed.xml",
        f"cryptocontent source add sitemap site url={base}/sitemap.xml",
        f"cryptocontent source add web notes url={base}/private/notes   # which its robots.txt disallows",
    ]


def sitemap(addresses: dict[str, str]) -> str:
    """A sitemap: addresses with their `lastmod` ("" for none)."""
    urls = "".join(
        f"<url><loc>{address}</loc>{f'<lastmod>{date}</lastmod>' if date else ''}</url>"
        for address, date in addresses.items()
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'
    )


def sitemap_index(addresses: list[str]) -> str:
    inner = "".join(f"<sitemap><loc>{address}</loc></sitemap>" for address in addresses)
    return (
        f'<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        f"{inner}</sitemapindex>"
    )


Entry = tuple[str, str, str]
"""Address, title, and when it was updated (RFC 3339)."""


def rss(base: str, entries: list[Entry], extra: str = "") -> str:
    items = "".join(
        f"<item><title>{title}</title><link>{link}</link><guid>{link}</guid>"
        f"<dc:date>{date}</dc:date><description>About {title}</description></item>"
        for link, title, date in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:content="http://purl.org/rss/1.0/modules/content/">'
        f"<channel><title>News</title><link>{base}/</link><description>News</description>{extra}{items}"
        "</channel></rss>"
    )


def atom(base: str, entries: list[Entry], content: str = "") -> str:
    items = "".join(
        f"<entry><id>tag:example,2026:{link.rpartition('/')[2]}</id><title>{title}</title>"
        f'<link href="{link}"/><updated>{date}</updated><author><name>Ada</name></author>'
        f'<content type="html">{content}</content></entry>'
        for link, title, date in entries
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f"<id>{base}/</id><title>News</title><updated>2026-11-02T09:00:00Z</updated>{items}</feed>"
    )


def json_feed(base: str, entries: list[Entry]) -> str:
    items = [
        {
            "id": link,
            "url": link,
            "title": title,
            "date_modified": date,
            "content_html": f"<p>{title}</p>",
        }
        for link, title, date in entries
    ]
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "News", "items": items})
