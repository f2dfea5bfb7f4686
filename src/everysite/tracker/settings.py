"""Settings that are elements: a site's keys and the global parameters, read into typed values.

Owns: which keys of an element mean what (decisions B 1, B 2) and what a broken value leads to.
Must not know: the index, who may edit.
"""

from __future__ import annotations

from typing import Any, get_args
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

import msgspec

from everysite.decide.filters import split_patterns
from everysite.decide.plan import overlaps
from everysite.errors import BadRequest
from everysite.model.element import Body
from everysite.model.path import check_id, to_bytes
from everysite.model.site import Direction, Globals, Mapping, Policy, Site, check_site_name

GLOBALS_KEY = "rsyncGlobalParameters"
GLOBALS: Body = {
    "enableScans": True,
    "excludePatternRules": "",
    "excludedFiles": "",
    "includePatternRules": "",
    "ignoreExistingFiles": False,
    "rsaPublicKey": "",
    "sleepBetweenScans": 60,
    "syncEverywhere": True,
}
_PATTERNS = frozenset({"packagePatterns", "includePatternRules", "excludePatternRules", "excludedFiles"})
_POLICY_KEYS = frozenset(f.encode_name for f in msgspec.structs.fields(Policy))
_GLOBAL_KEYS = frozenset(f.encode_name for f in msgspec.structs.fields(Globals))


def site_of(key: str, body: Body) -> tuple[Site, list[Mapping]]:
    """The site and its mappings (ids still 0) a volume element describes: one by its own keys `url`, `prefix` and
    `direction`, more by objects with those keys in the array `mappings`. Raises BadRequest naming the key that is wrong."""
    name = check_site_name(body.get("name"))
    paused = _flag(body, "paused", name)
    policy = _policy(body, name)
    more = body.get("mappings", [])
    if not isinstance(more, list) or not all(isinstance(m, dict) and m.get("url") for m in more):
        raise BadRequest(f"site {name}: mappings is an array of objects with url, prefix and direction")
    mappings = [_mapping(keys, name, policy) for keys in (body, *more)]
    prefixes = [m.prefix for m in mappings]
    if len(set(prefixes)) < len(prefixes):
        raise BadRequest(
            f"site {name}: two mappings have the same prefix; give every folder its own part of the namespace"
        )
    if problem := overlaps(mappings):
        raise BadRequest(f"site {name}: {problem}")
    return Site(name, key, paused), mappings


def _mapping(keys: Body, site: str, policy: Policy) -> Mapping:
    direction = keys.get("direction", "both")
    if direction not in get_args(Direction):
        raise BadRequest(f"site {site}: direction is {direction!r}; use both, send or receive")
    return Mapping(0, check_url(keys.get("url", ""), site), check_prefix(keys.get("prefix", "/")), direction, policy)


def globals_of(body: Body) -> Globals:
    """Global parameters; an unusable value counts as its default, for agents must go on."""
    values = {k: _listed(k, v) for k, v in body.items() if k in _GLOBAL_KEYS}
    try:
        return msgspec.convert(values, Globals, strict=False)
    except msgspec.ValidationError:
        return Globals()


def check_globals(body: Body) -> None:
    """Raise BadRequest naming the parameter that is wrong, before it is stored."""
    values = {k: _listed(k, v) for k, v in body.items() if k in _GLOBAL_KEYS}
    try:
        found = msgspec.convert(values, Globals, strict=False)
    except msgspec.ValidationError as err:
        raise BadRequest(f"{GLOBALS_KEY}: {err}") from err
    if found.sleep_between_scans < 0:
        raise BadRequest(f"{GLOBALS_KEY}: sleepBetweenScans is {found.sleep_between_scans:g}; it is 0 or more seconds")


def check_url(url: Any, site: str) -> str:
    """A store's address in its normal form ('' where the folder comes with the agent)."""
    if not isinstance(url, str):
        raise BadRequest(f"site {site}: url is {url!r}; it is a text like file:///data/{site}/")
    if not url:
        return url
    if url.startswith("/"):
        url = folder_url(to_bytes(url))
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise BadRequest(f"site {site}: {url!r} is no folder; give a path, or file:///path/")
    path = unquote_to_bytes(parts.path)
    if parts.netloc or not path.startswith(b"/") or b"\0" in path or b".." in path.split(b"/"):
        raise BadRequest(f"site {site}: {url!r} is no absolute folder; give it like file:///data/{site}/")
    return folder_url(path)


def folder_url(path: bytes) -> str:
    """The address of a folder, ending with '/'."""
    return "file://" + quote_from_bytes(b"/" + path.strip(b"/") + b"/").replace("//", "/")


def check_prefix(prefix: Any) -> str:
    """A part of the namespace: '/' or a path that ends with '/'."""
    if not isinstance(prefix, str):
        raise BadRequest(f"prefix is {prefix!r}; it is a path like /shots/")
    if prefix in ("", "/"):
        return "/"
    return check_id("/" + prefix.strip("/") + "/")


def _policy(body: Body, site: str) -> Policy:
    values = {k: _listed(k, v) for k, v in body.items() if k in _POLICY_KEYS}
    try:
        return msgspec.convert(values, Policy, strict=False)
    except msgspec.ValidationError as err:
        raise BadRequest(f"site {site}: {err}") from err


def _listed(key: str, value: Any) -> Any:
    return split_patterns(value) if key in _PATTERNS and isinstance(value, str) else value


def _flag(body: Body, key: str, site: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise BadRequest(f"site {site}: {key} is {value!r}; it is true or false")
    return value
