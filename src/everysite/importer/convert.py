"""A document of an older tracker as the element it becomes.

Owns: what is a user, a site, a file among documents that do not say so; keys that mean something else here.
Must not know: dumps, the index, how an element is stored.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import msgspec

from everysite.decide.targets import STATE_FIELDS, parse_state_key, truth
from everysite.errors import BadRequest
from everysite.importer.values import Unfit
from everysite.model.element import Body
from everysite.model.site import check_site_name
from everysite.tracker.identifiers import identifier, refuse_dollars
from everysite.tracker.settings import GLOBALS_KEY, check_url
from everysite.tracker.sites import is_site
from everysite.tracker.users import is_user

FIRST = ("site", "parameters", "user")
"""Kinds that have to be there before others: what a key of a file means depends on them."""
OLD_URL = "damasUrl"
_DIGEST = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")
_NUMBER = re.compile(r"\d{1,15}(\.\d+)?")


class Coming(msgspec.Struct, frozen=True):
    """An element as it shall be. `body` is without `_id` and password; `password` is an old digest, '' for none.
    `notes`: what is different from the dump, and what to do about it."""

    place: str
    key: str
    kind: str
    body: Body
    password: str = ""
    notes: tuple[str, ...] = ()

    @property
    def item(self) -> Body:
        """As a verb of elements takes it."""
        secret = {"password": self.password} if self.password else {}
        return {"_id": self.key, **self.body, **secret}


def kind_of(body: Body) -> str:
    """user, site, parameters, file, link, child or element."""
    key = body.get("_id")
    if not isinstance(key, str):
        return "element"
    if key == GLOBALS_KEY:
        return "parameters"
    if is_user(key, body):
        return "user"
    if _describes_site(key, body):
        return "site"
    if key.startswith("/"):
        return "file"
    if "src_id" in body and "tgt_id" in body:
        return "link"
    return "child" if "#parent" in body else "element"


def _describes_site(key: str, body: Body) -> bool:
    if is_site(body):
        return True
    if "class" in body or key.startswith("/") or not isinstance(body.get("url"), str):
        return False
    try:
        check_site_name(body.get("name"))
    except BadRequest:
        return False
    return bool(_ADDRESS.match(body["url"]))


def converted(place: str, document: Body, sites: Collection[str]) -> Coming:
    """The element a document becomes. `sites`: the names whose state keys are read. Raises Unfit saying why it cannot come."""
    try:
        refuse_dollars(document)
        key = identifier(document.get("_id"))
        found = _of_kind(place, key, kind_of(document), document, sites)
        msgspec.json.encode(found.body)
    except (UnicodeEncodeError, OverflowError, RecursionError) as err:
        raise Unfit(f"it cannot be written as JSON: {err}") from err
    except BadRequest as err:
        raise Unfit(str(err)) from err
    return found


def _of_kind(place: str, key: str, kind: str, document: Body, sites: Collection[str]) -> Coming:
    body = {name: value for name, value in document.items() if name != "_id"}
    if kind == "user":
        return _user(place, key, body)
    if body.get("password") is not None:
        raise Unfit("it has a password and is no user; give it a username, or its password another key")
    if kind in FIRST:
        body = {name: value for name, value in body.items() if value is not None}
    if kind == "site":
        return _site(place, key, body)
    if kind == "file":
        body = _file(body, sites)
    return Coming(place, key, kind, body)


def _user(place: str, key: str, body: Body) -> Coming:
    body = {name: value for name, value in body.items() if value is not None}
    digest = body.pop("password", "")
    notes: tuple[str, ...] = ()
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        name = body.get("username", key.removeprefix("@"))
        digest, notes = "", (f"it has no MD5 or SHA-1 password; give it one: everysite user set {name} --password",)
    if "disable" in body and (disabled := truth(body["disable"])) is not None:
        body["disable"] = disabled
    return Coming(place, key, "user", body, digest, notes)


def _site(place: str, key: str, body: Body) -> Coming:
    """One whose folder is reached in a way that is not known here is served by joining, and keeps its address as a note."""
    name, url = body.get("name"), body.get("url", "")
    body["class"] = "volume"
    try:
        local = bool(check_url(url, str(name)))
    except BadRequest:
        note = f"nobody serves {_without_secret(url)} yet; on its machine type what 'everysite site token {name}' says"
        return Coming(place, key, "site", body | {"url": "", OLD_URL: _without_secret(url)}, notes=(note,))
    if not local:
        return Coming(place, key, "site", body)
    note = f"it is paused; when {url} is the right folder of this machine: everysite site resume {name}"
    return Coming(place, key, "site", body | {"url": check_url(url, str(name)), "paused": True}, notes=(note,))


def _without_secret(url: Any) -> str:
    return re.sub(r"(//[^/@:\s]*):[^/@\s]*@", r"\1@", str(url))


def _file(body: Body, sites: Collection[str]) -> Body:
    """State keys as numbers, and only those that say something. What was in progress ended with the old tracker."""
    kept: Body = {}
    for name, value in body.items():
        found = parse_state_key(name, sites) if name.partition("_")[0] in STATE_FIELDS else None
        if found is None:
            kept[name] = value
        elif value and found[0] != "syncing":
            number = isinstance(value, str) and found[0] != "error_text" and _NUMBER.fullmatch(value)
            value = float(value) if number else value
            kept[name] = int(value) if isinstance(value, float) else value
    return kept
