"""Clients to download: one file each for Python, JavaScript and the shell.

Owns: `/py`, `/js`, `/cli`: which file is found where, the address of this tracker in it, how long it may be kept.
Must not know: what a client does.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from html import escape

from starlette.types import Send

from everysite.web.answer import SECURITY
from everysite.web.options import Options
from everysite.web.page import Headers, Page, asset, show
from everysite.web.request import Asked
from everysite.web.routing import Handler, Route

_PLACE = "@SERVER@"
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
_KEPT_S = 300
_HEADERS = [(name, value) for name, value in SECURITY if name != b"cache-control"]


@dataclass(frozen=True, slots=True)
class _File:
    """A file below assets/clients. `swap` replaces one text in it, `more` is put behind it."""

    name: str
    kind: bytes
    swap: tuple[str, str] = ("", "")
    more: str = ""


_SCRIPT = b"text/javascript; charset=utf-8"
_PYTHON = b"text/x-python; charset=utf-8"
_MODULE = """
globalThis.damas.server = new URL("..", import.meta.url).href.replace(/\\/$/, "");
export default globalThis.damas;
"""
_FILES = {
    "/js/damas.js": _File("damas.js", _SCRIPT),
    "/js/damas.mjs": _File("damas.js", _SCRIPT, more=_MODULE),
    "/py/damas.py": _File("damas_client.py", _PYTHON),
    "/py/damas_client.py": _File("damas_client.py", _PYTHON, ('ANSWERS = "value"', 'ANSWERS = "pair"')),
    "/cli/damas": _File("damas.sh", b"text/x-shellscript; charset=utf-8"),
}
_PAGES = {
    "/js": ("JavaScript", "<script src=\"{at}/js/damas.js\"></script>\n<script>damas.read('/path')</script>"),
    "/py": ("Python", "curl -O {at}/py/damas.py\npython3 -c \"import damas; print(damas.connect().signIn('name', 'word'))\""),
    "/cli": ("the shell", "curl -O {at}/cli/damas && chmod +x damas\n./damas signin && ./damas search '*'"),
}  # fmt: skip


class Downloads:
    """The handlers."""

    def __init__(self, options: Options) -> None:
        self._base = options.base_path.rstrip("/")

    def routes(self) -> tuple[Route, ...]:
        files = [Route("GET", path, self._file(file), "download") for path, file in _FILES.items()]
        pages = [Route("GET", path, self._page(path), "download") for path in _PAGES]
        return (*files, *pages)

    def _file(self, file: _File) -> Handler:
        async def get(asked: Asked, send: Send) -> None:
            data = _filled(file, self._address(asked)).encode()
            tag = b'"%s"' % hashlib.sha256(data).hexdigest()[:32].encode()
            headers: Headers = [(b"etag", tag), (b"cache-control", b"public, max-age=%d" % _KEPT_S), *_HEADERS]
            if tag in asked.headers.get(b"if-none-match", b""):
                await send({"type": "http.response.start", "status": 304, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
            headers += [(b"content-type", file.kind), (b"content-length", b"%d" % len(data))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": data})

        return get

    def _page(self, path: str) -> Handler:
        language, example = _PAGES[path]

        async def get(asked: Asked, send: Send) -> None:
            at = self._address(asked) or self._base
            links = "".join(
                f'<li><a href="{escape(self._base + name)}">{name}</a></li>' for name in _FILES if name.startswith(path)
            )
            shown = escape(example.replace("{at}", at))
            body = f"<main class=narrow><h1>A client for {language}</h1><ul>{links}</ul><pre>{shown}</pre></main>"
            await show(send, Page(f"{language} - everysite", body))

        return get

    def _address(self, asked: Asked) -> str:
        """This tracker as the client reached it; '' when what it says of that could be more than an address."""
        host = asked.headers.get(b"host", b"").decode("latin-1")
        return f"{asked.scheme}://{host}{self._base}" if _HOST.fullmatch(host) else ""


def _filled(file: _File, address: str) -> str:
    text = asset(f"clients/{file.name}")
    assert file.swap[0] in text  # the line it changes is still there
    # As JSON writes it a text is one in JavaScript, Python and the shell alike: it has no '$', quote or backslash.
    text = text.replace(json.dumps(_PLACE), json.dumps(address or _PLACE), 1)
    return text.replace(*file.swap, 1) + file.more if file.swap[0] else text + file.more
