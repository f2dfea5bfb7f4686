"""What a client may write into an element, and what the element is afterwards.

Owns: merging an update, restricted keys, the form of a publish, and which keys carry which version.
Must not know: who is signed in (it is told the class), state keys and replicas, the index, HTTP answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec.structs import replace

from everysite.errors import BadRequest, EverysiteError
from everysite.model.clock import Version
from everysite.model.element import Body, Element
from everysite.model.path import check_id
from everysite.model.site import check_site_name

WhoClass = Literal["guest", "user", "editor", "admin"]

RESTRICTED = frozenset({"author", "time", "class", "username", "password", "disable"})
"""Keys only an admin writes (tracker-api 9); others' are dropped, not refused, as existing clients expect."""

PASSWORD = "password"

UNIT = frozenset({"time", "author", "origin", "comment", "file_mtime", "file_size", "digest", "version"})
"""Keys that say one thing together (who brought which content when): a change of one is a change of all."""


def merge_update(body: Body, change: Mapping[str, Any]) -> Body:
    """The body after an update, as a new value. null deletes a key (an absent one is fine), an object takes the whole
    old object's place, a dotted key reaches into nested objects and makes those that are missing.

    `_id` may be named in the change but never changes. Raises BadRequest, with nothing merged, for keys that are empty
    or start with '$', and for a dotted key that leads through something that is no object.
    """
    merged = dict(body)
    for key, value in change.items():
        if key == "_id":
            continue
        parts = _parts(key)
        _write(merged, parts, value, key)
    return merged


def _parts(key: str) -> list[str]:
    problem = key_problem(key)
    if problem:
        raise BadRequest(problem)
    return key.split(".")


def key_problem(key: str) -> str | None:
    """What is wrong with a key of an update; None: nothing."""
    parts = key.split(".")
    if not all(parts):
        return f"the key {key!r} has an empty part; a dot leads into a nested object"
    if parts[0] == "_id" and len(parts) > 1:
        return f"the key {key!r} leads into _id, which is a text and never changes"
    if any(part.startswith("$") for part in parts):
        return f"the key {key!r} starts with '$', which is kept for queries; choose another name"
    return None


def _write(inside: Body, parts: list[str], value: Any, key: str) -> None:
    """`inside` is ours; what lies deeper is copied before it is written to."""
    for part in parts[:-1]:
        deeper = inside.get(part)
        if deeper is None:
            if value is None:
                return
            deeper = {}
        if not isinstance(deeper, dict):
            raise BadRequest(f"the key {key!r} leads into {part!r}, which is no object; write {part!r} as a whole")
        inside[part] = dict(deeper)
        inside = inside[part]
    if value is None:
        inside.pop(parts[-1], None)
    else:
        inside[parts[-1]] = value


def clean(body: Mapping[str, Any], who_class: WhoClass) -> Body:
    """The keys of a body that somebody of this class may write. `active` is forced to false for all but admins.

    `password` is never one: who may write it had it taken out before.
    """
    if who_class == "admin":
        if PASSWORD not in "\0".join(body):  # the usual case, in one step
            return dict(body)
        return {key: value for key, value in body.items() if key != PASSWORD and not key.startswith(PASSWORD + ".")}
    if RESTRICTED.isdisjoint(body) and "." not in "".join(body):  # the usual case; a look at every key costs 4 us
        kept = dict(body)
    else:
        kept = {key: value for key, value in body.items() if key.split(".")[0] not in RESTRICTED}
    if "active" in kept:
        kept["active"] = False
    return kept


def publish_problem(item: object) -> str | None:
    """Why this is no publish, naming what is missing; None: it is one. `_id` is a path or several of them; `comment` a
    string, which may be empty; `origin` a site name."""
    if not isinstance(item, dict):
        return f"a publish is an object with _id, comment and origin, not {item!r:.40}"
    return (
        _paths_problem(item.get("_id"))
        or _comment_problem(item.get("comment"))
        or _origin_problem(item.get("origin"))
        or next(filter(None, (key_problem(key) for key in item if key.startswith("$"))), None)
    )


def _paths_problem(found: object) -> str | None:
    paths = found if isinstance(found, list) else [found]
    if not paths:
        return "_id is an empty list; name at least one path"
    for path in paths:
        if not isinstance(path, str):
            said = "missing" if path is None else f"{path!r:.40}"
            return f"_id is {said}; a file is published by its path, which starts with '/'"
        problem = _said(check_id, path)
        if problem:
            return problem
    return None


def _comment_problem(comment: object) -> str | None:
    if isinstance(comment, str):
        return None
    said = "missing" if comment is None else f"{comment!r:.40}"
    return f"comment is {said}; say in a text what changed (it may be an empty one)"


def _origin_problem(origin: object) -> str | None:
    if origin is None:
        return "origin is missing; name the site that has the file"
    problem = _said(check_site_name, origin)
    return f"origin: {problem}" if problem else None


def _said(check: Any, value: object) -> str | None:
    try:
        check(value)
    except EverysiteError as err:
        return str(err)
    return None


def unfold(item: Mapping[str, Any]) -> list[Body]:
    """One body an identifier, in order, where `_id` is a list of them; all other keys are copied."""
    key = item.get("_id")
    return [{**item, "_id": one} for one in key] if isinstance(key, list) else [dict(item)]


def stamped(old: Element | None, new: Element, version: Version) -> Element:
    """The element with its versions: a new one has this `version` for every key; of an old one only the top-level keys
    that differ (removed ones included) are `late`, so that two trackers' writes to different keys both stay. The keys of
    UNIT go together."""
    if old is None:
        return replace(new, version=version, late={})
    changed = set(changed_keys(old.body, new.body))
    if changed & UNIT:
        changed |= UNIT & new.body.keys()
    return replace(new, version=old.version, late=old.late | dict.fromkeys(sorted(changed), version))


def changed_keys(before: Body, after: Body) -> list[str]:
    """Top-level keys that were added, removed or have another value (true and 1 are two values), sorted."""
    return sorted(key for key in before.keys() | after.keys() if not _equal(before, after, key))


def _equal(before: Body, after: Body, key: str) -> bool:
    return key in before and key in after and _typed(before[key]) == _typed(after[key])


def _typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _typed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_typed(inner) for inner in value]
    return (isinstance(value, bool), value)


def without(body: Body, keys: Iterable[str]) -> Body:
    """The body less these keys."""
    dropped = frozenset(keys)
    return {key: value for key, value in body.items() if key not in dropped}
