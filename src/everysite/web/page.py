"""Pages made in Python: one HTML skeleton, and the policy that lets nothing in that we did not write.

Owns: the skeleton, its style, the headers of pages.
Must not know: what a page is about.

Style and script are part of the page and allowed by their hashes, so a page needs nothing else, not even a network.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files

from starlette.types import Send

from everysite.web.answer import SECURITY

Headers = list[tuple[bytes, bytes]]
_KEPT = [(name, value) for name, value in SECURITY if name != b"content-security-policy"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page. `body` is HTML whose texts are escaped; `script` names one of our own scripts ('' none)."""

    title: str
    body: str
    script: str = ""
    status: int = 200
    headers: Headers = field(default_factory=list)


async def show(send: Send, page: Page) -> None:
    """Send a page."""
    data = _html(page).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(data)),
        (b"content-security-policy", _policy(page.script).encode()),
        *_KEPT,
        *page.headers,
    ]
    await send({"type": "http.response.start", "status": page.status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _html(page: Page) -> str:
    script = f"<script>{asset(page.script)}</script>" if page.script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(page.title)}</title><link rel="icon" href="data:,"><style>{asset("page.css")}</style></head>'
        f"<body>{page.body}{script}</body></html>"
    )


def _policy(script: str) -> str:
    scripts = f"script-src {_hash(script)}; connect-src 'self'; " if script else ""
    return (
        f"default-src 'none'; style-src {_hash('page.css')}; {scripts}img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@cache
def asset(name: str) -> str:
    """The text of one of the files in `assets`."""
    return files("everysite.web").joinpath("assets", name).read_text("utf-8")


@cache
def _hash(name: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(asset(name).encode()).digest()).decode()}'"
