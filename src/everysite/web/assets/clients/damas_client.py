"""A tracker's calls for programs that can install nothing: this one file, Python 3.8 or newer, no packages.

    import damas
    project = damas.connect("https://tracker:8443")     # or http_connection(...), the older name
    project.signIn("name", "password")
    project.lock("/project/path/to/file")               # True

As damas.py a call answers a value: what the tracker said, or None (False for lock, unlock, signIn and verify) when it
refused; `project.refusal` is then the status and the text. As damas_client.py it answers (status, value), and
(status, text) when it refused. A tracker that cannot be reached raises OSError (urllib.error.URLError).

Owns: the calls and their answers. Must not know: everysite; it works with every tracker that speaks /api.
"""
# ruff: noqa: N802, N803, UP006, UP035, UP045  the names existing programs know; the words of Python 3.8

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Dict, Iterable, Iterator, Optional, Tuple

SERVER = "@SERVER@"
"""Where this file came from; what connect() takes when it is given no address."""
ANSWERS = "value"
TIMEOUT = 60.0
_WAIT_MS = 25000


class Connection:
    """One tracker. `headers` go along with every request; `context`: an ssl.SSLContext, for certificates of one's own."""

    def __init__(self, url: str = SERVER, context: Any = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address of a tracker; it looks like https://host:8443")
        self.serverURL = url.rstrip("/")
        self.token: Optional[Dict[str, Any]] = None
        self.headers: Dict[str, str] = {}
        self.refusal: Optional[Tuple[int, str]] = None
        self._api = (self.serverURL[:-4] if self.serverURL.endswith("/api") else self.serverURL) + "/api/"
        handlers = [_NoRedirect()] + ([urllib.request.HTTPSHandler(context=context)] if context else [])
        self._opener = urllib.request.build_opener(*handlers)

    # --- signing in

    def signIn(self, username: str, password: str, expiresIn: Optional[str] = None) -> Any:
        """True, and the token is used from here on; False for a wrong name or password."""
        form = {"username": username, "password": password}
        if expiresIn is not None:
            form["expiresIn"] = expiresIn
        data = urllib.parse.urlencode(form).encode()
        status, text = self._send("POST", "signIn/", data, "application/x-www-form-urlencoded")
        if status == 200:
            signed: Dict[str, Any] = json.loads(text)
            self.token = signed
            self.headers["Authorization"] = "Bearer " + signed["token"]
        return self._test(status, text)

    def signOut(self) -> Any:
        """Revoke the token and forget it."""
        if self.token is not None:
            self._send("POST", "signOut/", b"{}")
        self.token = None
        self.headers.pop("Authorization", None)
        return self._test(200, "")

    def verify(self) -> Any:
        """Whether the tracker knows who asks."""
        return self._test(*self._send("GET", "verify/"))

    def createToken(self, expiresIn: Optional[str] = None) -> Any:
        """Another token for oneself."""
        return self._json("POST", "createToken/", {} if expiresIn is None else {"expiresIn": expiresIn}, (200,))

    # --- elements

    def create(self, keys: Any) -> Any:
        return self._json("POST", "create/", keys, (201, 207))

    def read(self, id_: Any) -> Any:
        return self._json("POST", "read/", _plain(id_), (200, 207))

    def update(self, keys: Any, more: Optional[Dict[str, Any]] = None) -> Any:
        """update({"_id": ..., key: value}), or update(identifiers, {key: value}) as older programs write it."""
        if more is not None:
            keys = dict(more, _id=_plain(keys))
        return self._json("PUT", "update/", keys, (200, 207))

    def upsert(self, keys: Any) -> Any:
        return self._json("POST", "upsert/", keys, (200, 201))

    def delete(self, id_: Any) -> Any:
        return self._json("DELETE", "delete/", _plain(id_), (200, 207))

    def publish(self, keys: Any) -> Any:
        return self._json("POST", "publish/", keys, (201, 207))

    def comment(self, keys: Any) -> Any:
        return self._json("POST", "comment/", keys, (201, 207))

    def version(self, id_: str, keys: Dict[str, Any]) -> Any:
        return self._json("POST", "version/" + urllib.parse.quote(id_, safe=""), keys, (201,))

    def lock(self, id_: Any) -> Any:
        """True when all of them are mine now."""
        return self._test(*self._send("PUT", "lock/", _encoded(_plain(id_))))

    def unlock(self, id_: Any) -> Any:
        """True when they were mine and are free now."""
        return self._test(*self._send("PUT", "unlock/", _encoded(_plain(id_))))

    # --- questions

    def search(self, query: str) -> Any:
        return self._json("GET", "search/" + urllib.parse.quote(query, safe=""), None, (200,))

    def search_one(self, query: str) -> Any:
        return self._json("GET", "search_one/" + urllib.parse.quote(query, safe=""), None, (200,))

    def search_mongo(self, query: Any, sort: Any = None, limit: int = 0, skip: int = 0) -> Any:
        body = {"query": query, "sort": sort or {}, "limit": limit, "skip": skip}
        return self._json("POST", "search_mongo/", body, (200,))

    def graph(self, id_: Any) -> Any:
        return self._json("POST", "graph/0/", _plain(id_), (200, 207))

    def graph_backwards(self, ids: Any, depth: int = 0) -> Any:
        return self._json("POST", f"graph_backwards/{depth}/", _plain(ids), (200, 207))

    def graph_forwards(self, ids: Any, depth: int = 0) -> Any:
        return self._json("POST", f"graph_forwards/{depth}/", _plain(ids), (200, 207))

    def changes(self, since: str = "", prefix: str = "") -> Iterator[Dict[str, Any]]:
        """What changes, one after the other, without end: {"cursor", "kind": "element" | "removed", "_id", "element"}.

        `since` the cursor of the last one seen, "0": everything there is, "": from the first next() on. Raises
        RuntimeError when the tracker refuses, OSError when it is away; go on from the last cursor then.
        """
        wait = 0
        while True:
            asked = urllib.parse.urlencode({"since": since, "prefix": prefix, "wait_ms": wait})
            status, text = self._send("GET", "changes?" + asked)
            if status != 200:
                raise RuntimeError(f"{status}: {text}")
            page = json.loads(text)
            yield from page["changes"]
            since, wait = page["cursor"], _WAIT_MS

    # --- sending

    def _json(self, method: str, path: str, body: Any, good: Tuple[int, ...]) -> Any:
        status, text = self._send(method, path, None if method == "GET" else _encoded(body))
        value = json.loads(text) if status in good else None
        self.refusal = None if status in good else (status, text)
        if ANSWERS == "pair":
            return status, (value if status in good else text)
        return value

    def _test(self, status: int, text: str) -> Any:
        self.refusal = None if status == 200 else (status, text)
        return (status, status == 200) if ANSWERS == "pair" else status == 200

    def _send(
        self, method: str, path: str, data: Optional[bytes] = None, kind: str = "application/json"
    ) -> Tuple[int, str]:
        headers = dict(self.headers)
        if data is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(self._api + path, data, headers, method=method)  # noqa: S310  http or https: __init__ looked
        try:
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                return answer.status, answer.read().decode("utf-8")
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode("utf-8", "replace")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would turn a redirected POST into a GET, and take the token along to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8")


def _plain(ids: Any) -> Any:
    """Identifiers as JSON knows them: tuples and sets are lists."""
    return list(ids) if isinstance(ids, Iterable) and not isinstance(ids, (str, dict)) else ids


http_connection = Connection
connect = Connection
